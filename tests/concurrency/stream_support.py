"""Stream actors alone on real threads: sockets that the test speaks for, a clock and timers that only it moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.account import AccountStreamActor
from actors.protocol import SocketOpened
from actors.runtime.actor import Actor, Exited, Started, Stop
from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.post import Post
from actors.stream import StreamActor
from tests.e2e.support import wait_for
from tests.venue_in_process import EngineRest, Venue, make_world, rules_of
from thunes.domain.figures import StreamFigures
from thunes.errors import NetworkError
from thunes.messages import Candle, PublicTrade, Record

D = Decimal
BTC, ETH, ACCOUNT = "stream.BTCUSDT", "stream.ETHUSDT", "stream.account"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
THREADS = 8
PATIENCE = 20.0
MINUTE = 60_000
START = 1_735_689_600_000
STEP_NS = 60_000_000
"""Between two frames: longer than an actor waits before it publishes again, so that it publishes after each frame."""
BY_US = "closed by us"


class Crowd:
    """Threads that are let go at once; `join` raises the first error of any."""

    def __init__(self, *jobs: Callable[[], object]) -> None:
        self._gate = threading.Barrier(len(jobs))
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(job,), daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def _run(self, job: Callable[[], object]) -> None:
        try:
            self._gate.wait(PATIENCE)
            job()
        except BaseException as error:
            self._errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._errors:
            raise self._errors[0]
        assert not any(thread.is_alive() for thread in self._threads), "a thread hangs"


def together(*jobs: Callable[[], object]) -> None:
    """Run each job in a thread of its own, all at once, to the end."""
    Crowd(*jobs).join()


def times(count: int, job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            job()

    return run


class Line:
    """Numbers from `first` on, handed to `send` in their order, whichever threads ask: what one exchange says."""

    def __init__(self, send: Callable[[int], object], first: int = 1) -> None:
        self._send = send
        self._next = first
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            number = self._next
            self._next = number + 1
            self._send(number)


class HandClock:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now_ns = 0

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.wall_ms() / 1000, UTC)

    def wall_ms(self) -> int:
        return START + self.now_ns // 1_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns


class HeldTimers:
    """Timers that are due when the test says so."""

    def __init__(self, deliver: Callable[[str, Any], None]) -> None:
        self._deliver = deliver
        self._held: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def after(self, seconds: float, name: str, key: str, message: Any) -> None:
        with self._lock:
            self._held[name, key] = message

    def cancel(self, name: str, key: str) -> None:
        with self._lock:
            self._held.pop((name, key), None)

    def fire(self, name: str, key: str) -> bool:
        """Deliver that timer's message; False when none of that name and key is set."""
        with self._lock:
            message = self._held.pop((name, key), None)
        if message is not None:
            self._deliver(name, message)
        return message is not None


@dataclass
class HeldSocket:
    """A connection that opens at once and brings what the test says; as the real ones, it tells its end once."""

    streams: tuple[str, ...]
    on_open: Callable[[], None]
    on_frame: Callable[[bytes, int], None]
    on_close: Callable[[str], None]
    handled: dict[str, int]
    """How many messages each actor had handled when this was made."""
    closed: bool = False

    def open(self) -> None:
        self.on_open()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.on_close(BY_US)

    def bring(self, body: str, received_ns: int = STEP_NS) -> None:
        self.on_frame(body.encode(), received_ns)


class Tape(EngineRest):
    """What REST can tell afterwards: nothing unless the test fills it.

    `gate` holds an actor that asks for candles; `down` is how many of the next questions fail.
    """

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self.candles: list[Candle] = []
        self.printed: list[PublicTrade] = []
        self.down = 0
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        self.asked.set()
        assert self.gate.wait(PATIENCE), "nobody opened the gate"
        self._fail()
        return tuple(c for c in self.candles if start_ms is None or c.open_ms >= start_ms)[:limit]

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        self._fail()
        return tuple(t for t in self.printed if from_id is None or t.trade_id >= from_id)[:limit]

    def _fail(self) -> None:
        if self.down:
            self.down -= 1
            raise NetworkError("down")


