"""A day is a fold: each event once, each on the day that it belongs to, and nothing known that was not said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.domain.day import Day
from thunes.domain.journal import GENESIS, AuditEvent, seal
from thunes.messages import Record, Side

D = Decimal
MONDAY, TUESDAY = "2026-11-23", "2026-11-24"
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = 60_000


def ms(hours: float) -> int:
    """Milliseconds at so many hours of Monday."""
    return int((MIDNIGHT + timedelta(hours=hours)).timestamp() * 1000)


def journal(*records: tuple[float, Record]) -> list[AuditEvent]:
    """Records as the journal has them, each written at so many hours of Monday."""
    return [
        seal(record, seq=seq, timestamp=MIDNIGHT + timedelta(hours=hours), git_sha="abc", prev_hash=GENESIS)[0]
        for seq, (hours, record) in enumerate(records, 1)
    ]


def day(*records: tuple[float, Record], name: str = "") -> Day:
    return Day.fold(journal(*records), name)


def reset(name: str, equity: str | None, market_ms: int) -> Record:
    meta = {"day": name, "market_time": market_ms}
    return Record("DAILY_RESET", metadata=meta if equity is None else meta | {"equity": D(equity)})


def beat(equity: str | None = None) -> Record:
    return Record("HEARTBEAT", metadata={} if equity is None else {"equity": D(equity)})


def fill(side: Side, amount: str, at: float, trade_id: int, **changed: Any) -> Record:
    meta = {
        "trade_id": trade_id,
        "quote_quantity": D(amount),
        "quote_asset": "USDT",
        "commission": D("0.01"),
        "commission_asset": "USDT",
        "market_time": ms(at),
    }
    return Record("ORDER_FILLED", symbol="BTCUSDT", side=side, correlation_id="c1", metadata=meta | changed)


def closed(pnl: str, at: float) -> Record:
    return Record("POSITION_CLOSED", symbol="BTCUSDT", metadata={"pnl": D(pnl), "market_time": ms(at)})


def about(event: str, order: str = "c1", reason: str | None = None, **meta: Any) -> Record:
    return Record(event, symbol="BTCUSDT", correlation_id=order, reason=reason, metadata=meta)


MIDNIGHTS = reset(MONDAY, "10000", ms(0)), reset(TUESDAY, "10001.24", ms(24))

# --- equity ---


def test_equity_goes_from_the_first_tick_to_the_next_days_first() -> None:
    found = day((0, MIDNIGHTS[0]), (12, beat("9990")), (24, MIDNIGHTS[1]), (25, beat("5")))

    assert (found.name, found.start, found.end, found.change) == (MONDAY, D(10_000), D("10001.24"), D("1.24"))
    assert found.points == [(ms(0), D(10_000)), (ms(12), D(9_990)), (ms(24), D("10001.24"))]


def test_a_next_day_that_began_hours_late_does_not_say_how_this_one_ended() -> None:
    late = reset(TUESDAY, "1", ms(24) + MINUTE + 1)
    found = day((0, MIDNIGHTS[0]), (12, beat("9990")), (33, late))

    assert found.is_over
    assert found.end == D(9_990)


@pytest.mark.parametrize("records", [[], [(1.0, beat())], [(0.0, reset(MONDAY, None, ms(0)))]])
def test_an_equity_that_nobody_wrote_down_is_not_known(records: list[tuple[float, Record]]) -> None:
    found = day(*records, name=MONDAY)

    assert (found.start, found.end, found.change, found.points) == (None, None, None, [])


def test_the_days_first_equity_alone_is_not_its_last() -> None:
    assert day((0, MIDNIGHTS[0])).end is None


def test_a_day_that_nobody_saw_begin_has_no_equity_at_its_start() -> None:
    found = day((12, beat("9990")), (24, MIDNIGHTS[1]), name=MONDAY)

    assert (found.start, found.end, found.change) == (None, D("10001.24"), None)


def test_an_equity_of_before_the_first_tick_is_the_day_befores() -> None:
    found = day((0, beat("7")), (0.001, MIDNIGHTS[0]), name=MONDAY)

    assert (found.start, found.end, found.points) == (D(10_000), None, [(ms(0.001), D(10_000))])


# --- which day ---


def test_what_names_a_time_of_the_market_belongs_to_that_day_however_late_it_comes() -> None:
    late = fill(Side.SELL, "50", 23.99, 2)
    lines = journal((0, MIDNIGHTS[0]), (23, fill(Side.BUY, "40", 23, 1)), (24, MIDNIGHTS[1]), (24.01, late))

    assert Day.fold(lines).turnover == {"USDT": D(90)}
    assert Day.fold(lines, TUESDAY).turnover == {}


def test_what_names_no_time_belongs_to_the_newest_day_that_was_named() -> None:
    """A market that is replayed is on another day than the wall's clock."""
    replayed = reset("2024-02-29", "10", 1_709_164_800_000)

    assert day((0, replayed), (1, about("ACTOR_RESTARTED"))).happened["ACTOR_RESTARTED"] == 1
    assert day((0, replayed), (1, about("ACTOR_RESTARTED")), name=MONDAY).events == 0


