"""Every order that the matching engine remembers: all open ones, and the newest of the closed ones."""

from __future__ import annotations

from collections.abc import Iterable

from thunes.domain.executions import Order
from thunes.errors import ExchangeError


class OrderIndex:
    """Orders by id and by client id.

    A client id is unique among an account's open orders only, so by client id the open order answers, else the newest
    closed one. At most `closed_limit` closed orders are remembered, the oldest are forgotten first.
    """

    def __init__(self, closed_limit: int) -> None:
        self._closed_limit = closed_limit
        self._open: dict[int, Order] = {}
        self._open_ids: dict[tuple[str, str], int] = {}
        self._closed: dict[int, Order] = {}
        self._closed_ids: dict[tuple[str, str], int] = {}

    def put(self, order: Order) -> None:
        """Remembers the order as it stands now."""
        key = (order.account, order.client_order_id)
        if order.status.is_open:
            self._open[order.order_id] = order
            self._open_ids[key] = order.order_id
            return
        if self._open.pop(order.order_id, None) is not None:
            del self._open_ids[key]
        self._closed[order.order_id] = order
        self._closed_ids[key] = order.order_id
        if len(self._closed) > self._closed_limit:
            self._forget(next(iter(self._closed)))

    def is_open(self, account: str, client_order_id: str) -> bool:
        return (account, client_order_id) in self._open_ids

    def get_open(self, order_id: int) -> Order:
        return self._open[order_id]

    def open_one(self, order_id: int) -> Order | None:
        """The order while it is open."""
        return self._open.get(order_id)

    def open_orders(self) -> Iterable[Order]:
        """All accounts' open orders, oldest first."""
        return (self._open[order_id] for order_id in sorted(self._open))

    def find(
        self, account: str, symbol: str, order_id: int | None, client_order_id: str | None, absent: ExchangeError
    ) -> Order:
        """By id, else by client id. Raises `absent`, or -2039 when both are given and are not the same order's."""
        if order_id is None:
            key = (account, client_order_id or "")
            order_id = self._open_ids.get(key, self._closed_ids.get(key))
        order = None if order_id is None else self._open.get(order_id) or self._closed.get(order_id)
        if order is None or order.account != account or order.symbol != symbol:
            raise absent
        if client_order_id is not None and order.client_order_id != client_order_id:
            raise ExchangeError(-2039, "Client order ID is not correct for this order ID.")
        return order

    def _forget(self, order_id: int) -> None:
        order = self._closed.pop(order_id)
        key = (order.account, order.client_order_id)
        if self._closed_ids.get(key) == order_id:
            del self._closed_ids[key]
