"""The journal's line: one event, validated, sealed into a chain of hashes.

`hash` is the SHA-256, in hexadecimal, of the line's bytes with the last member, `,"hash":"..."`, left out (the closing
brace stays); `prev_hash` is the hash of the line before, 64 zeros for the first. So a line that is changed, removed,
doubled or moved shows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Annotated, Any, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_serializer, model_validator

from thunes.errors import JournalBroken
from thunes.messages import Record, Side

GENESIS = "0" * 64

EVENTS = frozenset(
    [
        "TRADE_APPROVED",
        "TRADE_REJECTED",
        "KILL_SWITCH_ACTIVATED",
        "KILL_SWITCH_DEACTIVATED",
        "POSITION_OPENED",
        "POSITION_CLOSED",
        "PARAMETER_UPDATED",
        "ORDER_SUBMITTED",
        "ORDER_ACCEPTED",
        "ORDER_PARTIALLY_FILLED",
        "ORDER_FILLED",
        "ORDER_CANCELED",
        "ORDER_REJECTED",
        "ORDER_EXPIRED",
        "ORDER_UNKNOWN",
        "ORDER_RESOLVED",
        "CIRCUIT_OPENED",
        "CIRCUIT_HALF_OPENED",
        "CIRCUIT_CLOSED",
        "STREAM_CONNECTED",
        "STREAM_DISCONNECTED",
        "STREAM_GAP",
        "STREAM_STALE",
        "RECONCILED",
        "RECONCILIATION_MISMATCH",
        "PARAMETER_DECAY",
        "DAILY_RESET",
        "ACTOR_RESTARTED",
        "DEAD_LETTER",
        "JOURNAL_REPAIRED",
        "OPERATOR_COMMAND",
        "HEARTBEAT",
        "DRILL_STARTED",
        "DRILL_ENDED",
        "RODAGE_STARTED",
        "RODAGE_RESTARTED",
        "RODAGE_VERDICT",
        "SYSTEM_STARTED",
        "SYSTEM_STOPPED",
    ]
)

REASONS: Mapping[str, str] = {
    "NOT_SYNCED": "Account, open orders and books do not agree yet.",
    "NOT_READY": "The system is starting, stopping or paused, or has no price yet.",
    "KILL_SWITCH": "The kill switch is on: nothing is bought.",
    "DAILY_LOSS_LIMIT": "Today's loss has reached its limit.",
    "POSITION_LIMIT": "As many positions are open, or being opened, as are allowed.",
    "COOL_DOWN": "A losing trade was closed a short while ago.",
    "DUPLICATE_SYMBOL": "This symbol has a position, or an order of this side under way.",
    "NO_POSITION": "There is not that much to sell.",
    "MAX_NOTIONAL": "The order is worth more than one order may be.",
    "EXPOSURE_LIMIT": "All positions together would be worth more than they may be.",
    "ORDER_RATE": "As many orders were sent in the last minute as are allowed.",
    "PRICE_COLLAR": "The price is too far from the market's.",
    "STALE_MARKET_DATA": "The market has not been heard of for too long.",
    "INSUFFICIENT_BALANCE": "The account does not hold enough.",
    "UNKNOWN_SYMBOL": "The venue does not list this symbol.",
    "CIRCUIT_OPEN": "The exchange has failed too often in a row; the circuit is open.",
    "RATE_LIMIT": "The exchange asked for a pause.",
    "STALE_EPOCH": "The kill switch was used after this was approved.",
}
"""Why an order was refused, and the sentence for people; in the order in which risk checks."""

FILTER = re.compile(r"FILTER_([A-Z][A-Z_]*)")


def sentence(reason: str) -> str:
    """A refusal's reason in words; a filter's names the exchange's filter."""
    if found := FILTER.fullmatch(reason):
        return f"The exchange's filter {found[1]} forbids it."
    return REASONS.get(reason, reason)


Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_-]{1,64}$")]


