"""Trees whose actors die when they are told to, and a registry that counts who is alive."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from actors.runtime.actor import Actor, Exited
from actors.runtime.threads import spawn
from actors.tree import plant, tree
from actors.world import World
from tests.concurrency.order_support import WINDOW, HastyTimers, MovedClock
from tests.concurrency.risk_support import (
    SYMBOLS,
    Disk,
    Floor,
    Market,
    OverheardPost,
    wait_for,
)
from tests.venue_in_process import UNHINDERED, Idle, make_world, rules_of
from thunes.domain.orders import Phase
from thunes.domain.supervision import ChildSpec, Tree
from thunes.messages import Candle, Intent, Record, Tick
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile
from thunes.strategies.base import Holding

PAIR = SYMBOLS[:2]
CRASH = RuntimeError("a handler that fails")


@dataclass(frozen=True)
class Poison:
    """What kills whoever handles it."""

    thread: int
    n: int


@dataclass(frozen=True)
class Numbered:
    thread: int
    n: int


class Registry:
    """Who is alive, counted from the start of each actor's loop to the end of its last handler."""

    def __init__(self) -> None:
        self.alive: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self.too_soon: list[str] = []
        self.incarnations: defaultdict[str, list[int]] = defaultdict(list)
        self.exits: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def start_loop(self, actor: Actor) -> None:
        """`World.start_loop`, with its eyes open."""
        with self._lock:
            self.alive[actor.name] += 1
            if self.alive[actor.name] > 1:
                self.overlaps.append(actor.name)
            if actor.incarnation and not self.exits[actor.name, actor.incarnation - 1]:
                self.too_soon.append(actor.name)
            if actor.name != "supervisor":
                self.incarnations[actor.name].append(actor.incarnation)
        spawn(actor.name, lambda: self._run(actor))

    def _run(self, actor: Actor) -> None:
        actor._actor_loop_setup()
        actor._actor_loop_running()
        with self._lock:
            self.alive[actor.name] -= 1
        actor._actor_loop_teardown()

    def hear(self, name: str, message: Any) -> None:
        if name == "supervisor" and type(message) is Exited:
            with self._lock:
                self.exits[message.name, message.incarnation] += 1

    def assert_lawful(self) -> None:
        """One at a time, each after the report of the one before, each reported once."""
        assert self.overlaps == []
        assert self.too_soon == []
        assert max(self.exits.values(), default=0) <= 1
        for name, incarnations in self.incarnations.items():
            assert incarnations == list(range(len(incarnations))), name


def hasty(specs: Tree, restarts: int = 100_000) -> Tree:
    """The same tree, with more patience and without the waits that only spare a machine."""
    children = tuple(replace(spec, shutdown=0.3) for spec in specs.children)
    return replace(specs.with_patience(restarts), children=children, backoff=0.001, longest=0.01)


# --- a tree of the simplest actors there are ---


class Worker(Actor):
    """Keeps what it is told where its replacement finds it; does what the test planned for its start and stop."""

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.plan: Plan = world.carry["plan"]

    def on_start(self) -> None:
        self.plan.at_start(self)

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Poison):
            raise RuntimeError("poisoned")
        self.plan.at_message(self, message)
        self.plan.seen[self.name].append((self.incarnation, message))

    def on_stop(self) -> None:
        self.plan.stopped.append(self.name)
        self.plan.at_stop(self)

    def bury(self, message: Any) -> None:
        self.plan.buried[self.name].append(message)


@dataclass
class Plan:
    at_start: Callable[[Worker], None] = lambda _worker: None
    at_message: Callable[[Worker, Any], None] = lambda _worker, _message: None
    at_stop: Callable[[Worker], None] = lambda _worker: None
    seen: defaultdict[str, list[tuple[int, Any]]] = field(default_factory=lambda: defaultdict(list))
    """What each name handled, and which incarnation of it."""
    buried: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    stopped: list[str] = field(default_factory=list)


NAMES = ("audit", "risk", "order.X", "w1", "w2", "w3")
WORKERS = NAMES[1:]


