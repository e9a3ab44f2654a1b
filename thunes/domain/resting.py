"""Users' open orders of one symbol, in the order in which they fill: by price, then by time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from thunes.domain.executions import Order
from thunes.messages import Side


class RestingOrders:
    """The ids of open orders by side; earlier ids were placed earlier."""

    __slots__ = ("_buys", "_sells")

    def __init__(self) -> None:
        self._buys: list[tuple[Decimal, int]] = []
        self._sells: list[tuple[Decimal, int]] = []

    def __bool__(self) -> bool:
        return bool(self._buys or self._sells)

    def add(self, order: Order) -> None:
        insort(self._side(order.side), self._key(order))

    def remove(self, order: Order) -> None:
        """Raises ValueError for an order that does not rest here."""
        keys, key = self._side(order.side), self._key(order)
        index = bisect_left(keys, key)
        if index == len(keys) or keys[index] != key:
            raise ValueError(f"order {order.order_id} does not rest on {order.symbol}")
        del keys[index]

    def of(self, side: Side) -> Iterator[int]:
        """Order ids of a side, the best price and the earliest first; safe against removals on the way."""
        return iter([order_id for _, order_id in self._side(side)])

    def best(self, side: Side) -> Decimal | None:
        """The price of the side's first order."""
        keys = self._side(side)
        return abs(keys[0][0]) if keys else None

    def _side(self, side: Side) -> list[tuple[Decimal, int]]:
        return self._buys if side is Side.BUY else self._sells

    @staticmethod
    def _key(order: Order) -> tuple[Decimal, int]:
        return (-order.price if order.side is Side.BUY else order.price, order.order_id)
