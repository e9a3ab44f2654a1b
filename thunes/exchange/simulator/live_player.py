"""Plays a live market into the embedded exchange as it comes: market time is that of its events.

While the book of a symbol is not known to be the venue's, its market is halted: nothing fills, and orders are refused
as on an exchange whose market is closed. What the venue traded meanwhile is not made up, but the candles of that time
are the venue's own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from thunes.errors import ExchangeError, MarketDataError, NetworkError
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.live_book import Diff, LiveBook, Snapshot
from thunes.exchange.simulator.live_candles import LiveCandles
from thunes.exchange.simulator.live_frames import Shutdown, decode_frame
from thunes.exchange.simulator.live_source import LiveSocket, LiveSource, Pauses
from thunes.exchange.simulator.player import SAVE_EVERY_S, TICK_S, pause
from thunes.exchange.simulator.tables import Bar
from thunes.messages import BookChanged, PublicTrade

log = logging.getLogger(__name__)

Wanted: TypeAlias = Callable[[], bool]

UNREADABLE = (NetworkError, ExchangeError, MarketDataError)


class LiveSymbol:
    """What one symbol's events do to the exchange."""

    def __init__(self, symbol: str, exchange: Exchange, candles: LiveCandles, monotonic: Callable[[], float]) -> None:
        self.symbol = symbol
        self.book = LiveBook(symbol)
        self.candles = candles
        self._exchange = exchange
        self._clock = exchange.parts.clock
        self._monotonic = monotonic
        trades = exchange.parts.market.listings[symbol].trades
        self._last_trade = trades[-1] if trades else None
        self._halted_s = monotonic()
        self._depth_ms = 0
        self._ahead_s: float | None = None
        """Since when there are trades that are newer than the book."""

    def take(self, event: Diff | PublicTrade | Bar) -> None:
        """The next frame of the symbol's streams."""
        if isinstance(event, Diff):
            self._change(event)
        elif isinstance(event, PublicTrade):
            self._trade(event)
        else:
            self._take_bars(self.candles.see(event))

    def _change(self, diff: Diff) -> None:
        was_in_sync = self.book.in_sync
        changes = self.book.change(diff)
        self._depth_ms, self._ahead_s = max(self._depth_ms, diff.time_ms), None
        if was_in_sync and not self.book.in_sync:
            self._halt(f"updates of its book are missing before {diff.first_id}")
        self._apply(changes)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        self._apply(self.book.take(snapshot))

    def take_minutes(self, bars: Iterable[Bar]) -> None:
        """Candles that were read because the stream left some out."""
        self._take_bars(self.candles.read(bars))

    def lose(self) -> None:
        """The connection is gone."""
        if self.book.in_sync:
            self._halt("the connection to its venue was lost")
        self.book.lose()
        self._ahead_s = None

    def behind_s(self) -> float:
        """For how long the symbol has been trading without any change of a book that counts as in sync."""
        return self._monotonic() - self._ahead_s if self._ahead_s is not None else 0.0

    def _halt(self, why: str) -> None:
        self._halted_s = self._monotonic()
        self._exchange.halt(self.symbol)
        log.warning("%s: the live book is not in sync (%s): nothing trades until it is.", self.symbol, why)

    def _apply(self, changes: Iterable[BookChanged]) -> None:
        for event in changes:
            self._reach(event.time_ms)
            self._exchange.apply(event)
            if event.snapshot:
                halted_s = self._monotonic() - self._halted_s
                log.warning("%s: the live book is in sync, after %.1f s.", self.symbol, halted_s)

    def _trade(self, trade: PublicTrade) -> None:
        last = self._last_trade
        if last is not None:
            if trade.trade_id <= last.trade_id and trade.time_ms <= last.time_ms:
                return  # a venue that was started again tells it once more
            if trade.trade_id > last.trade_id + 1:
                missed = trade.trade_id - last.trade_id - 1
                log.warning("%s: %d public trades were missed; they fill nothing.", self.symbol, missed)
        self._last_trade = trade
        if self.book.in_sync and trade.time_ms > self._depth_ms and self._ahead_s is None:
            self._ahead_s = self._monotonic()
        self._reach(trade.time_ms)
        self._exchange.apply(trade)

    def _take_bars(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            if bar.candle.closed:
                self._reach(bar.candle.close_ms + 1)
                self._exchange.close_bar(bar)
            else:
                self._exchange.form(bar)

    def _reach(self, time_ms: int) -> None:
        self._clock.reach(time_ms)
        self._exchange.checkpoint = str(self._clock.now_ms())


class LivePlayer:
    """One run with a live source; it has no end but that of the process."""

    def __init__(self, source: LiveSource, exchange: Exchange, monotonic: Callable[[], float]) -> None:
        self._source = source
        self._exchange = exchange
        self._monotonic = monotonic
        self._symbols: dict[str, LiveSymbol] = {}
        self._pauses: dict[tuple[str, ...], Pauses] = {}
        self._reads: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._saved_s = monotonic()

    def prime(self, _now_ms: int) -> None:
        """Take the candles that were read at the start; no book is known yet."""
        parts = self._exchange.parts
        parts.clock.reach(self._source.start_ms)
        for symbol, bars in self._source.minutes.items():
            *closed, forming = bars
            with parts.store.transaction():
                parts.store.save_bars(closed)
            self._exchange.halt(symbol)
            parts.market.listings[symbol].chart.forming = forming
            candles = LiveCandles(forming.candle.open_ms)
            self._symbols[symbol] = LiveSymbol(symbol, self._exchange, candles, self._monotonic)

    async def run(self) -> None:
        """Follow the venue for ever, connecting anew whenever it is lost."""
        try:
            while True:
                await self._pause("stream")
                log.warning("The live market is lost: %s. Nothing trades; connecting anew.", await self._follow())
        finally:
            self._lose()

    async def tend(self) -> None:
        """Push what is pushed at intervals and save the place, for ever."""
        while True:
            await pause(TICK_S)
            self._exchange.parts.market.flush(self._exchange.parts.clock.now_ms())
            if self._monotonic() - self._saved_s >= SAVE_EVERY_S:
                self._saved_s = self._monotonic()
                self._exchange.save_if_moved()

    async def _follow(self) -> str:
        """One connection, from its beginning to its end; says why it ended."""
        try:
            socket = await self._source.connect()
        except NetworkError as error:
            return str(error).rstrip(".")
        try:
            async with asyncio.TaskGroup() as group:
                why = await self._read(socket, group)
                for read in self._reads.values():
                    read.cancel()
            return why
        finally:
            self._reads.clear()
            self._lose()
            await socket.close()

    async def _read(self, socket: LiveSocket, group: asyncio.TaskGroup) -> str:
        while True:
            try:
                event = decode_frame(await socket.next())
            except (NetworkError, MarketDataError) as error:
                return str(error).rstrip(".")
            if isinstance(event, Shutdown):
                return "its venue is about to close the connection"
            name = event.candle.symbol if isinstance(event, Bar) else event.symbol if event is not None else ""
            live = self._symbols.get(name)
            if live is None or event is None:
                continue
            live.take(event)
            if live.behind_s() > self._source.settings.behind_s:
                return f"{name} trades, and its book stands still"
            self._read_missing(live, group)

    def _read_missing(self, live: LiveSymbol, group: asyncio.TaskGroup) -> None:
        """Ask by REST for what the streams do not bring, once at a time."""
        rest, symbol = self._source.rest, live.symbol

        async def snapshot() -> None:
            live.take_snapshot(await rest.depth(symbol))

        async def minutes() -> None:
            live.take_minutes(await rest.minutes_from(symbol, live.candles.next_ms))

        if live.book.wants_snapshot:
            self._start(group, (symbol, "book"), snapshot, lambda: live.book.wants_snapshot)
        if live.candles.behind:
            self._start(group, (symbol, "candles"), minutes, lambda: live.candles.behind)

    def _start(
        self, group: asyncio.TaskGroup, key: tuple[str, str], read: Callable[[], Awaitable[None]], wanted: Wanted
    ) -> None:
        if key not in self._reads or self._reads[key].done():
            self._reads[key] = group.create_task(self._persist(*key, read, wanted))

    async def _persist(self, symbol: str, what: str, read: Callable[[], Awaitable[None]], wanted: Wanted) -> None:
        """Read until it is not wanted any more, with pauses that its venue can bear."""
        while wanted():
            await self._pause(symbol, what)
            try:
                await read()
            except UNREADABLE as error:
                log.warning("%s: the live market's %s could not be read (%s).", symbol, what, error)

    async def _pause(self, *of: str) -> None:
        pauses = self._pauses.setdefault(of, Pauses(self._source.settings, " ".join(of)))
        await pause(pauses.next(self._monotonic()))

    def _lose(self) -> None:
        for live in self._symbols.values():
            live.lose()
