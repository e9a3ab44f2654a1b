"""The market as the public sees it: the tape, the candles and the book of each symbol, and the streams of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator import feeds
from thunes.exchange.simulator.chart import INTERVALS, Chart, added_up, as_json, bucket, from_json, joined, widened
from thunes.exchange.simulator.depth import Depth
from thunes.exchange.simulator.hub import Hub
from thunes.exchange.simulator.payloads import NOBODY
from thunes.exchange.simulator.store import KEPT_TRADES
from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import BookChanged, MarketEvent, PublicTrade

Stored = Callable[[str, int, int], list[Bar]]
"""Closed minutes of a symbol that open within a time."""


class Listing:
    """One symbol."""

    def __init__(
        self, symbol: str, book: OrderBook, hub: Hub, stored: Stored, kline_every_s: float, *, counts: bool = True
    ) -> None:
        """`counts` says whether candles are made of the public trades; else they come from the source (`form`)."""
        self.symbol = symbol
        self.halted = False
        """Whether the book is not known to be the market's: then nothing of it is shown."""
        self._counts = counts
        self.book = book
        self.chart = Chart(symbol)
        self.trades: deque[PublicTrade] = deque(maxlen=KEPT_TRADES)
        self.update_id = 0
        self._hub = hub
        self._stored = stored
        self._kline_every_s = kline_every_s
        self._depth = Depth(symbol, book, hub)
        lower = symbol.lower()
        self._ticker, self._trade, self._aggregate = f"{lower}@bookTicker", f"{lower}@trade", f"{lower}@aggTrade"
        self._klines = {interval: f"{lower}@kline_{interval}" for interval in INTERVALS}
        self._pushed_s: dict[str, float] = {}
        self._pending: set[str] = set()
        self._bases: dict[str, Bar] = {}
        self._top = (NOBODY, NOBODY)

    def traded(self, trade: PublicTrade, now_ms: int, now_s: float) -> None:
        """A public trade: tape, candle, streams."""
        self.trades.append(trade)
        self._hub.publish(self._trade, feeds.trade(trade, now_ms))
        self._hub.publish(self._aggregate, feeds.agg_trade(trade, now_ms))
        if self._counts:
            self.chart.add(trade)
            self._candle_moved(now_ms, now_s)

    def form(self, bar: Bar, now_ms: int, now_s: float) -> None:
        """The minute being formed is this now, as the source counts it."""
        self.chart.forming = bar
        self._candle_moved(now_ms, now_s)

    def _candle_moved(self, now_ms: int, now_s: float) -> None:
        for interval, name in self._klines.items():
            if self._hub.wanted(name):
                self._pending.add(interval)
        self._flush_klines(now_ms, now_s)

    def moved(self, *, known_again: bool = False) -> None:
        """The book changed; the best of it goes out if that changed too."""
        self.halted = self.halted and not known_again
        self.update_id += 1
        self.show_top()

    def show_top(self) -> None:
        top = (self.book.best_bid or NOBODY, self.book.best_ask or NOBODY)
        if top != self._top:
            self._top = top
            self._hub.publish(self._ticker, feeds.book_ticker(self.symbol, self.update_id, *top))

    def opened(self, name: str) -> None:
        """A stream of this symbol has its first listener."""
        self._depth.opened(name, self.update_id)

    def flush(self, now_ms: int, now_s: float, everything: bool) -> None:
        """Push what waited for its turn, or all that waits."""
        self._flush_klines(now_ms, now_s, everything)
        if not self.halted:
            self._depth.flush(self.update_id, now_ms, now_s, everything)

    def settle_depth(self, now_ms: int, now_s: float) -> None:
        """Push every pending change of the book: a snapshot is about to be taken."""
        if not self.halted:
            self._depth.flush(self.update_id, now_ms, now_s, everything=True)

    def _flush_klines(self, now_ms: int, now_s: float, everything: bool = False) -> None:
        for interval in list(self._pending):
            if everything or now_s - self._pushed_s.get(interval, -self._kline_every_s) >= self._kline_every_s:
                self._pending.discard(interval)
                self._pushed_s[interval] = now_s
                bar = self.forming(interval)
                if bar is not None:
                    self._hub.publish(self._klines[interval], feeds.kline(bar, now_ms))

    def forming(self, interval: str) -> Bar | None:
        """The candle of `interval` that the minute being formed belongs to."""
        minute = self.chart.forming
        if minute is None or interval == "1m":
            return minute
        base = self._base(interval, minute)
        wide = widened(minute, interval)
        return wide if base is None else joined(base, wide)

    def _base(self, interval: str, minute: Bar) -> Bar | None:
        """The closed minutes of the interval that `minute` is in, as one."""
        start, _ = bucket(interval, minute.candle.open_ms)
        if minute.candle.open_ms == start:
            self._bases.pop(interval, None)
            return None
        base = self._bases.get(interval)
        if base is None or base.candle.open_ms != start:
            closed = self._stored(self.symbol, start, minute.candle.open_ms - 1)
            base = next(added_up(closed, interval), None)
            if base is not None:
                self._bases[interval] = base
        return base

    def close_minute(self) -> tuple[Bar, list[tuple[str, Bar]]] | None:
        """The minute that ended, and the closed candles to push once it is on disk."""
        ended = {
            interval: self.forming(interval) for interval in self._klines if self._hub.wanted(self._klines[interval])
        }
        minute = self.chart.close()
        if minute is None:
            return None
        frames = []
        for interval, bar in ended.items():
            if bar is not None and bar.candle.close_ms == minute.candle.close_ms:
                frames.append((self._klines[interval], replace(bar, candle=replace(bar.candle, closed=True))))
                self._pending.discard(interval)
        for interval, base in list(self._bases.items()):
            self._bases[interval] = joined(base, widened(minute, interval))
        return minute, frames

    def place(self) -> dict[str, Any]:
        """What has to survive a restart."""
        forming = self.chart.forming
        return {"update_id": self.update_id, "forming": None if forming is None else as_json(forming)}

    def resume(self, place: Mapping[str, Any], trades: Iterable[PublicTrade]) -> None:
        self.update_id = place["update_id"]
        self.trades.extend(trades)
        if place["forming"] is not None:
            self.chart.forming = from_json(self.symbol, place["forming"])


