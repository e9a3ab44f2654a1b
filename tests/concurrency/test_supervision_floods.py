"""The supervisor while everything trades: crashes at once, crash loops, handlers that hang, ends that race."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Shutdown
from actors.runtime.actor import Stop
from actors.runtime.threads import run_loop
from actors.strategy import StrategyActor
from actors.tree import tree
from tests.concurrency.test_road import SYMBOLS, order, sellable
from tests.e2e.support import wait_for
from tests.venue_in_process import UNHINDERED, Running, Venue, make_world, rules_of, start
from thunes.domain.books import Books
from thunes.messages import Candle, Reconnect, Side
from thunes.storage.journal import read_events, verify

NAMES = tuple(spec.name for spec in tree(SYMBOLS).children)
POISON = "a message that nobody understands"


@contextmanager
def house(home: Path, environ: dict[str, str] | None = None, **changes: Any) -> Iterator[Running]:
    """The tree, synced; stopped at the end if it lives. `changes` replace members of its world."""
    venue = Venue(rules_of(*SYMBOLS))
    world = replace(make_world(home, venue, {**UNHINDERED, **(environ or {})}), **changes)
    alive = start(world, venue)
    wait_for(alive.ready.is_set, what="the tree")
    alive.show_ticks()
    wait_for(lambda: alive.figures("risk").synced, what="synced books")
    yield alive
    if not alive.ended.is_set():
        alive.stop()
    alive.world.timers.stop()  # type: ignore[attr-defined]


def shout(*functions: Callable[[], None], times: int = 8) -> None:
    """All at once, each from `times` threads."""
    gate = threading.Barrier(len(functions) * times)

    def run(function: Callable[[], None]) -> None:
        gate.wait()
        function()

    threads = [threading.Thread(target=run, args=(f,)) for f in functions for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def lines(alive: Running, *names: str) -> list[Any]:
    return [event for event in read_events(alive.world.home.logs) if event.event in names]


def agrees(alive: Running) -> bool:
    """Journal and exchange, to the last digit."""
    fold = Books()
    for event in read_events(alive.world.home.logs):
        fold.apply(event)
    totals = alive.venue.totals()
    return not fold.orders and {asset: totals[asset] for asset in fold.balances} == fold.balances


class Census:
    """Starts actors and counts how many of a name live at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.live: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def start(self, actor: Any) -> None:
        with self.lock:
            self.live[actor.name] += 1
            self.most[actor.name] = max(self.most[actor.name], self.live[actor.name])
        loop = actor._actor_loop_teardown

        def ended() -> None:
            with self.lock:
                self.live[actor.name] -= 1
            loop()

        actor._actor_loop_teardown = ended
        run_loop(actor)


def test_every_actor_crashed_while_eight_threads_trade_lives_once_at_a_time_and_loses_one_message(
    tmp_path: Path,
) -> None:
    census = Census()
    with house(tmp_path, start_loop=census.start) as alive:
        stopping = threading.Event()

        def flood() -> None:
            for number in range(250):
                if stopping.is_set():
                    return
                symbol = SYMBOLS[number % 2]
                alive.tell("risk", order(alive, symbol, Side.BUY))
                alive.tell("risk", order(alive, symbol, Side.SELL, sellable(alive, symbol)))

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        victims = ("books", "audit", "risk", "breaker", "order.BTCUSDT", "order.ETHUSDT", "reconciler")
        for name in victims:
            alive.tell(name, POISON)
        for thread in threads:
            thread.join()
        restarted = lambda: {n: r for n, (_, r) in alive.figures("supervisor").items() if r}  # noqa: E731
        wait_for(lambda: restarted() == dict.fromkeys(victims, 1), 20, "the replacements")
        decided = lambda: lines(alive, "TRADE_APPROVED", "TRADE_REJECTED")  # noqa: E731
        wait_for(lambda: len(decided()) == 4_000, 25, "a decision for every intent")
        wait_for(lambda: agrees(alive), 20, "books and exchange in step")
        assert max(census.most.values()) == 1
        assert alive.stop() == ""
        assert Counter(e.metadata["actor"] for e in lines(alive, "ACTOR_RESTARTED")) == dict.fromkeys(victims, 1)
        assert Counter(e.metadata["actor"] for e in lines(alive, "DEAD_LETTER")) == dict.fromkeys(victims, 1)
        assert len({e.correlation_id for e in lines(alive, "TRADE_APPROVED", "TRADE_REJECTED")}) == 4_000
        assert max(Counter(alive.venue.placed).values()) == 1
        verify(alive.world.home.logs)


def test_more_crashes_than_the_tree_bears_give_up_with_the_switch_on_and_why(tmp_path: Path) -> None:
    with house(tmp_path) as alive:
        shout(*(lambda name=name: alive.tell(name, POISON) for name in NAMES), times=2)  # type: ignore[misc]
        assert alive.ended.wait(10)
        assert "restarts within 30 s" in str(alive.ended.value)
        assert alive.world.home.kill_active()


