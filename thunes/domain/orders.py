"""The life of an order, as a pure state machine fed by whatever the exchange says, in whatever order it says it.

A REST answer, an execution report and a query's answer are all an `OrderAnswer`: what the exchange knows of the order
at that moment. `observe` merges one into what we know and says which events follow. Fills are counted once, by trade
id; an end is told only when every fill before it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any

from thunes.domain.filters import SymbolRules, market_step
from thunes.domain.market import Fill, OrderAnswer
from thunes.errors import ExchangeError
from thunes.messages import OrderStatus, OrderType, Side, SubmitOrder

ZERO = Decimal(0)


class Phase(StrEnum):
    """Where an order is, as far as we know."""

    APPROVED = "APPROVED"
    """Durable in the journal; whether it was sent is not known after a restart."""
    SENT = "SENT"
    OPEN = "OPEN"
    UNKNOWN = "UNKNOWN"
    DONE = "DONE"


PHASES: Mapping[Phase, frozenset[Phase]] = {
    Phase.APPROVED: frozenset({Phase.SENT, Phase.UNKNOWN, Phase.DONE}),
    Phase.SENT: frozenset({Phase.OPEN, Phase.UNKNOWN, Phase.DONE}),
    Phase.OPEN: frozenset({Phase.DONE}),
    Phase.UNKNOWN: frozenset({Phase.OPEN, Phase.DONE}),
    Phase.DONE: frozenset(),
}
"""Which phase may follow which. UNKNOWN never goes back to SENT: an order of unknown fate is not sent again."""

ENDS = {
    OrderStatus.CANCELED: "ORDER_CANCELED",
    OrderStatus.EXPIRED: "ORDER_EXPIRED",
    OrderStatus.REJECTED: "ORDER_REJECTED",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One journal event of an order, before it is written."""

    name: str
    metadata: Mapping[str, Any]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OrderState:
    """All we know of one order."""

    correlation_id: str
    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    epoch: int
    phase: Phase = Phase.APPROVED
    order_id: int = 0
    executed: Decimal = ZERO
    trade_ids: frozenset[int] = frozenset()
    absent_since_ms: int = 0
    """When the first -2013 that counts came, on a clock that nobody sets; 0 while none did."""

    def to(self, phase: Phase) -> OrderState:
        """The same order in `phase`; ValueError when that cannot follow."""
        if phase is self.phase:
            return self
        if phase not in PHASES[self.phase]:
            raise ValueError(f"order {self.client_order_id}: {self.phase} cannot become {phase}")
        return replace(self, phase=phase)


@dataclass(frozen=True, slots=True)
class Observed:
    """What follows from an answer: the new state, the events to journal, and whether fills have to be asked for."""

    state: OrderState
    events: tuple[Event, ...]
    fills_missing: bool = False


def client_order_id(home_id: str, correlation_id: str) -> str:
    """The exchange's name for the order of a signal: derived, so that one intent can never be two orders.

    Letters, digits and a hyphen, at most 36 characters, as the exchange allows.
    """
    return f"{home_id}-{correlation_id}"[:36]


def describe(order: SubmitOrder, epoch: int, client_order_id: str) -> dict[str, Any]:
    """What a decision's line says of the intent; a number that is none is written in words."""
    return {
        "order_type": order.order_type,
        "quantity": _written(order.quantity),
        "reference_price": _written(order.reference_price),
        "price": _written(order.price),
        "cause": order.cause,
        "strategy": order.strategy,
        "market_time": order.market_ms,
        "epoch": epoch,
        "client_order_id": client_order_id,
    }


def _written(number: Decimal | None) -> Decimal | str | None:
    return number if number is None or number.is_finite() else str(number)


def observe(state: OrderState, answer: OrderAnswer, rules: SymbolRules) -> Observed:
    """Merge what the exchange says of an order into what we know of it."""
    if state.phase is Phase.DONE:
        return Observed(state, ())
    events: list[Event] = []
    if state.phase is Phase.UNKNOWN:
        events.append(Event("ORDER_RESOLVED", {**_ids(state), "found": True, "status": str(answer.status)}))
    known = replace(state.to(Phase.OPEN) if state.phase is not Phase.APPROVED else state.to(Phase.SENT).to(Phase.OPEN))
    if not known.order_id and answer.status is not OrderStatus.REJECTED:
        known = replace(known, order_id=answer.order_id)
        events.append(Event("ORDER_ACCEPTED", {**_ids(known), "market_time": answer.time_ms}))
    known, fills = _merge_fills(known, answer, rules)
    events += fills
    if answer.executed > known.executed:
        return Observed(known, tuple(events), fills_missing=True)
    if known.executed == known.quantity:
        known = known.to(Phase.DONE)
    elif answer.status in ENDS:
        events.append(_end(known, answer))
        known = known.to(Phase.DONE)
    return Observed(known, tuple(events))


