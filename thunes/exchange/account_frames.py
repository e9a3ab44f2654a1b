"""The frames of the account's stream and of its connection, decoded once, at the edge, into our types.

The member names are the exchange's one-letter ones (user-data-stream.md). What cannot be relied on raises
MarketDataError, whose `kind` says why in one of the words of `refusals.KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from thunes.domain.market import AccountChanged, AccountPosition, ExecutionReport, Fill
from thunes.exchange.frames import ServerShutdown, event_of
from thunes.exchange.refusals import UNREADABLE, check_price, check_quantity, known_status, milliseconds, refuse
from thunes.messages import Side


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
    retry_after_ms: int = 0
    """The exchange's time at which it may be asked again, where it says so."""


AccountFrame: TypeAlias = (
    ExecutionReport | AccountPosition | AccountChanged | StreamTerminated | ServerShutdown | Response | None
)


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


class _Later(msgspec.Struct):
    retryAfter: int = 0


class _ApiError(msgspec.Struct):
    code: int = 0
    msg: str = ""
    data: _Later | None = None


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
            later = error.data.retryAfter if error.data is not None else 0
            return Response(outer.id, outer.status, error.code, error.msg, milliseconds(later))
        return _account_event(outer.event or frame)
    except UNREADABLE as error:
        refuse(error)


def _account_event(body: Any) -> AccountFrame:
    event = event_of.decode(body)
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
