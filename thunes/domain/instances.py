"""Who else trades on our account: other systems like this one, known by the names of their orders.

A client order id begins with the eight hexadecimal digits of the home that sent it (`orders.client_order_id`), so a
name of that shape with other digits is another system's. What is open is enough; what has ended counts only if it
traded a short while ago, so that a home that was given up does not lock its account for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from thunes.domain.market import OrderAnswer

FRESH_MS = 600_000
"""An ended order that traded within so much of the exchange's time is a system's that may still run."""

NAME = re.compile(r"([0-9a-f]{8})-[0-9a-f]{20}(-[A-Za-z0-9]{1,6})?")
"""Home, signal, and for a protective order its leg."""


def home_of(client_order_id: str) -> str:
    """The id of the home that named an order so; empty for a name that none of ours would give."""
    found = NAME.fullmatch(client_order_id)
    return found[1] if found else ""


def is_recent(order: OrderAnswer, now_ms: int) -> bool:
    """Whether the order is open, or traded within FRESH_MS before `now_ms`, both in the exchange's time."""
    return order.status.is_open or (order.executed > 0 and order.time_ms >= now_ms - FRESH_MS)


def foreign_orders(orders: Iterable[OrderAnswer], home_id: str, now_ms: int) -> dict[str, OrderAnswer]:
    """The newest recent order of every other home; an empty `home_id` is nobody's, so that all homes are others."""
    found: dict[str, OrderAnswer] = {}
    for order in sorted(orders, key=lambda order: (order.status.is_open, order.time_ms)):
        home = home_of(order.client_order_id)
        if home and home != home_id and is_recent(order, now_ms):
            found[home] = order
    return found


def foreign_instances(orders: Iterable[OrderAnswer], home_id: str, now_ms: int) -> tuple[str, ...]:
    """The ids of the other homes that trade on the account these orders are of, in order."""
    return tuple(sorted(foreign_orders(orders, home_id, now_ms)))
