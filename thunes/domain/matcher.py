"""The public market meets users' orders: who is filled, set off or cancelled, and what a taker takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from thunes.domain import admission
from thunes.domain.clearing import Clearing, pays
from thunes.domain.executions import CANCELED, EXPIRED, NO_LIST, Execution, Order, OrderList
from thunes.domain.filters import ZERO, quote_amount, round_down
from thunes.domain.symbol_market import SymbolMarket
from thunes.messages import BookChanged, MarketEvent, PublicTrade, Side

OTHER_OF_PAIR = "OCO_TRIGGER"


class Matcher:
    """Fills orders as `MatchingEngine` promises; it decides nothing about who may place or cancel them."""

    def __init__(self, markets: Mapping[str, SymbolMarket], clearing: Clearing) -> None:
        self._markets = markets
        self._clearing = clearing

    def apply(self, event: MarketEvent) -> tuple[Execution, ...]:
        """Applies a public event and fills the resting orders that it reaches; other symbols' events are ignored."""
        market = self._markets.get(event.symbol)
        if market is None:
            return ()
        if isinstance(event, PublicTrade):
            market.tape.add(event)
            if market.halted:
                return ()
            matched = self._match_print(market, event) if market.resting else ()
            return (*matched, *self._trigger(market, event)) if market.waiting else matched
        market.halted = market.halted and not (isinstance(event, BookChanged) and event.snapshot)
        if market.halted:
            return ()
        market.book.apply(event)
        return self._match_book(market, event.time_ms) if market.resting else ()

    def cancel(self, order: Order, cancel_id: str, now_ms: int) -> tuple[Execution, ...]:
        """Cancels the order, and the other of its pair after it."""
        if order.list_id == NO_LIST:
            return (self._cancel_one(order, cancel_id, now_ms),)
        return self.cancel_pair(self._clearing.lists.get(order.list_id), cancel_id, now_ms, order)

    def cancel_pair(
        self, pair: OrderList, cancel_id: str, now_ms: int, first: Order | None = None
    ) -> tuple[Execution, ...]:
        """Cancels what is open of it, oldest first or this one `first`."""
        both = [self._clearing.orders.open_one(order_id) for order_id, _ in pair.orders]
        orders = [order for order in both if order is not None]
        if first is not None:
            orders.sort(key=lambda order: order.order_id != first.order_id)
        return tuple(self._cancel_one(order, cancel_id, now_ms) for order in orders)

    def _cancel_one(self, order: Order, cancel_id: str, now_ms: int) -> Execution:
        market = self._markets[order.symbol]
        market.remove(order)
        return self._clearing.end(order, market.rules, CANCELED, now_ms, cancel_id=cancel_id)

    def _match_book(self, market: SymbolMarket, now_ms: int) -> tuple[Execution, ...]:
        executions: list[Execution] = []
        for side in Side:
            facing, best = market.book.facing(side), market.resting.best(side)
            if best is None or not facing.reaches(best):
                continue
            for order_id in market.resting.of(side):
                order = self._clearing.orders.get_open(order_id)
                takes = market.book.walk(side, order.remaining, limit=order.price, step=market.rules.lot)
                if not takes:
                    break
                market.book.consume(side, takes)
                quantity = sum((taken for _, taken in takes), ZERO)
                self._fill_resting(executions, market, order, quantity, now_ms)
        return tuple(executions)

    def _match_print(self, market: SymbolMarket, trade: PublicTrade) -> tuple[Execution, ...]:
        executions: list[Execution] = []
        for side in Side:
            left = trade.quantity
            for order_id in market.resting.of(side):
                order = self._clearing.orders.get_open(order_id)
                beyond = trade.price < order.price if side is Side.BUY else trade.price > order.price
                if not beyond and (trade.price != order.price or trade.buyer_is_maker is (side is Side.SELL)):
                    break
                reach = left if beyond else min(left, max(ZERO, trade.quantity - order.queue_ahead))
                if not beyond and order.queue_ahead:
                    order = replace(order, queue_ahead=max(ZERO, order.queue_ahead - trade.quantity))
                    self._clearing.orders.put(order)
                quantity = round_down(min(reach, order.remaining), market.rules.lot)
                if quantity > 0:
                    left -= quantity
                    self._fill_resting(executions, market, order, quantity, trade.time_ms)
        return tuple(executions)

    def _trigger(self, market: SymbolMarket, trade: PublicTrade) -> tuple[Execution, ...]:
        """Sets off what waits for this price, oldest first; it meets the book as it stands."""
        executions: list[Execution] = []
        for order_id in list(market.waiting):
            order = self._clearing.orders.open_one(order_id)
            if order is not None and admission.reaches(order, trade.price):
                del market.waiting[order_id]
                order = self._go_alone(executions, market, order, trade.time_ms)
                planned = admission.triggered(order, market.rules, market.book)
                executions.append(self._clearing.work(order, planned.queue_ahead, trade.time_ms))
                if self._can_pay(executions[-1].order, market, planned):
                    self.execute(executions, market, planned, trade.time_ms)
                else:
                    broke = replace(planned, takes=(), expiry_reason="REJECTED")
                    self.execute(executions, market, broke, trade.time_ms)
        return tuple(executions)

    def _can_pay(self, order: Order, market: SymbolMarket, planned: admission.Plan) -> bool:
        """A stop that buys at the market was guessed at its stop price; the book may ask for more."""
        cost = sum((quote_amount(price, quantity) for price, quantity in planned.takes), ZERO)
        free = self._clearing.ledger.balance(order.account, pays(order, market.rules)).free
        return order.side is Side.SELL or cost <= order.locked + free

    def execute(self, executions: list[Execution], market: SymbolMarket, planned: admission.Plan, now_ms: int) -> None:
        """Takes what is planned, then lets the rest expire or rest; the order is the last execution's."""
        rules = market.rules
        order = executions[-1].order
        market.book.consume(order.side, planned.takes)
        for price, quantity in planned.takes:
            executions.append(self._clearing.fill(order, rules, price, quantity, now_ms, is_maker=False))
            order = executions[-1].order
        if planned.expiry_reason:
            reason = planned.expiry_reason
            executions.append(self._clearing.end(order, rules, EXPIRED, now_ms, expiry_reason=reason))
        elif order.status.is_open:
            market.resting.add(order)

    def _fill_resting(
        self, executions: list[Execution], market: SymbolMarket, order: Order, quantity: Decimal, now_ms: int
    ) -> None:
        order = self._go_alone(executions, market, order, now_ms)
        execution = self._clearing.fill(order, market.rules, order.price, quantity, now_ms, is_maker=True)
        if not execution.order.status.is_open:
            market.resting.remove(order)
        executions.append(execution)

    def _go_alone(self, executions: list[Execution], market: SymbolMarket, order: Order, now_ms: int) -> Order:
        """The order is about to be carried out, so the other of its pair expires."""
        if order.list_id == NO_LIST:
            return order
        pair = self._clearing.lists.get(order.list_id)
        other = self._clearing.orders.open_one(pair.other(order.order_id))
        if other is None:
            return order
        market.remove(other)
        end = self._clearing.end(other, market.rules, EXPIRED, now_ms, expiry_reason=OTHER_OF_PAIR)
        executions.append(end)
        return self._clearing.alone(order, market.rules)
