"""The supervisor while everything dies at once: one of each name alive, nothing lost, and an end that says why."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Halt, Launch, Shutdown
from actors.runtime.actor import Exited, Started, Stop
from actors.tree import tree
from tests.concurrency.risk_support import (
    PATIENCE,
    THREADS,
    at_once,
    check,
    flood,
    wait_for,
)
from tests.concurrency.supervisor_support import (
    CRASH,
    NAMES,
    PAIR,
    WORKERS,
    Grove,
    Numbered,
    Plan,
    Poison,
    Watchful,
    Worker,
    forest,
    grove,
    hasty,
    numbers,
    simple,
)
from thunes.errors import JournalUnwritable
from thunes.messages import Reconnect, Side


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for cancels: nothing here leaves an order open."""
    monkeypatch.setattr("actors.supervisor.CANCEL_GRACE", 0.01)


def test_everybody_poisoned_by_many_threads_lives_once_and_loses_nothing(tmp_path: Path) -> None:
    with grove(tmp_path) as alive:

        def shout(thread: int, n: int) -> None:
            for name in WORKERS:
                alive.tell(name, Poison(thread, n) if n % 25 == thread else Numbered(thread, n))

        flood(shout, times=100)
        alive.wait_until_idle()
        each = THREADS * 4
        assert alive.restarts() == {"audit": 0, **dict.fromkeys(WORKERS, each)}
        for name in WORKERS:
            assert numbers(alive, name) == {t: [n for n in range(100) if n % 25 != t] for t in range(THREADS)}
        restarted = Counter(record.metadata["actor"] for record in alive.records("ACTOR_RESTARTED"))
        assert restarted == dict.fromkeys(WORKERS, each)
        lost = Counter((r.metadata["actor"], r.metadata["message"]) for r in alive.records("DEAD_LETTER"))
        poisons = [repr(Poison(t, n)) for t in range(THREADS) for n in range(100) if n % 25 == t]
        assert lost == {(name, poison): 1 for name in WORKERS for poison in poisons}


def test_what_is_told_during_a_restart_is_handled_by_the_replacement_in_order(tmp_path: Path) -> None:
    with grove(tmp_path, specs=replace(simple(), backoff=3.0, longest=3.0)) as alive:
        alive.tell("w2", Poison(0, 0))
        wait_for(lambda: alive.status("w2") == ("starting", 1), "the death")
        flood(lambda thread, n: alive.tell("w2", Numbered(thread, n)))
        assert alive.status("w2") == ("starting", 1), "the machine is too slow for this test"
        assert len(alive.world.post["w2"]) == 2_000 + 1
        alive.wait_until_idle()
        assert numbers(alive, "w2") == {t: list(range(250)) for t in range(THREADS)}
        assert {incarnation for incarnation, _ in alive.plan.seen["w2"]} == {1}


def test_a_replacement_reads_of_the_death_before_all_that_waits(tmp_path: Path) -> None:
    order: list[Any] = []
    plan = Plan(at_message=lambda worker, message: order.append(message) if worker.name == "w1" else None)

    class Noting(defaultdict[str, list[Any]]):
        def __missing__(self, name: str) -> Any:
            return order if name == "w1" else []

    plan.buried = Noting()
    with grove(tmp_path, plan) as alive:

        def shout(thread: int, n: int) -> None:
            alive.tell("w1", Poison(thread, n) if n == 10 else Numbered(thread, n))

        flood(shout, times=50)
        alive.wait_until_idle()
        dead = [n for n, message in enumerate(order) if isinstance(message, Poison)]
        assert sorted(order[n].thread for n in dead) == list(range(THREADS))
        for n in dead:  # where the thread's poison was, there is its burial: nothing of the same thread in between
            mine = [message.n for message in order if message.thread == order[n].thread]
            assert mine == list(range(50))


