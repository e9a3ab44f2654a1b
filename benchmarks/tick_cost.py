"""What keeping metrics costs a tick: the same road, in one thread, with them and without."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from actors.protocol import Flushed, Frame
from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.simulation import Scheduler
from actors.tree import tree
from actors.world import World
from benchmarks.in_process import ticker
from tests.venue_in_process import Venue, make_world, rules_of
from thunes.domain.figures import Histogram
from thunes.domain.histogram import Recorder

SYMBOL = "BTCUSDT"
ROAD = (f"stream.{SYMBOL}", f"strategy.{SYMBOL}", "risk")
SLICE = 500
TICK_NS = 1_000_000


@contextmanager
def unmeasured() -> Iterator[None]:
    """Nothing is counted into a histogram, which is all that is kept for metrics alone."""
    nothing = Histogram((), ())
    with (
        patch.object(Recorder, "observe", lambda *_: None),
        patch.object(Recorder, "histogram", lambda _: nothing),
    ):
        yield


def tick_costs(count: int) -> tuple[float, float]:
    """Microseconds a tick through Stream, Strategy and Risk with metrics and without: medians of slices in turn.

    In the simulation, because on threads the way in which they happen to meet varies by more than metrics cost. A tick
    comes every millisecond of its clock.
    """
    taken: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as home:
        scheduler = Scheduler(1, trace=False)
        world = _road(Path(home), scheduler)
        _drain(scheduler, world)
        for number in range(0, count, SLICE):
            frames = [Frame(ticker(n + 1), (n + 1) * TICK_NS) for n in range(number, number + SLICE)]
            measured = bool(number // SLICE % 2)
            gc.collect()
            gc.disable()
            with nullcontext() if measured else unmeasured():
                began = time.process_time()
                for frame in frames:
                    world.post.tell(ROAD[0], frame)
                    _drain(scheduler, world)
                taken[measured].append((time.process_time() - began) / SLICE * 1e6)
            gc.enable()
        scheduler.drop_all()
    return statistics.median(taken[True]), statistics.median(taken[False])


def _road(home: Path, scheduler: Scheduler) -> World:
    world = replace(
        make_world(home, Venue(rules_of(SYMBOL))),
        post=scheduler.post,
        clock=scheduler.clock,
        timers=scheduler,
        start_loop=scheduler.add,
    )
    children = tree((SYMBOL,)).children
    world.post.register("supervisor", MailboxPolicy())
    for child in children:
        world.post.register(child.name, child.actor.mailbox_policy)
    for child in children:
        if child.name in ROAD:
            child.actor.start(world, child.name, 0)
    _drain(scheduler, world)
    world.post.tell("risk", Flushed())
    return world


def _drain(scheduler: Scheduler, world: World) -> None:
    boxes = [world.post[name] for name in ROAD]
    while any(map(len, boxes)):
        scheduler.step()
