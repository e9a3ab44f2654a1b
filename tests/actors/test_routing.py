"""Who is told of a journalled event, and that an approval goes to the breaker alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.audit import AuditActor
from actors.protocol import Approved, Journaled
from actors.routing import OF_ALL, ORDER_EVENTS, ROUTES, receivers
from actors.runtime.actor import Exited, Stop
from actors.runtime.mailbox import MailboxPolicy
from actors.tree import tree
from actors.world import World
from tests.e2e.support import wait_for
from tests.venue_in_process import Venue, make_world, rules_of
from thunes.alerts.wording import WORDS
from thunes.domain.journal import EVENTS, AuditEvent, seal
from thunes.messages import OrderType, Record, Side, SubmitOrder

SYMBOLS = ("BTCUSDT", "ETHUSDT")
ORDERS_AND_RISK = ("order.BTCUSDT", "order.ETHUSDT", "risk")

TOLD = {
    **dict.fromkeys([name for name in EVENTS if name.startswith(("SYSTEM_", "RODAGE_"))], ("alert",)),
    **dict.fromkeys(["CIRCUIT_OPENED", "CIRCUIT_CLOSED", "OPERATOR_COMMAND", "HEARTBEAT"], ("alert",)),
    **dict.fromkeys(["STREAM_CONNECTED", "STREAM_DISCONNECTED", "STREAM_STALE"], ("alert",)),
    **dict.fromkeys(["ACTOR_RESTARTED", "PARAMETER_DECAY", "RECONCILIATION_MISMATCH"], ("alert",)),
    **dict.fromkeys([name for name in EVENTS if name.startswith("ORDER_")], ("risk",)),
    **dict.fromkeys(["POSITION_OPENED", "RECONCILED"], ("risk",)),
    **dict.fromkeys(["ORDER_FILLED", "ORDER_PARTIALLY_FILLED", "POSITION_CLOSED", "DAILY_RESET"], ("risk", "alert")),
    **dict.fromkeys(["KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED"], (*ORDERS_AND_RISK, "alert")),
    "TRADE_REJECTED": ("strategy.ETHUSDT",),
}
"""Of ETHUSDT's events; all that is not here concerns nobody in particular."""


def record(name: str, symbol: str | None = "ETHUSDT", **members: Any) -> Record:
    reason = "COOL_DOWN" if name == "TRADE_REJECTED" else None
    return Record(name, symbol=symbol, reason=reason, correlation_id="c1", **members)


def event(name: str, symbol: str | None = "ETHUSDT") -> AuditEvent:
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    return seal(record(name, symbol), seq=1, timestamp=moment, git_sha="test", prev_hash="0" * 64)[0]


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_each_event_is_told_to_those_whom_it_concerns_and_to_no_one_else(name: str) -> None:
    assert receivers(event(name), SYMBOLS) == TOLD.get(name, ())


def test_what_has_words_for_people_gets_to_them() -> None:
    assert {name for name in WORDS if "alert" not in receivers(event(name), SYMBOLS)} == set()


def test_an_approval_is_on_no_route() -> None:
    assert "TRADE_APPROVED" in EVENTS
    assert "TRADE_APPROVED" not in ROUTES


def test_every_event_that_has_a_route_is_one_of_the_journals() -> None:
    assert set(ROUTES) <= set(EVENTS)


def test_risk_is_told_of_every_event_of_an_order() -> None:
    assert set(ORDER_EVENTS) == {name for name in EVENTS if name.startswith("ORDER_")}


@pytest.mark.parametrize("symbol", [None, "DOGEUSDT"])
def test_a_refusal_of_a_symbol_without_a_strategy_is_told_to_no_one(symbol: str | None) -> None:
    assert receivers(event("TRADE_REJECTED", symbol), SYMBOLS) == ()


def test_every_receiver_is_an_actor_of_the_tree() -> None:
    actors = {spec.name for spec in tree(SYMBOLS).children}
    told = {name for each in EVENTS for name in receivers(event(each), SYMBOLS)}
    assert told <= actors
    assert set(OF_ALL) <= actors


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """AuditActor at work on a real journal, and mailboxes that nobody empties for all the others."""
    world = make_world(tmp_path, Venue(rules_of(*SYMBOLS)))
    world.post.register("supervisor", MailboxPolicy())
    for spec in tree(SYMBOLS).children:
        world.post.register(spec.name, AuditActor.mailbox_policy if spec.name == "audit" else MailboxPolicy())
    AuditActor.start(world, "audit")
    yield world
    world.post.tell("audit", Stop())
    wait_for(lambda: any(type(x.message) is Exited for x in list(world.post["supervisor"]._queue)), what="its exit")


def told_by_audit(world: World, *records: Record) -> dict[str, list[Any]]:
    """What each mailbox holds once the records have been written and passed on."""
    for each in records:
        world.post.tell("audit", each)
    wait_for(lambda: world.board.handled.get("audit", 0) == len(records), what="the records handled")
    return {
        name: [box.get().message for _ in range(len(box))]
        for name, box in world.post.boxes.items()
        if len(box) and name not in ("supervisor", "audit")
    }


def test_an_approval_goes_to_the_breaker_as_what_was_approved_and_to_nobody_else(world: World) -> None:
    one = Decimal(1)
    order = SubmitOrder("c1", "ETHUSDT", Side.BUY, OrderType.MARKET, one, one, "cause", "sma", "hash", market_ms=0)
    approved = Approved(order, epoch=0, client_order_id="home-c1")
    told = told_by_audit(world, record("TRADE_APPROVED", subject=approved))
    assert told.keys() == {"breaker", *OF_ALL}
    assert told["breaker"] == [replace(approved, seq=1)]
    assert [message.events[0].event for name in OF_ALL for message in told[name]] == ["TRADE_APPROVED"] * 2


def test_what_is_no_approval_never_reaches_the_breaker(world: World) -> None:
    names = sorted(set(EVENTS) - {"TRADE_APPROVED"})
    told = told_by_audit(world, *(record(name) for name in names))
    assert told.keys() == {*ORDERS_AND_RISK, "strategy.ETHUSDT", "alert", *OF_ALL}


def test_books_and_metrics_are_told_of_every_event_in_the_journals_order(world: World) -> None:
    told = told_by_audit(world, record("HEARTBEAT"), record("DAILY_RESET"), record("RECONCILED"))
    for name in OF_ALL:
        assert all(type(message) is Journaled for message in told[name])
        events = [event for message in told[name] for event in message.events]
        assert [(event.seq, event.event) for event in events] == [
            (1, "HEARTBEAT"),
            (2, "DAILY_RESET"),
            (3, "RECONCILED"),
        ]