def test_an_actor_that_does_not_start_is_tried_again_and_keeps_its_mail(tmp_path: Path) -> None:
    tries: list[str] = []

    def fail(worker: Worker) -> None:
        if worker.name in ("w1", "order.X"):
            tries.append(worker.name)
            if worker.incarnation < 3:
                raise CRASH

    with grove(tmp_path, Plan(at_start=fail), ready=False) as alive:
        flood(lambda thread, n: alive.tell("w1", Numbered(thread, n)), times=25)
        wait_for(alive.ready.is_set, "the tree")
        alive.wait_until_idle()
        assert tries == ["order.X"] * 4 + ["w1"] * 4  # left to right, each once the one before is up
        assert numbers(alive, "w1") == {t: list(range(25)) for t in range(THREADS)}
        assert alive.records("DEAD_LETTER") == []
        assert len(alive.records("ACTOR_RESTARTED")) == 6


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_who_ends_its_own_thread_ends_nobody_else(tmp_path: Path, error: BaseException) -> None:
    def leave(_worker: Worker, message: Any) -> None:
        if message == "go":
            raise error

    with grove(tmp_path, Plan(at_message=leave)) as alive:
        flood(lambda thread, n: alive.tell(WORKERS[n % 5], "go" if thread == 0 else Numbered(thread, n)), times=10)
        alive.wait_until_idle()
        assert alive.restarts() == {"audit": 0, **dict.fromkeys(WORKERS, 2)}
        assert len(alive.records("DEAD_LETTER")) == 10


# --- the end ---


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_a_crash_in_on_stop_still_ends_the_tree(tmp_path: Path, times: int | None) -> None:
    fell: list[str] = []

    def fall(worker: Worker) -> None:
        if worker.name == "w2" and (times is None or len(fell) < times):
            fell.append(worker.name)
            raise CRASH

    with grove(tmp_path, Plan(at_stop=fall), replace(simple(), intensity=8)) as alive:
        why = alive.stop()
        assert list(dict.fromkeys(alive.plan.stopped)) == [*reversed(NAMES)]
        if times is None:
            assert len(fell) == 9
            assert "w2 does not stop in order" in why
            assert alive.world.home.kill_active()
        else:
            assert why == ""
            assert alive.plan.stopped.count("w2") == 2
            assert not alive.world.home.kill_active()


def test_a_disk_that_fails_while_all_stop_is_said_at_the_end(tmp_path: Path) -> None:
    def fail(worker: Worker) -> None:
        if worker.name == "audit":
            raise JournalUnwritable("no room")

    with grove(tmp_path, Plan(at_stop=fail)) as alive:
        assert alive.stop() == "audit failed beyond repair: no room"
        assert alive.world.home.kill_active()


def test_shutdown_and_crashes_at_the_same_moment_end_in_order_and_lose_nothing(tmp_path: Path) -> None:
    for number in range(10):
        with grove(tmp_path / str(number)) as alive:

            def poison(thread: int, alive: Grove = alive) -> None:
                for n, name in enumerate(WORKERS):
                    alive.tell(name, Numbered(thread, n))
                    alive.tell(name, Poison(thread, n))
                    alive.tell(name, Numbered(thread, n))

            works: list[Callable[[], object]] = [lambda t=t: poison(t) for t in range(4)]  # type: ignore[misc]
            at_once(*works)
            alive.tell("supervisor", Shutdown())  # while most of them have not crashed yet
            assert alive.stop() == ""
            assert [*dict.fromkeys(reversed(alive.plan.stopped))] == [*NAMES]
            for n, name in enumerate(WORKERS):
                assert numbers(alive, name) == {t: [n, n] for t in range(4)}
            assert alive.restarts() == {"audit": 0, **dict.fromkeys(WORKERS, 4)}


