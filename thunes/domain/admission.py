"""What the embedded exchange does with an order before anything changes: refuse it, or plan it.

Codes and messages are those of the exchange's errors.md. Balances and the account's other orders are the engine's own
concern; everything here follows from the request, the symbol's rules and the displayed book.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from thunes.domain.executions import Order, OrderRequest
from thunes.domain.filters import (
    AT_THE_MARKET,
    EIGHT_PLACES,
    EXACT,
    ZERO,
    SymbolRules,
    market_step,
    order_violation,
    quote_amount,
)
from thunes.domain.orderbook import OrderBook
from thunes.errors import ExchangeError
from thunes.messages import Levels, OrderType, Side, TimeInForce

CLIENT_ORDER_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")
INSUFFICIENT_BALANCE = "Account has insufficient balance for requested action."


@dataclass(frozen=True, slots=True)
class Standing:
    """What the filters need to know of the market and of the account."""

    average_price: Decimal
    last_price: Decimal
    open_orders: int
    position: Decimal
    algo_orders: int = 0
    """Those of the open orders that wait for a stop price."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an accepted order will do: take these levels, then rest, or expire for the reason given."""

    quantity: Decimal
    takes: Levels
    expiry_reason: str = ""
    """Why what is left over expires; empty when it rests."""
    queue_ahead: Decimal = ZERO
    """What is displayed already at the price where it would rest."""
    waits: bool = False
    """For its stop price; until then it is not on the book."""


def plan(request: OrderRequest, rules: SymbolRules, book: OrderBook, standing: Standing) -> Plan:
    """What the order would do now. Raises ExchangeError, as the exchange words it, when it may not be placed."""
    _check_composition(request)
    _check_figures(request, rules)
    _check_symbol(request, rules)
    _check_filters(request, rules, standing, request.quantity)
    if request.order_type.is_conditional:
        _check_trigger(request, standing.last_price)
        return Plan(request.quantity or ZERO, (), waits=True)
    if request.order_type is OrderType.MARKET:
        planned = _plan_market(request, rules, book)
        if request.quote_quantity is not None:
            _check_filters(request, rules, standing, planned.quantity)
        return planned
    return _plan_limit(request, rules, book)


def triggered(order: Order, rules: SymbolRules, book: OrderBook) -> Plan:
    """What an order does when the market has reached its stop price: it is a LIMIT or a MARKET order from then on."""
    at_market = order.order_type in AT_THE_MARKET
    request = OrderRequest(
        order.symbol,
        order.side,
        OrderType.MARKET if at_market else OrderType.LIMIT,
        order.remaining,
        None,
        None if at_market else order.price,
        order.time_in_force,
        order.client_order_id,
    )
    return _plan_market(request, rules, book) if at_market else _plan_limit(request, rules, book)


def reaches(order: Order, price: Decimal) -> bool:
    """Whether a trade at `price` sets the order off."""
    return price >= order.stop_price if _waits_for_a_rise(order.order_type, order.side) else price <= order.stop_price


def _waits_for_a_rise(order_type: OrderType, side: Side) -> bool:
    """Stops of BUYs and profits of SELLs are above the market, the others below it."""
    is_stop = order_type in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    return is_stop is (side is Side.BUY)


def _check_trigger(request: OrderRequest, last_price: Decimal) -> None:
    stop = request.stop_price or ZERO
    rises = _waits_for_a_rise(request.order_type, request.side)
    if last_price and (stop <= last_price if rises else stop >= last_price):
        raise ExchangeError(-2010, "Order would trigger immediately.")


def funds_needed(request: OrderRequest, planned: Plan) -> Decimal:
    """What must be free for the order: quote asset for a BUY, base asset for a SELL.

    A MARKET BUY by quantity needs what the displayed book charges for it, one by quote amount that amount.
    """
    if request.side is Side.SELL:
        return planned.quantity if request.quote_quantity is None else _total(planned.takes)
    if request.price is not None or request.stop_price is not None:
        return quote_amount(request.price or request.stop_price or ZERO, planned.quantity)
    if request.quote_quantity is not None:
        return request.quote_quantity
    return sum((quote_amount(price, quantity) for price, quantity in planned.takes), ZERO)


def _check_composition(request: OrderRequest) -> None:
    """A MARKET order has one amount; any other a quantity, and the prices of its type."""
    by_quote = request.order_type is OrderType.MARKET and request.quantity is None
    wanted = {
        "quantity": not by_quote,
        "price": request.order_type not in AT_THE_MARKET,
        "quoteOrderQty": by_quote,
        "stopPrice": request.order_type.is_conditional,
    }
    for name, value in _figures(request).items():
        if wanted[name] and value is None:
            raise ExchangeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        if not wanted[name] and value is not None:
            raise ExchangeError(-1106, f"Parameter '{name}' sent when not required.")
    if not CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise ExchangeError(
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        )


def _figures(request: OrderRequest) -> dict[str, Decimal | None]:
    return {
        "quantity": request.quantity,
        "price": request.price,
        "quoteOrderQty": request.quote_quantity,
        "stopPrice": request.stop_price,
    }


