"""What an order's life does to its account: acceptance, trades and ends, each with its execution report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from thunes.domain.admission import Plan
from thunes.domain.executions import (
    EXPIRED,
    NEW,
    NO_LIST,
    TRADE,
    WAITING,
    Balance,
    Execution,
    Fill,
    Order,
    OrderList,
    OrderRequest,
)
from thunes.domain.filters import EXACT, ZERO, SymbolRules, quote_amount
from thunes.domain.ledger import Ledger
from thunes.domain.order_index import OrderIndex
from thunes.domain.order_lists import OrderLists
from thunes.errors import OperatorError
from thunes.messages import OrderStatus, Side


@dataclass(frozen=True, slots=True)
class EngineState:
    """What a restart needs, as `MatchingEngine.restore` takes it; the market itself comes again from its source."""

    orders: tuple[Order, ...]
    """The open ones, oldest first."""
    balances: Mapping[str, Mapping[str, Balance]]
    """By account and asset."""
    next_order_id: int
    next_trade_id: Mapping[str, int]
    """By symbol; 1 where nobody traded yet."""
    next_execution_id: int
    lists: tuple[OrderList, ...] = ()
    """The open pairs."""
    next_list_id: int = 0


class Clearing:
    """Accounts, orders and the sequences of their ids: order and execution ids engine-wide, trade ids by symbol."""

    def __init__(self, maker_fee: Decimal, taker_fee: Decimal, closed_limit: int, queue_share: Decimal) -> None:
        self.ledger = Ledger()
        self.orders = OrderIndex(closed_limit)
        self.lists = OrderLists()
        self._maker_fee = maker_fee
        self._taker_fee = taker_fee
        self._queue_share = queue_share
        self.next_order_id = 1
        self._next_execution_id = 1
        self._next_trade_id: defaultdict[str, int] = defaultdict(lambda: 1)

    def accept(
        self,
        account: str,
        request: OrderRequest,
        rules: SymbolRules,
        planned: Plan,
        now_ms: int,
        *,
        list_id: int = NO_LIST,
        held: Decimal | None = None,
    ) -> Execution:
        """Makes the order NEW and locks what it may cost, or as one of a pair what is `held` for it."""
        order = Order(
            order_id=self.next_order_id,
            account=account,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            price=request.price or ZERO,
            quantity=planned.quantity,
            quote_quantity=request.quote_quantity or ZERO,
            executed=ZERO,
            cumulative_quote=ZERO,
            status=OrderStatus.NEW,
            created_ms=now_ms,
            updated_ms=now_ms,
            queue_ahead=EXACT.multiply(planned.queue_ahead, self._queue_share),
            stop_price=request.stop_price or ZERO,
            working_ms=WAITING if planned.waits else now_ms,
            list_id=list_id,
            held=held,
        )
        self.next_order_id += 1
        self.ledger.lock(account, pays(order, rules), order.locked)
        return self._report(NEW, order)

    def alone(self, order: Order, rules: SymbolRules) -> Order:
        """The order without its pair: it holds back what it may cost itself."""
        after = replace(order, held=None)
        self.ledger.lock(order.account, pays(order, rules), after.locked - order.locked)
        self.orders.put(after)
        return after

    def work(self, order: Order, queue_ahead: Decimal, now_ms: int) -> Execution:
        """Puts an order on the book whose stop price the market has reached; it is reported as NEW again."""
        ahead = EXACT.multiply(queue_ahead, self._queue_share)
        return self._report(NEW, replace(order, working_ms=now_ms, updated_ms=now_ms, queue_ahead=ahead))

    def fill(
        self, order: Order, rules: SymbolRules, price: Decimal, quantity: Decimal, now_ms: int, *, is_maker: bool
    ) -> Execution:
        """Trades `quantity` of the order with the public market and takes the commission off what is received."""
        quote = quote_amount(price, quantity)
        executed = order.executed + quantity
        after = replace(
            order,
            executed=executed,
            cumulative_quote=order.cumulative_quote + quote,
            status=OrderStatus.FILLED if executed == order.quantity else OrderStatus.PARTIALLY_FILLED,
            updated_ms=now_ms,
        )
        paid, received = (quote, quantity) if order.side is Side.BUY else (quantity, quote)
        # Truncated like any amount of money.
        fee = quote_amount(received, self._maker_fee if is_maker else self._taker_fee)
        fill = Fill(
            trade_id=self._next_trade_id[order.symbol],
            order_id=order.order_id,
            symbol=order.symbol,
            price=price,
            quantity=quantity,
            quote_quantity=quote,
            commission=fee,
            commission_asset=receives(order, rules),
            time_ms=now_ms,
            is_buyer=order.side is Side.BUY,
            is_maker=is_maker,
            list_id=order.list_id,
        )
        self._next_trade_id[order.symbol] += 1
        self.ledger.pay(order.account, pays(order, rules), paid, unlocked=order.locked - after.locked)
        self.ledger.receive(order.account, fill.commission_asset, received, fee=fee)
        return self._report(TRADE, after, fill)

    def end(
        self, order: Order, rules: SymbolRules, kind: str, now_ms: int, *, expiry_reason: str = "", cancel_id: str = ""
    ) -> Execution:
        """Ends the order as EXPIRED or CANCELED and frees what it held."""
        status = OrderStatus.EXPIRED if kind == EXPIRED else OrderStatus.CANCELED
        after = replace(order, status=status, updated_ms=now_ms, expiry_reason=expiry_reason)
        self.ledger.lock(order.account, pays(order, rules), -order.locked)
        return self._report(kind, after, cancel_id=cancel_id)

    def dump(self) -> EngineState:
        return EngineState(
            orders=tuple(self.orders.open_orders()),
            balances={account: self.ledger.balances(account) for account in self.ledger.accounts()},
            next_order_id=self.next_order_id,
            next_trade_id=dict(self._next_trade_id),
            next_execution_id=self._next_execution_id,
            lists=tuple(pair for account in self.ledger.accounts() for pair in self.lists.open(account)),
            next_list_id=self.lists.next_id,
        )

    def restore(self, state: EngineState) -> None:
        """Takes a dump's accounts, orders and sequences into a new Clearing."""
        for account, balances in state.balances.items():
            self.ledger.open(account, balances)
        for order in state.orders:
            self.orders.put(order)
        self.next_order_id = state.next_order_id
        self._next_execution_id = state.next_execution_id
        self._next_trade_id.update(state.next_trade_id)
        for pair in state.lists:
            self.lists.put(pair)
        self.lists.next_id = max(self.lists.next_id, state.next_list_id)

    def _report(self, kind: str, order: Order, fill: Fill | None = None, cancel_id: str = "") -> Execution:
        """Remembers the order as it stands now and numbers what happened."""
        self.orders.put(order)
        pair = self._ended_list(order)
        execution = Execution(kind, order, fill, self._next_execution_id, order.updated_ms, cancel_id, pair)
        self._next_execution_id += 1
        return execution

    def _ended_list(self, order: Order) -> OrderList | None:
        """The order's pair, if this was the last of it."""
        if order.list_id == NO_LIST or order.status.is_open:
            return None
        other = self.lists.get(order.list_id).other(order.order_id)
        return self.lists.end(order.list_id, order.updated_ms) if self.orders.open_one(other) is None else None


def check_locked(state: EngineState, rules: Mapping[str, SymbolRules]) -> None:
    """Raises OperatorError when an account's locked balances are not what its open orders lock."""
    locked = {(a, asset): b.locked for a, held in state.balances.items() for asset, b in held.items() if b.locked}
    for order in state.orders:
        key = (order.account, pays(order, rules[order.symbol]))
        locked[key] = locked.get(key, ZERO) - order.locked
    for (account, asset), surplus in locked.items():
        if surplus:
            raise OperatorError(
                f"the exchange's database has {surplus} {asset} of {account} locked beyond its open orders: "
                "remove data/exchange.db to start anew"
            )


def pays(order: Order, rules: SymbolRules) -> str:
    """The asset that the order spends."""
    return rules.quote if order.side is Side.BUY else rules.base


def receives(order: Order, rules: SymbolRules) -> str:
    """The asset that the order gets, less commission."""
    return rules.base if order.side is Side.BUY else rules.quote
