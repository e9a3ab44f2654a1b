"""The account stream's events (user-data-stream.md).

They take `scale`: what times in milliseconds are multiplied by, 1 or 1000 for microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thunes.domain.executions import CANCELED, WAITING, Balance, Execution, Fill, OrderList
from thunes.exchange.simulator.payloads import NO_ID, ZERO, figure


def execution_report(execution: Execution, scale: int) -> dict[str, Any]:
    """`executionReport` (user-data-stream.md, "Order Update")."""
    order, time = execution.order, execution.time_ms * scale
    report = {
        "e": "executionReport",
        "E": time,
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side.value,
        "o": order.order_type.value,
        "f": order.time_in_force.value,
        "q": figure(order.quantity),
        "p": figure(order.price),
        "P": figure(order.stop_price),
        "F": ZERO,
        "g": order.list_id,
        "C": "",
        "x": execution.kind,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "z": figure(order.executed),
        "T": time,
        "I": execution.execution_id,
        "w": order.status.is_open and not order.waits,
        "O": order.created_ms * scale,
        "Z": figure(order.cumulative_quote),
        "Q": figure(order.quote_quantity),
        "V": "NONE",
    }
    if order.working_ms != WAITING:
        report["W"] = order.working_ms * scale
    if execution.kind == CANCELED:
        report |= {"c": execution.request_client_order_id, "C": order.client_order_id}
    if order.expiry_reason:
        report["eR"] = order.expiry_reason
    return report | of_trade(execution.fill)


def list_status(pair: OrderList, scale: int) -> dict[str, Any]:
    """`listStatus` (user-data-stream.md, "Order Update")."""
    return {
        "e": "listStatus",
        "E": pair.time_ms * scale,
        "s": pair.symbol,
        "g": pair.list_id,
        "c": "OCO",
        "l": "ALL_DONE" if pair.done else "EXEC_STARTED",
        "L": "ALL_DONE" if pair.done else "EXECUTING",
        "r": "NONE",
        "C": pair.client_list_id,
        "T": pair.time_ms * scale,
        "O": [{"s": pair.symbol, "i": order_id, "c": client_id} for order_id, client_id in pair.orders],
    }


def of_trade(fill: Fill | None) -> dict[str, Any]:
    """A report's members about its trade, which say nothing where there was none."""
    if fill is None:
        return {"l": ZERO, "L": ZERO, "n": "0", "N": None, "t": NO_ID, "m": False, "M": False, "Y": ZERO}
    return {
        "l": figure(fill.quantity),
        "L": figure(fill.price),
        "n": figure(fill.commission),
        "N": fill.commission_asset,
        "t": fill.trade_id,
        "m": fill.is_maker,
        "M": True,
        "Y": figure(fill.quote_quantity),
    }


def account_position(balances: Mapping[str, Balance], now_ms: int, scale: int) -> dict[str, Any]:
    """`outboundAccountPosition`: the assets that may have changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms * scale,
        "u": now_ms * scale,
        "B": [{"a": asset, "f": figure(b.free), "l": figure(b.locked)} for asset, b in balances.items()],
    }