@dataclass
class Bench:
    """Stream actors whose neighbours are mailboxes that the test reads; `limit` is the market streams' mailboxes'."""

    home: Path
    limit: int | None = None
    sockets: list[HeldSocket] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        venue = Venue(rules_of(*SYMBOLS))
        self.clock, self.tape = HandClock(), Tape(venue)
        self.post = Post(self.clock.monotonic_ns)
        self.timers = HeldTimers(self.post.tell)
        ports = {"rest": lambda: self.tape, "market_socket": self.make, "account_socket": self.make}
        world = make_world(self.home, venue, **ports)
        self.world = replace(world, post=self.post, clock=self.clock, timers=self.timers)
        neighbours = [f"{kind}.{symbol}" for kind in ("strategy", "order") for symbol in SYMBOLS]
        for name in (*neighbours, "risk", "audit", "reconciler", "supervisor"):
            self.post.register(name, MailboxPolicy())
        for name in (BTC, ETH):
            self.post.register(name, replace(StreamActor.mailbox_policy, limit=self.limit))
        self.post.register(ACCOUNT, AccountStreamActor.mailbox_policy)

    def make(self, streams: Iterable[str] = (), **callbacks: Any) -> HeldSocket:
        self.sockets.append(HeldSocket(tuple(streams), **callbacks, handled=dict(self.world.board.handled)))
        return self.sockets[-1]

    @property
    def socket(self) -> HeldSocket:
        """The newest connection."""
        return self.sockets[-1]

    def still_open(self) -> list[HeldSocket]:
        return [socket for socket in self.sockets if not socket.closed]

    def start(self, name: str = BTC, incarnation: int = 0, *, held: bool = False) -> None:
        """Start the actor and see it connected, or `held` while it asks for the candles of its connection."""
        kind: type[Actor] = AccountStreamActor if name == ACCOUNT else StreamActor
        self.running[name] = incarnation
        if held:
            self.hold()
        kind.start(self.world, name, incarnation)
        if held:
            assert self.tape.asked.wait(PATIENCE)
        else:
            self.reported(Started, name, incarnation)  # so that its connection is in the mailbox before our question
            self.settle(name)

    def hold(self) -> None:
        self.tape.asked.clear()
        self.tape.gate.clear()

    def release(self) -> None:
        self.tape.gate.set()

    def tell(self, name: str, message: Any) -> None:
        self.post.tell(name, message)

    def settle(self, name: str = BTC) -> StreamFigures:
        """The figures once all that is queued was handled, and what the actor told itself meanwhile."""
        wait_for(self.post[name].empty, PATIENCE, "an empty mailbox")  # so that these questions drop nothing
        for _ in range(2):  # what a message in hand at the first brings (a connection) is queued before the second
            self.post.ask(name, SocketOpened(-1), PATIENCE)
        return self.figures(name)

    def figures(self, name: str = BTC) -> Any:
        return self.world.board.figures[name]

    def told(self, name: str, kind: type) -> list[Any]:
        """What `name` was told so far of one type; all is taken out of its mailbox."""
        box = self.post[name]
        return [m for m in (box.get().message for _ in range(len(box))) if type(m) is kind]

    def records(self, *events: str) -> list[Record]:
        return [record for record in self.told("audit", Record) if record.event in events]

    def reports_of(self, kind: type, name: str) -> list[Any]:
        """What actors of that name reported to the supervisor so far."""
        box = self.post["supervisor"]
        self.reports += [box.get().message for _ in range(len(box))]
        return [report for report in self.reports if type(report) is kind and report.name == name]

    def reported(self, kind: type, name: str, incarnation: int) -> Any:
        """That incarnation's report, once it is there."""

        def find() -> Any:
            return next((r for r in self.reports_of(kind, name) if r.incarnation == incarnation), None)

        return wait_for(find, PATIENCE, f"{kind.__name__} of {name}")

    def exits(self, name: str = BTC) -> list[Exited]:
        return self.reports_of(Exited, name)

    def ended(self, name: str = BTC) -> Exited:
        """The exit report of the incarnation that runs, once it is there."""
        report: Exited = self.reported(Exited, name, self.running.pop(name))
        return report

    def stop(self, name: str = BTC) -> Exited:
        self.tell(name, Stop())
        return self.ended(name)

    def close(self) -> None:
        self.release()
        for name in list(self.running):
            with suppress(AssertionError):
                self.stop(name)


def ticker(update_id: int, symbol: str = "BTCUSDT") -> str:
    """A book ticker whose bid is its number and whose ask is one more."""
    return f'{{"u":{update_id},"s":"{symbol}","b":"{update_id}","B":"1","a":"{update_id + 1}","A":"1"}}'


def trade(number: int, symbol: str = "BTCUSDT") -> str:
    return f'{{"e":"trade","s":"{symbol}","t":{number},"p":"5","q":"1","T":{START + number},"m":true}}'


def printed(number: int) -> PublicTrade:
    """The trade of that number as REST has it."""
    return PublicTrade("BTCUSDT", number, D(5), D(1), START + number, True)


def candle(number: int) -> Candle:
    opened = START + number * MINUTE
    return Candle("BTCUSDT", "1m", opened, opened + MINUTE - 1, D(5), D(6), D(4), D(5), D(1), closed=True)


def kline(number: int) -> str:
    """The closed candle of that number as a frame."""
    c = candle(number)
    return (
        f'{{"e":"kline","s":"BTCUSDT","k":{{"t":{c.open_ms},"T":{c.close_ms},"i":"1m","o":"5","c":"5","h":"6","l":"4",'
        f'"v":"1","n":1,"x":true,"q":"5","V":"0","Q":"0"}}}}'
    )


def report(order_id: int, symbol: str = "BTCUSDT") -> str:
    """The account stream's word that the order of that number was accepted."""
    return (
        f'{{"e":"executionReport","s":"{symbol}","c":"id-{order_id}","C":"","S":"BUY","o":"LIMIT","x":"NEW","X":"NEW",'
        f'"i":{order_id},"q":"1","p":"5","z":"0","Z":"0","l":"0","L":"0","n":"0","T":{START},"t":-1,"m":false}}'
    )
