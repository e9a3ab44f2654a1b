"""The simulated runtime itself: one thread, an order drawn from a seed, virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.actor import Actor, Exited, Started, Stop
from actors.runtime.mailbox import DeadLetter, MailboxPolicy
from actors.runtime.simulation import EPOCH, Scheduler
from actors.world import World
from tests.venue_in_process import Venue, make_world, rules_of


class Scribe(Actor):
    """Keeps what it was told, and passes numbers on until they are zero."""

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.kept: list[Any] = world.carry.setdefault("kept", [])

    def on_receive(self, message: Any) -> None:
        self.kept.append((self.name, message))
        if isinstance(message, int) and message:
            self.tell("b" if self.name == "a" else "a", message - 1)


class Bench:
    """Two scribes and a supervisor's mailbox on one scheduler."""

    def __init__(self, home: Path, seed: int) -> None:
        self.scheduler = Scheduler(seed)
        world = make_world(home, Venue(rules_of("BTCUSDT")))
        self.world = replace(
            world,
            post=self.scheduler.post,
            clock=self.scheduler.clock,
            timers=self.scheduler,
            start_loop=self.scheduler.add,
        )
        for name in ("a", "b", "supervisor"):
            self.world.post.register(name, MailboxPolicy())
        for name in ("a", "b"):
            Scribe.start(self.world, name)

    @property
    def kept(self) -> list[Any]:
        return self.world.carry["kept"]

    def run(self) -> None:
        while self.scheduler.step():
            pass

    def reports(self) -> list[Any]:
        box: Any = self.world.post["supervisor"]
        box.permits = len(box)
        return [box.get().message for _ in range(len(box))]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 1)
    yield made
    made.scheduler.drop_all()


def test_actors_run_in_the_thread_of_whoever_steps(bench: Bench) -> None:
    bench.world.post.tell("a", 3)
    bench.run()
    assert bench.kept == [("a", 3), ("b", 2), ("a", 1), ("b", 0)]


def test_two_seeds_give_two_orders_and_one_seed_always_the_same(tmp_path: Path) -> None:
    def order(seed: int) -> tuple[list[Any], str]:
        made = Bench(tmp_path, seed)
        for number in range(10):
            made.world.post.tell("a", f"a{number}")
            made.world.post.tell("b", f"b{number}")
        made.run()
        made.scheduler.drop_all()
        return made.kept, made.scheduler.digest()

    assert order(1) == order(1)
    assert order(1)[0] != order(2)[0]
    assert sorted(order(1)[0]) == sorted(order(2)[0])


def test_each_senders_messages_stay_in_their_order(bench: Bench) -> None:
    for number in range(20):
        bench.world.post.tell("a", f"{number:02}")
    bench.run()
    assert [message for _, message in bench.kept] == [f"{number:02}" for number in range(20)]


def test_time_jumps_to_the_next_timer_when_nobody_has_anything_to_do(bench: Bench) -> None:
    bench.run()
    before = bench.scheduler.clock.now_ns
    bench.world.timers.after(3600, "a", "key", "an hour later")
    bench.run()
    assert bench.kept == [("a", "an hour later")]
    assert 3600 <= (bench.scheduler.clock.now_ns - before) / 1e9 < 3601
    assert bench.scheduler.clock.wall() > EPOCH


def test_a_timer_of_the_same_key_moves_and_a_cancelled_one_never_fires(bench: Bench) -> None:
    bench.world.timers.after(1, "a", "moved", "early")
    bench.world.timers.after(2, "a", "moved", "late")
    bench.world.timers.after(1, "a", "cancelled", "never")
    bench.world.timers.cancel("a", "cancelled")
    bench.run()
    assert bench.kept == [("a", "late")]


def test_a_clock_that_is_set_moves_what_people_read_and_no_age(bench: Bench) -> None:
    clock = bench.scheduler.clock
    before = (clock.wall_ms(), clock.true_ms(), clock.monotonic_ns())
    clock.ahead_ms = -5_000
    assert (clock.wall_ms(), clock.true_ms(), clock.monotonic_ns()) == (before[0] - 5_000, before[1], before[2])


@pytest.mark.parametrize(("after", "told"), [(0, []), (1, []), (2, ["passed on"])])
def test_a_doomed_actor_dies_before_or_after_what_it_does_to_the_outside(
    bench: Bench, after: int, told: list[str]
) -> None:
    bench.run()
    bench.reports()
    bench.scheduler.doomed["a"] = after
    bench.world.post.tell("a", 1)
    bench.run()
    assert [m for name, m in bench.kept if name == "b"] == [0 for _ in told]
    (report,) = bench.reports()
    assert (type(report), report.name, report.message) == (Exited, "a", 1)
    assert bench.scheduler.live == ["b"]


def test_what_waits_is_read_by_the_replacement_after_the_dead_letter(bench: Bench) -> None:
    bench.run()
    bench.scheduler.doomed["a"] = 0
    for message in ("lost", "first", "second"):
        bench.world.post.tell("a", message)
    bench.run()
    bench.world.post.tell("a", DeadLetter("lost"))
    Scribe.start(bench.world, "a", 1)
    bench.run()
    assert [message for _, message in bench.kept] == ["first", "second"]


def test_an_actor_that_is_held_does_nothing_until_its_time_is_over(bench: Bench) -> None:
    bench.run()
    before = bench.scheduler.clock.now_ns
    bench.scheduler.hold("a", 5.0)
    bench.world.post.tell("a", "held")
    while not bench.kept:
        assert bench.scheduler.step()
    assert bench.scheduler.clock.now_ns - before >= 5 * 10**9


def test_a_second_actor_under_a_name_that_is_served_is_noticed(bench: Bench) -> None:
    bench.run()
    Scribe.start(bench.world, "a", 1)
    assert bench.scheduler.overlaps == ["a"]


def test_nothing_of_a_process_that_is_gone_reaches_the_next_one(bench: Bench) -> None:
    bench.run()
    bench.world.timers.after(1, "a", "key", "from before")
    gone = bench.world.post
    bench.scheduler.drop_all()
    bench.scheduler.new_post()
    gone.tell("a", "to the dead")
    bench.run()
    assert bench.kept == []


def test_stop_is_handled_in_its_turn_and_reported_once(bench: Bench) -> None:
    bench.world.post.tell("a", "before")
    bench.world.post.tell("a", Stop())
    bench.world.post.tell("a", "after")
    bench.run()
    assert bench.kept == [("a", "before")]
    assert Counter(type(report) for report in bench.reports()) == {Started: 2, Exited: 1}
    assert len(bench.world.post["a"]) == 1