def _check_figures(request: OrderRequest, rules: SymbolRules) -> None:
    """Figures are positive, finite and no finer than the asset's precision."""
    precision = {
        "quantity": rules.base_precision,
        "price": rules.quote_precision,
        "quoteOrderQty": rules.quote_precision,
        "stopPrice": rules.quote_precision,
    }
    for name, value in _figures(request).items():
        if value is None:
            continue
        if not value.is_finite() or value.adjusted() >= 20 or value < 0:
            raise ExchangeError(-1100, f"Illegal characters found in parameter '{name}'.")
        if EXACT.remainder(value, EIGHT_PLACES.scaleb(8 - precision[name])) != 0:
            raise ExchangeError(-1111, f"Parameter '{name}' has too much precision.")
    if request.quote_quantity == 0:
        raise ExchangeError(-2010, "Price * QTY is zero or less.")


def _check_symbol(request: OrderRequest, rules: SymbolRules) -> None:
    if rules.status != "TRADING":
        raise ExchangeError(-2010, "Market is closed.")
    if request.order_type.value not in rules.order_types:
        name = request.order_type.value.replace("_", " ").capitalize()
        raise ExchangeError(-2010, f"{name} orders are not supported for this symbol.")
    if request.quote_quantity is not None and not rules.quote_order_qty_allowed:
        raise ExchangeError(-2010, "Quote order qty market orders are not support for this symbol.")


def _check_filters(request: OrderRequest, rules: SymbolRules, standing: Standing, quantity: Decimal | None) -> None:
    broken = order_violation(
        rules,
        side=request.side,
        order_type=request.order_type,
        price=request.price,
        quantity=quantity,
        quote_quantity=request.quote_quantity,
        average_price=standing.average_price,
        last_price=standing.last_price,
        open_orders=standing.open_orders,
        position=standing.position,
        stop_price=request.stop_price,
        algo_orders=standing.algo_orders,
    )
    if broken is not None:
        raise ExchangeError(-1013, f"Filter failure: {broken}")


def _plan_market(request: OrderRequest, rules: SymbolRules, book: OrderBook) -> Plan:
    step = market_step(rules.lot, rules.market_step)
    if request.quantity is None:
        return _plan_quote_amount(request, rules, book, step)
    takes = book.walk(request.side, request.quantity, step=step)
    thin = _total(takes) < request.quantity
    return Plan(request.quantity, takes, "INSUFFICIENT_LIQUIDITY" if thin else "")


def _plan_quote_amount(request: OrderRequest, rules: SymbolRules, book: OrderBook, step: Decimal) -> Plan:
    """As much as the amount buys, or as can be sold for at most it, in whole steps at every level.

    On a book too thin the order's quantity counts what is left of the amount at the last price there was.
    """
    left, takes, missing = request.quote_quantity or ZERO, [], ZERO
    for price, displayed in book.facing(request.side):
        worth_a_step = EXACT.multiply(price, step)
        displayed_steps = EXACT.divide_int(displayed, step)
        steps = min(EXACT.divide_int(left, worth_a_step), displayed_steps)
        if steps:
            takes.append((price, EXACT.multiply(steps, step)))
            left = EXACT.subtract(left, EXACT.multiply(steps, worth_a_step))
        missing = EXACT.multiply(EXACT.divide_int(left, worth_a_step), step)
        if not missing:
            return Plan(_total(takes), tuple(takes))
    taken = _total(takes)
    _check_liquidity(taken, rules)
    return Plan(taken + missing, tuple(takes), "INSUFFICIENT_LIQUIDITY")


def _check_liquidity(quantity: Decimal, rules: SymbolRules) -> None:
    shortage = "Order book liquidity is less than"
    if quantity <= 0:
        raise ExchangeError(-2010, f"{shortage} symbol minimum quantity.")
    if quantity < rules.min_quantity:
        raise ExchangeError(-2010, f"{shortage} `LOT_SIZE` filter minimum quantity.")
    if quantity < rules.market_min:
        raise ExchangeError(-2010, f"{shortage} `MARKET_LOT_SIZE` filter minimum quantity.")


def _plan_limit(request: OrderRequest, rules: SymbolRules, book: OrderBook) -> Plan:
    quantity, price = request.quantity or ZERO, request.price or ZERO
    if quote_amount(price, quantity) <= 0:
        raise ExchangeError(-2010, "Price * QTY is zero or less.")
    if request.order_type is OrderType.LIMIT_MAKER:
        if book.facing(request.side).reaches(price):
            raise ExchangeError(-2010, "Order would immediately match and take.")
        return Plan(quantity, (), queue_ahead=book.beside(request.side).quantity(price))
    takes = book.walk(request.side, quantity, limit=price, step=rules.lot)
    whole = _total(takes) == quantity
    if request.time_in_force is TimeInForce.FOK:
        return Plan(quantity, takes if whole else (), "" if whole else "UNFILLED_FOK_ORDER_EXPIRED")
    if request.time_in_force is TimeInForce.IOC:
        return Plan(quantity, takes, "" if whole else "UNFILLED_IOC_QUANTITY_EXPIRED")
    return Plan(quantity, takes, queue_ahead=book.beside(request.side).quantity(price))


def _total(takes: Levels | list[tuple[Decimal, Decimal]]) -> Decimal:
    return sum((quantity for _, quantity in takes), ZERO)
