"""Pairs of orders of which one cancels the other (OCO), as the embedded exchange knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from thunes.domain.executions import OrderList, OrderRequest
from thunes.domain.filters import ZERO
from thunes.errors import ExchangeError
from thunes.messages import OrderType, Side

STOPS = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
PROFITS = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
PRICES_CROSS = "The relationship of the prices for the orders is not correct."


@dataclass(frozen=True, slots=True)
class PairRequest:
    """Two orders of one symbol, side and quantity: the one above the market and the one below it."""

    above: OrderRequest
    below: OrderRequest
    client_list_id: str

    @property
    def orders(self) -> tuple[OrderRequest, OrderRequest]:
        """The stop first, as the exchange numbers them."""
        return (self.below, self.above) if self.below.order_type in STOPS else (self.above, self.below)


class OrderLists:
    """Every pair that is not done, by id; ids count from 0."""

    def __init__(self) -> None:
        self._lists: dict[int, OrderList] = {}
        self.next_id = 0

    def add(self, account: str, request: PairRequest, order_ids: Iterable[int], now_ms: int) -> OrderList:
        """Number a pair whose orders are accepted."""
        names = [order.client_order_id for order in request.orders]
        orders = tuple(zip(order_ids, names, strict=True))
        made = OrderList(self.next_id, account, request.client_list_id, request.above.symbol, orders, now_ms)
        self.put(made)
        return made

    def put(self, pair: OrderList) -> None:
        self._lists[pair.list_id] = pair
        self.next_id = max(self.next_id, pair.list_id + 1)

    def get(self, list_id: int) -> OrderList:
        return self._lists[list_id]

    def end(self, list_id: int, now_ms: int) -> OrderList:
        """Both of its orders have ended; it is handed out a last time."""
        return replace(self._lists.pop(list_id), done=True, time_ms=now_ms)

    def open(self, account: str) -> tuple[OrderList, ...]:
        """The account's pairs that are not done, oldest first."""
        return tuple(pair for _, pair in sorted(self._lists.items()) if pair.account == account)

    def find(self, account: str, symbol: str, list_id: int | None, client_list_id: str | None) -> OrderList:
        """An open one, by id or else by client id. Raises ExchangeError -2011 where there is none such."""
        for pair in self.open(account):
            same = client_list_id == pair.client_list_id if list_id is None else list_id == pair.list_id
            if same and pair.symbol == symbol and client_list_id in (None, pair.client_list_id):
                return pair
        raise ExchangeError(-2011, "Unknown order list sent.")


def check(request: PairRequest, last_price: Decimal) -> None:
    """Raises ExchangeError, as the exchange words it, for two orders that make no pair."""
    above, below = request.above, request.below
    if above.order_type is below.order_type is OrderType.LIMIT_MAKER:
        raise ExchangeError(-1168, "At least one OCO order must be contingent.")
    for order, is_above in ((above, True), (below, False)):
        _check_place(order, is_above)
    if last_price and not _from_the_market(below) < last_price < _from_the_market(above):
        raise ExchangeError(-2010, PRICES_CROSS)


def _check_place(order: OrderRequest, is_above: bool) -> None:
    """A SELL's stop is below the market and its profit above it; a BUY's are the other way round."""
    sells = order.side is Side.SELL
    which = "sell" if sells else "buy"
    if order.order_type in STOPS:
        if is_above is sells:
            place, code = ("below", -1197) if sells else ("above", -1196)
            raise ExchangeError(code, f"A stop loss order in a {which} OCO must be {place}.")
        return
    if order.order_type is not OrderType.LIMIT_MAKER and order.order_type not in PROFITS:
        raise ExchangeError(-1158, "Order type not supported in OCO.")
    if is_above is not sells:
        is_limit = order.order_type is OrderType.LIMIT_MAKER
        place, limit_code, profit_code = ("above", -1166, -1199) if sells else ("below", -1165, -1198)
        name = "limit" if is_limit else "take profit"
        code = limit_code if is_limit else profit_code
        raise ExchangeError(code, f"A {name} order in a {which} OCO must be {place}.")


def _from_the_market(order: OrderRequest) -> Decimal:
    """The price of it that has to be on its side of the last one."""
    waits_only = order.order_type in STOPS or order.order_type is OrderType.TAKE_PROFIT
    return (order.stop_price if waits_only else order.price) or ZERO
