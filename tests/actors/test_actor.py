"""The actor base: one exit report for every kind of end, and a mailbox that outlives whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.runtime.actor import Actor, Stop
from tests.actors.alone import Alone, alone, exits

CRASH = "crash"


class Collector(Actor):
    """Keeps what it is told where the test can see it; dies of `CRASH`, also in its start."""

    def on_start(self) -> None:
        self.seen = self.world.carry.setdefault("seen", [])
        if self.world.carry.get("fails to start"):
            raise RuntimeError(CRASH)

    def on_receive(self, message: Any) -> None:
        if message == CRASH:
            raise RuntimeError(CRASH)
        self.seen.append(message)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    with alone(tmp_path, "collector", Collector) as made:
        yield made


def test_what_is_queued_when_an_actor_dies_is_read_by_its_replacement_in_order(bench: Alone) -> None:
    bench.queue("a", CRASH, "b", "c")
    bench.start()
    bench.wait_until_ended()
    assert len(bench.world.post["collector"]) == 2
    bench.start()
    bench.tell("d")
    assert bench.world.carry["seen"] == ["a", "b", "c", "d"]


def test_a_crash_is_reported_once_with_its_reason_and_the_message_that_is_lost(bench: Alone) -> None:
    bench.start()
    bench.queue(CRASH)
    bench.wait_until_ended()
    (report,) = exits(bench)
    assert (report.name, report.incarnation, str(report.reason), report.message) == ("collector", 0, CRASH, CRASH)


def test_a_stop_is_taken_by_the_one_that_it_ends_and_reported_once(bench: Alone) -> None:
    bench.start()
    bench.queue("a", Stop(), "b")
    bench.wait_until_ended()
    (report,) = exits(bench)
    assert (report.reason, report.message) == (None, None)
    assert [letter.message for letter in bench.world.post["collector"]._queue] == ["b"]
    bench.start()
    bench.tell("c")
    assert bench.world.carry["seen"] == ["a", "b", "c"]


def test_a_start_that_fails_is_reported_once_and_handles_nothing(bench: Alone) -> None:
    bench.world.carry["fails to start"] = True
    bench.queue("a")
    bench.start()
    bench.wait_until_ended()
    (report,) = exits(bench)
    assert (str(report.reason), report.message) == (CRASH, None)
    assert len(bench.world.post["collector"]) == 1


def test_a_crash_under_ask_is_told_to_who_asked_and_reported_once(bench: Alone) -> None:
    bench.start()
    with pytest.raises(RuntimeError, match=CRASH):
        bench.world.post.ask("collector", CRASH, timeout=5)
    bench.wait_until_ended()
    (report,) = exits(bench)
    assert (str(report.reason), report.message) == (CRASH, CRASH)


def test_one_who_asks_a_name_that_is_closed_is_told_so(bench: Alone) -> None:
    bench.world.post["collector"].close()
    with pytest.raises(pykka.ActorDeadError):
        bench.world.post.ask("collector", "anybody?", timeout=5)
    bench.world.post["collector"].reopen()
    bench.start()
