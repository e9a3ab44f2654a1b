"""MetricsActor alone: what it counts over the journal's events, and what it knows again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.metrics import MetricsActor
from actors.protocol import Heartbeat, Journaled
from tests.actors.alone import Alone, alone
from tests.e2e.support import wait_for
from tests.sample_figures import RISK
from thunes.domain.figures import AlertFigures, TradeFigures
from thunes.domain.journal import AuditEvent
from thunes.domain.performance import sharpe
from thunes.messages import Record, Side
from thunes.storage.journal import JournalFile, read_events

EQUITIES = (10_000, 9_990, 9_985, 9_970, 9_968, 9_950, 9_949, 9_930, 9_925, 9_920)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    with alone(tmp_path, "metrics", MetricsActor) as made:
        yield made


def written(bench: Alone, *records: Record) -> tuple[AuditEvent, ...]:
    """What the journal makes of these, on the disk."""
    journal: JournalFile = bench.world.ports.open_journal()  # type: ignore[assignment]
    before = journal.seq
    for record in records:
        journal.append(record)
    journal.commit()
    journal.close()
    return tuple(read_events(bench.world.home.logs, before))


def day(number: int, equity: int) -> Record:
    return Record("DAILY_RESET", metadata={"day": f"2026-01-{number:02}", "equity": Decimal(equity)})


def days(*equities: int) -> list[Record]:
    return [day(number, equity) for number, equity in enumerate(equities, 1)]


def fill(side: Side, trade_id: int) -> Record:
    return Record("ORDER_FILLED", symbol="BTCUSDT", side=side, metadata={"trade_id": trade_id})


def begin(bench: Alone) -> None:
    """Start it, and wait until it has read what there is."""
    bench.start()
    wait_for(lambda: "metrics" in bench.world.board.figures, 10, "its first figures")


def figures(bench: Alone) -> TradeFigures:
    found: Any = bench.world.board.figures["metrics"]
    assert isinstance(found, TradeFigures)
    return found


def test_fills_closed_positions_and_mismatches_are_counted(bench: Alone) -> None:
    begin(bench)
    closed = [
        Record("POSITION_CLOSED", symbol="BTCUSDT", metadata={"pnl": pnl, "market_time": n})
        for n, pnl in enumerate(("1.5", "-0.1", "0"))
    ]
    told = [fill(Side.BUY, 1), fill(Side.SELL, 2), fill(Side.SELL, 3), *closed, Record("RECONCILIATION_MISMATCH")]
    bench.tell(Journaled(written(bench, *told)))
    found = figures(bench)
    assert (found.buys_filled, found.sells_filled, found.fills) == (1, 2, 3)
    assert found.trades == {"win": 2, "loss": 1}
    assert [(trade.pnl, trade.closed.microsecond) for trade in found.recent] == [
        (Decimal("1.5"), 0),
        (Decimal("-0.1"), 1000),
        (Decimal(0), 2000),
    ]
    assert found.mismatches == 1


def test_an_event_that_is_told_twice_counts_once(bench: Alone) -> None:
    begin(bench)
    events = written(bench, fill(Side.BUY, 1))
    bench.tell(Journaled(events), Journaled(events))
    assert figures(bench).buys_filled == 1


def test_decay_is_journalled_when_it_sets_in_and_once(bench: Alone) -> None:
    begin(bench)
    falling = [Decimal(1000 - 10 * n) for n in range(15)]
    bench.tell(Journaled(written(bench, *days(*falling))))
    (decay,) = [each for each in bench.told("audit", Record) if each.event == "PARAMETER_DECAY"]
    assert figures(bench).decaying
    assert "below 1 on 3 days in a row" in decay.metadata["why"]


def test_the_sharpe_ratio_is_that_of_the_days_equities(bench: Alone) -> None:
    begin(bench)
    bench.tell(Journaled(written(bench, *days(*EQUITIES[:7]))))
    assert figures(bench).sharpe == {}
    bench.tell(Journaled(written(bench, day(8, EQUITIES[7]))))
    assert figures(bench).sharpe == {"7d": sharpe([Decimal(e) for e in EQUITIES[:8]])}


def test_three_bad_days_in_a_row_are_decay_and_a_good_one_ends_it(bench: Alone) -> None:
    begin(bench)
    bench.tell(Journaled(written(bench, *days(*EQUITIES[:9]))))
    assert not figures(bench).decaying
    bench.tell(Journaled(written(bench, day(10, EQUITIES[9]))))
    assert figures(bench).decaying
    bench.tell(Journaled(written(bench, day(11, 20_000))))
    assert not figures(bench).decaying


def test_after_a_crash_the_days_before_it_are_known_from_the_books(bench: Alone) -> None:
    written(bench, *days(*EQUITIES))
    begin(bench)
    assert figures(bench).decaying
    assert figures(bench).sharpe == {"7d": sharpe([Decimal(e) for e in EQUITIES[2:]])}


def test_a_day_without_an_equity_as_older_journals_have_it_says_nothing(bench: Alone) -> None:
    begin(bench)
    bench.tell(Journaled(written(bench, *days(*EQUITIES[:8]))))
    known = figures(bench).sharpe
    bench.tell(Journaled(written(bench, Record("DAILY_RESET", metadata={"day": "2026-01-09"}))))
    assert figures(bench).sharpe == known


def heartbeat(bench: Alone) -> dict[str, Any]:
    """What the next heartbeat's line says."""
    bench.tell(Heartbeat())
    (record,) = bench.told("audit", Record)
    (event,) = written(bench, record)
    assert event.event == "HEARTBEAT"
    return event.metadata


def test_a_heartbeat_tells_the_equity_and_how_many_alerts_wait(bench: Alone) -> None:
    begin(bench)
    bench.world.board.figures["risk"] = RISK
    bench.world.board.figures["alert"] = AlertFigures(pending=3, sent={})
    meta = heartbeat(bench)
    assert (meta["equity"], meta["alerts_pending"]) == ("10012.20", 3)


def test_without_anybody_who_alerts_no_alert_waits(bench: Alone) -> None:
    begin(bench)
    assert heartbeat(bench)["alerts_pending"] == 0


def test_a_heartbeat_knows_no_equity_before_risk_does(bench: Alone) -> None:
    begin(bench)
    assert "equity" not in heartbeat(bench)
    bench.world.board.figures["risk"] = replace(RISK, equity=Decimal(0), balances={})
    assert "equity" not in heartbeat(bench)
