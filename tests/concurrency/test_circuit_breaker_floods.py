"""The circuit in a flood that goes on: pauses that the exchange wants, crashes, and what is freed in the whole tree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from actors.protocol import Approved
from actors.runtime.actor import Exited
from tests.concurrency.breaker_support import (
    FAIL_MAX,
    RESET_TIMEOUT,
    Bench,
    circuit,
    failed,
    outcome,
    succeeded,
    system,
    transitions,
)
from tests.concurrency.risk_support import PATIENCE, SYMBOLS, THREADS, Floor, approved, at_once, flood, wait_for
from thunes.domain.books import has_ended
from thunes.messages import ResetBreaker, Side

RESET = ResetBreaker("test")


# --- pauses ---


def test_while_the_exchange_wants_a_pause_no_approval_is_permitted(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        pauses: list[float] = []

        def call(thread: int, n: int) -> None:
            breaker.approve()
            if n % 10 == 5:
                pause = float((thread * 25 + n) % 30 + 1)
                pauses.append(pause)
                breaker.tell(outcome("a call", False, retry_after=pause))

        flood(call)
        breaker.say(outcome("a call", False, retry_after=1.0))  # does not shorten it
        first = next(n for n, s in enumerate(breaker.steps) if type(s.message) is not Approved)
        paused = breaker.handled(Approved, since=first)
        assert breaker.permits() == breaker.handled(Approved)[: -len(paused)]
        assert breaker.refusals() == [(a.order.correlation_id, "RATE_LIMIT") for a in paused]
        before = len(breaker.permits())
        breaker.clock.advance(max(pauses), ns=-1)
        flood(lambda _thread, _n: breaker.approve(), times=25)
        breaker.settle()
        assert len(breaker.permits()) == before
        breaker.clock.advance(ns=1)
        flood(lambda _thread, _n: breaker.approve(), times=25)
        assert breaker.settle().state == "closed"
        assert len(breaker.permits()) == before + 200
        assert breaker.changes() == []


def test_a_pause_takes_no_trial_and_neither_do_the_refused(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        breaker.open()
        breaker.say(outcome("a call", False, retry_after=RESET_TIMEOUT * 2.0))
        breaker.clock.advance(RESET_TIMEOUT * 2, ns=-1)
        flood(lambda _thread, _n: breaker.approve())
        assert breaker.settle().state == "open"
        assert Counter(reason for _, reason in breaker.refusals()) == {"RATE_LIMIT": 2_000}
        breaker.clock.advance(ns=1)
        flood(lambda _thread, _n: breaker.approve())
        assert breaker.settle().state == "half-open"
        assert breaker.permits() == breaker.handled(Approved)[2_000:2_001]
        assert Counter(reason for _, reason in breaker.refusals()) == {"RATE_LIMIT": 2_000, "CIRCUIT_OPEN": 1_999}


# --- crashes ---


def crash_in_a_flood(breaker: Bench, crashes: int) -> list[Exited]:
    """2000 approvals, and a success for each, from all threads, while the clock breaks now and then."""
    reports: list[Exited] = []

    def call(thread: int) -> None:
        for n in range(250):
            if thread == 0 and n and n % (250 // (crashes + 1)) == 0 and len(reports) < crashes:
                breaker.clock.broken = True
                breaker.approve()
                reports.append(breaker.revive())
            else:
                breaker.tell(succeeded(breaker.approve()))

    at_once(*(lambda t=t: call(t) for t in range(THREADS)))
    return reports


def test_a_crash_in_a_flood_loses_only_the_message_in_hand(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        reports = crash_in_a_flood(breaker, 3)
        breaker.settle()
        lost = [report.message for report in reports]
        assert [(r.incarnation, type(r.reason).__name__) for r in reports] == [(n, "ClockBroke") for n in range(3)]
        told = 2_000 + 2_000 - 3
        assert len(breaker.steps) == told - 3 + 1
        orphans = breaker.orphans()
        assert orphans == [m for m in lost if type(m) is Approved]
        assert breaker.permits() == breaker.handled(Approved)
        assert sorted(a.seq for a in (*breaker.permits(), *orphans)) == list(range(1, 2_001))
        assert breaker.refusals() == []


def test_a_crash_forgets_the_count_and_those_that_wait_are_permitted(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        breaker.open()
        flood(lambda _thread, _n: breaker.approve(), times=100)
        breaker.settle()
        breaker.clock.opened.clear()
        flood(lambda _thread, _n: breaker.approve(), times=150)
        breaker.clock.broken = True
        breaker.clock.opened.set()
        report = breaker.revive()
        assert breaker.settle().state == "closed"
        assert breaker.figures.trips == 0
        assert len(breaker.refusals()) == 800
        assert breaker.orphans() == [report.message]
        assert breaker.permits() == breaker.handled(Approved)[800:]
        assert len(breaker.permits()) == 1_199
        breaker.say(*[failed("new")] * (FAIL_MAX - 1))
        assert breaker.figures.state == "closed"


# --- in the whole tree ---


def each_has_one_end(alive: Floor) -> Counter[str | None]:
    """Every approval has exactly one event that ends it; the reasons of those."""
    alive.rest()
    alive.flush()
    wanted = {e.correlation_id for e in approved(alive.lines())}
    ends = [e for e in alive.lines() if e.correlation_id in wanted and has_ended(e)]
    assert Counter(e.correlation_id for e in ends) == dict.fromkeys(wanted, 1)
    assert alive.risk.reserved == 0
    return Counter(e.reason for e in ends)


@pytest.mark.parametrize("reason", ["CIRCUIT_OPEN", "RATE_LIMIT"])
def test_each_refused_approval_ends_once_and_frees_its_reservation(tmp_path: Path, reason: str) -> None:
    with system(tmp_path) as alive:
        fails = reason == "CIRCUIT_OPEN"
        for _ in range(FAIL_MAX):
            alive.tell("breaker", outcome("a call", fails, retry_after=0.0 if fails else 3_600.0))
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]))
        made = approved(alive.decisions(2_000))
        assert each_has_one_end(alive) == {reason: len(made)}
        assert len(made) >= 5
        assert alive.venue.placed == []
        refused = alive.lines("ORDER_REJECTED")
        assert {(e.metadata["by"], e.metadata["order_id"]) for e in refused} == {("thunes", 0)}
        asked = {(e.correlation_id, e.symbol, e.side, e.metadata["client_order_id"]) for e in made}
        assert {(e.correlation_id, e.symbol, e.side, e.metadata["client_order_id"]) for e in refused} == asked
        alive.world.clock.advance(3_600)  # type: ignore[attr-defined]
        alive.show_ticks(2)
        alive.trade("BTCUSDT")
        assert len(alive.venue.placed) == 1


def test_one_order_alone_reaches_the_exchange_while_the_circuit_is_half_open(tmp_path: Path) -> None:
    with system(tmp_path) as alive:
        arrived: list[str] = []
        wait = alive.venue.before_place

        def arrive(client_order_id: str) -> None:
            arrived.append(client_order_id)
            wait(client_order_id)

        alive.venue.before_place = arrive
        alive.venue.opened.clear()
        for _ in range(FAIL_MAX):
            alive.tell("breaker", failed("a call"))
        alive.world.post.ask("breaker", failed("a call"), PATIENCE)
        alive.world.clock.advance(RESET_TIMEOUT)  # type: ignore[attr-defined]
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]))
        made = approved(alive.decisions(2_000))
        wait_for(lambda: alive.risk.reserved == 1, "the end of all but the trial")
        assert arrived == [made[0].metadata["client_order_id"]]
        assert alive.figures("breaker").state == "half-open"
        alive.venue.opened.set()
        assert each_has_one_end(alive) == {None: 1, "CIRCUIT_OPEN": len(made) - 1}
        alive.trade(*(symbol for symbol in SYMBOLS if symbol != made[0].symbol))
        assert len(arrived) == 5
        changes = [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
        assert transitions(alive.lines()) == changes


def test_crashes_of_the_breaker_in_a_flood_leave_no_approval_without_its_end(tmp_path: Path) -> None:
    with system(tmp_path) as alive:

        def trade(thread: int, n: int) -> None:
            alive.submit(SYMBOLS[(thread + n) % 5], Side.SELL if n % 10 > 4 else Side.BUY)
            alive.tell("breaker", RESET if n % 25 == 24 else failed("a call"))
            if thread == 0 and n % 60 == 30:
                alive.tell("breaker", "a message that nobody understands")

        flood(trade)
        wait_for(lambda: alive.figures("supervisor")["breaker"] == ("running", 4), "the fourth replacement")
        alive.tell("breaker", RESET)
        assert len(alive.decisions(2_000)) == 2_000
        assert set(each_has_one_end(alive)) <= {None, "CIRCUIT_OPEN"}
        lines = alive.lines("ACTOR_RESTARTED", "DEAD_LETTER")
        assert Counter((e.event, e.metadata["actor"]) for e in lines) == {
            ("ACTOR_RESTARTED", "breaker"): 4,
            ("DEAD_LETTER", "breaker"): 4,
        }
        placed = alive.venue.placed
        assert len(set(placed)) == len(placed)
        assert set(placed) <= {e.metadata["client_order_id"] for e in approved(alive.lines())}
