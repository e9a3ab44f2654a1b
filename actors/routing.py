"""Who is told of a journalled event: a table on its type. Books and Metrics are told of all, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thunes.domain.journal import AuditEvent

RISK, STRATEGY, ORDERS, ALERT = "risk", "strategy.{symbol}", "order.*", "alert"

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

TOLD_TO_PEOPLE = (
    "SYSTEM_STARTED",
    "SYSTEM_STOPPED",
    "CIRCUIT_OPENED",
    "CIRCUIT_CLOSED",
    "STREAM_CONNECTED",
    "STREAM_DISCONNECTED",
    "STREAM_STALE",
    "RECONCILIATION_MISMATCH",
    "ACTOR_RESTARTED",
    "PARAMETER_DECAY",
    "RODAGE_STARTED",
    "RODAGE_RESTARTED",
    "RODAGE_VERDICT",
    # So that a start need not read the journal since the last of the others.
    "HEARTBEAT",
)

ROUTES: Mapping[str, tuple[str, ...]] = {
    "TRADE_REJECTED": (STRATEGY,),
    **dict.fromkeys(ORDER_EVENTS, (RISK,)),
    "ORDER_PARTIALLY_FILLED": (RISK, ALERT),
    "ORDER_FILLED": (RISK, ALERT),
    "KILL_SWITCH_ACTIVATED": (ORDERS, RISK, ALERT),
    "KILL_SWITCH_DEACTIVATED": (ORDERS, RISK, ALERT),
    "RECONCILED": (RISK,),
    "POSITION_OPENED": (RISK,),
    "POSITION_CLOSED": (RISK, ALERT),
    "DAILY_RESET": (RISK, ALERT),
    "OPERATOR_COMMAND": (ALERT,),
    **dict.fromkeys(TOLD_TO_PEOPLE, (ALERT,)),
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