def test_what_was_late_does_not_bring_the_day_back() -> None:
    lines = journal(
        (0, MIDNIGHTS[0]),
        (24, MIDNIGHTS[1]),
        (24.01, fill(Side.SELL, "50", 23.99, 2)),
        (24.02, about("ACTOR_RESTARTED")),
    )

    assert Day.fold(lines).happened["ACTOR_RESTARTED"] == 0
    assert Day.fold(lines, TUESDAY).happened["ACTOR_RESTARTED"] == 1


def test_before_any_day_is_named_the_walls_clock_tells() -> None:
    lines = journal((-1, about("SYSTEM_STARTED")), (1, about("ACTOR_RESTARTED")))

    assert Day.fold(lines, MONDAY).happened == {"ACTOR_RESTARTED": 1}


def test_without_a_name_it_is_the_first_day_that_is_named_and_what_led_to_it() -> None:
    found = day((-0.01, about("SYSTEM_STARTED")), (0, MIDNIGHTS[0]), (24, MIDNIGHTS[1]), (25, about("ACTOR_RESTARTED")))

    assert found.name == MONDAY
    assert found.happened == {"SYSTEM_STARTED": 1, "DAILY_RESET": 1}
    assert (found.first_ms, found.last_ms) == (ms(-0.01), ms(0))


def test_the_day_is_over_when_the_market_reaches_the_next() -> None:
    lines = journal((0, MIDNIGHTS[0]), (24, MIDNIGHTS[1]))

    assert not Day().is_over
    assert not Day.fold(lines[:1]).is_over
    assert Day.fold(lines).is_over


# --- trading ---


def test_fills_turnover_and_fees() -> None:
    dear = fill(Side.SELL, "60.5", 2, 2, commission=D("0.001"), commission_asset="BNB")
    found = day((0, MIDNIGHTS[0]), (1, fill(Side.BUY, "40", 1, 1)), (2, dear), (3, fill(Side.SELL, "1", 3, 3)))

    assert found.fills == [(ms(1), "BUY"), (ms(2), "SELL"), (ms(3), "SELL")]
    assert (found.turnover, found.currency) == ({"USDT": D("101.5")}, "USDT")
    assert found.fees == {"USDT": D("0.02"), "BNB": D("0.001")}


def test_a_trade_that_the_exchange_says_twice_counts_once() -> None:
    assert len(day((1, fill(Side.BUY, "40", 1, 7)), (2, fill(Side.BUY, "40", 1, 7))).fills) == 1


def test_two_quote_currencies_are_not_added_up() -> None:
    found = day((1, fill(Side.BUY, "40", 1, 1)), (2, fill(Side.BUY, "2", 2, 2, quote_asset="BTC")))

    assert (found.turnover, found.currency) == ({"USDT": D(40), "BTC": D(2)}, "")


def test_closed_positions_won_or_lost() -> None:
    found = day((1, closed("1.5", 1)), (2, closed("-0.1", 2)), (3, closed("0", 3)))

    assert (found.wins, found.losses, found.pnl) == (2, 1, D("1.4"))


