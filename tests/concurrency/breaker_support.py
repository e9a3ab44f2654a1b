"""Circuits on real threads: a breaker alone whose every step is on record, and the whole tree on a clock by hand."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pykka

from actors.breaker import CIRCUIT, EVENTS, BreakerActor
from actors.protocol import Approved, CallOutcome, Orphan, Permit
from actors.runtime.actor import Exited, Stop
from actors.runtime.clock import SystemClock
from actors.runtime.mailbox import DeadLetter, Letter, MailboxPolicy
from actors.runtime.post import Post
from actors.runtime.threads import ThreadTimers
from tests.concurrency.risk_support import (
    PATIENCE,
    SYMBOLS,
    THREADS,
    Disk,
    Floor,
    HandClock,
    Market,
    OverheardPost,
    at_once,
    check,
    wait_for,
)
from tests.e2e import support
from tests.venue_in_process import UNHINDERED, Venue, make_world, rules_of, start
from thunes.domain.figures import BreakerFigures
from thunes.messages import OrderType, Record, Side, SubmitOrder

FAIL_MAX = 5
RESET_TIMEOUT = 60
LIMITS = {"THUNES_BREAKER__FAIL_MAX": str(FAIL_MAX), "THUNES_BREAKER__RESET_TIMEOUT": str(RESET_TIMEOUT)}
ORDERS = ("order.BTCUSDT", "order.ETHUSDT")
ONE = Decimal(1)


class ClockBroke(Exception):
    """What a clock that is broken raises, once."""


class Clock(HandClock):
    """A clock by hand that can be broken for one look at it, and that can keep waiting whoever looks."""

    def __init__(self) -> None:
        super().__init__()
        self.read_ns = 0
        """What the last look at it said."""
        self.broken = False
        self.opened = threading.Event()
        self.opened.set()
        self._lock = threading.Lock()

    def monotonic_ns(self) -> int:
        assert self.opened.wait(PATIENCE)
        if self.broken:
            self.broken = False
            raise ClockBroke
        self.read_ns = super().monotonic_ns()
        return self.read_ns

    def advance(self, seconds: float = 0, *, ns: int = 0) -> None:
        with self._lock:
            self.ns += int(seconds * 1e9) + ns


@dataclass(frozen=True, slots=True)
class Step:
    """One message that the breaker handled, the time that it went by, and what it published then."""

    message: Any
    now_ns: int
    figures: BreakerFigures


class WatchedBreaker(BreakerActor):
    """A breaker that leaves a record of each step in `world.carry`."""

    def on_receive(self, message: Any) -> None:
        super().on_receive(message)
        step = Step(message, self.world.clock.read_ns, self.world.board.figures[self.name])  # type: ignore[attr-defined]
        self.world.carry["steps"].append(step)


class Published(dict[str, Any]):
    """A board that keeps every picture that was ever put up."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[Any] = []

    def __setitem__(self, name: str, figures: Any) -> None:
        self.pictures.append(figures)
        super().__setitem__(name, figures)


def outcome(about: Approved | str, failed: bool, **members: Any) -> CallOutcome:
    """How the call about this approval went."""
    return CallOutcome(about if isinstance(about, str) else about.order.correlation_id, failed=failed, **members)


def failed(about: Approved | str) -> CallOutcome:
    return outcome(about, True)


def succeeded(about: Approved | str) -> CallOutcome:
    return outcome(about, False)


def unused(about: Approved | str) -> CallOutcome:
    return outcome(about, False, made=False)


