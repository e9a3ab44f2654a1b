"""What a venue's market streams and public REST say, in our types (web-socket-streams.md, rest-api.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from thunes.errors import MarketDataError
from thunes.exchange.answers import candle
from thunes.exchange.simulator.capture import MICROSECONDS_FROM, MOST_DIGITS, level, levels
from thunes.exchange.simulator.live_book import Diff, Snapshot
from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import Candle, PublicTrade

STREAMS = ("depth@100ms", "trade", "kline_1m")
"""What is subscribed of each symbol. bookTicker is left out: between two depth updates it would set levels that the
next update need not mention, and so leave a book that never was.
"""
MINUTE = "1m"


class Shutdown(msgspec.Struct, frozen=True):
    """The venue will close this connection."""


Live: TypeAlias = Diff | PublicTrade | Bar | Shutdown


class Kline(msgspec.Struct):
    """The candle of a kline event."""

    t: int
    T: int
    i: str
    f: int
    L: int
    o: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    v: Decimal
    n: int
    x: bool
    q: Decimal
    V: Decimal
    Q: Decimal


class Data(msgspec.Struct):
    """What the three streams carry: `b` and `a` are levels in a depthUpdate, order ids in an old trade event."""

    e: str = ""
    E: int = 0
    s: str = ""
    T: int = 0
    U: int = 0
    u: int = 0
    t: int = 0
    p: Decimal = Decimal(0)
    q: Decimal = Decimal(0)
    m: bool = False
    b: list[tuple[Decimal, Decimal]] | int = 0
    a: list[tuple[Decimal, Decimal]] | int = 0
    k: Kline | None = None


class Frame(msgspec.Struct):
    """A combined stream's frame; what the venue says of the connection itself may come without `data`."""

    data: Data | None = None
    e: str = ""


class Depth(msgspec.Struct, rename={"last_update_id": "lastUpdateId"}):
    last_update_id: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


FRAMES = msgspec.json.Decoder(Frame)
DEPTHS = msgspec.json.Decoder(Depth)
KLINES = msgspec.json.Decoder(list[list[Any]])


def decode_frame(data: bytes) -> Live | None:
    """One frame of a combined stream; None for what is none of ours. Raises MarketDataError for what is malformed."""
    try:
        frame = FRAMES.decode(data)
        event = frame.data
        if (event.e if event is not None else frame.e) == "serverShutdown":
            return Shutdown()
        return None if event is None else _decoded(event)
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        raise MarketDataError("MALFORMED", f"A frame of the live market cannot be read ({error}).") from error


def _decoded(data: Data) -> Live | None:
    # A time of another unit would take the market's clock where it never comes back from.
    if max(data.E, data.T) >= MICROSECONDS_FROM:
        raise ValueError(f"a time of {max(data.E, data.T)} ms")
    if data.e == "depthUpdate":
        if not 0 < data.U <= data.u or not data.s or data.E <= 0:
            raise ValueError(f"a depth update from {data.U} to {data.u}")
        return Diff(data.s, data.U, data.u, data.E, levels(data.b), levels(data.a))
    if data.e == "trade":
        price, quantity = level(data.p, data.q)
        if not data.s or data.T <= 0 or not quantity:
            raise ValueError("a trade of nothing")
        return PublicTrade(data.s, data.t, price, quantity, data.T, data.m)
    if data.e == "kline" and data.k is not None and data.k.i == MINUTE:
        return _bar(data.s, data.k)
    return None


def _bar(symbol: str, k: Kline) -> Bar:
    figures = (k.o, k.h, k.l, k.c, k.v, k.q, k.V, k.Q)
    if not symbol or not all(each.is_finite() and each.adjusted() < MOST_DIGITS for each in figures):
        raise ValueError("a candle without figures")
    if min(figures[:4]) <= 0:
        raise ValueError("a candle without a price")
    if not 0 < k.t < MICROSECONDS_FROM or k.t % MINUTE_MS or k.t + MINUTE_MS - 1 != k.T:
        raise ValueError(f"a minute from {k.t} to {k.T}")
    opened, high, low, close, volume, quote, taker_base, taker_quote = figures
    return Bar(
        Candle(symbol, MINUTE, k.t, k.T, opened, high, low, close, volume, quote, k.n, taker_base, taker_quote, k.x),
        k.f,
        k.L,
    )


def decode_depth(body: bytes) -> Snapshot:
    """The answer of `GET /api/v3/depth`. Raises MarketDataError for what is none."""
    try:
        depth = DEPTHS.decode(body)
        bids, asks = levels(depth.bids), levels(depth.asks)
        if bids and asks and max(bids)[0] >= min(asks)[0]:
            raise ValueError(f"a bid of {max(bids)[0]} and an offer at {min(asks)[0]}")
        return Snapshot(depth.last_update_id, bids, asks)
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        raise MarketDataError("MALFORMED", f"A snapshot of the live book cannot be read ({error}).") from error


def decode_klines(symbol: str, body: bytes, *, newest_forms: bool) -> tuple[Bar, ...]:
    """The answer of `GET /api/v3/klines` of one-minute candles; `newest_forms` says whether the last is still open.

    Which are closed is told by their order, not by a clock: a feed may run at a speed of its own. Raises
    MarketDataError.
    """
    try:
        rows = KLINES.decode(body)
        forming = len(rows) - 1 if newest_forms else len(rows)
        return tuple(Bar(candle(symbol, MINUTE, row, number < forming)) for number, row in enumerate(rows))
    except (msgspec.MsgspecError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise MarketDataError("MALFORMED", f"Candles of the live market cannot be read ({error}).") from error
