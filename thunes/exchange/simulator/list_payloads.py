"""Order lists as the exchange's JSON in answers to requests (rest-api.md, "Order lists")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from thunes.domain.executions import NO_LIST, WAITING, Execution, Order, OrderList
from thunes.exchange.simulator.payloads import canceled, placed


def order_list(pair: OrderList) -> dict[str, Any]:
    """An order list without its orders' reports."""
    return {
        "orderListId": pair.list_id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if pair.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if pair.done else "EXECUTING",
        "listClientOrderId": pair.client_list_id,
        "transactionTime": pair.time_ms,
        "symbol": pair.symbol,
        "orders": [
            {"symbol": pair.symbol, "orderId": order_id, "clientOrderId": client_id}
            for order_id, client_id in pair.orders
        ],
    }


def placed_list(pair: OrderList, orders: Iterable[Order], response: str) -> dict[str, Any]:
    """An order list that was accepted; neither of its orders has traded."""
    reports = [placed(order, (), pair.time_ms, response) for order in orders]
    if response != "ACK":
        reports = [{"workingTime": WAITING, **report} for report in reports]
    return order_list(pair) | {"orderReports": reports}


def canceled_list(pair: OrderList, orders: Iterable[Order], cancel_id: str) -> dict[str, Any]:
    reports = [canceled(order, cancel_id, order.updated_ms) for order in sorted(orders, key=lambda o: o.order_id)]
    return order_list(pair) | {"orderReports": reports}


def cancellations(executions: Sequence[Execution], cancel_id: str) -> list[dict[str, Any]]:
    """What a cancel ended: an order by itself, or a list with its orders."""
    found: list[dict[str, Any]] = []
    pending: list[Order] = []
    for each in executions:
        if each.order.list_id == NO_LIST:
            found.append(canceled(each.order, cancel_id, each.time_ms))
            continue
        pending.append(each.order)
        if each.order_list is not None:
            found.append(canceled_list(each.order_list, pending, cancel_id))
            pending = []
    return found
