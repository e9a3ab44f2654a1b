"""What has to rest on the exchange so that a position is never without its stop, against what rests there.

Pure: the books say what is held and which protective orders are under way; the answer is one step towards agreement.
A protective order carries its entry's correlation id and a leg of its own, and needs no second decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from thunes.domain.books import Books
from thunes.domain.filters import SymbolRules, market_step, order_violation, round_down, round_up
from thunes.domain.positions import OpenOrder, Position
from thunes.messages import OrderType, Side, SubmitOrder

STOP, PROFIT = OrderType.STOP_LOSS_LIMIT, OrderType.LIMIT_MAKER


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop as it should rest: base quantity, and quote prices on the symbol's grid."""

    quantity: Decimal
    stop_price: Decimal
    limit_price: Decimal
    profit_price: Decimal | None = None
    """Of the sale beside it, where there is one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Let this protective order rest. `number` counts those of its entry."""

    order: SubmitOrder
    number: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Cancel these: the position is not what they protect."""

    keys: tuple[str, ...]


def next_step(
    books: Books, rules: SymbolRules, *, limit_offset: Decimal, market_ms: int, params_hash: str, paired: bool = True
) -> Place | Remove | None:
    """What to do about the symbol's protection now; None while nothing is to be done or something is under way.

    While an exit is under way nothing is placed, and its OrderActor takes away what rests; while a MARKET entry is,
    its fills are waited for. A LIMIT entry's fills are protected as they come. With `paired` false a stop is placed
    alone, because the exchange has refused it with its sale.
    """
    position = books.positions.get(rules.symbol, Position(rules.symbol))
    own = [order for order in books.orders.values() if order.symbol == rules.symbol]
    if any(not order.leg and (order.side == Side.SELL or not order.rests) for order in own):
        return None
    live = [order for order in own if order.leg]
    stop = wanted(position, rules, limit_offset)
    if live:
        return None if stop is not None and _matches(live, stop) else Remove(tuple(order.key for order in live))
    if stop is None:
        return None
    number = position.protections + 1
    order = SubmitOrder(
        correlation_id=position.entry_id,
        symbol=rules.symbol,
        side=Side.SELL,
        order_type=STOP,
        quantity=stop.quantity,
        reference_price=stop.limit_price,
        cause="PROTECTION",
        strategy="risk",
        params_hash=params_hash,
        market_ms=market_ms,
        price=stop.limit_price,
        stop_price=stop.stop_price,
        profit_price=stop.profit_price if paired else None,
        leg=f"s{number}",
    )
    return Place(order, number)


def wanted(position: Position, rules: SymbolRules, limit_offset: Decimal) -> Stop | None:
    """The stop that the position's terms ask for; None without terms, or where the symbol's rules do not allow it."""
    if not position.is_open or position.stop_loss is None or STOP not in rules.order_types:
        return None
    stop_price = round_down(position.entry_price * (1 - position.stop_loss), rules.tick_size)
    limit_price = round_down(stop_price * (1 - limit_offset), rules.tick_size)
    quantity = round_down(position.quantity, market_step(rules.step_size, rules.market_step))
    if rules.max_quantity:
        quantity = min(quantity, rules.max_quantity)
    if quantity <= 0 or not _may_rest(rules, STOP, limit_price, quantity, stop_price):
        return None
    return Stop(quantity, stop_price, limit_price, _profit_price(position, rules, quantity))


def _profit_price(position: Position, rules: SymbolRules, quantity: Decimal) -> Decimal | None:
    """Where the position's terms ask for a sale; None without terms, or where the symbol does not allow it."""
    if position.take_profit is None or not rules.oco_allowed or PROFIT not in rules.order_types:
        return None
    price = round_up(position.entry_price * (1 + position.take_profit), rules.tick_size)
    return price if _may_rest(rules, PROFIT, price, quantity, price) else None


def _may_rest(rules: SymbolRules, order_type: OrderType, price: Decimal, quantity: Decimal, market: Decimal) -> bool:
    """Whether the filters take such a SELL while the market is at `market`."""
    broken = order_violation(
        rules,
        side=Side.SELL,
        order_type=order_type,
        price=price,
        quantity=quantity,
        quote_quantity=None,
        average_price=market,
        last_price=market,
    )
    return broken is None


def resting_limit(books: Books, symbol: str) -> Decimal | None:
    """The limit price of the stop that the exchange has taken; None where none rests."""
    taken = (o for o in books.orders.values() if o.symbol == symbol and o.leg and o.order_id and o.stop_price)
    return next((order.price for order in taken), None)


def _matches(live: list[OpenOrder], stop: Stop) -> bool:
    """Whether what rests, less what of it has filled, is the stop wanted.

    A stop alone is as good as one with its sale: it has been set off, which ends the sale, or was refused as a pair.
    """
    stops = [order for order in live if order.order_type == STOP]
    sales = [order for order in live if order.order_type != STOP]
    return (
        [_terms(order) for order in stops] == [(stop.quantity, stop.stop_price, stop.limit_price)]
        and len(sales) < 2
        and all(_terms(sale) == (stop.quantity, None, stop.profit_price) for sale in sales)
    )


def _terms(order: OpenOrder) -> tuple[Decimal, Decimal | None, Decimal | None]:
    return order.quantity - order.executed, order.stop_price, order.price