class Market:
    """All symbols. `now_s` paces what is pushed at intervals: wall seconds, or market seconds at speed 0."""

    def __init__(
        self,
        books: Mapping[str, OrderBook],
        hub: Hub,
        stored: Stored,
        now_s: Callable[[], float],
        kline_every_s: float,
        *,
        counts: bool = True,
    ) -> None:
        self.listings = {
            symbol: Listing(symbol, book, hub, stored, kline_every_s, counts=counts) for symbol, book in books.items()
        }
        self._hub = hub
        self._now_s = now_s
        self._unsaved_trades: list[PublicTrade] = []
        hub.opened = self._opened

    def record(self, event: MarketEvent, now_ms: int) -> None:
        """Show the public what happened; the book already has it."""
        listing = self.listings[event.symbol]
        if isinstance(event, PublicTrade):
            self._unsaved_trades.append(event)
            listing.traded(event, now_ms, self._now_s())
        else:
            listing.moved(known_again=isinstance(event, BookChanged) and event.snapshot)

    def form(self, bar: Bar, now_ms: int) -> None:
        """Show the minute that a source counts itself."""
        self.listings[bar.candle.symbol].form(bar, now_ms, self._now_s())

    def prime(self, event: BookChanged) -> None:
        """Take the book that playing starts from; after a restart it is the one already known."""
        listing = self.listings[event.symbol]
        listing.update_id = listing.update_id or 1
        listing.show_top()

    def push_closed(self, name: str, bar: Bar, now_ms: int) -> None:
        """Send a closed candle, once."""
        self._hub.publish(name, feeds.kline(bar, now_ms))

    def flush(self, now_ms: int, everything: bool = False) -> None:
        """Push what is due, or all that waits."""
        now_s = self._now_s()
        for listing in self.listings.values():
            listing.flush(now_ms, now_s, everything)

    def settle_depth(self, symbol: str, now_ms: int) -> None:
        self.listings[symbol].settle_depth(now_ms, self._now_s())

    def unsaved_trades(self) -> list[PublicTrade]:
        """Public trades since the last call."""
        trades, self._unsaved_trades = self._unsaved_trades, []
        return trades

    def place(self) -> dict[str, Any]:
        return {symbol: listing.place() for symbol, listing in self.listings.items()}

    def latest_ms(self) -> int:
        """The last millisecond of the newest minute that any symbol has."""
        charts = (listing.chart.forming for listing in self.listings.values())
        return max((bar.candle.close_ms for bar in charts if bar is not None), default=0)

    def next_minute_ms(self, now_ms: int) -> int:
        """When the minute that `now_ms` is in ends."""
        return now_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS

    def _opened(self, name: str) -> None:
        listing = self.listings.get(name.partition("@")[0].upper())
        if listing is not None:
            listing.opened(name)