def test_many_shutdowns_at_once_are_one(tmp_path: Path) -> None:
    halts: Counter[str] = Counter()

    def hear(name: str, message: Any) -> None:
        if type(message) is Halt:
            halts[name] += 1

    with grove(tmp_path, hear=hear) as alive:
        flood(lambda _thread, _n: alive.tell("supervisor", Shutdown()))
        assert alive.ended.wait(10)
        wait_for(lambda: len(alive.world.post["supervisor"]) == 0, "the last of them")
        assert alive.ended.value == ""
        assert alive.plan.stopped == [*reversed(NAMES)]
        assert halts == {"risk": 1, "order.X": 1}
        assert [r.metadata["why"] for r in alive.records("SYSTEM_STOPPED")] == ["asked to"]


def test_a_crash_of_each_in_a_loop_gives_up_and_waits_for_no_thread(tmp_path: Path) -> None:
    stuck = threading.Event()

    def hang(worker: Worker, _message: Any) -> None:
        if worker.name == "w3":
            assert stuck.wait(PATIENCE)

    specs = replace(simple(), intensity=8)
    try:
        with grove(tmp_path, Plan(at_message=hang), specs) as alive:
            alive.tell("w3", Numbered(0, 0))
            flood(lambda thread, n: alive.tell("w1", Poison(thread, n)), times=25)
            assert alive.ended.wait(10)
            assert alive.ended.value == "8 restarts within 30 s, and then w1: poisoned"
            assert alive.world.home.kill_active()
            assert alive.world.home.kill_reason() == alive.ended.value
            assert alive.plan.stopped == ["w2", "order.X", "risk", "audit"]
            assert [r.metadata["why"] for r in alive.records("SYSTEM_STOPPED")][:1] == [alive.ended.value]
            assert any(thread.name == "w3" for thread in threading.enumerate())
    finally:
        stuck.set()


def test_a_crash_loop_does_not_flood_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with grove(tmp_path) as alive:
        flood(lambda thread, n: alive.tell("w1", Poison(thread, n)), times=12)
        alive.wait_until_idle()
        assert alive.restarts()["w1"] == 96
    said = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert [bool(r.exc_info) for r in said] == [True] + [False] * 6
    times = [f"w1 failed for the {n}th time and is restarted: RuntimeError('poisoned')" for n in (2, 4, 8, 16, 32, 64)]
    assert [r.getMessage() for r in said] == ["w1 failed and is restarted: RuntimeError('poisoned')", *times]


def test_the_supervisors_own_failure_ends_the_system_with_the_kill_marker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with grove(tmp_path) as alive:
        at_once(
            *(lambda t=t: alive.tell("w1", Numbered(t, 0)) for t in range(7)),  # type: ignore[misc]
            lambda: alive.tell("supervisor", Poison(0, 0)),
        )
        assert alive.ended.wait(10)
        assert alive.ended.value.startswith("the supervisor failed: TypeError('supervisor does not understand Poison')")
        assert alive.world.home.kill_reason() == alive.ended.value
        for name in NAMES:
            alive.tell(name, Stop())
        wait_for(lambda: sum(alive.registry.alive.values()) == 0, "everybody's end")
    said = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert len(said) == 1
    assert said[0].exc_info


def test_reports_of_those_who_are_gone_change_nothing(tmp_path: Path) -> None:
    with grove(tmp_path) as alive:
        for name in WORKERS:
            alive.tell(name, Poison(0, 0))
        alive.wait_until_idle()

        def say_again(thread: int, n: int) -> None:
            name = WORKERS[n % 5]
            old = (Exited(name, 0, CRASH, Numbered(0, n)), Exited(name, 7, CRASH, None), Started(name, 0), Launch(name))
            alive.tell("supervisor", old[(thread + n) % 4])

        flood(say_again)
        alive.registry.exits = Counter({key: 1 for key in alive.registry.exits if key[1] == 0})
        alive.wait_until_idle()
        assert alive.restarts() == {"audit": 0, **dict.fromkeys(WORKERS, 1)}
        assert len(alive.records("DEAD_LETTER")) == len(WORKERS)