@dataclass
class Grove(Floor):
    """A small tree alive."""

    plan: Plan
    registry: Registry

    def status(self, name: str) -> Any:
        return self.figures("supervisor")[name]

    def restarts(self) -> dict[str, int]:
        return {name: restarts for name, (_, restarts) in self.figures("supervisor").items()}

    def wait_until_idle(self) -> None:
        """Until all run and nothing waits."""

        def idle() -> bool:
            boxes = [self.world.post[name] for name in (*self.registry.incarnations, "supervisor")]
            if any(len(box) or box.in_hand_since_ns for box in boxes):
                return False
            return all(state == "running" for state, _ in self.figures("supervisor").values())

        wait_for(lambda: idle() and idle(), "everybody at rest")

    def let_windows_run_out(self) -> bool:
        """Move the clock on once nothing is left but orders of unknown fate; whether all orders have ended."""
        phases = {order.status for symbol in PAIR for order in self.figures(f"order.{symbol}").open}
        if phases == {Phase.UNKNOWN} and isinstance(self.world.clock, MovedClock):
            self.world.clock.ahead_ns += int(WINDOW * 1e9)
        return not phases and not self.world.load_books().orders

    def records(self, event: str) -> list[Record]:
        """What the journal's place was told, in order."""
        told = [message for _, message in self.plan.seen["audit"]]
        return [record for record in told if isinstance(record, Record) and record.event == event]


def simple() -> Tree:
    return hasty(Tree(tuple(ChildSpec(name, Worker, mailbox=Worker.mailbox_policy) for name in NAMES)))


def world_of(home: Path, registry: Registry, hear: Callable[[str, Any], None], **ports: Any) -> tuple[World, Market]:
    venue = Market(rules_of(*PAIR))
    hang_after = str(ports.pop("hang_after", 60))
    world = make_world(home, venue, {**UNHINDERED, "THUNES_SUPERVISOR__HANG_AFTER": hang_after}, **ports)

    def both(name: str, message: Any) -> None:
        registry.hear(name, message)
        hear(name, message)

    post = OverheardPost(world.clock.monotonic_ns, both)
    timers = HastyTimers(world.clock, post.tell)
    clock = MovedClock()  # a test that moves it lets nobody hang
    return replace(world, clock=clock, post=post, timers=timers, start_loop=registry.start_loop), venue


@contextmanager
def grove(
    home: Path, plan: Plan | None = None, specs: Tree | None = None, ready: bool = True, **more: Any
) -> Iterator[Grove]:
    """The small tree; at its end every law of the registry holds, whatever became of it."""
    registry, made = Registry(), plan or Plan()
    hear = more.pop("hear", lambda _name, _message: None)
    world, venue = world_of(home, registry, hear, **more)
    world.carry["plan"] = made
    signals = plant(world, specs or simple(), Record("SYSTEM_STARTED"))
    alive = Grove(world, venue, *signals, Disk(), made, registry)
    try:
        if ready:
            wait_for(alive.ready.is_set, "the tree")
        yield alive
    finally:
        alive.stop()
    registry.assert_lawful()


def numbers(alive: Grove, name: str) -> dict[int, list[int]]:
    """What each thread's messages to this name were, in the order in which they were handled."""
    found: dict[int, list[int]] = {}
    for _, message in alive.plan.seen[name]:
        if isinstance(message, Numbered):
            found.setdefault(message.thread, []).append(message.n)
    return found


class Watchful(Idle):
    """Wants nothing, and stops the thread where the test wants it to."""

    name = "watchful"
    stop_here: Callable[[], None] = staticmethod(lambda: None)

    def on_candle(self, candle: Candle, holding: Holding | None) -> None:
        self.candles += 1

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        self.stop_here()
        return None


@contextmanager
def forest(home: Path, specs: Tree | None = None, **more: Any) -> Iterator[Grove]:
    """The whole tree, synced; the test ends it."""
    registry, disk = Registry(), Disk()

    def open_journal() -> JournalFile:
        return JournalFile.open(Home(home).logs, wall=world.clock.wall, git_sha="test", sync=disk.sync)

    hear = more.pop("hear", lambda _name, _message: None)
    world, venue = world_of(home, registry, hear, open_journal=open_journal, **more)
    birth = Record("SYSTEM_STARTED", metadata={"opening_balances": dict(venue.totals()), "opening_trades": {}})
    signals = plant(world, specs or hasty(tree(PAIR)), birth)
    alive = Grove(world, venue, *signals, disk, Plan(), registry)
    wait_for(alive.ready.is_set, "the tree")
    alive.show_ticks()
    wait_for(lambda: alive.risk.synced, "synced books")
    try:
        yield alive
    finally:
        venue.opened.set()
        disk.opened.set()
        alive.stop()
    registry.assert_lawful()
