"""What a kill drill measures and when it has failed, from reports that the test writes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from thunes.domain.market import ExecutionReport
from thunes.messages import OrderStatus, Side
from thunes.rodage.rounds import Entries, Report, Round, measure, percentile

GOOD = Round(acknowledged_ms=10.0, last_order_ms=5.0, last_cancel_ms=12.0, late_orders=0, left_open=0, refused=4)


def report(
    name: str, execution: str, status: OrderStatus, side: Side = Side.BUY, kind: str = "LIMIT"
) -> ExecutionReport:
    none = Decimal(0)
    return ExecutionReport("BTCUSDT", name, 1, execution, status, side, kind, Decimal(1), none, none, none, 1)


def accepted(name: str, kind: str = "LIMIT", side: Side = Side.BUY) -> ExecutionReport:
    return report(name, "NEW", OrderStatus.NEW, side, kind)


def cancelled(name: str) -> ExecutionReport:
    return report(name, "CANCELED", OrderStatus.CANCELED)


def test_times_are_counted_from_the_command_to_the_last_of_each() -> None:
    entries = Entries()
    for heard, at in ((accepted("a"), 9.9), (accepted("b"), 10.01), (cancelled("a"), 10.02), (cancelled("b"), 10.03)):
        entries.hear(heard, at)
    done = measure(entries, told=10.0, acknowledged=10.015, settled=10.016, refused=3)
    assert (round(done.last_order_ms), round(done.last_cancel_ms), round(done.acknowledged_ms)) == (10, 30, 15)
    assert (done.late_orders, done.left_open, done.refused) == (0, 0, 3)


def test_an_entry_that_is_accepted_after_the_acknowledgement_is_late_and_one_that_rests_is_left_open() -> None:
    entries = Entries()
    entries.hear(accepted("on its way", kind="MARKET"), 10.105)
    entries.hear(accepted("a"), 10.2)
    done = measure(entries, told=10.0, acknowledged=10.1, settled=10.11, refused=0)
    assert (done.late_orders, done.left_open) == (1, 1)


def test_where_nothing_came_after_the_command_the_time_is_none() -> None:
    entries = Entries()
    entries.hear(accepted("a"), 9.0)
    assert measure(entries, told=10.0, acknowledged=10.1, settled=10.1, refused=0).last_order_ms == 0


def test_what_sells_and_what_goes_at_the_market_does_not_rest() -> None:
    entries = Entries()
    entries.hear(accepted("a", kind="MARKET"), 1.0)
    entries.hear(accepted("b", side=Side.SELL), 2.0)
    assert (entries.accepted, entries.resting) == ([1.0], set())


def test_a_round_begins_without_what_was_before_but_with_what_rests() -> None:
    entries = Entries()
    entries.hear(accepted("a"), 1.0)
    entries.forget()
    assert (entries.accepted, entries.cancelled, entries.resting) == ([], [], {"a"})


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == value


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"late_orders": 1}, "accepted after the kill was acknowledged"),
        ({"left_open": 1}, "stayed open"),
        ({"last_order_ms": 51.0}, "last entry order accepted is 51 ms; the goal is 50 ms"),
        ({"last_cancel_ms": 51.0}, "last entry order cancelled is 51 ms; the goal is 50 ms"),
    ],
)
def test_each_thing_that_must_not_be_fails_the_drill(changed: dict[str, float], said: str) -> None:
    (complaint,) = Report((GOOD, replace(GOOD, **changed)), hung=False, activations=2).complaints()  # type: ignore[arg-type]
    assert said in complaint


def test_a_kill_that_the_journal_has_twice_fails_the_drill() -> None:
    assert Report((GOOD,), hung=False, activations=2).complaints() == ["1 kills are 2 in the journal."]


def test_a_hung_system_has_two_seconds() -> None:
    slow = replace(GOOD, last_order_ms=1999.0, last_cancel_ms=1999.0)
    assert Report((slow,), hung=True, activations=1).document()["passed"]
    assert not Report((slow,), hung=False, activations=1).document()["passed"]
