"""Candles made of public trades, and longer candles made of shorter ones.

As on the exchange, an interval in which nobody traded is a candle too: flat at the last price, without trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from thunes.domain.intervals import UNITS_MS
from thunes.messages import Candle, PublicTrade

ZERO = Decimal(0)
FIRST_MONDAY_MS = 4 * UNITS_MS["d"]


def interval_name(interval_ms: int) -> str:
    """60,000 is `1m`. ValueError for what is no whole number of seconds."""
    for unit in ("w", "d", "h", "m", "s"):
        if interval_ms > 0 and interval_ms % UNITS_MS[unit] == 0:
            return f"{interval_ms // UNITS_MS[unit]}{unit}"
    raise ValueError(f"a candle of {interval_ms} ms has no name; use whole seconds")


def open_of(time_ms: int, interval_ms: int) -> int:
    """When the interval that `time_ms` falls in began. Weeks begin on Monday."""
    shift = FIRST_MONDAY_MS if interval_ms % UNITS_MS["w"] == 0 else 0
    return (time_ms - shift) // interval_ms * interval_ms + shift


class CandleBuilder:
    """The candle of one symbol that is being formed, and those that end meanwhile.

    Trades come in order of time; one that is late counts for the candle being formed.
    """

    def __init__(self, symbol: str, interval_ms: int) -> None:
        self.symbol = symbol
        self.interval_ms = interval_ms
        self.interval = interval_name(interval_ms)
        self._open_ms: int | None = None
        self._open = self._high = self._low = self._close = ZERO
        self._volume = self._quote_volume = self._taker_base = self._taker_quote = ZERO
        self._trades = 0

    @property
    def current(self) -> Candle | None:
        """The candle being formed; None before the first known price."""
        return None if self._open_ms is None else self._candle(self._open_ms, closed=False)

    def begin(self, time_ms: int, price: Decimal) -> None:
        """Start with a price known from elsewhere, unless there is one."""
        if self._open_ms is None:
            self._start(open_of(time_ms, self.interval_ms), price)

    def advance(self, now_ms: int) -> tuple[Candle, ...]:
        """The candles that ended before `now_ms`, oldest first."""
        closed = []
        while self._open_ms is not None and now_ms >= self._open_ms + self.interval_ms:
            closed.append(self._candle(self._open_ms, closed=True))
            self._start(self._open_ms + self.interval_ms, self._close)
        return tuple(closed)

    def add(self, trade: PublicTrade) -> tuple[Candle, ...]:
        """Takes a trade in; returns the candles that ended before it, oldest first."""
        self.begin(trade.time_ms, trade.price)
        closed = self.advance(trade.time_ms)
        price, quantity = trade.price, trade.quantity
        if self._trades == 0:
            self._open = self._high = self._low = price
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._trades += 1
        quote = price * quantity
        self._volume += quantity
        self._quote_volume += quote
        if not trade.buyer_is_maker:
            self._taker_base += quantity
            self._taker_quote += quote
        return closed

    def _start(self, open_ms: int, price: Decimal) -> None:
        self._open_ms = open_ms
        self._open = self._high = self._low = self._close = price
        self._volume = self._quote_volume = self._taker_base = self._taker_quote = ZERO
        self._trades = 0

    def _candle(self, open_ms: int, *, closed: bool) -> Candle:
        return Candle(
            symbol=self.symbol,
            interval=self.interval,
            open_ms=open_ms,
            close_ms=open_ms + self.interval_ms - 1,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
            quote_volume=self._quote_volume,
            trades=self._trades,
            taker_base=self._taker_base,
            taker_quote=self._taker_quote,
            closed=closed,
        )


def aggregate(candles: Iterable[Candle], interval_ms: int) -> Iterator[Candle]:
    """Candles of one symbol, in order of time, as longer ones.

    A longer candle is closed where its last part is there and closed. ValueError where the parts do not fit into it.
    """
    name, current = interval_name(interval_ms), None
    for part in candles:
        if interval_ms % (part.close_ms + 1 - part.open_ms):
            raise ValueError(f"candles of {part.interval} do not add up to {name}")
        open_ms = open_of(part.open_ms, interval_ms)
        if current is not None and current.open_ms == open_ms:
            current = _joined(current, part)
            continue
        if current is not None:
            yield current
        close_ms = open_ms + interval_ms - 1
        closed = part.closed and part.close_ms == close_ms
        current = replace(part, interval=name, open_ms=open_ms, close_ms=close_ms, closed=closed)
    if current is not None:
        yield current


def _joined(whole: Candle, part: Candle) -> Candle:
    """The longer candle with one more part; one without trades adds nothing, and is replaced by the first with some."""
    closed = part.closed and part.close_ms == whole.close_ms
    if not _traded(part):
        return replace(whole, close=part.close, closed=closed)
    if not _traded(whole):
        return replace(
            part,
            interval=whole.interval,
            open_ms=whole.open_ms,
            close_ms=whole.close_ms,
            closed=closed,
        )
    return replace(
        whole,
        high=max(whole.high, part.high),
        low=min(whole.low, part.low),
        close=part.close,
        volume=whole.volume + part.volume,
        quote_volume=whole.quote_volume + part.quote_volume,
        trades=whole.trades + part.trades,
        taker_base=whole.taker_base + part.taker_base,
        taker_quote=whole.taker_quote + part.taker_quote,
        closed=closed,
    )


def _traded(candle: Candle) -> bool:
    """Whether anybody traded; a candle from a file may lack its count, or even its volume."""
    return candle.trades > 0 or candle.volume > 0 or candle.high != candle.low
