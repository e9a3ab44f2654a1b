"""The life of an order, as a pure state machine fed by whatever the exchange says, in whatever order it says it.

A REST answer, an execution report and a query's answer are all an `OrderAnswer`: what the exchange knows of the order
at that moment. `observe` merges one into what we know and says which events follow. Fills are counted once, by trade
id; an end is told only when every fill before it is. What `TRANSITIONS` does not have, or what contradicts what we
know, changes nothing: it comes back as a `misfit`, to be journalled and reconciled.
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
from thunes.messages import OrderStatus, OrderType, Side, SubmitOrder, order_key

ZERO = Decimal(0)


class Phase(StrEnum):
    """Where an order is, as far as we know."""

    APPROVED = "APPROVED"
    """Durable in the journal; whether it was sent is not known after a restart."""
    SENT = "SENT"
    OPEN = "OPEN"
    UNKNOWN = "UNKNOWN"
    DONE = "DONE"


class Heard(StrEnum):
    """What can happen to an order."""

    SUBMITTED = "is about to be sent"
    WITHHELD = "was not sent"
    OPEN = "is open at the exchange"
    ENDED = "has ended at the exchange"
    REFUSED = "was refused by the exchange"
    LOST = "has no answer"
    ABSENT = "was never at the exchange"


TRANSITIONS: Mapping[tuple[Phase, Heard], Phase] = {
    (Phase.APPROVED, Heard.SUBMITTED): Phase.SENT,
    (Phase.APPROVED, Heard.WITHHELD): Phase.DONE,
    (Phase.APPROVED, Heard.OPEN): Phase.OPEN,
    (Phase.APPROVED, Heard.ENDED): Phase.DONE,
    (Phase.APPROVED, Heard.REFUSED): Phase.DONE,
    (Phase.APPROVED, Heard.LOST): Phase.UNKNOWN,
    (Phase.SENT, Heard.WITHHELD): Phase.DONE,
    (Phase.SENT, Heard.OPEN): Phase.OPEN,
    (Phase.SENT, Heard.ENDED): Phase.DONE,
    (Phase.SENT, Heard.REFUSED): Phase.DONE,
    (Phase.SENT, Heard.LOST): Phase.UNKNOWN,
    (Phase.UNKNOWN, Heard.OPEN): Phase.OPEN,
    (Phase.UNKNOWN, Heard.ENDED): Phase.DONE,
    (Phase.UNKNOWN, Heard.REFUSED): Phase.DONE,
    (Phase.UNKNOWN, Heard.LOST): Phase.UNKNOWN,
    (Phase.UNKNOWN, Heard.ABSENT): Phase.DONE,
    (Phase.OPEN, Heard.OPEN): Phase.OPEN,
    (Phase.OPEN, Heard.ENDED): Phase.DONE,
    (Phase.OPEN, Heard.LOST): Phase.OPEN,
}
"""Which phase follows when something is heard; what is not here does not fit.

