"""The circuit under many threads at once: it opens, tries and closes exactly when it has to, and says each once."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import FrozenInstanceError
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from actors.breaker import CIRCUIT, EVENTS
from actors.protocol import Approved, CallOutcome, Permit
from tests.concurrency.breaker_support import (
    FAIL_MAX,
    RESET_TIMEOUT,
    Bench,
    Rules,
    circuit,
    failed,
    is_part_of,
    outcome,
    path,
    stages,
    succeeded,
    system,
    transitions,
    unused,
    while_read,
)
from tests.concurrency.risk_support import PATIENCE, SYMBOLS, THREADS, at_once, flood
from thunes.domain.figures import BreakerFigures
from thunes.messages import Record, ResetBreaker, Side

RESET = ResetBreaker("test")


# --- opening ---


def test_concurrent_failure_recording(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:

        def fail(_thread: int, _n: int) -> None:
            for _ in range(4):
                breaker.approve()
            breaker.tell(failed("a call"))

        flood(fail, times=50, threads=10)
        assert breaker.settle().trips == 1
        outcomes = [n for n, step in enumerate(breaker.steps) if step.message == failed("a call")]
        assert len(outcomes) == 500
        fifth = outcomes[4]
        assert {s.figures.state for s in breaker.steps[:fifth]} == {"closed"}
        assert {s.figures.state for s in breaker.steps[fifth:]} == {"open"}
        assert breaker.changes() == [("closed", "open")]
        before = [s.message for s in breaker.steps[:fifth] if type(s.message) is Approved]
        after = breaker.handled(Approved, since=fifth)
        assert len(before) + len(after) == 2_000
        assert breaker.permits() == before
        assert breaker.refusals() == [(a.order.correlation_id, "CIRCUIT_OPEN") for a in after]


def test_a_success_forgets_the_failures_of_whichever_threads_before_it(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        turn = Lock()

        def call(thread: int, n: int) -> None:
            breaker.approve()
            with turn:  # so that no two threads' failures come in a row
                for _ in range(FAIL_MAX - 1):
                    breaker.tell(failed(f"call-{thread}-{n}"))
                breaker.tell(succeeded(f"call-{thread}-{n}"))

        flood(call)
        assert breaker.settle() == BreakerFigures(CIRCUIT, "closed", 0)
        assert len(breaker.handled(CallOutcome)) == 10_001
        assert breaker.heard("audit") == []
        assert breaker.permits() == breaker.handled(Approved)
        assert len(breaker.permits()) == 2_000


def test_concurrent_is_open_checks(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        breaker.open()
        breaker.clock.advance(RESET_TIMEOUT, ns=-1)
        states: list[str] = []

        def check(_thread: int, _n: int) -> None:
            breaker.approve()
            states.append(breaker.figures.state)

        flood(check)
        assert breaker.settle().trips == 1
        assert states == ["open"] * 2_000
        assert breaker.permits() == []
        asked = [a.order.correlation_id for a in breaker.handled(Approved)]
        assert breaker.refusals() == [(who, "CIRCUIT_OPEN") for who in asked]
        assert len(asked) == 2_000
        breaker.clock.advance(ns=1)
        assert breaker.permits() == []
        last = breaker.approve(handled=True)
        assert breaker.permits() == [last]
        assert breaker.changes() == [("closed", "open"), ("open", "half-open")]


def test_state_transition_atomicity(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:

        def trade(thread: int) -> None:
            for n in range(150):
                mine = breaker.approve(handled=True)
                breaker.say(outcome(mine, failed=n < 75 or (n + thread) % 3 > 0))
                if n % 7 == 6:
                    breaker.clock.advance(RESET_TIMEOUT)
                if n % 50 == 49:
                    breaker.tell(RESET)

        seen = while_read(lambda: breaker.figures, *(lambda t=t: trade(t) for t in range(THREADS)))
        breaker.settle()
        changes = breaker.changes()
        assert {new for _, new in changes} == {"open", "half-open", "closed"}
        way = path(changes)
        assert stages(breaker.board.pictures) == way
        assert breaker.figures.trips == [new for _, new in changes].count("open")
        for pictures in seen:
            assert is_part_of(stages(pictures), way)


# --- half-open ---


def test_half_open_circuit_has_exactly_one_permit_out_while_100_callers_ask(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        old = [breaker.approve(handled=True) for _ in range(100)]
        breaker.open()
        breaker.clock.advance(RESET_TIMEOUT)
        answers = (succeeded, failed, unused)

        def call(thread: int, n: int) -> None:
            breaker.approve()
            if n % 4 == 0:
                breaker.tell(answers[thread % 3](old[thread]))

        flood(call, times=20, threads=100)
        assert breaker.settle().state == "half-open"
        asked = breaker.handled(Approved)[100:]
        assert breaker.permits() == [*old, asked[0]]
        assert breaker.refusals() == [(a.order.correlation_id, "CIRCUIT_OPEN") for a in asked[1:]]
        assert len(asked) == 2_000
        assert breaker.changes() == [("closed", "open"), ("open", "half-open")]


def test_half_open_success_recovery(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        trial = breaker.half_open()
        flood(lambda thread, n: breaker.tell(failed(f"late-{thread}-{n}")))
        breaker.say(succeeded(trial))
        assert breaker.figures.state == "closed"
        assert breaker.figures.trips == 1
        flood(lambda _thread, _n: breaker.approve())
        breaker.say(*[failed("new")] * (FAIL_MAX - 1))
        assert breaker.refusals() == []
        assert breaker.permits() == breaker.handled(Approved)
        assert len(breaker.permits()) == 2_001
        assert breaker.changes() == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
        breaker.say(failed("new"))
        assert breaker.figures.trips == 2


def test_half_open_failure_reopen(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        trial = breaker.half_open()
        flood(lambda thread, n: breaker.tell(succeeded(f"late-{thread}-{n}")))
        breaker.say(failed(trial))
        assert (breaker.figures.state, breaker.figures.trips) == ("open", 2)
        breaker.clock.advance(RESET_TIMEOUT, ns=-1)  # a whole time-out, from the trial's failure on
        flood(lambda thread, n: breaker.approve() if n % 2 else breaker.tell(failed(f"late-{thread}-{n}")))
        breaker.settle()
        assert breaker.permits() == [trial]
        breaker.clock.advance(ns=1)
        again = breaker.approve(handled=True)
        assert breaker.permits() == [trial, again]
        assert breaker.figures.trips == 2
        opened = [("closed", "open"), ("open", "half-open"), ("half-open", "open"), ("open", "half-open")]
        assert breaker.changes() == opened


def test_reset_during_half_open(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        for _ in range(10):
            trial, since, before = breaker.half_open(), len(breaker.steps), len(breaker.changes())

            def use(thread: int, n: int, trial: Approved = trial) -> None:
                breaker.approve()
                if n == 15:
                    breaker.tell(failed(trial) if thread == 0 else RESET)

            flood(use, times=30)
            assert breaker.settle().state == "closed"
            assert [new for _, new in breaker.changes()[before:]].count("closed") == 1
            reset = next(n for n, s in enumerate(breaker.steps) if n >= since and s.message == RESET)
            assert {s.figures.state for s in breaker.steps[reset:]} == {"closed"}
            assert set(breaker.permits()) >= set(breaker.handled(Approved, since=reset))
            # The trial of before the reset is no trial any more: not its end, nor a place that it takes.
            another = breaker.half_open()
            flood(lambda _thread, _n, trial=trial: breaker.tell(succeeded(trial)), times=15)
            assert breaker.settle().state == "half-open"
            breaker.say(succeeded(another))
            assert breaker.figures.state == "closed"
        path(breaker.changes())


def test_a_permit_that_is_not_used_frees_the_trial_for_the_next_one(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        breaker.open()
        breaker.clock.advance(RESET_TIMEOUT)

        def hand_back(_thread: int, _n: int) -> None:
            breaker.tell(unused(breaker.approve(handled=True)))

        flood(hand_back, times=200)
        breaker.settle()
        permits = {a.order.correlation_id for a in breaker.permits()}
        out: str | None = None
        for step in breaker.steps[FAIL_MAX:]:
            who = step.message.order.correlation_id if type(step.message) is Approved else step.message.about
            if type(step.message) is CallOutcome:
                out = None if who == out else out
            else:
                assert (who in permits) == (out is None)
                out = out or who
        assert len(permits) > 1
        last = breaker.approve(handled=True)
        assert last in breaker.permits()
        breaker.say(succeeded(last))
        assert breaker.changes() == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


def test_a_late_success_of_before_the_opening_proves_nothing(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        old = [breaker.approve(handled=True) for _ in range(THREADS)]
        breaker.open()
        flood(lambda thread, _n: breaker.tell(succeeded(old[thread])))
        assert breaker.settle().state == "open"
        breaker.clock.advance(RESET_TIMEOUT)
        trial = breaker.approve(handled=True)
        flood(lambda thread, _n: breaker.tell(succeeded(old[thread])))
        assert breaker.settle().state == "half-open"
        breaker.say(failed(trial))
        assert breaker.changes() == [("closed", "open"), ("open", "half-open"), ("half-open", "open")]


# --- resets by hand ---


def test_concurrent_reset_all(tmp_path: Path) -> None:
    with ExitStack() as stack:
        breakers = [stack.enter_context(circuit(tmp_path / str(n))) for n in range(3)]
        for breaker in breakers:
            breaker.open()
        flood(lambda _thread, n: breakers[n % 3].tell(RESET), times=300)
        for breaker in breakers:
            assert breaker.settle().state == "closed"
            assert breaker.figures.trips == 1
            assert breaker.handled(ResetBreaker) == [RESET] * 800
            assert breaker.changes() == [("closed", "open"), ("open", "closed")]
            breaker.say(*[failed("new")] * (FAIL_MAX - 1), RESET, *[failed("new")] * (FAIL_MAX - 1))
            assert breaker.figures.state == "closed"
            breaker.say(failed("new"))
            assert breaker.figures.trips == 2


def test_a_reset_overtakes_the_approvals_that_wait(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        breaker.open()
        since = len(breaker.steps)
        breaker.clock.opened.clear()
        flood(lambda _thread, _n: breaker.approve())
        flood(lambda _thread, _n: breaker.tell(RESET), times=1)
        breaker.clock.opened.set()
        breaker.settle()
        in_hand = [s.message for s in breaker.steps[since:] if s.figures.state == "open"]
        assert len(in_hand) <= 1
        assert len(breaker.refusals()) == len(in_hand)
        assert breaker.permits() == breaker.handled(Approved)[len(in_hand) :]


# --- who looks, and who is told ---


def test_circuit_monitor_get_status_concurrent(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:

        def call(_thread: int, n: int) -> None:
            breaker.approve(handled=n % 10 == 0)
            breaker.tell(outcome("a call", n % 9 > 0))
            if n % 50 == 49:
                breaker.tell(RESET)

        seen = while_read(lambda: breaker.figures, lambda: flood(call))
        last = breaker.settle()
        published: list[Any] = breaker.board.pictures
        shown = [s.figures for s in breaker.steps]
        assert published[1:] == shown  # one picture for each message, and one at the start
        calls = [s for s in breaker.steps if type(s.message) is CallOutcome and s.message.made]
        assert len(calls) == 2_000
        assert [p.trips for p in published] == sorted(p.trips for p in published)
        for pictures in seen:
            assert {type(p) for p in pictures} == {BreakerFigures}
            assert is_part_of(map(id, pictures), map(id, published))
            assert pictures[0] is not pictures[-1]
        assert last.name == CIRCUIT
        with pytest.raises(FrozenInstanceError):
            last.trips = 0


def test_listener_state_change_concurrent(tmp_path: Path) -> None:
    told: list[Record] = []

    def hear(name: str, message: Any) -> None:
        if name == "audit" and isinstance(message, Record) and message.event in EVENTS.values():
            told.append(message)

    with system(tmp_path, hear) as alive:

        def work(thread: int, n: int) -> None:
            alive.tell("breaker", outcome("a call", failed=n % 10 > 0))
            if n % 10 == 0:
                alive.world.clock.advance(RESET_TIMEOUT)  # type: ignore[attr-defined]
                alive.submit(SYMBOLS[(thread + n) % 5], Side.SELL if n % 20 else Side.BUY)
                alive.settle()
                alive.world.post.ask("breaker", RESET if n % 50 == 40 else unused("nobody"), PATIENCE)

        flood(work)
        alive.rest()
        alive.world.post.ask("breaker", unused("nobody"), PATIENCE)
        alive.tell("breaker", RESET)
        alive.world.post.ask("breaker", unused("nobody"), PATIENCE)
        alive.flush()
        changes = transitions(alive.lines(*EVENTS.values()))
        assert changes == transitions(told)
        assert path(changes)[-1] == ("closed", alive.figures("breaker").trips)
        assert alive.figures("breaker").trips > 0
        counts = alive.figures("audit").events
        assert sum(counts.get(event, 0) for event in EVENTS.values()) == len(told)


def test_multiple_circuits_concurrent(tmp_path: Path) -> None:
    with ExitStack() as stack:
        breakers = [stack.enter_context(circuit(tmp_path / str(n))) for n in range(4)]

        def call(thread: int, n: int) -> None:
            number = (thread + n) % 4
            breakers[number].approve()
            breakers[number].tell(outcome("a call", failed=number % 2 > 0))

        flood(call)
        for number, breaker in enumerate(breakers):
            breaker.settle()
            fails = number % 2 > 0
            assert breaker.changes() == [("closed", "open")] * fails
            assert breaker.figures == BreakerFigures(CIRCUIT, "open" if fails else "closed", int(fails))
            assert len(breaker.handled(Approved)) == 500
            assert len(breaker.permits()) + len(breaker.refusals()) == 500
            assert bool(breaker.refusals()) == fails
        breakers[1].clock.advance(RESET_TIMEOUT)
        flood(call)
        assert [breaker.settle().state for breaker in breakers] == ["closed", "half-open", "closed", "open"]


# --- the rules, whatever comes ---


def chaos(breaker: Bench, thread: int) -> None:
    """Approvals, outcomes of one's own and of others' calls, resets, pauses and time, in any order."""
    chance, mine = random.Random(thread), [breaker.approve(handled=True)]
    for _ in range(300):
        about = chance.choice(mine[-3:])
        match chance.choices(range(8), weights=(30, 30, 10, 8, 8, 10, 2, 2))[0]:
            case 0:
                mine.append(breaker.approve(handled=True))
            case 1:
                breaker.say(failed(about))
            case 2:
                breaker.say(succeeded(about))
            case 3:
                breaker.say(unused(about))
            case 4:
                breaker.tell(about)  # an approval that comes again
            case 5:
                breaker.clock.advance(chance.choice((5, 20, 60)))
            case 6:
                breaker.tell(RESET)
            case _:
                breaker.say(outcome(about, True, retry_after=chance.choice((1.5, 10.0))))


def test_whatever_order_threads_bring_about_the_answers_are_those_of_the_rules(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:
        at_once(*(lambda t=t: chaos(breaker, t) for t in range(THREADS)))
        breaker.settle()
        rules, expected = Rules(), list[Any]()
        for step in breaker.steps:
            match step.message:
                case Approved() as approved:
                    expected += rules.approval(approved, step.now_ns)
                case CallOutcome() as call:
                    expected += rules.call(call, step.now_ns)
                case _:
                    expected += rules.reset()
            assert (step.figures.state, step.figures.trips) == (rules.state, rules.trips)
        heard: list[Record] = breaker.heard("audit")
        said = [r if r.event in EVENTS.values() else (r.correlation_id, r.reason) for r in heard]
        assert said == [e for e in expected if type(e) is not Approved]
        assert breaker.permits() == [e for e in expected if type(e) is Approved]
        assert {r.event for r in heard} == {*EVENTS.values(), "ORDER_REJECTED"}


def test_an_approval_that_comes_again_is_answered_once(tmp_path: Path) -> None:
    with circuit(tmp_path) as breaker:

        def again(_thread: int, n: int) -> None:
            approved = breaker.approve()
            breaker.tell(approved)
            if n == 125:
                breaker.tell(outcome("a call", False, retry_after=1.0))

        flood(again)
        breaker.settle()
        told: list[Any] = [m for name in ("order.BTCUSDT", "order.ETHUSDT") for m in breaker.heard(name)]
        assert {type(message) for message in told} == {Permit}
        answered = [message.approved.order.correlation_id for message in told]
        answered += [who or "" for who, _ in breaker.refusals()]
        assert sorted(answered) == sorted({a.order.correlation_id for a in breaker.handled(Approved)})
        assert len(answered) == 2_000
