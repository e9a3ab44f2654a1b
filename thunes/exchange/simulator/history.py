"""Candles over REST: the source's from before playing began, those closed since, and the one being formed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from thunes.exchange.simulator.chart import FIXED_MS, LONGEST_MONTH_MS, added_up, bucket
from thunes.exchange.simulator.market import Market
from thunes.exchange.simulator.store import Span, Store
from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import Candle

MOST_MINUTES = 50_000
"""Minutes that one request is answered from: 500 hours' worth of 1h candles with room to spare."""

Before = Callable[[str, int, int], Sequence[Candle]]
"""A source's closed minutes that open before a time, the newest so many, oldest first."""


class History:
    """Candles of every symbol. `began_ms` is where playing began: older candles are the source's."""

    def __init__(self, store: Store, market: Market, before: Before, began_ms: int) -> None:
        self._store = store
        self._market = market
        self._before = before
        self._began_ms = began_ms // MINUTE_MS * MINUTE_MS

    def candles(self, symbol: str, interval: str, span: Span) -> list[Bar]:
        """Candles of `interval` that open within the span, oldest first."""
        if interval == "1m":
            return self.minutes(symbol, span)
        length = FIXED_MS.get(interval, LONGEST_MONTH_MS)
        wanted = min(MOST_MINUTES, (span.limit + 1) * length // MINUTE_MS)
        end_ms = bucket(interval, min(span.end_ms, self._market.latest_ms()))[1]
        start_ms = bucket(interval, span.start_ms + length - 1)[0] if span.start_ms else 0
        minutes = self.minutes(symbol, replace(span, start_ms=start_ms, end_ms=end_ms, limit=wanted))
        bars = list(added_up(minutes, interval))
        if span.newest:
            # The oldest may lack the minutes before the cut.
            whole = bars[1:] if len(minutes) == wanted else bars
            return whole[-span.limit :]
        return bars[: span.limit]

    def minutes(self, symbol: str, span: Span) -> list[Bar]:
        """One-minute candles that open within the span, oldest first."""
        forming = self._market.listings[symbol].chart.forming
        current = [] if forming is None or not span.start_ms <= forming.candle.open_ms <= span.end_ms else [forming]
        if span.newest:
            found = self._store.bars(symbol, span) + current
            missing = span.limit - len(found)
            older = self._older(symbol, span.start_ms, span.end_ms, missing) if missing > 0 else []
            return (older + found)[-span.limit :]
        ahead_ms = span.start_ms + span.limit * MINUTE_MS
        older = self._older(symbol, span.start_ms, min(span.end_ms, ahead_ms), span.limit)
        return (older + self._store.bars(symbol, span) + current)[: span.limit]

    def _older(self, symbol: str, start_ms: int, end_ms: int, limit: int) -> list[Bar]:
        """The source's candles of the time before playing began."""
        end_ms = min(end_ms + 1, self._began_ms)
        if end_ms <= start_ms:
            return []
        return [Bar(candle) for candle in self._before(symbol, end_ms, limit) if candle.open_ms >= start_ms]
