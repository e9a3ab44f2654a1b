"""How many messages a second the simulation handles: bare actors, and the whole tree."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.simulation import Scheduler
from actors.simulated.faults import NONE, Faults
from actors.simulated.runs import run_seed
from actors.world import World
from tests.venue_in_process import Venue, make_world, rules_of

NAMES = ("first", "second", "third", "fourth", "fifth")


class Relay(Actor):
    """Passes a number on, one less, to its neighbour."""

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.neighbour = NAMES[(NAMES.index(name) + 1) % len(NAMES)]

    def on_receive(self, message: Any) -> None:
        if message:
            self.tell(self.neighbour, message - 1)
        else:
            self.world.carry["done"].set()


def _relays(home: str, **runtime: Any) -> World:
    world = replace(make_world(Path(home), Venue(rules_of("BTCUSDT"))), **runtime)
    world.carry["done"] = threading.Event()
    for name in ("supervisor", *NAMES):
        world.post.register(name, MailboxPolicy())
    for name in NAMES:
        Relay.start(world, name)
    return world


def simulated_a_second(count: int) -> float:
    """Five actors hand on eight numbers at once, in the simulation, untraced."""
    with tempfile.TemporaryDirectory() as home:
        scheduler = Scheduler(1, trace=False)
        world = _relays(home, post=scheduler.post, clock=scheduler.clock, timers=scheduler, start_loop=scheduler.add)
        while scheduler.step():
            pass
        began_steps, began = scheduler.steps, time.perf_counter()
        for number in range(8):
            world.post.tell(NAMES[number % len(NAMES)], count // 8)
        while scheduler.step():
            pass
        taken = time.perf_counter() - began
        scheduler.drop_all()
        return (scheduler.steps - began_steps) / taken


def threaded_a_second(count: int) -> float:
    """The same five on threads, and one number, because the first that is done ends it."""
    with tempfile.TemporaryDirectory() as home:
        world = _relays(home)
        began = time.perf_counter()
        world.post.tell("first", count // 8)
        world.carry["done"].wait(60)
        return count / 8 / (time.perf_counter() - began)


def tree_a_second(count: int, *, faults: bool) -> float:
    """The whole tree: frames decoded, intents decided, journalled and sent; untraced, every invariant looked at."""
    began = time.perf_counter()
    outcome = run_seed(1, count, Faults() if faults else NONE, trace=False)
    assert not outcome.violations
    return outcome.messages / (time.perf_counter() - began)
