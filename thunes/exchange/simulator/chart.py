"""The candles of one symbol: the minute being formed, and longer intervals added up from closed minutes.

A minute without a trade is a candle too, flat at the last price, as on the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import Candle, PublicTrade

ZERO = Decimal(0)
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS
FIXED_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
}
MONTH = "1M"
INTERVALS = (*FIXED_MS, MONTH)
LONGEST_MONTH_MS = 31 * DAY_MS


def bucket(interval: str, time_ms: int) -> tuple[int, int]:
    """First and last millisecond of the interval that `time_ms` falls in; weeks start on Monday."""
    if interval == MONTH:
        day = datetime.fromtimestamp(time_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (day + timedelta(days=31)).replace(day=1)
        return int(day.timestamp()) * 1000, int(following.timestamp()) * 1000 - 1
    length = FIXED_MS[interval]
    shift = FIRST_MONDAY_MS if interval == "1w" else 0
    start = (time_ms - shift) // length * length + shift
    return start, start + length - 1


def flat(symbol: str, open_ms: int, price: Decimal) -> Bar:
    """A minute in which nothing has traded yet."""
    close_ms = open_ms + MINUTE_MS - 1
    return Bar(Candle(symbol, "1m", open_ms, close_ms, price, price, price, price, ZERO, closed=False))


def with_trade(bar: Bar, trade: PublicTrade) -> Bar:
    """The forming minute with one more trade; its first trade sets the open."""
    candle, price = bar.candle, trade.price
    first = candle.trades == 0
    quote = price * trade.quantity
    taker = ZERO if trade.buyer_is_maker else trade.quantity
    candle = replace(
        candle,
        open=price if first else candle.open,
        high=price if first else max(candle.high, price),
        low=price if first else min(candle.low, price),
        close=price,
        volume=candle.volume + trade.quantity,
        quote_volume=candle.quote_volume + quote,
        trades=candle.trades + 1,
        taker_base=candle.taker_base + taker,
        taker_quote=candle.taker_quote + taker * price,
    )
    return Bar(candle, trade.trade_id if first else bar.first_id, trade.trade_id)


def joined(bar: Bar, later: Bar) -> Bar:
    """Two neighbours as one candle, in the first one's interval; a flat one adds nothing but its close."""
    if bar.candle.trades == 0 or later.candle.trades == 0:
        quiet = later.candle.trades == 0
        kept = bar if quiet else later
        candle = replace(bar.candle, closed=later.candle.closed)
        figures = {name: getattr(kept.candle, name) for name in FIGURES}
        return Bar(replace(candle, **figures), kept.first_id, kept.last_id)
    a, b = bar.candle, later.candle
    candle = replace(
        a,
        high=max(a.high, b.high),
        low=min(a.low, b.low),
        close=b.close,
        volume=a.volume + b.volume,
        quote_volume=a.quote_volume + b.quote_volume,
        trades=a.trades + b.trades,
        taker_base=a.taker_base + b.taker_base,
        taker_quote=a.taker_quote + b.taker_quote,
        closed=b.closed,
    )
    return Bar(candle, bar.first_id, later.last_id)


FIGURES = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base", "taker_quote")


def widened(bar: Bar, interval: str) -> Bar:
    """A minute as the start of a longer candle."""
    open_ms, close_ms = bucket(interval, bar.candle.open_ms)
    closed = bar.candle.closed and bar.candle.close_ms == close_ms
    return replace(
        bar, candle=replace(bar.candle, interval=interval, open_ms=open_ms, close_ms=close_ms, closed=closed)
    )


def added_up(bars: Iterable[Bar], interval: str) -> Iterator[Bar]:
    """Minutes in order of time as candles of `interval`; one is closed when its last minute is there and closed."""
    current: Bar | None = None
    for bar in bars:
        wide = widened(bar, interval)
        if current is not None and wide.candle.open_ms == current.candle.open_ms:
            current = joined(current, wide)
            continue
        if current is not None:
            yield current
        current = wide
    if current is not None:
        yield current


class Chart:
    """The minute being formed, from the first known price on."""

    def __init__(self, symbol: str, forming: Bar | None = None) -> None:
        self.symbol = symbol
        self.forming = forming

    def begin(self, time_ms: int, price: Decimal) -> None:
        """Start with a flat minute at a known price, unless one is being formed."""
        if self.forming is None:
            self.forming = flat(self.symbol, time_ms // MINUTE_MS * MINUTE_MS, price)

    def add(self, trade: PublicTrade) -> None:
        self.begin(trade.time_ms, trade.price)
        assert self.forming is not None
        self.forming = with_trade(self.forming, trade)

    def close(self) -> Bar | None:
        """The minute being formed as closed, with the next begun; None before the first price."""
        if self.forming is None:
            return None
        candle = self.forming.candle
        closed = replace(self.forming, candle=replace(candle, closed=True))
        self.forming = flat(self.symbol, candle.close_ms + 1, candle.close)
        return closed


def as_json(bar: Bar) -> dict[str, Any]:
    """A forming minute as JSON holds it."""
    candle = bar.candle
    figures = {name: str(getattr(candle, name)) for name in FIGURES if name != "trades"}
    return figures | {"open_ms": candle.open_ms, "trades": candle.trades, "ids": [bar.first_id, bar.last_id]}


def from_json(symbol: str, body: dict[str, Any]) -> Bar:
    figures: dict[str, Any] = {name: Decimal(body[name]) for name in FIGURES if name != "trades"}
    start = flat(symbol, body["open_ms"], ZERO)
    return Bar(replace(start.candle, trades=body["trades"], **figures), *body["ids"])
