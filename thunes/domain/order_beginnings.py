"""How an order's state begins: from an approval, or from what the books know of it after a restart."""

from __future__ import annotations

from collections.abc import Iterable

from thunes.domain.books import OpenOrder
from thunes.domain.figures import OpenOrderFigures
from thunes.domain.orders import OrderState, Phase
from thunes.messages import OrderType, Side, SubmitOrder


def approved(orders: Iterable[tuple[SubmitOrder, str]], epoch: int) -> list[OrderState]:
    """Orders with their client order ids that are on the disk and were not sent yet."""
    return [
        OrderState(
            correlation_id=order.correlation_id,
            client_order_id=client_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            price=order.price,
            stop_price=order.stop_price,
            leg=order.leg,
            epoch=epoch,
        )
        for order, client_order_id in orders
    ]


def reserved(order: SubmitOrder, client_order_id: str, epoch: int) -> OpenOrder:
    """What the books hold of it from the moment that it was allowed, before its line is on the disk."""
    return OpenOrder(
        correlation_id=order.correlation_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        reference_price=order.reference_price,
        epoch=epoch,
        seq=0,
        client_order_id=client_order_id,
        leg=order.leg,
        price=order.price,
        stop_price=order.stop_price,
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
        expires_ms=order.expires_ms,
    )


def found_open(order: OpenOrder) -> OrderState:
    """Its end is not on the disk. A permit that still waits was handled by nobody, so an order that was not submitted
    may yet be sent; one that was must be asked for.
    """
    return OrderState(
        correlation_id=order.correlation_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        leg=order.leg,
        epoch=order.epoch,
        phase=Phase.OPEN if order.order_id else Phase.SENT if order.submitted else Phase.APPROVED,
        order_id=order.order_id,
        executed=order.executed,
        trade_ids=order.trade_ids,
    )


def shown(state: OrderState) -> OpenOrderFigures:
    """The order as `thunes status` shows it."""
    return OpenOrderFigures(
        client_order_id=state.client_order_id,
        symbol=state.symbol,
        side=state.side,
        order_type=state.order_type,
        quantity=state.quantity,
        executed=state.executed,
        status=state.phase,
        correlation_id=state.correlation_id,
    )