# --- hands that hang ---


@pytest.mark.parametrize("where", ["start", "message", "bury"])
def test_a_simple_actor_that_hangs_anywhere_is_found(tmp_path: Path, where: str) -> None:
    stuck = threading.Event()

    def hang(worker: Worker, message: Any = None) -> None:
        if worker.name == "w2" and worker.incarnation == (where != "message"):
            assert stuck.wait(PATIENCE)

    class Graves(defaultdict[str, list[Any]]):
        def __missing__(self, name: str) -> list[Any]:
            if where == "bury" and name == "w2":
                assert stuck.wait(PATIENCE)
            return []

    plan = Plan(buried=Graves())
    if where == "start":
        plan.at_start = hang
    elif where == "message":
        plan.at_message = hang
    try:
        with grove(tmp_path, plan, hang_after=0.3) as alive:
            alive.tell("w2", Numbered(0, 0) if where == "message" else Poison(0, 0))
            assert alive.ended.wait(10)
            assert alive.ended.value.startswith("w2 hangs: it handles one message for ")
    finally:
        stuck.set()


def test_a_slow_hand_that_does_not_hang_is_left_alone(tmp_path: Path) -> None:
    looks = [0]

    def hear(_name: str, message: Any) -> None:
        looks[0] += type(message).__name__ == "LookForHung"

    def dawdle(worker: Worker, message: Any) -> None:
        if worker.name == "w1" and isinstance(message, Numbered):
            seen = looks[0]
            wait_for(lambda: looks[0] > seen, "a look")  # each takes up to a quarter of what would be a hang

    with grove(tmp_path, Plan(at_message=dawdle), hang_after=1.6, hear=hear) as alive:
        flood(lambda thread, n: alive.tell("w1", Numbered(thread, n)), times=1)
        wait_for(lambda: len(alive.plan.seen["w1"]) == THREADS, "all of them")
        assert looks[0] >= THREADS  # twice as long as a hang in all
        assert not alive.ended.is_set()
        assert alive.stop() == ""


# --- the whole tree ---


