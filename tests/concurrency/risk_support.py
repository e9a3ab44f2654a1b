"""The whole tree with five symbols, an exchange and a disk that can be held, and threads that all start at once."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.protocol import Flush, TellHolding
from actors.runtime.clock import SystemClock
from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.post import Post
from actors.runtime.threads import ThreadTimers
from tests.e2e import support
from tests.venue_in_process import UNHINDERED, Running, Venue, make_world, rules_of, start
from thunes.domain.books import Books
from thunes.domain.filters import round_down
from thunes.domain.journal import AuditEvent
from thunes.messages import OrderType, Record, Side, SubmitOrder, Tick, UrgentRecord
from thunes.storage.books import BooksStore
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile, read_events, verify

D = Decimal
PRICES = {"BTCUSDT": D(60_000), "ETHUSDT": D(2_600), "BNBUSDT": D(600), "SOLUSDT": D(150), "XRPUSDT": D("0.5")}
"""The best bids; the best asks are one tick above."""
QUANTITIES = {
    "BTCUSDT": D("0.0002"),
    "ETHUSDT": D("0.005"),
    "BNBUSDT": D("0.02"),
    "SOLUSDT": D("0.08"),
    "XRPUSDT": D(24),
}
"""About 12 USDT each."""
SYMBOLS = tuple(PRICES)
THREADS = 8
PATIENCE = 20.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait as long as a test of this folder may: less than its time limit, so that the failure has a name."""
    support.wait_for(condition, PATIENCE, what)


@dataclass
class Market(Venue):
    """A venue whose books stay at `PRICES`, and that answers no order while `opened` is clear."""

    opened: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.opened.set()
        self.before_place = self._wait
        for symbol in self.rules:
            self.show_book(symbol, PRICES[symbol])

    def show_book(self, symbol: str, price: Decimal) -> None:
        super().show_book(symbol, PRICES[symbol])

    def _wait(self, _client_order_id: str) -> None:
        assert self.opened.wait(PATIENCE)


class Disk:
    """An fdatasync that waits while `opened` is clear, and knows how many bytes of the journal are durable."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.waiting = False
        self.durable = 0
        self.syncs = 0

    def sync(self, fd: int) -> None:
        written = os.fstat(fd).st_size
        self.waiting = not self.opened.is_set()
        assert self.opened.wait(PATIENCE)
        os.fdatasync(fd)
        self.durable, self.syncs = written, self.syncs + 1


class MarkedHome(Home):
    """A home that remembers why each kill marker was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.marks: list[str] = []

    def write_kill(self, reason: str, source: str, since: str) -> None:
        self.marks.append(reason)
        super().write_kill(reason, source, since)


class HandClock(SystemClock):
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ns = 10**15

    def monotonic_ns(self) -> int:
        return self.ns


class Published(dict[str, Any]):
    """A board that keeps every picture of itself that risk has put up."""

    def __init__(self) -> None:
        super().__init__()
        self.of_risk: list[Any] = []

    def __setitem__(self, name: str, figures: Any) -> None:
        if name == "risk":
            self.of_risk.append(figures)
        super().__setitem__(name, figures)


class OverheardPost(Post):
    """A post that lets `hear` look at each message at the moment at which it is told."""

    def __init__(self, now_ns: Callable[[], int], hear: Callable[[str, Any], None]) -> None:
        super().__init__(now_ns)
        self._hear = hear

    def tell(self, name: str, message: Any) -> None:
        self._hear(name, message)
        super().tell(name, message)


