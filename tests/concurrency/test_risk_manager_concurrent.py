"""Risk under many threads at once, in the whole tree: every limit holds, and everyone reads the same story of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.concurrency.risk_support import (
    PRICES,
    SYMBOLS,
    THREADS,
    HandClock,
    approved,
    assert_written,
    at_once,
    flood,
    floor,
    reasons,
    wait_for,
    write_numbered,
)
from thunes.domain.books import Books, has_ended
from thunes.domain.journal import AuditEvent
from thunes.messages import Kill, Resume, Side

D = Decimal
SWITCH = ("KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED")


# --- decisions ---


def test_concurrent_validate_trade(tmp_path: Path) -> None:
    with floor(tmp_path, max_positions=5) as alive:
        asked: list[str] = []

        def ask(thread: int, n: int) -> None:
            wanted = alive.want(SYMBOLS[thread], Side.BUY if n % 2 == 0 else Side.SELL)
            asked.append(wanted.correlation_id)
            alive.tell("risk", wanted)

        flood(ask, times=20, threads=5)
        alive.rest()
        made = alive.decisions(100)
        assert len(set(asked)) == 100
        assert Counter(e.correlation_id for e in made) == Counter(asked)
        outcomes = Counter((e.event.removeprefix("TRADE_").lower(), e.reason or "") for e in made)
        assert alive.risk.decisions == outcomes
        client_ids = [e.metadata["client_order_id"] for e in made]
        assert len(set(client_ids)) == 100
        assert sorted(alive.venue.placed) == sorted(e.metadata["client_order_id"] for e in approved(made))
        assert {e.symbol for e in approved(made)} == set(SYMBOLS)


def test_duplicate_symbol_validation_concurrent(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.venue.opened.clear()
        flood(lambda _thread, _n: alive.submit("BTCUSDT"))
        under_way = alive.decisions(2000)
        alive.venue.opened.set()
        flood(lambda _thread, _n: alive.submit("BTCUSDT"))
        alive.rest()
        made = alive.decisions(4000)
        assert len(approved(under_way)) == 1
        assert reasons(made) == {None: 1, "DUPLICATE_SYMBOL": 3999}
        assert len(alive.venue.placed) == 1


# --- limits that orders under way count against ---


def test_position_limit_enforcement_concurrent(tmp_path: Path) -> None:
    with floor(tmp_path, max_positions=3) as alive:
        alive.trade("BTCUSDT", "ETHUSDT")
        others, decided = ("BNBUSDT", "SOLUSDT", "XRPUSDT"), 2
        for number in range(20):
            if number % 2:
                alive.venue.opened.clear()  # so that the slot is held by an order, not by a position
            at_once(*(lambda symbol=symbol: alive.submit(symbol) for symbol in others))
            made = alive.decisions(decided + 3)[decided:]
            alive.venue.opened.set()
            alive.rest()
            assert reasons(made) == {None: 1, "POSITION_LIMIT": 2}
            (taken,) = (e.symbol for e in approved(made))
            assert alive.open_symbols() == {"BTCUSDT", "ETHUSDT", taken}
            alive.trade(str(taken), side=Side.SELL)
            decided += 4


def test_exposure_limit_counts_orders_under_way(tmp_path: Path) -> None:
    with floor(tmp_path, max_positions=5, max_exposure=50) as alive:
        alive.venue.opened.clear()
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]))
        made = alive.decisions(2000)
        alive.venue.opened.set()
        alive.rest()
        taken = {e.symbol for e in approved(made)}
        assert len(approved(made)) == len(taken) == 4  # of 12 to 13 USDT each
        assert {e.reason for e in made if e.symbol not in taken} == {"EXPOSURE_LIMIT"}
        assert {e.reason for e in made if e.symbol in taken} == {None, "DUPLICATE_SYMBOL"}


def test_balance_promised_to_orders_under_way_is_not_promised_again(tmp_path: Path) -> None:
    quantities = {"BTCUSDT": "0.05", "ETHUSDT": "1.15", "BNBUSDT": "5", "SOLUSDT": "20", "XRPUSDT": "6000"}
    with floor(tmp_path, max_positions=5, max_notional=5_000, max_exposure=100_000) as alive:
        alive.venue.opened.clear()

        def buy(thread: int, n: int) -> None:
            symbol = SYMBOLS[(thread + n) % 5]
            alive.submit(symbol, quantity=D(quantities[symbol]))

        flood(buy)
        made = alive.decisions(2000)
        taken = {e.symbol for e in approved(made)}
        assert len(approved(made)) == len(taken) == 3  # of 3000 USDT each, out of 10000
        assert {e.reason for e in made if e.symbol not in taken} == {"INSUFFICIENT_BALANCE"}
        alive.venue.opened.set()
        alive.rest()
        assert alive.venue.totals()["USDT"] > 0


def test_order_rate_limit_counts_a_minute_of_the_clock(tmp_path: Path) -> None:
    clock = HandClock()
    with floor(tmp_path, clock=clock, max_positions=5, max_orders_per_minute=4) as alive:

        def buy_all() -> int:
            flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]), times=125)
            alive.rest()
            return int(alive.risk.decisions["approved", ""])

        assert buy_all() == 4
        clock.ns += 60 * 10**9 - 1
        assert buy_all() == 4
        clock.ns += 1
        assert buy_all() == 5
        refused = reasons(alive.decisions(3000))
        assert set(refused) == {None, "DUPLICATE_SYMBOL", "ORDER_RATE"}
        assert refused["ORDER_RATE"] >= 2 * 200


def test_concurrent_cool_down_expiration(tmp_path: Path) -> None:
    with floor(tmp_path, cool_down=60) as alive:
        alive.trade("BTCUSDT")
        alive.trade("BTCUSDT", side=Side.SELL)
        until = alive.risk.cool_down_until_ms
        assert until == alive.venue.now_ms + 60_000
        moments = (until - 60_000, until - 1, until, until + 1, until + 60_000)

        def trade(thread: int, n: int) -> None:
            side = Side.SELL if n % 8 == 7 else Side.BUY
            alive.submit(("BTCUSDT", "ETHUSDT")[thread % 2], side, market_ms=moments[(thread + n) % 5])

        flood(trade)
        alive.rest()
        made = alive.decisions(2002)[2:]
        buys = [e for e in made if e.side is Side.BUY]
        assert {e.reason for e in buys if e.metadata["market_time"] < until} == {"COOL_DOWN"}
        late = {e.reason for e in buys if e.metadata["market_time"] >= until}
        assert late == {None, "DUPLICATE_SYMBOL"}
        assert "COOL_DOWN" not in {e.reason for e in made if e.side is Side.SELL}


# --- the kill switch ---


def test_kill_switch_activation_race(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        before = alive.risk.epoch

        def kill(thread: int, n: int) -> None:
            alive.tell("risk", Kill(f"thread {thread}", "test"))
            alive.submit("BTCUSDT")

        flood(kill)
        made = alive.decisions(2000)
        wait_for(lambda: all(alive.figures(f"order.{s}").epoch > before for s in SYMBOLS), "every order actor")
        wait_for(alive.world.home.kill_active, "the marker")
        alive.flush()
        (event,) = alive.lines("KILL_SWITCH_ACTIVATED")  # what alerts are sent for
        assert event.metadata["epoch"] == alive.risk.epoch == before + 1
        assert alive.risk.kill_active
        assert alive.risk.kill_reason == event.metadata["why"] == alive.world.home.kill_reason()
        assert reasons(made) == {"KILL_SWITCH": 2000}  # each was told after a kill


def test_deactivate_kill_switch_concurrent(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.tell("risk", Kill("drill", "test"))
        wait_for(alive.world.home.kill_active, "the marker")
        flood(lambda thread, _n: alive.tell("risk", Resume(f"thread {thread}", "test")))
        alive.settle()
        wait_for(lambda: alive.figures("order.BTCUSDT").epoch >= 2, "the end of the kill")
        assert [e.event for e in alive.lines(*SWITCH)] == list(SWITCH)
        assert [e.metadata["epoch"] for e in alive.lines(*SWITCH)] == [1, 2]
        assert (alive.risk.kill_active, alive.risk.kill_reason, alive.risk.epoch) == (False, "", 2)
        assert not alive.world.home.kill_active()
        alive.trade("BTCUSDT")


def test_kills_and_resumes_that_race_alternate_in_the_journal(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:

        def throw(thread: int, n: int) -> None:
            kill = (thread + n) % 2 == 0
            alive.tell("risk", Kill("race", "test") if kill else Resume("race", "test"))

        flood(throw)
        alive.flush()
        thrown = alive.lines(*SWITCH)
        assert len(thrown) >= 249  # as often as one thread alone changed its mind
        assert [e.event for e in thrown] == [SWITCH[n % 2] for n in range(len(thrown))]
        assert [e.metadata["epoch"] for e in thrown] == list(range(1, len(thrown) + 1))
        assert {e.metadata["source"] for e in thrown} == {"test"}
        assert alive.risk.epoch == thrown[-1].metadata["epoch"]
        assert alive.risk.kill_active == alive.world.home.kill_active() == (thrown[-1].event == SWITCH[0])


def test_a_word_of_the_switch_overtakes_decisions_and_undoes_no_later_word(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.hold_disk()  # what risk says comes back to it after it has said more
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]))
        for word in (Kill, Resume):
            flood(lambda _thread, _n, word=word: alive.tell("risk", word("race", "test")))  # type: ignore[misc]
            alive.settle()
        alive.tell("risk", Kill("the last word", "test"))
        alive.settle()
        assert (alive.risk.kill_active, alive.risk.epoch) == (True, 3)
        before = alive.lines()[-1].seq
        alive.disk.opened.set()
        alive.flush()
        assert [e.event for e in alive.lines()[before : before + 3]] == [SWITCH[0], SWITCH[1], SWITCH[0]]
        assert len(alive.lines(*SWITCH)) == 3
        shown = [(p.epoch, p.kill_active) for p in alive.published]
        assert shown == sorted(shown, key=lambda picture: picture[0])
        assert {active for epoch, active in shown if epoch == 3} == {True}
        assert alive.marks == ["the last word"]


@pytest.mark.parametrize(("limit", "word"), [("max_daily_loss", "daily loss"), ("max_drawdown", "drawdown")])
def test_a_breach_seen_by_many_threads_activates_the_switch_once(tmp_path: Path, limit: str, word: str) -> None:
    limits = {"max_daily_loss": "9000", "max_drawdown": "1"} | {limit: {"daily loss": "1", "drawdown": "0.0001"}[word]}
    with floor(tmp_path, **limits) as alive:
        alive.trade("BTCUSDT")

        def crash(_thread: int, n: int) -> None:
            alive.tick("BTCUSDT", D(50_000) - n)
            alive.submit("ETHUSDT", cause="AFTER")

        flood(crash)
        refused = [e for e in alive.decisions(2001) if e.metadata["cause"] == "AFTER"]
        assert {e.reason for e in refused} == {"KILL_SWITCH"}
        flood(lambda _thread, _n: alive.tell("risk", Resume("please", "test")), times=25)
        wait_for(lambda: alive.figures("audit").events.get("OPERATOR_COMMAND", 0) == 200, "two hundred refusals")
        (event,) = alive.lines(*SWITCH)
        assert (event.event, event.metadata["source"], event.metadata["epoch"]) == (SWITCH[0], "risk", 1)
        assert event.metadata["why"].startswith(word)
        assert {e.metadata["refused"].startswith(word) for e in alive.lines("OPERATOR_COMMAND")} == {True}


# --- figures ---


def test_concurrent_get_risk_status(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        opening = alive.risk.equity
        seen: list[tuple[Any, dict[Any, int], dict[str, Decimal]]] = []

        def read() -> None:
            decided = 0
            for _ in range(250):
                alive.settle()
                figures = alive.risk
                seen.append((figures, dict(figures.decisions), dict(figures.balances)))
                assert sum(figures.decisions.values()) >= decided
                decided = sum(figures.decisions.values())

        def write() -> None:
            for n in range(250):
                alive.submit(SYMBOLS[n % 5], Side.SELL if n % 2 else Side.BUY)

        at_once(*[read] * THREADS, *[write] * THREADS)
        alive.rest()
        for figures, decisions, balances in seen:
            assert (figures.decisions, figures.balances) == (decisions, balances)
            unrealised = sum(p.unrealised for p in figures.positions)
            assert figures.daily_pnl == figures.realised_today + unrealised
            assert figures.equity == opening + figures.realised_total + unrealised
            assert sum(1 for p in figures.positions if p.quantity) <= figures.max_positions
        assert len({id(figures) for figures, _, _ in seen}) > 250
        with pytest.raises(FrozenInstanceError):
            alive.risk.epoch = 7


def test_concurrent_daily_pnl_calculation(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        held = SYMBOLS[:2]
        alive.trade(*held)
        before = len(alive.published)
        shift = D("0.01")

        def tick(thread: int, n: int) -> None:
            symbol = held[n % 2]
            alive.tick(symbol, PRICES[symbol] + shift * (250 * thread + n))
            alive.settle()

        flood(tick)
        for _ in range(500):
            alive.submit("SOLUSDT", Side.SELL)  # so that the last ticks find older ones that wait
        for symbol in held:
            alive.tick(symbol)
            alive.tick(symbol, PRICES[symbol] + 1_000)
        alive.settle()
        books = fold(alive.lines())
        sent = {s: {PRICES[s] + shift * k for k in range(2_000)} | {PRICES[s], PRICES[s] + 1_000} for s in held}
        seen = set()
        for figures in alive.published[before:]:
            shown = {p.symbol: p for p in figures.positions}
            bids = {s: shown[s].value / shown[s].quantity for s in held}
            assert all(bids[s] in sent[s] for s in held)
            worth = sum(books.positions[s].quantity * bids[s] - books.positions[s].cost for s in held)
            assert figures.daily_pnl == figures.realised_today + worth
            seen.add(tuple(bids.values()))
        assert bids == {s: PRICES[s] + 1_000 for s in held}
        assert len(seen) >= 250  # as many as one thread alone waited for


def fold(events: list[AuditEvent]) -> Books:
    books = Books()
    for event in events:
        books.apply(event)
    return books


def test_risk_snapshot_concurrent_reads(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        for number in range(25):
            flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5], (Side.BUY, Side.SELL)[n % 2]), times=10)
            if number == 20:
                alive.tell("risk", Kill("drill", "test"))
            alive.rest()
        lines = alive.lines()
        pasts = list(states(lines))
        heard, given, epoch = 0, 0, 0
        for event in (e for e in lines if e.event in ("TRADE_APPROVED", "TRADE_REJECTED")):
            shot = event.risk_snapshot
            told = (shot["open_positions"], D(shot["daily_pnl"]), given - shot["reserved"])
            # Risk hears of an event a while after it is in the journal, and of each in its turn.
            heard = next((seq for seq in range(heard, event.seq) if pasts[seq] == told), -1)
            assert heard >= 0, f"line {event.seq} fits nothing that was before it"
            assert shot["kill_switch"] == (shot["epoch"] == 1)
            assert shot["epoch"] >= epoch
            epoch = shot["epoch"]
            given += event.event == "TRADE_APPROVED"
        assert given >= 20  # one in each round before the kill, at least
        assert epoch == 1


def states(lines: list[AuditEvent]) -> Iterator[tuple[int, Decimal, int]]:
    """Open positions, today's result at `PRICES`, and how many orders have ended: before each line, and after all."""
    books, ended = Books(), 0
    for event in lines:
        held = books.open_positions
        yield len(held), books.realised_today + sum(p.quantity * PRICES[p.symbol] - p.cost for p in held), ended
        books.apply(event)
        ended += has_ended(event)


# --- the journal under risk ---


def test_audit_trail_concurrent_writes(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        flood(lambda thread, n: write_numbered(alive, thread, n), times=500)
        alive.rest()
        alive.flush()
        assert_written(alive, times=500)