class Bench:
    """A breaker whose neighbours are mailboxes that the test reads; approvals are numbered, as the journal does it."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.post = Post(SystemClock().monotonic_ns)
        world = make_world(home, Venue(rules_of(*SYMBOLS[:2])), LIMITS)
        self.world = replace(world, clock=self.clock, post=self.post)
        self.board = self.world.board.figures = Published()
        self.steps: list[Step] = self.world.carry.setdefault("steps", [])
        self.seq = 0
        self.incarnation = -1
        self._lock = threading.Lock()
        self._heard: dict[str, list[Any]] = defaultdict(list)
        for name in (*ORDERS, "audit", "supervisor"):
            self.post.register(name, MailboxPolicy())
        self.post.register("breaker", BreakerActor.mailbox_policy)
        self.start()

    def start(self) -> None:
        self.incarnation += 1
        WatchedBreaker.start(self.world, "breaker", self.incarnation)

    # --- what it is told ---

    def tell(self, message: Any) -> None:
        self.post.tell("breaker", message)

    def say(self, *messages: Any) -> None:
        """Tell it these, and wait until each is handled."""
        for message in messages:
            self.post.ask("breaker", message, PATIENCE)

    def approve(self, *, handled: bool = False) -> Approved:
        """Pass the next approval on, in the journal's order whichever thread asks; wait for its turn if `handled`."""
        future: pykka.Future[Any] = pykka.ThreadingFuture()
        with self._lock:
            self.seq += 1
            name, symbol = f"c{self.seq}", SYMBOLS[self.seq % 2]
            order = SubmitOrder(name, symbol, Side.BUY, OrderType.MARKET, ONE, ONE, "TEST", "test", "0", market_ms=0)
            approved = Approved(order, epoch=0, client_order_id=f"home-{name}", seq=self.seq)
            self.post["breaker"].put(Letter(approved, future if handled else None))
        if handled:
            future.get(timeout=PATIENCE)
        return approved

    def settle(self) -> BreakerFigures:
        """What it publishes once all that was told to it before is handled."""
        self.say(unused("nobody"))
        return self.figures

    def open(self) -> list[str]:
        """Open it by failures in a row; whose they were."""
        names = [f"before-{self.seq}-{n}" for n in range(FAIL_MAX)]
        self.say(*map(failed, names))
        assert self.figures.state == "open"
        return names

    def half_open(self) -> Approved:
        """Open it, let the time-out pass, and return the approval that got the trial's permit."""
        self.open()
        self.clock.advance(RESET_TIMEOUT)
        trial = self.approve(handled=True)
        assert self.figures.state == "half-open"
        assert trial in self.permits()
        return trial

    # --- what it says ---

    @property
    def figures(self) -> Any:
        return self.board["breaker"]

    def heard(self, name: str) -> list[Any]:
        """All that this neighbour was ever told."""
        box = self.post[name]
        self._heard[name] += [box.get().message for _ in range(len(box))]
        return self._heard[name]

    def permits(self) -> list[Approved]:
        """Every approval for each permit that was given, in the journal's order."""
        told = [(name, m.approved) for name in ORDERS for m in self.heard(name) if type(m) is Permit]
        assert [name for name, a in told if name != f"order.{a.order.symbol}"] == []
        return sorted((approved for _, approved in told), key=lambda approved: approved.seq)

    def orphans(self) -> list[Approved]:
        """Every approval whose holder died, in the journal's order."""
        found = [m.approved for name in ORDERS for m in self.heard(name) if type(m) is Orphan]
        return sorted(found, key=lambda approved: approved.seq)

    def refusals(self) -> list[tuple[str | None, str | None]]:
        """Whose approval was refused, and why, in order."""
        records = [r for r in self.heard("audit") if r.event == "ORDER_REJECTED"]
        return [(r.correlation_id, r.reason) for r in records]

    def changes(self) -> list[tuple[str, str]]:
        """The circuit's transitions in the order in which Audit was told of them."""
        return transitions(self.heard("audit"))

    def handled(self, kind: type, since: int = 0) -> list[Any]:
        """The messages of a type in the order in which they were handled, from a step on."""
        return [step.message for step in self.steps[since:] if type(step.message) is kind]

    # --- its ends ---

    def revive(self) -> Exited:
        """Wait for its crash and do what the supervisor does then: the message in hand goes to the replacement."""
        report: Exited = support.wait_for(self._crashed, PATIENCE, "the crash")
        self.tell(DeadLetter(report.message))
        self.start()
        return report

    def _crashed(self) -> Exited | None:
        ends = [m for m in self.heard("supervisor") if type(m) is Exited]
        return next((end for end in ends if end.incarnation == self.incarnation), None)

    def stop(self) -> None:
        self.clock.opened.set()
        self.tell(Stop())
        wait_for(lambda: any(type(m) is Exited and m.reason is None for m in self.heard("supervisor")), "its end")


@contextmanager
def circuit(home: Path) -> Iterator[Bench]:
    """A breaker alone."""
    bench = Bench(home)
    try:
        yield bench
    finally:
        bench.stop()


def transitions(said: Iterable[Any]) -> list[tuple[str, str]]:
    """From what to what a circuit went, of records or of the journal's lines; each is named for where it led."""
    found = []
    for line in said:
        if line.event in EVENTS.values():
            assert (line.metadata["breaker"], line.event) == (CIRCUIT, EVENTS[line.metadata["new"]])
            found.append((line.metadata["old"], line.metadata["new"]))
    return found


LAWFUL = {("closed", "open"), ("open", "half-open"), ("open", "closed"), ("half-open", "open"), ("half-open", "closed")}


