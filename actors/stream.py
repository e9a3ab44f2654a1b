"""StreamActor: one symbol's market data, whole and in order.

Receives Frame (what its socket read), SocketOpened, SocketClosed, Reconnect and timers. Tells Strategy and Risk ticks,
Strategy closed candles, Audit connections, gaps and silence. On every connection it asks by REST for the candles and
trades that no socket brought, so none is missing afterwards. A crash loses the frames on their way; the gap is mended
the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeAlias

from actors.connection import Connection
from actors.protocol import CatchUp, Frame, History, OpenSocket, SocketClosed, SocketOpened, Watchdog
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain.figures import StreamFigures
from thunes.domain.histogram import GAP_SECONDS, Recorder
from thunes.domain.market import Gap, MarketGuard, Stale
from thunes.errors import ExchangeError, MarketDataError, NetworkError
from thunes.exchange.frames import ServerShutdown, decode_market
from thunes.messages import Candle, PublicTrade, Reconnect, Record, Tick

Received: TypeAlias = Frame | SocketOpened | SocketClosed | OpenSocket | CatchUp | Watchdog | Reconnect

REJECTS_JOURNALLED = 10
"""Of each kind of bad frame, this many are journalled, then every hundredth: a broken feed must not fill the disk."""
PUBLISH_NS = 50_000_000
PAGE = 1000
"""Trades in one answer, at most."""


def _is_closed_candle(message: Any) -> bool:
    return type(message) is not Frame or b'"x":true' in message.data


class StreamActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({Reconnect}), limit=100, essential=_is_closed_candle)

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.symbol = name.partition(".")[2]
        self.interval = world.settings.strategy.interval
        self.receivers = (f"strategy.{self.symbol}", "risk")
        self.guard = MarketGuard(self.symbol, self.interval)
        lower = self.symbol.lower()
        streams = [f"{lower}@bookTicker", f"{lower}@trade", f"{lower}@kline_{self.interval}"]
        self.connection = Connection(
            self, partial(world.ports.market_socket, streams), label=self.symbol, symbol=self.symbol
        )
        self.last_tick: Tick | None = None
        self.behind = False
        """What was missed could not be read yet: it is, with all that came since, by the next catch-up."""
        self.first_trade_id = 0
        self.last_frame_ns = 0
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.gap_seconds = Recorder(GAP_SECONDS)
        self.published_ns = 0

    def on_start(self) -> None:
        self.rest = self.world.ports.rest()
        self.connection.open()
        self.after(self.world.settings.stream.watchdog, "watchdog", Watchdog())
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Frame():
                self._frame(message)
                return
            case SocketOpened(generation):
                self._opened(generation)
            case SocketClosed(generation, why):
                self.connection.closed(generation, why)
            case OpenSocket():
                self.connection.open()
            case CatchUp():
                self._catch_up()
            case Watchdog():
                self._watch()
            case Reconnect(_, source):
                self.connection.reconnect(source)
            case _:
                raise TypeError(f"{self.name} does not understand {type(message).__name__}")
        self._publish()

    def on_stop(self) -> None:
        self.connection.drop()

    def on_failure(self, *_error: Any) -> None:
        self.connection.drop()

    # --- the connection ---

    def _opened(self, generation: int) -> None:
        if self.connection.opened(generation):
            self.last_frame_ns = self.world.clock.monotonic_ns()
            self.guard.reconnected()
            self._catch_up()

    def _watch(self) -> None:
        """A silent socket is a dead one: connected, no data."""
        self.after(self.world.settings.stream.watchdog, "watchdog", Watchdog())
        silent_s = (self.world.clock.monotonic_ns() - self.last_frame_ns) / 1e9
        if self.connection.connected and silent_s > self.world.settings.stream.watchdog:
            self.tell("audit", Record("STREAM_STALE", symbol=self.symbol, metadata={"silent_s": round(silent_s, 3)}))
            self.connection.reconnect("watchdog")

    # --- frames ---

    def _frame(self, frame: Frame) -> None:
        self.gap_seconds.observe(max(0, frame.received_ns - self.last_frame_ns) / 1e9)
        self.last_frame_ns = frame.received_ns
        try:
            decoded = decode_market(frame.data, received_ns=frame.received_ns, market_ms=self.guard.market_ms)
        except MarketDataError as error:
            self._reject(error.kind, str(error))
            return
        match decoded:
            case Tick():
                self._tick(decoded)
            case PublicTrade() if not self.behind:
                self._trade(decoded)
            case Candle() if not self.behind:
                self._candle(decoded)
            case ServerShutdown():
                self.connection.reconnect("serverShutdown")
        if frame.received_ns - self.published_ns > PUBLISH_NS:
            self._publish()

    def _tick(self, tick: Tick) -> None:
        if isinstance(self.guard.tick(tick), Stale):
            self._reject("STALE_UPDATE", f"update {tick.update_id} is older than the one before")
            return
        self.counts["ticks"] += 1
        self.last_tick = tick
        for receiver in self.receivers:
            self.tell(receiver, tick)

    def _trade(self, trade: PublicTrade) -> None:
        before = self.guard.last_trade_id
        verdict = self.guard.trade(trade)
        if isinstance(verdict, Stale):
            return  # read already, by REST or before a reconnect
        if isinstance(verdict, Gap):
            self._gap("trade", verdict)
            self.guard.last_trade_id = before
            mended = self._mend(lambda: self._fetch_trades(verdict))
            if not mended or isinstance(self.guard.trade(trade), Stale):
                return  # it comes with the next catch-up, or came with this one
        self.counts["trades"] += 1
        self.first_trade_id = self.first_trade_id or trade.trade_id

    def _candle(self, candle: Candle) -> None:
        if not candle.closed:
            return
        before = self.guard.last_candle_ms
        verdict = self.guard.candle(candle)
        if isinstance(verdict, Stale):
            return
        if isinstance(verdict, Gap):
            self._gap("candle", verdict)
            if not self._mend(lambda: self._fetch_candles(verdict.first, before_ms=candle.open_ms)):
                self.guard.last_candle_ms = before
                return
        self.counts["candles"] += 1
        self.tell(self.receivers[0], candle)

    def _reject(self, kind: str, why: str) -> None:
        self.rejected[kind] += 1
        count = self.rejected[kind]
        if count <= REJECTS_JOURNALLED or count % 100 == 0:
            meta = {"what": "frame", "kind": kind, "why": why, "count": count}
            self.tell("audit", Record("STREAM_GAP", symbol=self.symbol, metadata=meta))

    def _gap(self, what: str, gap: Gap) -> None:
        self.counts["gaps"] += 1
        meta = {"what": what, "first": gap.first, "last": gap.last}
        self.tell("audit", Record("STREAM_GAP", symbol=self.symbol, metadata=meta))

    # --- what no socket brought ---

    def _catch_up(self) -> None:
        """Read by REST what happened before this connection, or since something could not be read."""

        def read() -> None:
            if self.guard.last_candle_ms:
                self._fetch_candles(self.guard.next_candle_ms, before_ms=None)
            else:
                self._first_candles()
            if self.guard.last_trade_id:
                self._fetch_trades(Gap(self.guard.last_trade_id + 1, self.guard.last_trade_id + PAGE))

        self._mend(read)

    def _mend(self, read: Callable[[], None]) -> bool:
        """Whether what was missed could be read; if not, all is tried again, at the soonest when the exchange says."""
        try:
            read()
        except (ExchangeError, NetworkError) as error:
            self.world.log.warning("%s: what was missed could not be read (%s); trying again.", self.symbol, error)
            self.after(max(1.0, getattr(error, "retry_after", None) or 0.0), "catch up", CatchUp())
            self.behind = True
        else:
            self.behind = False
        return not self.behind

    def _first_candles(self) -> None:
        candles = self.rest.klines(self.symbol, self.interval, limit=1000)
        closed = tuple(candle for candle in candles if candle.closed)
        for candle in closed:
            self.guard.candle(candle)
        self.tell(self.receivers[0], History(closed))

    def _fetch_candles(self, start_ms: int, before_ms: int | None) -> None:
        candles = self.rest.klines(self.symbol, self.interval, limit=1000, start_ms=start_ms)
        missed = tuple(c for c in candles if c.closed and (before_ms is None or c.open_ms < before_ms))
        missed = (
            tuple(c for c in missed if not isinstance(self.guard.candle(c), Stale)) if before_ms is None else missed
        )
        if missed:
            self.counts["candles"] += len(missed)
            self.tell(self.receivers[0], History(missed))

    def _fetch_trades(self, gap: Gap) -> None:
        """The trades that were missed, counted. A page that is not full is the last: frames bring what comes after."""
        first = gap.first
        while first <= gap.last:
            trades = self.rest.trades(self.symbol, from_id=first, limit=PAGE)
            fresh = [t for t in trades if t.trade_id >= first]
            self.counts["trades"] += sum(1 for t in fresh if not isinstance(self.guard.trade(t), Stale))
            if len(trades) < PAGE:
                return
            first = trades[-1].trade_id + 1

    def _publish(self) -> None:
        self.published_ns = self.last_frame_ns
        tick = self.last_tick
        self.publish(
            StreamFigures(
                symbol=self.symbol,
                connected=self.connection.connected,
                last_frame_ns=self.last_frame_ns,
                bid=tick.bid if tick else None,
                ask=tick.ask if tick else None,
                market_ms=self.guard.market_ms,
                ticks=self.counts["ticks"],
                conflated=self.post[self.receivers[0]].conflated,
                trades=self.counts["trades"],
                first_trade_id=self.first_trade_id,
                last_trade_id=self.guard.last_trade_id,
                candles=self.counts["candles"],
                reconnects=self.connection.reconnects,
                gaps=self.counts["gaps"],
                overflow=self.mailbox.overflow,
                rejected=dict(self.rejected),
                gap_seconds=self.gap_seconds.histogram(),
            )
        )
