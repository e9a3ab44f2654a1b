"""The journal's line: one event, validated, sealed into a chain of hashes.

`hash` is the SHA-256, in hexadecimal, of the line's bytes with the last member, `,"hash":"..."`, left out (the closing
brace stays); `prev_hash` is the hash of the line before, 64 zeros for the first. So a line that is changed, removed,
doubled or moved shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, Self

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError, field_serializer, model_validator

from thunes.errors import JournalBroken
from thunes.messages import Record

GENESIS = "0" * 64
HASH_LENGTH = 64

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
    "NOT_READY": "The system is starting or stopping, or has no price yet.",
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

FILTER = "FILTER_"


def sentence(reason: str) -> str:
    """A refusal's reason in words; a filter's names the exchange's filter."""
    if reason.startswith(FILTER):
        return f"The exchange's filter {reason.removeprefix(FILTER)} forbids it."
    return REASONS.get(reason, reason)


class EventSide(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class AuditEvent(BaseModel):
    """One line of the journal; its members in the order in which they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    timestamp: datetime
    event: str
    symbol: str | None
    side: EventSide | None
    reason: str | None
    correlation_id: str | None
    params_hash: str | None
    git_sha: str
    risk_snapshot: dict[str, Any]
    metadata: dict[str, Any]
    prev_hash: str
    hash: str

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        if self.event not in EVENTS:
            raise ValueError(f"event {self.event!r} is unknown")
        refusal = self.event == "TRADE_REJECTED"
        if refusal and not (self.reason in REASONS or (self.reason or "").startswith(FILTER)):
            raise ValueError(f"reason {self.reason!r} is unknown")
        return self

    @field_serializer("timestamp")
    def _write_timestamp(self, timestamp: datetime) -> str:
        return rfc3339(timestamp)


def rfc3339(timestamp: datetime) -> str:
    """UTC with microseconds and a Z."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seal(record: Record, *, seq: int, timestamp: datetime, git_sha: str, prev_hash: str) -> tuple[AuditEvent, bytes]:
    """The event of a record and its line, ending in LF. ValueError for a record that the contract does not allow."""
    unhashed = {
        "seq": seq,
        "timestamp": rfc3339(timestamp),
        "event": record.event,
        "symbol": record.symbol,
        "side": record.side,
        "reason": record.reason,
        "correlation_id": record.correlation_id,
        "params_hash": record.params_hash,
        "git_sha": git_sha,
        "risk_snapshot": dict(record.risk_snapshot),
        "metadata": dict(record.metadata),
        "prev_hash": prev_hash,
    }
    body = _encode(unhashed)
    digest = hashlib.sha256(body).hexdigest()
    line = b'%b,"hash":"%b"}\n' % (body[:-1], digest.encode())
    # Validated from the line's own bytes: what is handed on is what a reader will see.
    return _validate(line), line


def check_line(line: bytes, *, expected_seq: int | None, prev_hash: str | None) -> AuditEvent:
    """The event of a line, after schema, sequence and both hashes were checked; None skips that check.

    Raises JournalBroken with what is wrong, without file and line number, which the caller knows.
    """
    if not line.endswith(b"\n"):
        raise JournalBroken("the line has no end")
    try:
        event = _validate(line)
    except (ValidationError, ValueError) as error:
        raise JournalBroken(f"it is not a journal event: {_first_words(error)}") from error
    tail = f',"hash":"{event.hash}"}}\n'.encode()
    if len(event.hash) != HASH_LENGTH or not line.endswith(tail):
        raise JournalBroken("its hash is not its last member")
    if hashlib.sha256(line[: -len(tail)] + b"}").hexdigest() != event.hash:
        raise JournalBroken("its hash does not fit its content: it was changed after it was written")
    if expected_seq is not None and event.seq != expected_seq:
        raise JournalBroken(f"its seq is {event.seq} where {expected_seq} has to follow")
    if prev_hash is not None and event.prev_hash != prev_hash:
        raise JournalBroken("its prev_hash is not the hash of the line before")
    return event


def _validate(line: bytes) -> AuditEvent:
    return AuditEvent.model_validate_json(line)


def _encode(members: Mapping[str, Any]) -> bytes:
    return _encoder.encode({name: _plain(value) for name, value in members.items()})


_encoder = msgspec.json.Encoder()


def _plain(value: Any) -> Any:
    """A value as the journal writes it: decimals as text without an exponent.

    NaN and infinity are refused: JSON would have null for them, and a figure that is none has to be noticed by whoever
    computes it.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"a journal holds no {value}")
        return format(value, "f")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a journal's members are named by text")
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"a journal holds no {value}")
    return value


def _first_words(error: Exception) -> str:
    return str(error).replace("\n", " ")[:200]