def test_refusals_by_reason() -> None:
    cool = about("TRADE_REJECTED", reason="COOL_DOWN")
    found = day(
        (1, cool),
        (1, cool),
        (2, about("TRADE_REJECTED", reason="FILTER_LOT_SIZE")),
        (3, about("ORDER_REJECTED", reason="CIRCUIT_OPEN", by="thunes")),
        (4, about("ORDER_REJECTED", by="exchange", code=-2010)),
    )

    assert found.rejected == {"COOL_DOWN": 2, "FILTER_LOT_SIZE": 1}
    assert found.refused == {"CIRCUIT_OPEN": 1, "code -2010": 1}


@pytest.mark.parametrize(
    ("heard", "known"),
    [
        (about("ORDER_RESOLVED", found=True), "found"),
        (about("ORDER_RESOLVED", found=False), "absent"),
        (about("ORDER_REJECTED", code=-2010), "absent"),
        (fill(Side.BUY, "1", 1, 1), "found"),
        (about("ORDER_CANCELED"), "found"),
        (about("ORDER_ACCEPTED"), "found"),
        (about("ORDER_UNKNOWN"), "open"),
        (about("ORDER_RESOLVED", "c2", found=True), "open"),
        (about("ORDER_RESOLVED", leg="stop", found=True), "open"),
    ],
)
def test_an_order_of_unknown_fate_until_the_exchange_has_spoken(heard: Record, known: str) -> None:
    assert day((0, MIDNIGHTS[0]), (1, about("ORDER_UNKNOWN")), (2, heard)).doubts == {"c1": known}


def test_a_doubt_is_this_days_when_it_is_resolved_on_the_next() -> None:
    lines = journal(
        (0, MIDNIGHTS[0]),
        (23.9, about("ORDER_UNKNOWN")),
        (24, MIDNIGHTS[1]),
        (24.1, about("ORDER_RESOLVED", found=False)),
    )

    assert Day.fold(lines).doubts == {"c1": "absent"}
    assert Day.fold(lines, TUESDAY).doubts == {}


# --- the fold ---

RECORDS = st.sampled_from(
    [
        *MIDNIGHTS,
        beat("9999.5"),
        beat(),
        closed("1.5", 3),
        closed("-2", 26),
        about("ORDER_UNKNOWN"),
        about("ORDER_RESOLVED", found=True),
        about("TRADE_REJECTED", reason="COOL_DOWN"),
        about("CIRCUIT_OPENED"),
        *(fill(side, "12.5", at, number) for side in Side for at in (1, 25) for number in (1, 2, 3)),
    ]
)


def lines_of(records: Iterable[Record]) -> list[AuditEvent]:
    return journal(*((number / 10, record) for number, record in enumerate(records)))


@given(st.lists(RECORDS, max_size=30), st.data())
def test_lines_that_are_told_again_change_nothing(records: list[Record], data: st.DataObject) -> None:
    lines = lines_of(records)
    again = data.draw(st.integers(0, len(lines)))
    since = data.draw(st.integers(0, again))

    assert Day.fold([*lines[:again], *lines[since:again], *lines[again:]], MONDAY) == Day.fold(lines, MONDAY)


@given(st.lists(RECORDS, max_size=30))
def test_every_line_is_of_one_day(records: list[Record]) -> None:
    lines = lines_of(records)

    assert Day.fold(lines, MONDAY).events + Day.fold(lines, TUESDAY).events == len(lines)


@given(st.lists(RECORDS, max_size=30))
def test_the_parts_agree(records: list[Record]) -> None:
    found = Day.fold(lines_of(records), MONDAY)

    assert found.happened.total() == found.events
    assert found.wins + found.losses == found.happened["POSITION_CLOSED"]
    assert sum(found.turnover.values()) == D("12.5") * len(found.fills)
    assert found.points == sorted(found.points, key=lambda point: point[0])
    assert found.start in (None, found.points[0][1] if found.points else None)
    assert found.end in (None, found.points[-1][1] if found.points else None)