class AuditEvent(BaseModel):
    """One line of the journal; its members in the order in which they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seq: Annotated[int, Field(ge=1)]
    timestamp: datetime
    event: str
    symbol: str | None
    side: Side | None
    reason: Code | None
    correlation_id: str | None
    params_hash: str | None
    git_sha: str
    risk_snapshot: dict[str, Any]
    metadata: dict[str, Any]
    prev_hash: Hash
    hash: Hash

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        if self.event not in EVENTS:
            raise ValueError(f"event {self.event!r} is unknown")
        if self.event == "TRADE_REJECTED":
            reason = self.reason or ""
            if reason not in REASONS and not FILTER.fullmatch(reason):
                raise ValueError(f"reason {self.reason!r} is unknown")
        return self

    @field_serializer("timestamp")
    def _write_timestamp(self, timestamp: datetime) -> str:
        return rfc3339(timestamp)


def rfc3339(timestamp: datetime) -> str:
    """UTC with microseconds and a Z."""
    return _utc(timestamp).isoformat(timespec="microseconds")[:-6] + "Z"


def _utc(timestamp: datetime) -> datetime:
    return timestamp if timestamp.tzinfo is UTC else timestamp.astimezone(UTC)


def seal(record: Record, *, seq: int, timestamp: datetime, git_sha: str, prev_hash: str) -> tuple[AuditEvent, bytes]:
    """The event of a record and its line, ending in LF: reading the line gives an equal event.

    ValueError for a record that the contract does not allow, or that JSON cannot hold.
    """
    if timestamp.utcoffset() is None:
        raise ValueError("a journal's timestamp names its time zone")
    members = {
        "seq": seq,
        "timestamp": _utc(timestamp),
        "event": record.event,
        "symbol": record.symbol,
        "side": record.side,
        "reason": record.reason,
        "correlation_id": record.correlation_id,
        "params_hash": record.params_hash,
        "git_sha": git_sha,
        "risk_snapshot": _members(record.risk_snapshot),
        "metadata": _members(record.metadata),
        "prev_hash": prev_hash,
    }
    try:
        body = _encoder.encode({**members, "timestamp": rfc3339(timestamp)})
    except TypeError as error:
        raise ValueError(str(error)) from error
    digest = hashlib.sha256(body).hexdigest()
    members["hash"] = digest
    return AuditEvent.model_validate(members), b'%b,"hash":"%b"}\n' % (body[:-1], digest.encode())


_encoder = msgspec.json.Encoder()

_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_START = re.compile(
    rb'\{"seq":\d+,"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","event":"[A-Z_]+",'
    rb'"symbol":(?:null|%b),"side":(?:null|%b),"reason":(?:null|%b),"correlation_id":(?:null|%b),'
    rb'"params_hash":(?:null|%b),"git_sha":%b,"risk_snapshot":\{' % ((_TEXT,) * 6)
)
"""A line up to the members that are objects: compact, and in the contract's order."""


def check_line(line: bytes, *, expected_seq: int | None, prev_hash: str | None) -> AuditEvent:
    """The event of a line, after schema, sequence and both hashes were checked; None skips that check.

    Raises JournalBroken with what is wrong, without file and line number, which the caller knows.
    """
    if not line.endswith(b"\n"):
        raise JournalBroken("the line has no end")
    try:
        event = AuditEvent.model_validate_json(line)
    except ValidationError as error:
        raise JournalBroken(f"it is not a journal event: {_first_words(error)}") from error
    last = f',"hash":"{event.hash}"}}\n'.encode()
    if not _START.match(line) or not line.endswith(f'}},"prev_hash":"{event.prev_hash}"'.encode() + last):
        raise JournalBroken("its members are not in the journal's order and form")
    if hashlib.sha256(line[: -len(last)] + b"}").hexdigest() != event.hash:
        raise JournalBroken("its hash does not fit its content: it was changed after it was written")
    if expected_seq is not None and event.seq != expected_seq:
        missing = ": lines are missing" if event.seq > expected_seq else ""
        raise JournalBroken(f"its seq is {event.seq} where {expected_seq} has to follow{missing}")
    if prev_hash is not None and event.prev_hash != prev_hash:
        raise JournalBroken("its prev_hash is not the hash of the line before")
    return event


def _first_words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, found['loc']))} {found['msg']}".strip() for found in error.errors(include_url=False)[:3]
    )[:200]


# What a record's members may be is more than JSON has: decimals, enumerations, dates, dataclasses. Each becomes what a
# reader of the line will find, so that nobody in this process sees another event than the disk does.


def _members(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name if type(name) is str else _name(name): value if type(value) in _AS_THEY_ARE else _plain(value)
        for name, value in given.items()
    }


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"a journal's members are named by text, not by {name!r}")
    return str.__str__(name)


def _plain(value: Any) -> Any:
    if form := _FORMS.get(type(value)):
        return form(value)
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    if isinstance(value, Mapping):
        return _members(value)
    try:
        # Dataclasses, dates and sets; what is inside is looked at again.
        return _plain(msgspec.to_builtins(value, builtin_types=(Decimal,)))
    except TypeError as error:
        raise ValueError(f"a journal holds no {type(value).__name__}") from error


def _text(value: str) -> str:
    """A peer's words may hold half a surrogate pair, which UTF-8 cannot: it is written as its escape."""
    plain = value if type(value) is str else str.__str__(value)
    return plain if plain.isascii() else plain.encode("utf-8", "backslashreplace").decode()


def _decimal(value: Decimal) -> str:
    """Without an exponent."""
    if not value.is_finite():
        raise ValueError(f"a journal holds no {value}")
    return format(value, "f")


def _float(value: float) -> float:
    """JSON would have null for NaN, and a figure that is none has to be noticed by whoever computes it."""
    if not isfinite(value):
        raise ValueError(f"a journal holds no {value}")
    return float(value)


_AS_THEY_ARE = frozenset({int, bool, NoneType})
_FORMS: Mapping[type, Callable[[Any], Any]] = {
    str: _text,
    Decimal: _decimal,
    dict: _members,
    list: lambda value: [_plain(member) for member in value],
    tuple: lambda value: [_plain(member) for member in value],
    float: _float,
    bool: bool,
    int: int,
    NoneType: lambda value: value,
}