def path(changes: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """The states that lawful transitions lead through from a fresh circuit on, each with the trips so far."""
    states, trips = [("closed", 0)], 0
    for old, new in changes:
        assert old == states[-1][0]
        assert (old, new) in LAWFUL
        trips += new == "open"
        states.append((new, trips))
    return states


def stages(pictures: Iterable[BreakerFigures]) -> list[tuple[str, int]]:
    """State and trips of each picture that differs in them from the one before."""
    found: list[tuple[str, int]] = []
    for picture in pictures:
        if [(picture.state, picture.trips)] != found[-1:]:
            found.append((picture.state, picture.trips))
    return found


def is_part_of(some: Iterable[Any], whole: Iterable[Any]) -> bool:
    """Whether `some` is `whole` in its order, with any of it left out."""
    rest = iter(whole)
    return all(any(one == other for other in rest) for one in some)


def while_read(look: Callable[[], Any], *works: Callable[[], object], readers: int = THREADS) -> list[list[Any]]:
    """Run the works at once while as many threads look; the different pictures that each saw, the last one after."""
    seen: list[list[Any]] = [[] for _ in range(readers)]
    done = threading.Event()
    finish = threading.Barrier(len(works), action=done.set)

    def read(mine: list[Any]) -> None:
        over = False
        while not over:
            over = done.wait(0.0005)
            picture = look()
            if not mine or mine[-1] is not picture:
                mine.append(picture)

    def run(work: Callable[[], object]) -> None:
        try:
            work()
            finish.wait(PATIENCE)
        except BaseException:
            done.set()
            raise

    at_once(*(lambda w=work: run(w) for work in works), *(lambda m=mine: read(m) for mine in seen))
    return seen


@contextmanager
def system(home: Path, hear: Callable[[str, Any], None] = lambda _name, _message: None) -> Iterator[Floor]:
    """The whole tree, synced, on a clock by hand; at its end journal, database and exchange have to agree."""
    venue, disk, clock = Market(rules_of(*SYMBOLS)), Disk(), Clock()
    # What is in hand is timed by the machine's clock, so by the clock by hand everything would seem to hang.
    environ = {**UNHINDERED, **LIMITS, "THUNES_SUPERVISOR__HANG_AFTER": "1e7", "THUNES_RISK__MAX_POSITIONS": "5"}
    world = make_world(home, venue, environ)
    post = OverheardPost(world.clock.monotonic_ns, hear)
    world = replace(world, clock=clock, post=post, timers=ThreadTimers(world.clock, post.tell))
    running = start(world, venue)
    alive = Floor(world, venue, running.ready, running.ended, disk)
    try:
        wait_for(alive.ready.is_set, "the tree")
        alive.show_ticks()
        wait_for(lambda: alive.risk.synced, "synced books")
        yield alive
    finally:
        venue.opened.set()
        why = alive.stop()
    assert why == ""
    check(alive)


@dataclass
class Rules:
    """A circuit breaker by its rules, told one step after another: what the actor has to say, in the fewest words."""

    state: str = "closed"
    failures: int = 0
    trips: int = 0
    opened_ns: int = 0
    trial: str | None = None
    trial_ns: int = 0
    quiet_ns: int = 0
    seq: int = 0

    def approval(self, approved: Approved, now_ns: int) -> list[Any]:
        who = approved.order.correlation_id
        if approved.seq <= self.seq:
            return []
        self.seq = approved.seq
        if now_ns < self.quiet_ns:
            return [(who, "RATE_LIMIT")]
        said = []
        if self.state == "open" and now_ns >= self.opened_ns + RESET_TIMEOUT * 10**9:
            said = self._go("half-open")
        if self.state == "closed":
            return [*said, approved]
        lost = now_ns >= self.trial_ns + RESET_TIMEOUT * 10**9
        if self.state == "open" or (self.trial is not None and not lost):
            return [*said, (who, "CIRCUIT_OPEN")]
        self.trial, self.trial_ns = who, now_ns
        return [*said, approved]

    def call(self, call: CallOutcome, now_ns: int) -> list[Any]:
        self.quiet_ns = (
            max(self.quiet_ns, now_ns + round(call.retry_after * 1e9)) if call.retry_after else self.quiet_ns
        )
        is_trial = call.about == self.trial
        if is_trial:
            self.trial = None
        if not call.made or not (self.state == "closed" or is_trial):
            return []
        self.failures = self.failures + 1 if call.failed else 0
        if call.failed and (is_trial or self.failures == FAIL_MAX):
            self.trips, self.opened_ns = self.trips + 1, now_ns
            return self._go("open")
        return [] if call.failed else self._go("closed")

    def reset(self) -> list[Any]:
        self.trial, self.failures = None, 0
        return self._go("closed")

    def _go(self, state: str) -> list[Any]:
        old, self.state = self.state, state
        return [] if old == state else [Record(EVENTS[state], metadata={"breaker": CIRCUIT, "old": old, "new": state})]
