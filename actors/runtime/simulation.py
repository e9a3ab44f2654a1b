"""The second runtime: the same actors in one thread, in an order drawn from a seed, under virtual time.

An actor's mailbox parks its loop instead of waiting, so Pykka's own loop handles one message a step. Between two steps
time passes a little; when nobody has anything to do it jumps to the next timer. The same seed gives the same order, to
the last message: `digest` says so.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple

import pykka
from pykka._envelope import Envelope

from actors.runtime.actor import Actor
from actors.runtime.mailbox import Letter, Mailbox, MailboxPolicy
from actors.runtime.post import Post

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
STEP_NS = 60_000
"""The most that passes while a message is handled; how much is drawn."""
TAIL = 50
SECOND_NS = 1_000_000_000


class Parked(BaseException):
    """A mailbox has nothing more to give in this step: back to the scheduler."""


class Crash(RuntimeError):
    """An actor that dies because the simulation wants it to."""


class Handled(NamedTuple):
    """One step of the trace."""

    at_ns: int
    actor: str
    message: Any

    def __str__(self) -> str:
        return f"{self.at_ns / 1e9:12.6f} {self.actor:<18} {self.message!r}"


class VirtualClock:
    """Time that passes when the scheduler says so. A jump moves what people read, not what ages are measured by."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS
        self.ahead_ms = 0
        """How far the wall clock is off, as after somebody set it."""

    def wall(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.now_ns // 1000 + self.ahead_ms * 1000)

    def wall_ms(self) -> int:
        return self.true_ms() + self.ahead_ms

    def true_ms(self) -> int:
        """The time of those whose clock nobody sets, such as the exchange."""
        return int(EPOCH.timestamp()) * 1000 + self.now_ns // 1_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns


class SeededIds:
    """Ids that a seed repeats."""

    def __init__(self, rng: Random) -> None:
        self._random = rng

    def new(self) -> str:
        return f"{self._random.getrandbits(80):020x}"


class ParkingMailbox(Mailbox):
    """A mailbox that gives one message a step, and counts so that none can be lost unseen."""

    def __init__(self, name: str, policy: MailboxPolicy, now_ns: Callable[[], int], scheduler: Scheduler) -> None:
        super().__init__(name, policy, now_ns)
        self._scheduler = scheduler
        self.permits = 0
        self.puts = 0
        self.gets = 0

    def put(self, envelope: Envelope[Any], /) -> None:
        if self._closed:
            return  # its process is no more
        self._before_and_after()
        self.puts += 1
        self._scheduler.on_put(envelope.message)
        super().put(envelope)
        self._scheduler.ready(self.name)
        self._before_and_after()

    def _before_and_after(self) -> None:
        if self.name != "supervisor":
            self._scheduler.effect()  # reports to the supervisor are the runtime's own: they do not fail

    def get(self) -> Letter:
        if not self.permits:
            raise Parked
        self.permits -= 1
        letter = super().get()
        self.gets += 1
        self._scheduler.took(self.name, letter.message)
        return letter


class Scheduler:
    """Runs actors and timers. `trace` False leaves out the digest and the tail, for speed."""

    def __init__(self, seed: int | str, *, trace: bool = True) -> None:
        self.rng = Random(f"schedule {seed}")
        self.clock = VirtualClock()
        self.ids = SeededIds(Random(f"ids {seed}"))
        self.steps = 0
        self.tail: deque[Handled] = deque(maxlen=TAIL)
        self._trace = trace
        self._hash = hashlib.sha256()
        self._lines: list[str] = []
        self._live: dict[str, Actor] = {}
        self._started: set[str] = set()
        self._ready: list[str] = []
        self._place: dict[str, int] = {}
        self._held: set[str] = set()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._tie = count()
        self._timers: dict[tuple[str, str], int] = {}
        self.running = ""
        """Whose message was handled in the last step; empty when a timer fired."""
        self._fuse = 0
        self.doomed: dict[str, int] = {}
        """Whose next handler dies: at its first line (0), or at the so-manyth thing that it does to the outside."""
        self.crashes = 0
        self.overlaps: list[str] = []
        """Names that a second actor began to serve while the first still lived."""
        self.on_put: Callable[[Any], None] = lambda _message: None
        """Called with every message that is told."""
        self.post = self.new_post()

    # --- what a world is made of ---

    def new_post(self) -> Post:
        """Mailboxes of this scheduler's; those of before belong to a process that is no more."""

        def make(name: str, policy: MailboxPolicy, now_ns: Callable[[], int]) -> Mailbox:
            return ParkingMailbox(name, policy, now_ns, self)

        self.post = Post(self.clock.monotonic_ns, make)
        return self.post

    def add(self, actor: Actor) -> None:
        """Run this actor from now on (`World.start_loop`)."""
        if actor.name in self._live:
            self.overlaps.append(actor.name)
        self._live[actor.name] = actor
        self._started.discard(actor.name)
        self.ready(actor.name)

    def after(self, seconds: float, name: str, key: str, message: Any) -> None:
        """`Timers.after`: tell `message` to `name` then; setting the same key again moves it."""
        self.effect()
        tie = self._timers[name, key] = next(self._tie)
        post = self.post

        def deliver() -> None:
            if self._timers.get((name, key)) == tie:
                del self._timers[name, key]
                post.tell(name, message)

        heapq.heappush(self._heap, (self.clock.now_ns + int(seconds * 1e9), tie, deliver))

    def cancel(self, name: str, key: str) -> None:
        self._timers.pop((name, key), None)

    def call_in(self, seconds: float, function: Callable[[], None]) -> None:
        """Something outside the actors happens then."""
        heapq.heappush(self._heap, (self.clock.now_ns + int(seconds * 1e9), next(self._tie), function))

    # --- running ---

    def step(self) -> bool:
        """Handle one message, or let one timer fire; False when nothing is left to do."""
        clock, draw = self.clock, self.rng.random
        if not self._ready:
            if not self._heap:
                return False
            clock.now_ns = max(clock.now_ns, self._heap[0][0])
        self.running = ""
        if self._heap and self._heap[0][0] <= clock.now_ns:
            heapq.heappop(self._heap)[2]()
            return True
        name = self._ready[int(draw() * len(self._ready))]
        self._run(self._live[name])
        clock.now_ns += int(draw() * STEP_NS)
        return True

    def drop_all(self) -> None:
        """The process is gone: actors, mailboxes and timers with it. What `call_in` set belongs to the outside."""
        for actor in self._live.values():
            actor.actor_stopped.set()
            pykka.ActorRegistry.unregister(actor._actor_ref)
        for box in self.post.boxes.values():
            box.close()
        for held in (self._live, self._started, self._place, self._held, self._timers):
            held.clear()
        self._ready.clear()
        self.doomed.clear()
        self._fuse = 0

    def _run(self, actor: Actor) -> None:
        name = self.running = actor.name
        self.steps += 1
        if name in self.doomed:
            self._fuse = self.doomed[name]
            if not self._fuse:
                setattr(actor, "on_receive", self._die)  # noqa: B010 a method is replaced on this one object
        if name in self._started:
            mailbox: Any = actor.mailbox
            mailbox.permits = 1
            with suppress(Parked):
                actor._actor_loop_running()
            mailbox.permits = 0
        else:
            self._started.add(name)
            actor._actor_loop_setup()
        self._fuse = 0
        if actor.actor_stopped.is_set():
            del self._live[name]
            self._unready(name)
            actor._actor_loop_teardown()
        elif actor.mailbox.empty():
            self._unready(name)

    def _die(self, _message: Any) -> None:
        self._crash()

    def _crash(self) -> None:
        self.doomed.pop(self.running, None)
        self._fuse = 0
        self.crashes += 1
        raise Crash(f"{self.running} is made to die")

    def effect(self) -> None:
        """Whoever runs does something to the outside: the moment to die, before or after it."""
        if self._fuse:
            self._fuse -= 1
            if not self._fuse:
                self._crash()

    # --- who may run ---

    def ready(self, name: str) -> None:
        if name in self._live and name not in self._place and name not in self._held:
            self._place[name] = len(self._ready)
            self._ready.append(name)

    def _unready(self, name: str) -> None:
        place = self._place.pop(name, None)
        if place is None:
            return
        last = self._ready.pop()
        if last != name:
            self._ready[place] = last
            self._place[last] = place

    def hold(self, name: str, seconds: float) -> None:
        """Do not run this actor for a while, as a thread that gets no processor."""
        self._held.add(name)
        self._unready(name)
        self.call_in(seconds, lambda: self._release(name))

    def _release(self, name: str) -> None:
        self._held.discard(name)
        actor = self._live.get(name)
        if actor is not None and (name not in self._started or not actor.mailbox.empty()):
            self.ready(name)

    @property
    def idle(self) -> bool:
        """Whether no actor has anything to do now."""
        return not self._ready and not self._held

    @property
    def live(self) -> list[str]:
        return list(self._live)

    # --- the trace ---

    def took(self, name: str, message: Any) -> None:
        if not self._trace:
            return
        self.tail.append(Handled(self.clock.now_ns, name, message))
        self._lines.append(f"{self.clock.now_ns} {name} {type(message).__name__}\n")
        if len(self._lines) >= 1024:
            self._flush()

    def _flush(self) -> None:
        self._hash.update("".join(self._lines).encode())
        self._lines.clear()

    def digest(self) -> str:
        """SHA-256 of when who handled which kind of message."""
        self._flush()
        return self._hash.hexdigest()


def digest_of(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