def test_a_crash_loop_fills_neither_log_nor_journal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "thunes.test")
    with house(tmp_path) as alive:
        for number in range(1, 7):
            alive.tell("metrics", POISON)
            wait_for(lambda n=number: alive.figures("supervisor")["metrics"] == ("running", n), 10, "the replacement")  # type: ignore[misc]
        said = [record for record in caplog.records if "metrics failed" in record.message]
        assert [bool(record.exc_info) for record in said] == [True, False, False]
        assert ["2" in said[1].message, "4" in said[2].message] == [True, True]
        wait_for(lambda: len(lines(alive, "ACTOR_RESTARTED")) == 6, what="six lines")


class Stuck:
    """A handler that waits until the test lets it go, and tells where it waits."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def the_place_where_it_hangs(self, *_given: Any, **_named: Any) -> Any:
        self.gate.wait(60)
        raise RuntimeError("let go")


@pytest.mark.parametrize("name", ["order.BTCUSDT", "strategy.BTCUSDT", "audit"])
def test_a_handler_that_hangs_is_found_its_stack_logged_and_the_tree_gives_up(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = Stuck()
    caplog.set_level(logging.CRITICAL, "thunes.test")
    try:
        with house(tmp_path, {"THUNES_SUPERVISOR__HANG_AFTER": "0.5"}) as alive:
            if name == "audit":
                monkeypatch.setattr("thunes.storage.journal.JournalFile.commit", stuck.the_place_where_it_hangs)
            elif name.startswith("strategy"):
                monkeypatch.setattr(StrategyActor, "_candle", stuck.the_place_where_it_hangs)
                alive.tell(name, Candle("BTCUSDT", "1m", 0, 1, *[alive.venue.rules["BTCUSDT"].tick_size] * 5))
            else:
                alive.venue.before_place = stuck.the_place_where_it_hangs
            alive.tell("risk", order(alive, "BTCUSDT", Side.BUY))
            assert alive.ended.wait(10), "the exit waits for a hung thread"
            assert f"{name} hangs" in str(alive.ended.value)
            assert alive.world.home.kill_active()
            assert any("the_place_where_it_hangs" in record.message for record in caplog.records)
    finally:
        stuck.gate.set()
    wait_for(lambda: not any(t.name == name for t in threading.enumerate()), 10, "the hung thread's end")


def test_a_handler_that_is_only_slow_is_left_alone(tmp_path: Path) -> None:
    with house(tmp_path, {"THUNES_SUPERVISOR__HANG_AFTER": "2"}) as alive:
        slow = threading.Event()
        alive.venue.before_place = lambda _id: slow.wait(0.6) and None
        alive.tell("risk", order(alive, "BTCUSDT", Side.BUY))
        wait_for(lambda: lines(alive, "ORDER_FILLED"), 10, "the fill")
        assert alive.stop() == ""


def test_many_shutdowns_reconnects_and_crashes_at_once_end_once_and_in_order(tmp_path: Path) -> None:
    with house(tmp_path) as alive:
        shout(
            lambda: alive.tell("supervisor", Reconnect(None, "test")),
            lambda: alive.tell("supervisor", Shutdown()),
            lambda: alive.tell("risk", order(alive, "BTCUSDT", Side.BUY)),
            times=4,
        )
        alive.tell("risk", POISON)
        alive.tell("order.BTCUSDT", POISON)
        assert alive.ended.wait(10)
        assert alive.ended.value == ""
        assert [event.event for event in read_events(alive.world.home.logs)].count("SYSTEM_STOPPED") == 1
        assert agrees(alive)


def test_an_actor_that_raises_what_is_no_exception_is_replaced_alone(tmp_path: Path) -> None:
    with house(tmp_path) as alive:

        def leave(_client_order_id: str) -> None:
            alive.venue.before_place = lambda _id: None
            raise SystemExit("a library's idea of an end")

        alive.venue.before_place = leave
        alive.tell("risk", order(alive, "BTCUSDT", Side.BUY))
        wait_for(lambda: alive.figures("supervisor")["order.BTCUSDT"] == ("running", 1), 10, "the replacement")
        assert {n: r for n, (_, r) in alive.figures("supervisor").items() if r} == {"order.BTCUSDT": 1}
        assert not alive.ended.is_set()


def test_the_supervisors_own_failure_ends_the_system_with_the_switch_on(tmp_path: Path) -> None:
    with house(tmp_path) as alive:
        alive.tell("supervisor", POISON)
        assert alive.ended.wait(10)
        assert "the supervisor failed" in str(alive.ended.value)
        assert alive.world.home.kill_active()
        for name in reversed(NAMES):
            alive.tell(name, Stop())
        wait_for(lambda: not any(t.name in NAMES for t in threading.enumerate()), 10, "the children's end")
