"""A journal's line: what is sealed is what is read, and nothing else passes for a line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thunes.domain.journal import EVENTS, GENESIS, REASONS, AuditEvent, check_line, seal, sentence
from thunes.errors import JournalBroken
from thunes.messages import Record, Side

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


def sealed(record: Record, timestamp: datetime = NOON) -> tuple[AuditEvent, bytes]:
    return seal(record, seq=1, timestamp=timestamp, git_sha="abc", prev_hash=GENESIS)


def metadata(**members: Any) -> dict[str, Any]:
    """The members as a reader finds them."""
    event, line = sealed(Record("HEARTBEAT", metadata=members))
    found: dict[str, Any] = json.loads(line)["metadata"]
    assert event.metadata == found
    return found


REJECTED = Record(
    "TRADE_REJECTED",
    symbol="BTCUSDT",
    side=Side.BUY,
    reason="COOL_DOWN",
    correlation_id="c1",
    params_hash="p1",
    risk_snapshot={"epoch": 0, "daily_pnl": Decimal("-1.5")},
    metadata={"why": 'a "quoted", {curly} word'},
)

# --- writing ---


def test_a_line_has_every_member_of_the_contract_in_its_order() -> None:
    names = "seq timestamp event symbol side reason correlation_id params_hash git_sha risk_snapshot metadata"
    line = json.loads(sealed(REJECTED)[1])
    assert list(line) == [*names.split(), "prev_hash", "hash"]
    assert line["timestamp"] == "2026-11-23T12:00:00.123456Z"
    assert line["risk_snapshot"] == {"epoch": 0, "daily_pnl": "-1.5"}


def test_the_hash_is_that_of_the_bytes_without_the_last_member() -> None:
    event, line = sealed(REJECTED)
    without = re.sub(rb',"hash":"[0-9a-f]{64}"}\n$', b"}", line)
    assert hashlib.sha256(without).hexdigest() == event.hash


@dataclass(frozen=True)
class Level:
    price: Decimal


class Colour(IntEnum):
    RED = 7


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)
    | st.sampled_from([Side.SELL, Colour.RED, Level(Decimal("0E-8"))]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_the_event_that_is_handed_on_is_the_one_that_its_line_reads_as(members: dict[str, Any]) -> None:
    event, line = sealed(Record("HEARTBEAT", metadata=members, risk_snapshot=members))
    assert check_line(line, expected_seq=1, prev_hash=GENESIS) == event
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(("written", "read"), [("0E-8", "0.00000000"), ("1E+3", "1000"), ("-0.10", "-0.10")])
def test_decimals_are_text_with_every_digit_and_no_exponent(written: str, read: str) -> None:
    assert metadata(price=Decimal(written), deep=[{"price": Decimal(written)}]) == {
        "price": read,
        "deep": [{"price": read}],
    }


def test_values_of_other_kinds_are_written_as_what_they_hold() -> None:
    assert metadata(
        side=Side.BUY,
        colour=Colour.RED,
        level=Level(Decimal("1E+1")),
        pair=(1, 2.5),
        view=MappingProxyType({"a": Decimal(1)}),
        day=NOON.date(),
    ) == {
        "side": "BUY",
        "colour": 7,
        "level": {"price": "10"},
        "pair": [1, 2.5],
        "view": {"a": "1"},
        "day": "2026-11-23",
    }


def test_half_a_surrogate_pair_from_a_peer_is_written_as_its_escape() -> None:
    assert metadata(said="caf\u00e9 \ud83d!") == {"said": "caf\u00e9 \\ud83d!"}


def test_what_the_sender_changes_later_does_not_reach_the_event() -> None:
    inner = {"price": 1}
    event, _ = sealed(Record("HEARTBEAT", metadata={"inner": inner}))
    inner["price"] = 2
    assert event.metadata == {"inner": {"price": 1}}


def test_a_timestamp_of_another_zone_is_written_and_handed_on_in_utc() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=timezone(timedelta(hours=-1)))
    event, line = sealed(Record("HEARTBEAT"), late)
    assert b'"timestamp":"2026-11-24T00:30:00.000000Z"' in line
    assert event.timestamp.date().isoformat() == "2026-11-24"


REFUSED: dict[str, tuple[Record, str]] = {
    "NaN": (Record("HEARTBEAT", metadata={"x": float("nan")}), "a journal holds no nan"),
    "infinity, deep": (Record("HEARTBEAT", metadata={"x": [{"y": Decimal("-Infinity")}]}), "a journal holds no"),
    "NaN in a snapshot": (Record("HEARTBEAT", risk_snapshot={"x": Decimal("NaN")}), "a journal holds no NaN"),
    "NaN in a dataclass": (Record("HEARTBEAT", metadata={"x": Level(Decimal("NaN"))}), "a journal holds no NaN"),
    "a number as a name": (Record("HEARTBEAT", metadata={"x": {1: "a"}}), "named by text, not by 1"),
    "no name": (Record("HEARTBEAT", metadata={None: "a"}), "named by text, not by None"),  # type: ignore[dict-item]
    "an object": (Record("HEARTBEAT", metadata={"x": object()}), "a journal holds no object"),
    "an object as symbol": (Record("HEARTBEAT", symbol=object()), "object"),  # type: ignore[arg-type]
    "bytes as an id": (Record("HEARTBEAT", correlation_id=b"c1"), "correlation_id"),  # type: ignore[arg-type]
    "a number as symbol": (Record("HEARTBEAT", symbol=7), "symbol"),  # type: ignore[arg-type]
    "an unknown event": (Record("TRADE_DREAMT"), "event 'TRADE_DREAMT' is unknown"),
    "a refusal without reason": (Record("TRADE_REJECTED"), "reason None is unknown"),
    "a refusal for no known reason": (Record("TRADE_REJECTED", reason="MOOD"), "reason 'MOOD' is unknown"),
    "a refusal by a filter without name": (Record("TRADE_REJECTED", reason="FILTER_"), "reason 'FILTER_' is unknown"),
    "a reason in free text": (Record("ORDER_REJECTED", reason="it was full"), "reason"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_record_that_the_contract_does_not_allow_is_a_value_error(name: str) -> None:
    record, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        sealed(record)


def test_a_timestamp_without_zone_and_a_seq_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        sealed(Record("HEARTBEAT"), NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="seq"):
        seal(Record("HEARTBEAT"), seq=0, timestamp=NOON, git_sha="abc", prev_hash=GENESIS)


@pytest.mark.parametrize("reason", [*REASONS, "FILTER_LOT_SIZE", "FILTER_NOTIONAL"])
def test_every_reason_of_the_contract_may_be_given_and_has_a_sentence(reason: str) -> None:
    assert sealed(Record("TRADE_REJECTED", reason=reason))[0].reason == reason
    assert sentence(reason).endswith(".")
    assert reason not in sentence(reason)


@pytest.mark.parametrize("reason", ["-2010", "CIRCUIT_OPEN", None])
def test_an_event_that_is_no_refusal_may_carry_any_code(reason: str | None) -> None:
    assert sealed(Record("ORDER_REJECTED", reason=reason))[0].reason == reason


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_of_the_contract_can_be_written(name: str) -> None:
    reason = "COOL_DOWN" if name == "TRADE_REJECTED" else None
    assert sealed(Record(name, reason=reason))[0].event == name


# --- checking ---


def rehashed(line: bytes) -> bytes:
    """The line with the hash that its content now has: what a careful forger, or another program, would write."""
    body = re.sub(rb',\s*"hash":\s*"[^"]*"}\n$', b"}", line)
    return b'%b,"hash":"%b"}\n' % (body[:-1], hashlib.sha256(body).hexdigest().encode())


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        assert line.count(old) == 1, old
        return line.replace(old, new)

    return change


FORGED: dict[str, Callable[[bytes], bytes]] = {
    "seq as text": swapped(b'"seq":1', b'"seq":"1"'),
    "seq as a fraction": swapped(b'"seq":1', b'"seq":1.0'),
    "a timestamp in another zone": swapped(b"123456Z", b"123456+00:00"),
    "a timestamp without microseconds": swapped(b".123456Z", b"Z"),
    "a timestamp as a number": swapped(b'"2026-11-23T12:00:00.123456Z"', b"1795435200"),
    "an unknown event": swapped(b"TRADE_REJECTED", b"TRADE_DREAMT"),
    "an unknown reason": swapped(b"COOL_DOWN", b"BAD_MOOD"),
    "an unknown side": swapped(b'"BUY"', b'"HOLD"'),
    "a member too many": swapped(b'"symbol"', b'"size":1,"symbol"'),
    "an object too many": swapped(b',"prev_hash"', b',"extra":{},"prev_hash"'),
    "a blank after the objects": swapped(b'},"prev_hash"', b'} ,"prev_hash"'),
    "a member too few": swapped(b'"params_hash":"p1",', b""),
    "two members exchanged": swapped(
        b'"symbol":"BTCUSDT","side":"BUY"',
        b'"side":"BUY","symbol":"BTCUSDT"',
    ),
    "the objects exchanged": swapped(
        b'"risk_snapshot":{"epoch":0,"daily_pnl":"-1.5"},"metadata":{"why":"a \\"quoted\\", {curly} word"}',
        b'"metadata":{},"risk_snapshot":{}',
    ),
    "a blank": swapped(b'"symbol":', b'"symbol": '),
    "a short prev_hash": swapped(GENESIS.encode(), b"0"),
    "a list as metadata": swapped(b'{"why":"a \\"quoted\\", {curly} word"}', b"[]"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_line_of_another_form_is_no_event_even_with_a_hash_that_fits(name: str) -> None:
    line = rehashed(FORGED[name](sealed(REJECTED)[1]))
    with pytest.raises(JournalBroken, match=r"it is not a journal event|not in the journal's order"):
        check_line(line, expected_seq=1, prev_hash=None)


def test_rehashing_alone_changes_nothing_so_the_forgeries_fail_for_their_form() -> None:
    event, line = sealed(REJECTED)
    assert rehashed(line) == line
    assert check_line(line, expected_seq=1, prev_hash=GENESIS) == event


@settings(deadline=None)
@given(st.data())
def test_no_byte_of_a_line_can_be_changed_unnoticed(data: st.DataObject) -> None:
    line = sealed(REJECTED)[1]
    place = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != line[place]))
    with pytest.raises(JournalBroken):
        check_line(line[:place] + bytes([byte]) + line[place + 1 :], expected_seq=1, prev_hash=GENESIS)


def test_a_line_out_of_its_place_says_what_is_wrong() -> None:
    line = sealed(REJECTED)[1]
    with pytest.raises(JournalBroken, match=r"its seq is 1 where 2 has to follow$"):
        check_line(line, expected_seq=2, prev_hash=GENESIS)
    with pytest.raises(JournalBroken, match="its seq is 1 where 0 has to follow: lines are missing"):
        check_line(line, expected_seq=0, prev_hash=GENESIS)
    with pytest.raises(JournalBroken, match="prev_hash is not the hash of the line before"):
        check_line(line, expected_seq=1, prev_hash="1" * 64)
    with pytest.raises(JournalBroken, match="no end"):
        check_line(line[:-1], expected_seq=1, prev_hash=GENESIS)
