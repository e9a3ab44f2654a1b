"""Which of a symbol's trading rules an order would break, after the exchange's filters.md.

Used twice: by risk before an order leaves, and by the embedded exchange when one arrives, so that both say the same.
All arithmetic is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from math import lcm

from thunes.domain.symbol_rules import ZERO, SymbolRules
from thunes.messages import OrderType, Side

__all__ = [
    "EIGHT_PLACES",
    "EXACT",
    "ZERO",
    "SymbolRules",
    "market_step",
    "order_violation",
    "quote_amount",
    "round_down",
    "sellable",
]

EIGHT_PLACES = Decimal("0.00000001")
EXACT = Context(prec=100, rounding=ROUND_DOWN)
"""Wide enough that no product or remainder of a request's figures is ever rounded."""


AT_THE_MARKET = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
"""Without a price of their own."""


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` that is at most `value`; a step of 0 leaves it unchanged."""
    if not step:
        return value
    # In the step's own decimals: a quotient's thirty digits have no place in an order or a journal.
    return EXACT.quantize(EXACT.subtract(value, EXACT.remainder(value, step)), step)


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of `step` that is at least `value`; a step of 0 leaves it unchanged."""
    below = round_down(value, step)
    return below if below == value else EXACT.add(below, step)


def quote_amount(price: Decimal, quantity: Decimal) -> Decimal:
    """What `quantity` costs at `price`, truncated to the 8 decimals that balances have."""
    return EXACT.quantize(EXACT.multiply(price, quantity), EIGHT_PLACES)


def market_step(lot: Decimal, market: Decimal) -> Decimal:
    """The smallest quantity that is a multiple of both steps, either of which may be off (0).

    Not cached: 0.1 and 0.10 are one key, and what is rounded to a step takes over its decimals.
    """
    if not lot or not market:
        return lot or market
    scale = min(int(lot.as_tuple().exponent), int(market.as_tuple().exponent))
    return Decimal(lcm(int(lot.scaleb(-scale)), int(market.scaleb(-scale)))).scaleb(scale)


def sellable(rules: SymbolRules, quantity: Decimal, price: Decimal) -> Decimal:
    """What of a holding one MARKET SELL may take at about `price`; 0 when all of it is dust."""
    most = min((limit for limit in (rules.max_quantity, rules.market_max) if limit), default=quantity)
    lots = round_down(min(quantity, most), market_step(rules.step_size, rules.market_step))
    too_few = lots < max(rules.min_quantity, rules.market_min)
    too_little = rules.apply_min_to_market and EXACT.multiply(lots, price) < rules.min_notional
    return ZERO if lots <= 0 or too_few or too_little else lots


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An order as the filters see it."""

    side: Side
    is_market: bool
    price: Decimal | None
    quantity: Decimal | None
    quote_quantity: Decimal | None
    average_price: Decimal
    last_price: Decimal
    open_orders: int
    position: Decimal
    stop_price: Decimal | None = None
    algo_orders: int = 0

    def reference(self, minutes: int) -> Decimal:
        """The price that stands in for a missing one; 0 as long as nobody has traded."""
        return self.average_price if minutes else self.last_price


def order_violation(
    rules: SymbolRules,
    *,
    side: Side,
    order_type: OrderType,
    price: Decimal | None,
    quantity: Decimal | None,
    quote_quantity: Decimal | None,
    average_price: Decimal,
    last_price: Decimal,
    open_orders: int = 0,
    position: Decimal = ZERO,
    stop_price: Decimal | None = None,
    algo_orders: int = 0,
) -> str | None:
    """The exchange's name of the first filter that the order breaks, in the order of filters.md, or None.

    `position` is the free and locked base balance plus what open BUY orders have yet to buy; `open_orders` those of the
    account on the symbol, `algo_orders` those of them that wait for a stop price. The notional of an order without a
    price of its own is at the average price (or the last, where the symbol says so); as
    long as nobody has traded there is no such price and the rules that need one do not bind.
    """
    is_market = order_type in AT_THE_MARKET
    order = _Candidate(
        side, is_market, price, quantity, quote_quantity, average_price, last_price, open_orders, position,
        stop_price, algo_orders,
    )  # fmt: skip
    return next((name for check in CHECKS if (name := check(rules, order)) is not None), None)


def _off_grid(value: Decimal, least: Decimal, most: Decimal, step: Decimal) -> bool:
    """Whether a rule of minimum, maximum and step, each possibly off, is broken."""
    outside = value < least or (most > 0 and value > most)
    return outside or (step > 0 and EXACT.remainder(value, step) != 0)


def _check_price(rules: SymbolRules, order: _Candidate) -> str | None:
    for price in (None if order.is_market else order.price, order.stop_price):
        if price is not None and (price <= 0 or _off_grid(price, rules.min_price, rules.max_price, rules.tick_size)):
            return "PRICE_FILTER"
    return None


def _check_percent(rules: SymbolRules, order: _Candidate) -> str | None:
    reference = order.reference(rules.percent_price_minutes)
    if order.price is None or order.is_market or reference <= 0:
        return None
    down, up = rules.buy_percent if order.side is Side.BUY else rules.sell_percent
    below = order.price < EXACT.multiply(reference, down)
    above = up > 0 and order.price > EXACT.multiply(reference, up)
    return rules.percent_filter if below or above else None


def _check_lot(rules: SymbolRules, order: _Candidate) -> str | None:
    if order.quantity is None:
        return None
    grid = (rules.min_quantity, rules.max_quantity, rules.step_size)
    return "LOT_SIZE" if order.quantity <= 0 or _off_grid(order.quantity, *grid) else None


def _check_notional(rules: SymbolRules, order: _Candidate) -> str | None:
    price = order.reference(rules.avg_price_minutes) if order.is_market else order.price
    if order.quote_quantity is not None:
        notional = order.quote_quantity
    elif order.quantity is None or price is None or price <= 0:
        return None
    else:
        notional = EXACT.multiply(price, order.quantity)
    too_little = notional < rules.min_notional and (rules.apply_min_to_market or not order.is_market)
    too_much = 0 < rules.max_notional < notional and (rules.apply_max_to_market or not order.is_market)
    return rules.notional_filter if too_little or too_much else None


def _check_market_lot(rules: SymbolRules, order: _Candidate) -> str | None:
    if order.quantity is None or not order.is_market:
        return None
    return (
        "MARKET_LOT_SIZE" if _off_grid(order.quantity, rules.market_min, rules.market_max, rules.market_step) else None
    )


def _check_open_orders(rules: SymbolRules, order: _Candidate) -> str | None:
    return "MAX_NUM_ORDERS" if 0 < rules.max_num_orders <= order.open_orders else None


def _check_algo_orders(rules: SymbolRules, order: _Candidate) -> str | None:
    full = 0 < rules.max_num_algo_orders <= order.algo_orders
    return "MAX_NUM_ALGO_ORDERS" if order.stop_price is not None and full else None


def _check_position(rules: SymbolRules, order: _Candidate) -> str | None:
    if not rules.max_position or order.side is Side.SELL:
        return None
    quantity = order.quantity or ZERO
    return "MAX_POSITION" if order.position + quantity > rules.max_position else None


CHECKS: tuple[Callable[[SymbolRules, _Candidate], str | None], ...] = (
    _check_price,
    _check_percent,
    _check_lot,
    _check_notional,
    _check_market_lot,
    _check_open_orders,
    _check_algo_orders,
    _check_position,
)
"""In the order of filters.md."""
