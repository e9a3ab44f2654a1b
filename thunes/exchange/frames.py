"""The exchange's frames, decoded once, at the edge, into our types.

The member names are the exchange's one-letter ones (web-socket-streams.md, user-data-stream.md). What cannot be traded
on raises MarketDataError, whose `kind` says why in one of the words of `refusals.KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from thunes.domain.market import AccountChanged, AccountPosition, ExecutionReport, Fill
from thunes.exchange.refusals import (
    UNREADABLE,
    check_price,
    check_quantity,
    known_status,
    milliseconds,
    refusal,
    refuse,
)
from thunes.messages import Candle, PublicTrade, Side, Tick


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The exchange will close this connection soon."""

    time_ms: int


@dataclass(frozen=True, slots=True)
class StreamTerminated:
    """A subscription of the account stream has ended."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a request on the WebSocket API: 200 and a result, or an error's code and message."""

    id: str | int | None
    status: int
    code: int = 0
    message: str = ""


MarketFrame: TypeAlias = Tick | PublicTrade | Candle | ServerShutdown | None
AccountFrame: TypeAlias = (
    ExecutionReport | AccountPosition | AccountChanged | StreamTerminated | ServerShutdown | Response | None
)


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


class _Event(msgspec.Struct):
    e: str = ""
    E: int = 0


_event = msgspec.json.Decoder(_Event)
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
    event = _event.decode(body)
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


# The account's stream.


class _Report(msgspec.Struct):
    s: str
    c: str
    C: str
    S: Side
    o: str
    x: str
    X: str
    i: int
    q: Decimal
    p: Decimal
    z: Decimal
    Z: Decimal
    l: Decimal  # noqa: E741 the exchange's name
    L: Decimal
    n: Decimal
    T: int
    t: int
    m: bool
    N: str | None = None
    r: str = "NONE"
    eR: str = ""
    Y: Decimal = Decimal(0)
    P: Decimal = Decimal(0)
    g: int = -1


class _Asset(msgspec.Struct):
    a: str
    f: Decimal
    l: Decimal  # noqa: E741 the exchange's name


class _Position(msgspec.Struct):
    u: int
    B: list[_Asset]


class _Change(msgspec.Struct):
    a: str
    d: Decimal
    T: int


class _ApiError(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _ApiFrame(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    id: str | int | None = None
    error: _ApiError | None = None


_api_frame = msgspec.json.Decoder(_ApiFrame)
_report = msgspec.json.Decoder(_Report)
_position = msgspec.json.Decoder(_Position)
_change = msgspec.json.Decoder(_Change)


def decode_account(frame: bytes | str) -> AccountFrame:
    """A frame of the WebSocket API's connection; None for an event that we have no use for. Raises MarketDataError."""
    try:
        outer = _api_frame.decode(frame)
        if outer.status is not None:
            error = outer.error or _ApiError()
            return Response(outer.id, outer.status, error.code, error.msg)
        return _account_event(outer.event or frame)
    except UNREADABLE as error:
        refuse(error)


def _account_event(body: Any) -> AccountFrame:
    event = _event.decode(body)
    match event.e:
        case "executionReport":
            return _as_report(_report.decode(body))
        case "outboundAccountPosition":
            position = _position.decode(body)
            for asset in position.B:
                check_quantity(asset.f)
                check_quantity(asset.l)
            return AccountPosition({b.a: (b.f, b.l) for b in position.B}, milliseconds(position.u))
        case "balanceUpdate" | "externalLockUpdate":
            change = _change.decode(body)
            check_quantity(change.d.copy_abs())
            return AccountChanged(event.e, change.a, change.d, milliseconds(change.T))
        case "listStatus":
            return None  # the report of each of the list's orders says the same
        case "eventStreamTerminated":
            return StreamTerminated()
        case "serverShutdown":
            return ServerShutdown(milliseconds(event.E))
    return None


def _as_report(r: _Report) -> ExecutionReport:
    for amount in (r.q, r.p, r.P, r.z, r.Z, r.l, r.L):
        check_quantity(amount)
    fill = None
    if r.x == "TRADE":
        check_price(r.L)
        # A maker may be paid instead of charged, so a commission may be below zero.
        check_quantity(r.n.copy_abs())
        check_quantity(r.Y)
        quote = r.Y or r.L * r.l
        fill = Fill(r.t, r.L, r.l, quote, r.n, r.N or "", milliseconds(r.T), r.m)
    # A cancel's own id is in `c`, and the order's in `C`.
    own = r.C if r.x == "CANCELED" and r.C else r.c
    return ExecutionReport(
        symbol=r.s,
        client_order_id=own,
        order_id=r.i,
        execution=r.x,
        status=known_status(r.X),
        side=r.S,
        order_type=r.o,
        quantity=r.q,
        price=r.p,
        executed=r.z,
        cumulative_quote=r.Z,
        time_ms=milliseconds(r.T),
        fill=fill,
        reject_reason="" if r.r == "NONE" else r.r,
        expiry_reason=r.eR,
        stop_price=r.P,
        order_list_id=r.g,
    )
