"""Sell what is held: one MARKET order for each open position, as far as the exchange's filters allow."""

from __future__ import annotations

from collections.abc import Callable

from thunes.domain.filters import sellable
from thunes.domain.risk import RiskState
from thunes.messages import OrderType, Side, SubmitOrder


def flatten(state: RiskState, new_id: Callable[[], str], params_hash: str) -> tuple[list[SubmitOrder], list[str]]:
    """The orders, at the bid, and the symbols that have no price or hold too little to sell.

    What has an order of its own under way is in neither.
    """
    orders, left = [], []
    under_way = {order.symbol for order in state.books.orders.values() if not order.leg}
    for position in state.books.open_positions:
        if position.symbol in under_way:
            continue  # it may sell what is held; its end is waited for
        tick = state.ticks.get(position.symbol)
        quantity = sellable(state.rules[position.symbol], position.quantity, tick.bid) if tick is not None else None
        if tick is None or not quantity:
            left.append(position.symbol)
            continue
        order = SubmitOrder(
            correlation_id=new_id(),
            symbol=position.symbol,
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quantity=quantity,
            reference_price=tick.bid,
            cause="FLATTEN",
            strategy="operator",
            params_hash=params_hash,
            market_ms=tick.market_ms,
        )
        orders.append(order)
    return orders, left