def refused(state: OrderState, error: ExchangeError) -> Observed:
    """The exchange refused to take the order."""
    meta = {**_ids(state), "by": "exchange", "code": error.code, "message": error.message}
    return Observed(state.to(Phase.DONE), (Event("ORDER_REJECTED", meta),))


def withheld(state: OrderState, reason: str) -> Observed:
    """We did not send it."""
    return Observed(state.to(Phase.DONE), (Event("ORDER_REJECTED", {**_ids(state), "by": "thunes"}, reason),))


def submitted(state: OrderState, market_ms: int) -> Observed:
    """It is about to be sent."""
    meta = {
        **_ids(state),
        "order_type": str(state.order_type),
        "quantity": state.quantity,
        "price": state.price,
        "market_time": market_ms,
    }
    return Observed(state.to(Phase.SENT), (Event("ORDER_SUBMITTED", meta),))


def unknown(state: OrderState, why: str) -> Observed:
    """It may or may not have reached the exchange: keep its reservation and ask."""
    if state.phase is Phase.UNKNOWN:
        return Observed(state, ())
    return Observed(state.to(Phase.UNKNOWN), (Event("ORDER_UNKNOWN", {**_ids(state), "why": why}),))


def absent(state: OrderState, now_ms: int, sent_before_ms: int, recv_window_ms: int, again_ms: int = 1_000) -> Observed:
    """The exchange does not know the order (-2013).

    That proves absence only when the request's recvWindow has run out, so that it cannot arrive any more, and a second
    query `again_ms` later agrees, because queries may lag behind the matching engine.
    """
    if now_ms <= sent_before_ms + recv_window_ms:
        return Observed(state, ())
    if not state.absent_since_ms:
        return Observed(replace(state, absent_since_ms=now_ms), ())
    if now_ms < state.absent_since_ms + again_ms:
        return Observed(state, ())
    return Observed(state.to(Phase.DONE), (Event("ORDER_RESOLVED", {**_ids(state), "found": False}),))


def smallest_sellable(rules: SymbolRules, price: Decimal) -> Decimal:
    """The least quantity that the filters let a MARKET SELL take at `price`; less is dust."""
    step = market_step(rules.step_size, rules.market_step)
    least = max(rules.min_quantity, rules.market_min, step)
    if rules.apply_min_to_market and price > 0:
        least = max(least, rules.min_notional / price)
    return (least / step).to_integral_value(ROUND_CEILING) * step if step else least


def _merge_fills(state: OrderState, answer: OrderAnswer, rules: SymbolRules) -> tuple[OrderState, list[Event]]:
    events = []
    for fill in sorted(answer.fills, key=lambda f: f.trade_id):
        if fill.trade_id in state.trade_ids:
            continue
        state = replace(state, executed=state.executed + fill.quantity, trade_ids=state.trade_ids | {fill.trade_id})
        events.append(_fill_event(state, fill, rules))
    return state, events


def _fill_event(state: OrderState, fill: Fill, rules: SymbolRules) -> Event:
    name = "ORDER_FILLED" if state.executed == state.quantity else "ORDER_PARTIALLY_FILLED"
    meta = {
        **_ids(state),
        "trade_id": fill.trade_id,
        "price": fill.price,
        "quantity": fill.quantity,
        "quote_quantity": fill.quote_quantity,
        "commission": fill.commission,
        "commission_asset": fill.commission_asset,
        "base_asset": rules.base,
        "quote_asset": rules.quote,
        "min_sellable": smallest_sellable(rules, fill.price),
        "executed": state.executed,
        "is_maker": fill.is_maker,
        "market_time": fill.time_ms,
    }
    return Event(name, meta)


def _end(state: OrderState, answer: OrderAnswer) -> Event:
    meta = {**_ids(state), "executed": state.executed, "market_time": answer.time_ms}
    if answer.status is OrderStatus.REJECTED:
        meta["by"] = "exchange"
    return Event(ENDS[answer.status], meta)


def _ids(state: OrderState) -> dict[str, Any]:
    return {"client_order_id": state.client_order_id, "order_id": state.order_id}