@dataclass
class Floor(Running):
    """The tree alive, with what tests of risk ask of it."""

    disk: Disk
    venue: Market

    @property
    def risk(self) -> Any:
        return self.figures("risk")

    @property
    def published(self) -> list[Any]:
        """Every picture of itself that risk has put up, oldest first."""
        board = self.world.board.figures
        assert isinstance(board, Published)
        return board.of_risk

    @property
    def marks(self) -> list[str]:
        """Why each kill marker was written, oldest first."""
        home = self.world.home
        assert isinstance(home, MarkedHome)
        return home.marks

    def want(self, symbol: str, side: Side = Side.BUY, **members: Any) -> SubmitOrder:
        """An order that risk allows, unless `members` or the moment speak against it."""
        bid = PRICES[symbol]
        wanted = SubmitOrder(
            correlation_id=self.world.ids.new(),
            symbol=symbol,
            side=side,
            order_type=OrderType.MARKET,
            quantity=QUANTITIES[symbol] if side is Side.BUY else self.held(symbol) or D("0.0001"),
            reference_price=bid + self.venue.rules[symbol].tick_size if side is Side.BUY else bid,
            cause="TEST",
            strategy="test",
            params_hash="0",
            market_ms=self.venue.now_ms,
        )
        return replace(wanted, **members)

    def submit(self, symbol: str, side: Side = Side.BUY, **members: Any) -> None:
        self.tell("risk", self.want(symbol, side, **members))

    def tick(self, symbol: str, bid: Decimal | None = None, **members: Any) -> None:
        """Tell risk the venue's tick, with `bid` for its best bid."""
        shown = self.venue.tick(symbol, 1, self.world.clock.monotonic_ns())
        tick: Tick = replace(shown, bid=shown.bid if bid is None else bid, **members)
        self.tell("risk", tick)

    def held(self, symbol: str) -> Decimal:
        """What of a position can be sold."""
        held = next((p.quantity for p in self.risk.positions if p.symbol == symbol), D(0))
        return round_down(held, self.venue.rules[symbol].step_size)

    def open_symbols(self) -> set[str]:
        return {p.symbol for p in self.risk.positions if p.quantity}

    def settle(self) -> None:
        """Wait until risk has handled all that was told to it before."""
        self.world.post.ask("risk", TellHolding("no symbol"), PATIENCE)

    def flush(self) -> None:
        """Wait until all that was told to risk before is decided, on the disk, and heard of by risk."""
        self.settle()
        box = self.world.post.register("test", MailboxPolicy())
        self.tell("audit", Flush("test"))
        wait_for(lambda: not box.empty(), "the journal")
        box.get()
        self.settle()

    def hold_disk(self) -> None:
        """Let audit wait for the disk: what is told to it from now on waits behind."""
        self.disk.opened.clear()
        self.tell("audit", Record("OPERATOR_COMMAND", metadata={"command": "hold"}))
        wait_for(lambda: self.disk.waiting, "audit at the disk")

    def rest(self) -> None:
        """Wait until risk has decided all that it was asked, and no order is under way."""
        self.settle()
        wait_for(lambda: self.risk.reserved == 0, "the last order's end")

    def trade(self, *symbols: str, side: Side = Side.BUY) -> None:
        """One order for each symbol, to its end."""
        for symbol in symbols:
            self.submit(symbol, side)
        self.rest()
        wait_for(lambda: all((s in self.open_symbols()) == (side is Side.BUY) for s in symbols), "the trades")

    def lines(self, *names: str) -> list[AuditEvent]:
        """The journal's events of these names, or all of it."""
        return [e for e in read_events(self.world.home.logs) if not names or e.event in names]

    def decisions(self, count: int) -> list[AuditEvent]:
        """The decisions in the journal, as soon as they are `count`."""

        def journaled() -> bool:
            events = self.figures("audit").events
            return bool(events.get("TRADE_APPROVED", 0) + events.get("TRADE_REJECTED", 0) >= count)

        wait_for(journaled, f"{count} decisions")
        return self.lines("TRADE_APPROVED", "TRADE_REJECTED")


