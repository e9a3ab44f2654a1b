"""The exchange's market frames, decoded once, at the edge, into our types.

The member names are the exchange's one-letter ones (web-socket-streams.md). What cannot be traded on
raises MarketDataError, whose `kind` says why in one of the words of `refusals.KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from thunes.exchange.refusals import UNREADABLE, check_price, check_quantity, milliseconds, refusal, refuse
from thunes.messages import Candle, PublicTrade, Tick


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The exchange will close this connection soon."""

    time_ms: int


MarketFrame: TypeAlias = Tick | PublicTrade | Candle | ServerShutdown | None


class _Kline(msgspec.Struct):
    t: int
    T: int
    i: str
    o: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 the exchange's name
    v: Decimal
    n: int
    x: bool
    q: Decimal
    V: Decimal
    Q: Decimal


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_envelope = msgspec.json.Decoder(_Envelope)
_combined = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Ticker(msgspec.Struct):
    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _Candle(msgspec.Struct):
    s: str
    k: _Kline


class Event(msgspec.Struct):
    """What every event has: its name and its time."""

    e: str = ""
    E: int = 0


event_of = msgspec.json.Decoder(Event)
_ticker = msgspec.json.Decoder(_Ticker)
_trade = msgspec.json.Decoder(_Trade)
_candle = msgspec.json.Decoder(_Candle)


def decode_market(frame: bytes | str, *, received_ns: int, market_ms: int) -> MarketFrame:
    """A frame of a raw or combined market stream; None for an event that we have no use for.

    `received_ns` (monotonic) and `market_ms` (the newest venue time seen) are stamped on a tick, whose frame carries no
    time. Raises MarketDataError.
    """
    try:
        envelope = _envelope.decode(frame)
        body: Any = envelope.data or frame
        kind = (envelope.stream or "").partition("@")[2]
        if kind == "bookTicker":
            return _as_tick(_ticker.decode(body), received_ns, market_ms)
        if kind == "trade":
            return _as_trade(_trade.decode(body))
        if kind.startswith("kline_"):
            return _as_candle(_candle.decode(body))
        return _raw_market(body, received_ns, market_ms)
    except UNREADABLE as error:
        refuse(error)


def _raw_market(body: Any, received_ns: int, market_ms: int) -> MarketFrame:
    """A frame that no stream's name goes with: the event member tells, and bookTicker alone has none."""
    event = event_of.decode(body)
    if event.e == "trade":
        return _as_trade(_trade.decode(body))
    if event.e == "kline":
        return _as_candle(_candle.decode(body))
    if event.e == "serverShutdown":
        return ServerShutdown(milliseconds(event.E))
    if event.e:
        return None
    members = _combined.decode(body)
    if "result" in members or "error" in members or "code" in members or "lastUpdateId" in members:
        return None
    return _as_tick(_ticker.decode(body), received_ns, market_ms)


def _as_tick(t: _Ticker, received_ns: int, market_ms: int) -> Tick:
    for price in (t.b, t.a):
        check_price(price)
    for quantity in (t.B, t.A):
        check_quantity(quantity)
    if t.b >= t.a:
        raise refusal("CROSSED_BOOK", f"bid {t.b} is not below ask {t.a}")
    return Tick(t.s, t.b, t.B, t.a, t.A, t.u, market_ms, received_ns)


def _as_trade(t: _Trade) -> PublicTrade:
    check_price(t.p)
    check_quantity(t.q)
    return PublicTrade(t.s, t.t, t.p, t.q, milliseconds(t.T), t.m)


def _as_candle(c: _Candle) -> Candle:
    k = c.k
    for price in (k.o, k.h, k.l, k.c):
        check_price(price)
    for quantity in (k.v, k.q, k.V, k.Q):
        check_quantity(quantity)
    if not (k.l <= min(k.o, k.c) and max(k.o, k.c) <= k.h):
        raise refusal("BAD_CANDLE", f"low {k.l} and high {k.h} do not hold open {k.o} and close {k.c}")
    return Candle(
        c.s, k.i, milliseconds(k.t), milliseconds(k.T), k.o, k.h, k.l, k.c, k.v, k.q, k.n, k.V, k.Q, closed=k.x
    )
