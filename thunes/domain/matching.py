"""The embedded exchange's matching engine: users' orders against the public book and the public tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from thunes.domain import admission
from thunes.domain.clearing import Clearing, EngineState, pays
from thunes.domain.executions import CANCELED, EXPIRED, Balance, Execution, Fill, Order, OrderRequest
from thunes.domain.filters import ZERO, SymbolRules, quote_amount, round_down
from thunes.domain.ledger import Flow
from thunes.domain.orderbook import OrderBook
from thunes.domain.symbol_market import SymbolMarket
from thunes.errors import ExchangeError, OperatorError
from thunes.messages import MarketEvent, PublicTrade, Side

__all__ = ["Balance", "EngineState", "Execution", "Fill", "MatchingEngine", "Order", "OrderRequest"]

CLOSED_LIMIT = 10_000
"""Closed orders that the engine remembers by itself; older ones are in the server's database."""


class MatchingEngine:
    """Accounts' orders, matched with the public market as if they had been there.

    Users' orders meet the public book and the public tape alone: they never match each other, are not displayed, and
    their trades are not printed, so that the public market remains its source's to the letter. What a taker takes off a
    displayed level stays taken until that level's next update. A resting order fills at its own price, by price and
    then by time: against the public book when its other side reaches the price, up to what is displayed; and on a
    public trade beyond its price, or at its price once what was displayed ahead of it has traded, up to what the trade
    was for. An order with a stop price waits off the book for a public trade that reaches it, and is a LIMIT or MARKET
    order from then on. Commissions are taken from what is received, truncated to 8 decimals.

    Pure and single-threaded: time is an argument; everything refused raises ExchangeError and changes nothing.
    """

    def __init__(
        self,
        rules: Mapping[str, SymbolRules],
        *,
        maker_fee: Decimal,
        taker_fee: Decimal,
        closed_limit: int = CLOSED_LIMIT,
    ) -> None:
        self._markets = {symbol: SymbolMarket(each) for symbol, each in rules.items()}
        self._clearing = Clearing(maker_fee, taker_fee, closed_limit)

    # accounts

    def open_account(self, account: str, balances: Mapping[str, Decimal]) -> None:
        """Opens an account with these free balances; one that is open keeps what it has."""
        self._clearing.ledger.open(account, {asset: Balance(free) for asset, free in balances.items()})

    def balances(self, account: str) -> Mapping[str, Balance]:
        """By asset, as they are now. Raises KeyError for an account that was never opened."""
        return self._clearing.ledger.balances(account)

    def flows(self) -> Mapping[str, Flow]:
        """By asset, where every unit went: deposited = the accounts' totals + fees + market, to the last digit."""
        return self._clearing.ledger.flows()

    # the public market

    def book(self, symbol: str) -> OrderBook:
        """The displayed book, less what users took. Raises ExchangeError -1121 for an unknown symbol."""
        return self._symbol_market(symbol).book

    def last_price(self, symbol: str) -> Decimal:
        """Of the newest public trade; before the first, the middle of the book; 0 when that is empty too."""
        return self._symbol_market(symbol).last_price()

    def average_price(self, symbol: str) -> Decimal:
        """Over the symbol's last `avg_price_minutes` (5 where the rules name none) of public trades, to 8 decimals."""
        return self._symbol_market(symbol).average_price()

    def market(self, event: MarketEvent) -> tuple[Execution, ...]:
        """Applies a public event and fills the resting orders that it reaches; other symbols' events are ignored."""
        market = self._markets.get(event.symbol)
        if market is None:
            return ()
        if isinstance(event, PublicTrade):
            market.tape.add(event)
            matched = self._match_print(market, event) if market.resting else ()
            return (*matched, *self._trigger(market, event)) if market.waiting else matched
        market.book.apply(event)
        return self._match_book(market, event.time_ms) if market.resting else ()

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
                executions.append(self._fill_resting(market, order, quantity, now_ms))
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
                    executions.append(self._fill_resting(market, order, quantity, trade.time_ms))
        return tuple(executions)

    def _trigger(self, market: SymbolMarket, trade: PublicTrade) -> tuple[Execution, ...]:
        """Sets off what waits for this price, oldest first; it meets the book as it stands."""
        executions: list[Execution] = []
        for order_id in list(market.waiting):
            order = self._clearing.orders.get_open(order_id)
            if admission.reaches(order, trade.price):
                del market.waiting[order_id]
                planned = admission.triggered(order, market.rules, market.book)
                executions.append(self._clearing.work(order, planned.queue_ahead, trade.time_ms))
                if self._can_pay(executions[-1].order, market, planned):
                    self._execute(executions, market, planned, trade.time_ms)
                else:
                    broke = replace(planned, takes=(), expiry_reason="REJECTED")
                    self._execute(executions, market, broke, trade.time_ms)
        return tuple(executions)

    def _can_pay(self, order: Order, market: SymbolMarket, planned: admission.Plan) -> bool:
        """A stop that buys at the market was guessed at its stop price; the book may ask for more."""
        cost = sum((quote_amount(price, quantity) for price, quantity in planned.takes), ZERO)
        free = self._clearing.ledger.balance(order.account, pays(order, market.rules)).free
        return order.side is Side.SELL or cost <= order.locked + free

    def _execute(self, executions: list[Execution], market: SymbolMarket, planned: admission.Plan, now_ms: int) -> None:
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

    # orders

    def place(
        self, account: str, request: OrderRequest, now_ms: int, *, validate_only: bool = False
    ) -> tuple[Execution, ...]:
        """Accepts an order and executes what it can now: NEW, a TRADE for each level taken, EXPIRED if it may not rest.

        With `validate_only` it is checked in full and nothing happens. Raises ExchangeError: -1121 unknown symbol,
        -1100, -1102, -1106 and -1111 for malformed requests, -1013 for a filter, -2010 for all else.
        """
        market = self._symbol_market(request.symbol)
        planned = self._admit(account, market, request)
        if validate_only:
            return ()
        executions = [self._clearing.accept(account, request, market.rules, planned, now_ms)]
        if planned.waits:
            market.waiting[executions[0].order.order_id] = None
        else:
            self._execute(executions, market, planned, now_ms)
        return tuple(executions)

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        cancel_id: str,
        now_ms: int,
    ) -> Execution:
        """Cancels one open order. Raises ExchangeError -2011 when there is none such, -2039 when the ids disagree."""
        self._symbol_market(symbol)
        unknown = ExchangeError(-2011, "Unknown order sent.")
        order = self._clearing.orders.find(account, symbol, order_id, client_order_id, unknown)
        if not order.status.is_open:
            raise unknown
        return self._cancel(order, cancel_id, now_ms)

    def cancel_all(self, account: str, symbol: str, now_ms: int, cancel_id: str) -> tuple[Execution, ...]:
        """Cancels every open order of a symbol, oldest first. Raises ExchangeError -2011 when there is none."""
        self._symbol_market(symbol)
        orders = self.open_orders(account, symbol)
        if not orders:
            raise ExchangeError(-2011, "Unknown order sent.")
        return tuple(self._cancel(order, cancel_id, now_ms) for order in orders)

    def order(
        self, account: str, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """One order; by client id the open one, else the newest.

        Raises ExchangeError -2013 when it is unknown or so old that only the server's database has it.
        """
        self._symbol_market(symbol)
        absent = ExchangeError(-2013, "Order does not exist.")
        return self._clearing.orders.find(account, symbol, order_id, client_order_id, absent)

    def open_orders(self, account: str, symbol: str | None = None) -> tuple[Order, ...]:
        """The account's open orders, of one symbol or of all, oldest first."""
        orders = self._clearing.orders.open_orders()
        return tuple(o for o in orders if o.account == account and symbol in (None, o.symbol))

    # across a restart

    def dump(self) -> EngineState:
        """All that `restore` needs."""
        return self._clearing.dump()

    def restore(
        self,
        orders: Iterable[Order],
        balances: Mapping[str, Mapping[str, Balance]],
        next_order_id: int,
        next_trade_id: Mapping[str, int],
        next_execution_id: int,
    ) -> None:
        """Takes over accounts, orders (closed ones may be among them) and sequences, in a new engine.

        Raises OperatorError when an account's locked balances are not what its open orders lock.
        """
        state = EngineState(tuple(orders), balances, next_order_id, next_trade_id, next_execution_id)
        self._check_locked(state)
        self._clearing.restore(state)
        for order in self._clearing.orders.open_orders():
            market = self._markets[order.symbol]
            if order.waits:
                market.waiting[order.order_id] = None
            else:
                market.resting.add(order)

    def _check_locked(self, state: EngineState) -> None:
        locked = {(a, asset): b.locked for a, held in state.balances.items() for asset, b in held.items() if b.locked}
        for order in state.orders:
            key = (order.account, pays(order, self._markets[order.symbol].rules))
            locked[key] = locked.get(key, ZERO) - order.locked
        for (account, asset), surplus in locked.items():
            if surplus:
                raise OperatorError(
                    f"the exchange's database has {surplus} {asset} of {account} locked beyond its open orders: "
                    "remove data/exchange.db to start anew"
                )

    # within

    def _symbol_market(self, symbol: str) -> SymbolMarket:
        try:
            return self._markets[symbol]
        except KeyError:
            raise ExchangeError(-1121, "Invalid symbol.") from None

    def _admit(self, account: str, market: SymbolMarket, request: OrderRequest) -> admission.Plan:
        planned = admission.plan(request, market.rules, market.book, self._standing(account, market))
        if self._clearing.orders.is_open(account, request.client_order_id):
            raise ExchangeError(-2010, "Duplicate order sent.")
        asset = market.rules.quote if request.side is Side.BUY else market.rules.base
        if self._clearing.ledger.balance(account, asset).free < admission.funds_needed(request, planned):
            raise ExchangeError(-2010, admission.INSUFFICIENT_BALANCE)
        return planned

    def _standing(self, account: str, market: SymbolMarket) -> admission.Standing:
        rules = market.rules
        orders = self.open_orders(account, rules.symbol)
        to_come = sum((order.remaining for order in orders if order.side is Side.BUY), ZERO)
        return admission.Standing(
            average_price=market.average_price(),
            last_price=market.last_price(),
            open_orders=len(orders),
            position=self._clearing.ledger.balance(account, rules.base).total + to_come,
            algo_orders=sum(1 for order in orders if order.waits),
        )

    def _fill_resting(self, market: SymbolMarket, order: Order, quantity: Decimal, now_ms: int) -> Execution:
        execution = self._clearing.fill(order, market.rules, order.price, quantity, now_ms, is_maker=True)
        if not execution.order.status.is_open:
            market.resting.remove(order)
        return execution

    def _cancel(self, order: Order, cancel_id: str, now_ms: int) -> Execution:
        market = self._markets[order.symbol]
        if order.waits:
            del market.waiting[order.order_id]
        else:
            market.resting.remove(order)
        return self._clearing.end(order, market.rules, CANCELED, now_ms, cancel_id=cancel_id)
