"""Who is told of a journalled event: a table on its type. Books and Metrics are told of all, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thunes.domain.journal import AuditEvent

RISK, STRATEGY, ORDERS, BREAKER = "risk", "strategy.{symbol}", "order.*", "breaker"

OF_ALL = ("books", "metrics")

ORDER_EVENTS = (
    "ORDER_SUBMITTED",
    "ORDER_ACCEPTED",
    "ORDER_PARTIALLY_FILLED",
    "ORDER_FILLED",
    "ORDER_CANCELED",
    "ORDER_REJECTED",
    "ORDER_EXPIRED",
    "ORDER_UNKNOWN",
    "ORDER_RESOLVED",
)

ROUTES: Mapping[str, tuple[str, ...]] = {
    "TRADE_REJECTED": (STRATEGY,),
    **dict.fromkeys(ORDER_EVENTS, (RISK,)),
    "KILL_SWITCH_ACTIVATED": (ORDERS, RISK),
    "KILL_SWITCH_DEACTIVATED": (ORDERS, RISK),
    "RECONCILED": (RISK,),
    "POSITION_OPENED": (RISK,),
    "POSITION_CLOSED": (RISK,),
    "DAILY_RESET": (RISK,),
}
"""What allows an order goes to the breaker besides, and to no one before it is on the disk."""


def receivers(event: AuditEvent, symbols: Sequence[str]) -> tuple[str, ...]:
    """The names that `event` is told to, beyond those that are told of all."""
    names: list[str] = []
    for route in ROUTES.get(event.event, ()):
        if route == ORDERS:
            names += [f"order.{symbol}" for symbol in symbols]
        elif route != STRATEGY:
            names.append(route)
        elif event.symbol in symbols:
            names.append(f"strategy.{event.symbol}")
    return tuple(names)