An APPROVED order of which the exchange speaks was sent by an incarnation before. UNKNOWN never goes back to SENT: an
order of unknown fate is not sent again. An OPEN one cannot turn out refused or absent.
"""

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
    leg: str = ""
    """Which protective order of its entry it is (`s1` is the first stop); empty for what risk decided on."""
    stop_price: Decimal | None = None

    @property
    def key(self) -> str:
        """Its name inside the house: that of the signal, and of the leg."""
        return order_key(self.correlation_id, self.leg)

    def after(self, heard: Heard) -> OrderState | None:
        """The same order once this was heard of it; None where that does not fit."""
        phase = TRANSITIONS.get((self.phase, heard))
        return None if phase is None else replace(self, phase=phase)


@dataclass(frozen=True, slots=True)
class Observed:
    """What follows from what was heard: the new state, the events to journal, and whether fills have to be asked for.

    With a `misfit`, which says in words what contradicts what, the state is the old one.
    """

    state: OrderState
    events: tuple[Event, ...]
    fills_missing: bool = False
    misfit: str = ""


def client_order_id(home_id: str, key: str) -> str:
    """The exchange's name for an order: derived, so that one intent can never be two orders.

    Letters, digits and hyphens, at most 36 characters, as the exchange allows; 8 digits of the home come first. An id
    that would be longer could name two orders, so it is a ValueError.
    """
    name = f"{home_id}-{key}"
    if len(name) > 36:
        raise ValueError(f"{name} is longer than the exchange allows")
    return name


def describe(order: SubmitOrder, epoch: int, client_order_id: str, profit_id: str = "") -> dict[str, Any]:
    """What a decision's line says of the intent; a number that is none is written in words.

    `profit_id` is the client order id of the sale that goes with a stop.
    """
    profit = order.profit
    beside = {"client_order_id": profit_id, "leg": profit.leg, "price": profit.price} if profit is not None else None
    return {
        "order_type": order.order_type,
        "quantity": _written(order.quantity),
        "reference_price": _written(order.reference_price),
        "price": _written(order.price),
        "stop_price": _written(order.stop_price),
        "stop_loss": _written(order.stop_loss),
        "take_profit": _written(order.take_profit),
        "expires": order.expires_ms,
        "cause": order.cause,
        "strategy": order.strategy,
        "market_time": order.market_ms,
        "epoch": epoch,
        "client_order_id": client_order_id,
        **({"leg": order.leg} if order.leg else {}),
        **({"profit": beside} if beside else {}),
    }


def _written(number: Decimal | None) -> Decimal | str | None:
    return number if number is None or number.is_finite() else str(number)


def observe(state: OrderState, answer: OrderAnswer, rules: SymbolRules) -> Observed:
    """Merge what the exchange says of an order into what we know of it."""
    misfit = _contradiction(state, answer)
    if misfit or state.phase is Phase.DONE:
        return Observed(state, (), misfit=misfit)
    events: list[Event] = []
    if state.phase is Phase.UNKNOWN:
        events.append(Event("ORDER_RESOLVED", {**_ids(state), "found": True, "status": str(answer.status)}))
    known = state.after(Heard.OPEN)
    assert known is not None  # every phase but DONE may turn out open
    if not known.order_id and answer.status is not OrderStatus.REJECTED:
        known = replace(known, order_id=answer.order_id)
        events.append(Event("ORDER_ACCEPTED", {**_ids(known), "market_time": answer.time_ms}))
    known, fills = _merge_fills(known, answer, rules)
    if known.executed > known.quantity:
        return Observed(state, (), misfit=f"fills of {known.executed} in an order over {known.quantity}")
    events += fills
    if answer.executed > known.executed:
        return Observed(known, tuple(events), fills_missing=True)
    if known.executed == known.quantity:
        known = replace(known, phase=Phase.DONE)
    elif answer.status in ENDS:
        events.append(_end(known, answer))
        known = replace(known, phase=Phase.DONE)
    return Observed(known, tuple(events))


def _contradiction(state: OrderState, answer: OrderAnswer) -> str:
    """What an answer says that cannot be true of this order, in words. An older answer contradicts nothing."""
    if answer.quantity != state.quantity or answer.side is not state.side:
        return f"{answer.side} {answer.quantity} where {state.side} {state.quantity} was sent"
    if state.order_id and answer.order_id not in (0, state.order_id):
        return f"order id {answer.order_id} where it was {state.order_id}"
    if answer.executed > state.quantity:
        return f"{answer.executed} executed of {state.quantity}"
    if answer.status is OrderStatus.FILLED and answer.executed != answer.quantity:
        return f"filled, and only {answer.executed} of {answer.quantity} executed"
    if state.phase is Phase.DONE and (
        answer.executed > state.executed or any(fill.trade_id not in state.trade_ids for fill in answer.fills)
    ):
        return f"{answer.executed} executed after it had ended with {state.executed}"
    return ""


def refused(state: OrderState, error: ExchangeError) -> Observed:
    """The exchange refused to take the order."""
    meta = {**_ids(state), "by": "exchange", "code": error.code, "message": error.message}
    return _follow(state, Heard.REFUSED, Event("ORDER_REJECTED", meta))


def withheld(state: OrderState, reason: str) -> Observed:
    """We did not send it."""
    return _follow(state, Heard.WITHHELD, Event("ORDER_REJECTED", {**_ids(state), "by": "thunes"}, reason))


def submitted(state: OrderState, market_ms: int) -> Observed:
    """It is about to be sent. A protective order's line was written before: it is what allows it."""
    meta = {
        **_ids(state),
        "order_type": str(state.order_type),
        "quantity": state.quantity,
        "price": state.price,
        "market_time": market_ms,
    }
    return _follow(state, Heard.SUBMITTED, *([] if state.leg else [Event("ORDER_SUBMITTED", meta)]))


def unknown(state: OrderState, why: str) -> Observed:
    """It may or may not have reached the exchange: keep its reservation and ask."""
    if state.phase is Phase.UNKNOWN:
        return Observed(state, ())
    return _follow(state, Heard.LOST, Event("ORDER_UNKNOWN", {**_ids(state), "why": why}))


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
    return _follow(state, Heard.ABSENT, Event("ORDER_RESOLVED", {**_ids(state), "found": False}))


def _follow(state: OrderState, heard: Heard, *events: Event) -> Observed:
    after = state.after(heard)
    if after is None:
        return Observed(state, (), misfit=f"it {heard}, and was {state.phase}")
    return Observed(after, events)


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
    ids: dict[str, Any] = {"client_order_id": state.client_order_id, "order_id": state.order_id}
    return ids | ({"leg": state.leg} if state.leg else {})