@contextmanager
def floor(
    home: Path,
    *,
    symbols: Sequence[str] = SYMBOLS,
    clock: SystemClock | None = None,
    hear: Callable[[str, Any], None] | None = None,
    **limits: object,
) -> Iterator[Floor]:
    """The tree, synced, under these limits of `risk`; at its end journal, database and exchange have to agree."""
    venue, disk = Market(rules_of(*symbols)), Disk()
    # The clock is the test's: what is measured by it must not look as if somebody hung.
    patient = {**UNHINDERED, "THUNES_SUPERVISOR__HANG_AFTER": "1e9"}
    environ = {**patient, **{f"THUNES_RISK__{name.upper()}": str(limit) for name, limit in limits.items()}}

    def open_journal() -> JournalFile:
        return JournalFile.open(Home(home).logs, wall=SystemClock().wall, git_sha="test", sync=disk.sync)

    world = make_world(home, venue, environ, open_journal=open_journal)
    post = OverheardPost(world.clock.monotonic_ns, hear or (lambda _name, _message: None))
    timers = ThreadTimers(world.clock, post.tell)
    world = replace(world, clock=clock or world.clock, post=post, timers=timers, home=MarkedHome(home))
    world.board.figures = Published()
    running = start(world, venue)
    alive = Floor(world, venue, running.ready, running.ended, disk)
    try:
        wait_for(alive.ready.is_set, "the tree")
        alive.show_ticks()
        wait_for(lambda: alive.risk.synced, "synced books")
        yield alive
    finally:
        venue.opened.set()
        disk.opened.set()
        why = alive.stop()
    assert why == ""
    check(alive)


def check(alive: Floor) -> None:
    """What holds after every flood: a chain without a hole, one decision an order, and three books that agree."""
    verify(alive.world.home.logs)
    fold, decided = Books(), Counter[str | None]()
    for event in alive.lines():
        fold.apply(event)
        decided[event.correlation_id] += event.event in ("TRADE_APPROVED", "TRADE_REJECTED")
    assert max(decided.values(), default=0) <= 1
    store = BooksStore.at(alive.world.home.database)
    assert store.load() == fold
    store.close()
    assert max(Counter(alive.venue.placed).values(), default=0) <= 1
    totals = alive.venue.totals()
    assert {asset: totals[asset] for asset in fold.balances} == fold.balances


def approved(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    return [e for e in events if e.event == "TRADE_APPROVED"]


def reasons(events: Iterable[AuditEvent]) -> Counter[str | None]:
    """Refusals by reason; an approval's is None."""
    return Counter(e.reason for e in events)


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, all from the same moment on; an error of any is raised here."""
    gate, errors = threading.Barrier(len(works)), list[BaseException]()

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait(PATIENCE)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def flood(work: Callable[[int, int], object], times: int = 250, threads: int = THREADS) -> None:
    """`work(thread, n)` with n from 0 to `times` - 1, from all threads at once."""

    def mine(thread: int) -> Callable[[], None]:
        def run() -> None:
            for n in range(times):
                work(thread, n)

        return run

    at_once(*(mine(thread) for thread in range(threads)))


def write_numbered(alive: Floor, thread: int, n: int) -> None:
    """Tell audit the thread's `n`-th record, every fifth of which is urgent; ask risk for an order now and then."""
    kind = UrgentRecord if n % 5 == 0 else Record
    alive.tell("audit", kind("OPERATOR_COMMAND", metadata={"thread": thread, "n": n, "urgent": n % 5 == 0}))
    if n % 10 == 0:
        alive.submit(SYMBOLS[thread % 5], Side.SELL if n % 20 else Side.BUY)


def assert_written(alive: Floor, times: int) -> None:
    """Each of `times` records of each thread is there once, in the thread's order; what is urgent at most earlier."""
    # A line may come between the two readings, of a comparison that was under way; not between any two.
    wait_for(lambda: verify(alive.world.home.logs).events == len(alive.lines()), "a chain of all lines")
    lanes: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for event in alive.lines("OPERATOR_COMMAND"):
        meta = event.metadata
        lanes[meta["thread"], meta["urgent"]].append(meta["n"])
        if not meta["urgent"]:
            assert meta["n"] // 5 < len(lanes[meta["thread"], True])
    for thread in range(THREADS):
        assert lanes[thread, True] == [n for n in range(times) if n % 5 == 0]
        assert lanes[thread, False] == [n for n in range(times) if n % 5]
