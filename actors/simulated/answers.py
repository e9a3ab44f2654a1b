"""What the matching engine says of an order, in the words of the exchange's answers."""

from __future__ import annotations

from collections.abc import Sequence

from thunes.domain import executions
from thunes.domain.market import Fill, OrderAnswer


def as_fill(fill: executions.Fill) -> Fill:
    return Fill(
        fill.trade_id,
        fill.price,
        fill.quantity,
        fill.quote_quantity,
        fill.commission,
        fill.commission_asset,
        fill.time_ms,
        fill.is_maker,
    )


def as_answer(order: executions.Order, fills: Sequence[Fill] = ()) -> OrderAnswer:
    """The order as it stands; a query's answer carries no fills, a placement's all that it took."""
    return OrderAnswer(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        status=order.status,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        executed=order.executed,
        cumulative_quote=order.cumulative_quote,
        time_ms=order.updated_ms,
        fills=tuple(fills),
    )
