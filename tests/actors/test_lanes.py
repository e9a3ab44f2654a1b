"""What overtakes, what is replaced and what may be dropped, for each actor's own mailbox."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from actors.audit import AuditActor
from actors.breaker import BreakerActor
from actors.order import OrderActor
from actors.protocol import Frame, Halt
from actors.risk import RiskActor
from actors.runtime.actor import Actor, Stop
from actors.runtime.mailbox import DeadLetter, Mailbox
from actors.strategy import StrategyActor
from actors.stream import StreamActor
from thunes.domain.journal import AuditEvent, seal
from thunes.messages import Kill, Reconnect, Record, ResetBreaker, Resume, Tick, UrgentRecord

ONE = Decimal(1)
RECONNECT = Reconnect(None, "test")


def box(actor: type[Actor], *messages: Any) -> Mailbox:
    mailbox = Mailbox("test", actor.mailbox_policy, lambda: 1)
    for message in messages:
        mailbox.tell(message)
    return mailbox


def drained(mailbox: Mailbox) -> list[Any]:
    return [mailbox.get().message for _ in range(len(mailbox))]


def kill_event() -> AuditEvent:
    record = Record("KILL_SWITCH_ACTIVATED", metadata={"epoch": 1})
    return seal(record, seq=1, timestamp=datetime(2025, 1, 1, tzinfo=UTC), git_sha="test", prev_hash="0" * 64)[0]


@pytest.mark.parametrize(
    ("actor", "urgent"),
    [
        (RiskActor, Kill("drill", "test")),
        (RiskActor, Resume("over", "test")),
        (RiskActor, Halt()),
        (AuditActor, UrgentRecord("KILL_SWITCH_ACTIVATED")),
        (BreakerActor, ResetBreaker("test")),
        (OrderActor, kill_event()),
        (OrderActor, Halt()),
        (StreamActor, RECONNECT),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_what_is_urgent_overtakes_all_that_waits(actor: type[Actor], urgent: object) -> None:
    assert drained(box(actor, "first", "second", urgent)) == [urgent, "first", "second"]


@pytest.mark.parametrize("actor", [RiskActor, AuditActor, BreakerActor, OrderActor, StrategyActor, StreamActor])
def test_a_stop_overtakes_nothing(actor: type[Actor]) -> None:
    assert drained(box(actor, "first", Stop(), "second")) == ["first", Stop(), "second"]


@pytest.mark.parametrize("actor", [RiskActor, AuditActor, OrderActor, StreamActor])
def test_what_an_actor_died_of_is_the_first_that_its_replacement_reads(actor: type[Actor]) -> None:
    urgent = {RiskActor: Halt(), AuditActor: UrgentRecord("HEARTBEAT"), OrderActor: Halt(), StreamActor: RECONNECT}[
        actor
    ]
    assert drained(box(actor, "first", urgent, DeadLetter("lost"))) == [DeadLetter("lost"), urgent, "first"]


def tick(symbol: str, update_id: int) -> Tick:
    return Tick(symbol, ONE, ONE, ONE, ONE, update_id, market_ms=1, received_ns=1)


@pytest.mark.parametrize("actor", [RiskActor, StrategyActor])
def test_of_the_ticks_of_a_symbol_only_the_newest_waits(actor: type[Actor]) -> None:
    told = box(actor, tick("BTCUSDT", 1), "between", tick("ETHUSDT", 1), tick("BTCUSDT", 2), tick("BTCUSDT", 3))
    assert drained(told) == [tick("BTCUSDT", 3), "between", tick("ETHUSDT", 1)]


def test_a_flood_of_frames_drops_no_closed_candle_and_counts_what_it_drops() -> None:
    closed = [Frame(b'{"k":{"x":true,"t":%d}}' % number, number) for number in range(3)]
    flood = [Frame(b'{"u":%d}' % number, number) for number in range(1000)]
    told = box(StreamActor, *flood[:10], *closed, *flood[10:])
    assert len(told) == 100
    assert told.overflow == 1003 - 100
    assert [frame for frame in drained(told) if frame in closed] == closed


@pytest.mark.parametrize("actor", [AuditActor, OrderActor, BreakerActor])
def test_orders_and_journal_entries_are_never_dropped(actor: type[Actor]) -> None:
    told = box(actor, *range(100_000))
    assert len(told) == 100_000
    assert told.overflow == told.conflated == 0
