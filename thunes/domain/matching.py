"""The embedded exchange's matching engine: users' orders against the public book and the public tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from thunes.domain import admission, order_lists
from thunes.domain.clearing import Clearing, EngineState, check_locked
from thunes.domain.executions import (
    Balance,
    Execution,
    Fill,
    Order,
    OrderList,
    OrderRequest,
)
from thunes.domain.filters import ZERO, SymbolRules
from thunes.domain.ledger import Flow
from thunes.domain.matcher import Matcher
from thunes.domain.order_lists import PairRequest
from thunes.domain.orderbook import OrderBook
from thunes.domain.symbol_market import SymbolMarket
from thunes.errors import ExchangeError
from thunes.messages import MarketEvent, Side

__all__ = ["Balance", "EngineState", "Execution", "Fill", "MatchingEngine", "Order", "OrderRequest"]

WHOLE = Decimal(1)
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

    `queue_share` is how much of what is displayed at its price is ahead of an order that comes to rest there.

    Pure and single-threaded: time is an argument; everything refused raises ExchangeError and changes nothing.
    """

    def __init__(
        self,
        rules: Mapping[str, SymbolRules],
        *,
        maker_fee: Decimal,
        taker_fee: Decimal,
        closed_limit: int = CLOSED_LIMIT,
        queue_share: Decimal = WHOLE,
    ) -> None:
        self._markets = {symbol: SymbolMarket(each) for symbol, each in rules.items()}
        self._clearing = Clearing(maker_fee, taker_fee, closed_limit, queue_share)
        self._matcher = Matcher(self._markets, self._clearing)
        self._matcher = Matcher(self._markets, self._clearing)

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
        return self._matcher.apply(event)

    def halt(self, symbol: str) -> None:
        """Closes the symbol's market until the next snapshot of its book: nothing fills, orders are refused with -2010.

        The book stays what it was; what is open stays open, and can be cancelled.
        """
        self._symbol_market(symbol).halted = True

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
            market.add(executions[0].order)
        else:
            self._matcher.execute(executions, market, planned, now_ms)
        return tuple(executions)

    def place_pair(self, account: str, request: PairRequest, now_ms: int) -> tuple[OrderList, tuple[Execution, ...]]:
        """Accepts two orders of which one cancels the other: what one may cost is held back once.

        Raises ExchangeError as `place` does, -1158 to -1199 for orders that make no pair, -2010 for prices that are not
        on either side of the market.
        """
        market = self._symbol_market(request.above.symbol)
        planned = self._admit_pair(account, market, request)
        lists, first_id = self._clearing.lists, self._clearing.next_order_id
        pair = lists.add(account, request, (first_id, first_id + 1), now_ms)
        held = max(admission.funds_needed(order, each) for order, each in zip(request.orders, planned, strict=True))
        executions: list[Execution] = []
        for order, each in zip(request.orders, planned, strict=True):
            executions.append(
                self._clearing.accept(
                    account, order, market.rules, each, now_ms, list_id=pair.list_id, held=ZERO if executions else held
                )
            )
            market.add(executions[-1].order)
        executions[-1] = replace(executions[-1], order_list=pair)
        return pair, tuple(executions)

    def cancel_list(
        self,
        account: str,
        symbol: str,
        *,
        list_id: int | None = None,
        client_list_id: str | None = None,
        cancel_id: str,
        now_ms: int,
    ) -> tuple[OrderList, tuple[Execution, ...]]:
        """Cancels both orders of a pair. Raises ExchangeError -2011 when there is no such open pair."""
        self._symbol_market(symbol)
        pair = self._clearing.lists.find(account, symbol, list_id, client_list_id)
        executions = self._matcher.cancel_pair(pair, cancel_id, now_ms)
        return executions[-1].order_list or pair, executions

    def open_lists(self, account: str) -> tuple[OrderList, ...]:
        """The account's pairs of which an order is open, oldest first."""
        return self._clearing.lists.open(account)

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        cancel_id: str,
        now_ms: int,
    ) -> tuple[Execution, ...]:
        """Cancels one open order, and with it the other of its pair, which comes second.

        Raises ExchangeError -2011 when there is none such, -2039 when the ids disagree.
        """
        self._symbol_market(symbol)
        unknown = ExchangeError(-2011, "Unknown order sent.")
        order = self._clearing.orders.find(account, symbol, order_id, client_order_id, unknown)
        if not order.status.is_open:
            raise unknown
        return self._matcher.cancel(order, cancel_id, now_ms)

    def cancel_all(self, account: str, symbol: str, now_ms: int, cancel_id: str) -> tuple[Execution, ...]:
        """Cancels every open order of a symbol, oldest first. Raises ExchangeError -2011 when there is none."""
        self._symbol_market(symbol)
        orders = self.open_orders(account, symbol)
        if not orders:
            raise ExchangeError(-2011, "Unknown order sent.")
        executions: list[Execution] = []
        for order in orders:
            if self._clearing.orders.open_one(order.order_id) is not None:
                executions += self._matcher.cancel(order, cancel_id, now_ms)
        return tuple(executions)

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
        lists: Iterable[OrderList] = (),
        next_list_id: int = 0,
    ) -> None:
        """Takes over accounts, orders (closed ones may be among them), open pairs and sequences, in a new engine.

        Raises OperatorError when an account's locked balances are not what its open orders lock.
        """
        sequences = next_order_id, next_trade_id, next_execution_id
        state = EngineState(tuple(orders), balances, *sequences, tuple(lists), next_list_id)
        check_locked(state, {symbol: market.rules for symbol, market in self._markets.items()})
        self._clearing.restore(state)
        for order in self._clearing.orders.open_orders():
            self._markets[order.symbol].add(order)

    # within

    def _symbol_market(self, symbol: str) -> SymbolMarket:
        try:
            return self._markets[symbol]
        except KeyError:
            raise ExchangeError(-1121, "Invalid symbol.") from None

    def _admit(
        self, account: str, market: SymbolMarket, request: OrderRequest, standing: admission.Standing | None = None
    ) -> admission.Plan:
        if market.halted:
            raise ExchangeError(-2010, "Market is closed.")
        planned = admission.plan(request, market.rules, market.book, standing or self._standing(account, market))
        if self._clearing.orders.is_open(account, request.client_order_id):
            raise ExchangeError(-2010, "Duplicate order sent.")
        asset = market.rules.quote if request.side is Side.BUY else market.rules.base
        if self._clearing.ledger.balance(account, asset).free < admission.funds_needed(request, planned):
            raise ExchangeError(-2010, admission.INSUFFICIENT_BALANCE)
        return planned

    def _admit_pair(self, account: str, market: SymbolMarket, request: PairRequest) -> list[admission.Plan]:
        rules, lists = market.rules, self.open_lists(account)
        if not rules.oco_allowed:
            raise ExchangeError(-2010, "OCO orders are not supported for this symbol")
        order_lists.check(request, market.last_price())
        standing = self._standing(account, market)
        planned = []
        for order in request.orders:
            planned.append(self._admit(account, market, order, standing))
            algo = standing.algo_orders + order.order_type.is_conditional
            standing = replace(standing, open_orders=standing.open_orders + 1, algo_orders=algo)
        names = {order.client_order_id for order in request.orders}
        if len(names) < 2 or any(pair.client_list_id == request.client_list_id for pair in lists):
            raise ExchangeError(-2010, "Duplicate order sent.")
        if 0 < rules.max_num_order_lists <= sum(pair.symbol == rules.symbol for pair in lists):
            raise ExchangeError(-1013, "Filter failure: MAX_NUM_ORDER_LISTS")
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