def test_every_actor_of_the_tree_crashed_from_many_threads_while_orders_flood(tmp_path: Path) -> None:
    with forest(tmp_path, hang_after=1e9) as alive:
        names = [spec.name for spec in tree(PAIR).children]

        def disturb(thread: int, n: int) -> None:
            alive.submit(PAIR[n % 2], (Side.BUY, Side.SELL)[thread % 2])
            if n % 4 == thread % 4:
                alive.tell(names[n // 4], Poison(thread, n))

        flood(disturb, times=4 * len(names))
        alive.wait_until_idle()
        wait_for(alive.let_windows_run_out, "the last order's end")
        wait_for(lambda: alive.risk.synced, "synced books")
        alive.show_ticks(2)
        for symbol in PAIR:
            if symbol not in alive.open_symbols():
                alive.trade(symbol)
        alive.wait_until_idle()
        assert alive.restarts() == dict.fromkeys(names, THREADS)
        lives = {name: len(who) for name, who in alive.registry.incarnations.items()}
        assert lives == dict.fromkeys(names, THREADS + 1)
        assert alive.stop() == ""
        assert Counter(e.metadata["actor"] for e in alive.lines("ACTOR_RESTARTED")) == alive.restarts()
        lost = Counter((e.metadata["actor"], e.metadata["message"]) for e in alive.lines("DEAD_LETTER"))
        assert max(lost.values()) == 1
        assert Counter(name for name, message in lost if message.startswith("Poison")) == alive.restarts()
    check(alive)


def test_a_reconnect_flood_reaches_each_stream_that_is_meant_and_trading_goes_on(tmp_path: Path) -> None:
    told: Counter[tuple[str, str | None]] = Counter()
    lock = threading.Lock()

    def hear(name: str, message: Any) -> None:
        if type(message) is Reconnect and name != "supervisor":
            with lock:
                told[name, message.symbol] += 1

    with forest(tmp_path, hear=hear) as alive:
        choices = (None, "BTCUSDT", "ETHUSDT", "account", "NOBODY")

        def shout(thread: int, n: int) -> None:
            alive.tell("supervisor", Reconnect(choices[n % 5], "test"))
            if n % 10 == 0:
                alive.submit(PAIR[thread % 2], (Side.BUY, Side.SELL)[n // 10 % 2])

        flood(shout, times=50)
        alive.wait_until_idle()
        streams = ("stream.account", "stream.BTCUSDT", "stream.ETHUSDT")
        each = {(stream, symbol): 80 for stream in streams for symbol in (None, stream.partition(".")[2])}
        assert told == each
        assert all(alive.figures(stream).connected for stream in streams)
        alive.rest()
        wait_for(lambda: alive.risk.synced, "synced books")
        alive.show_ticks(2)
        symbol = PAIR[0]
        alive.trade(symbol, side=Side.SELL if symbol in alive.open_symbols() else Side.BUY)
        assert set(alive.restarts().values()) == {0}
        assert alive.stop() == ""
    check(alive)


@pytest.mark.parametrize("name", ["order.BTCUSDT", "audit", "strategy.BTCUSDT"])
def test_a_handler_that_hangs_is_named_with_its_stack_and_the_system_gives_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    stuck = threading.Event()

    def the_line_that_hangs(_what: object = None) -> None:
        assert stuck.wait(PATIENCE)

    strategy = type("Hanging", (Watchful,), {"stop_here": staticmethod(the_line_that_hangs)})
    ports: dict[str, Any] = {"hang_after": 1.0}  # a disk under load takes longer than the simple tree's 0.3
    if name.startswith("strategy"):
        ports["strategy"] = lambda symbol: strategy(symbol, strategy.parameters_type())
    try:
        with forest(tmp_path, **ports) as alive:
            if name == "audit":
                alive.disk.sync = the_line_that_hangs  # type: ignore[method-assign, assignment]
                alive.disk.opened.clear()
            alive.venue.before_place = the_line_that_hangs
            if name.startswith("strategy"):
                alive.tell(name, alive.venue.tick("BTCUSDT", 5, alive.world.clock.monotonic_ns()))
            else:
                alive.submit("BTCUSDT")
            assert alive.ended.wait(10)
            assert alive.ended.value.startswith(f"{name} hangs: it handles one message for ")
            assert alive.world.home.kill_reason() == alive.ended.value
            assert not stuck.is_set()
            said = [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]
            assert said[0].startswith(f"{name} hangs:\n")
            place = "in wait" if name == "audit" else "in the_line_that_hangs"
            assert place in said[0]
            assert said[1] == f"Giving up safely: {alive.ended.value}"
            assert [r.getMessage() for r in caplog.records if "left behind" in r.getMessage()] == [
                f"{name} did not stop in time and is left behind."
            ]
    finally:
        stuck.set()


def test_an_actor_that_crashes_too_often_in_a_flood_of_orders_gives_up_and_sends_nothing_more(tmp_path: Path) -> None:
    with forest(tmp_path, specs=replace(hasty(tree(PAIR)), intensity=8)) as alive:

        def disturb(thread: int, n: int) -> None:
            alive.submit(PAIR[n % 2], (Side.BUY, Side.SELL)[thread % 2])
            alive.tell("metrics", Poison(thread, n))

        flood(disturb, times=25)
        assert alive.ended.wait(10)
        assert alive.ended.value.startswith("8 restarts within 30 s, and then metrics: ")
        assert alive.world.home.kill_active()
        placed = len(alive.venue.placed)
        flood(lambda thread, n: alive.submit(PAIR[n % 2]), times=25)
        assert len(alive.venue.placed) == placed
        assert alive.lines()[-1].event == "SYSTEM_STOPPED"
    check(alive)
