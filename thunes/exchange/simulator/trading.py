"""Orders and the account over REST and the WebSocket API (rest-api.md, "Trading endpoints" and "Account Endpoints").

Each function reads its parameters and hands back what does the work; see `dispatch.Endpoint`.
"""

from __future__ import annotations

from typing import Any

from thunes.domain.executions import OrderRequest
from thunes.domain.filters import AT_THE_MARKET
from thunes.errors import ExchangeError
from thunes.exchange.simulator import list_payloads, payloads
from thunes.exchange.simulator.dispatch import Act, Call
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.params import CLIENT_ID, Params, missing, not_required, not_valid
from thunes.exchange.simulator.store import ENDLESS, Span
from thunes.messages import OrderStatus, OrderType, Side, TimeInForce

DAY_MS = 86_400_000
UNSUPPORTED_PARAMETERS = {
    "icebergQty": "Iceberg orders are not supported for this symbol.",
    "trailingDelta": "Trailing stop orders are not supported for this symbol.",
    "pegPriceType": "Pegged orders are not supported for this symbol.",
}
RESPONSES = ("ACK", "RESULT", "FULL")


class Trading:
    """The signed endpoints of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def place(self, call: Call) -> Act:
        """`POST /api/v3/order`."""
        request, response = self.order(call.params)
        return lambda: self.placed(call.account, request, response)

    def placed(self, account: str, request: OrderRequest, response: str) -> Any:
        order, fills = self._exchange.place(account, request)
        return payloads.placed(order, fills, order.updated_ms, response)

    def test(self, call: Call) -> Act:
        """`POST /api/v3/order/test`: everything is checked, nothing is done."""
        request, _ = self.order(call.params)
        rates = call.params.boolean("computeCommissionRates")

        def act() -> Any:
            self._exchange.validate(call.account, request)
            return self._exchange.commission_rates() if rates else {}

        return act

    def status(self, call: Call) -> Act:
        """`GET /api/v3/order`."""
        symbol = self._exchange.symbol(call.params)
        order_id, client_id = which(call.params)

        def act() -> Any:
            order = self._exchange.find(call.account, symbol, order_id, client_id)
            if order is None:
                raise ExchangeError(-2013, "Order does not exist.")
            return payloads.order_status(order)

        return act

    def cancel(self, call: Call) -> Act:
        """`DELETE /api/v3/order`."""
        symbol = self._exchange.symbol(call.params)
        ids = which(call.params)
        cancel_id = call.params.text("newClientOrderId", CLIENT_ID) or self._exchange.new_id()
        only = restriction(call.params)
        return lambda: self.canceled(call.account, symbol, ids, cancel_id, only)

    def canceled(
        self,
        account: str,
        symbol: str,
        ids: tuple[int | None, str | None],
        cancel_id: str,
        only: OrderStatus | None,
    ) -> Any:
        """The order's answer, or that of the list which it took with it."""
        executions = self._exchange.cancel(account, symbol, *ids, cancel_id, only)
        return list_payloads.cancellations(executions, cancel_id)[0]

    def open_orders(self, call: Call) -> Act:
        """`GET /api/v3/openOrders`."""
        symbol = self._exchange.symbol(call.params) if call.params.has("symbol") else None
        return lambda: [payloads.order_status(each) for each in self._exchange.open_orders(call.account, symbol)]

    def cancel_all(self, call: Call) -> Act:
        """`DELETE /api/v3/openOrders`."""
        symbol = self._exchange.symbol(call.params)
        cancel_id = self._exchange.new_id()

        def act() -> Any:
            return list_payloads.cancellations(self._exchange.cancel_all(call.account, symbol, cancel_id), cancel_id)

        return act

    def account(self, call: Call) -> Act:
        """`GET /api/v3/account`."""
        omit_zero = call.params.boolean("omitZeroBalances")
        return lambda: self._exchange.account(call.account, omit_zero)

    def all_orders(self, call: Call) -> Act:
        """`GET /api/v3/allOrders`: by `orderId` from there on, by time, else the newest."""
        symbol = self._exchange.symbol(call.params)
        from_id = call.params.integer("orderId")
        span = history_span(call.params, from_id)
        return lambda: [payloads.order_status(each) for each in self._exchange.orders(call.account, symbol, span)]

    def trades(self, call: Call) -> Act:
        """`GET /api/v3/myTrades`: in the documented combinations of parameters."""
        symbol = self._exchange.symbol(call.params)
        order_id, from_id = call.params.integer("orderId"), call.params.integer("fromId")
        timed = call.params.has("startTime") or call.params.has("endTime")
        if timed and (order_id is not None or from_id is not None):
            raise ExchangeError(-1128, "Combination of optional parameters invalid.")
        span = history_span(call.params, from_id)
        return lambda: [payloads.own_trade(each) for each in self._exchange.fills(call.account, symbol, span, order_id)]

    def order_counts(self, call: Call) -> Act:
        """`GET /api/v3/rateLimit/order`."""
        return lambda: self._exchange.order_counts(call.account)

    def order(self, params: Params) -> tuple[OrderRequest, str]:
        """The order that was asked for, and the type of answer."""
        symbol = self._exchange.symbol(params)
        side = order_side(params)
        kind = order_type(params)
        for name in UNSUPPORTED_PARAMETERS:
            unsupported(params, name)
        if params.text("selfTradePreventionMode") not in (None, "NONE"):
            raise not_valid("selfTradePreventionMode")
        client_id = params.text("newClientOrderId", CLIENT_ID) or self._exchange.new_id()
        rules = self._exchange.rules[symbol]
        request = OrderRequest(
            symbol=symbol,
            side=side,
            order_type=kind,
            quantity=params.decimal("quantity", rules.base_precision),
            quote_quantity=params.decimal("quoteOrderQty", rules.quote_precision),
            price=params.decimal("price", rules.quote_precision),
            time_in_force=time_in_force(params, kind),
            client_order_id=client_id,
            stop_price=params.decimal("stopPrice", rules.quote_precision),
        )
        check_composition(request)
        return request, response_type(params, kind)


def order_side(params: Params) -> Side:
    side = params.choice("side", Side, ExchangeError(-1117, "Invalid side."))
    if side is None:
        raise missing("side")
    return side


def unsupported(params: Params, name: str, like: str = "") -> None:
    """Refuse what an order cannot have here, under another name perhaps."""
    if params.text(name) is not None:
        known = next((text for part, text in UNSUPPORTED_PARAMETERS.items() if part in (name, like)), None)
        raise ExchangeError(-2010, known or UNSUPPORTED_PARAMETERS["icebergQty"])


def order_type(params: Params, name: str = "type") -> OrderType:
    value = params.required(name)
    try:
        return OrderType(value)
    except ValueError:
        raise ExchangeError(-1116, "Invalid orderType.") from None


def time_in_force(params: Params, kind: OrderType, name: str = "timeInForce") -> TimeInForce:
    """An order with a limit needs one, and no other may have one; LIMIT_MAKER rests for as long as it can."""
    value = params.choice(name, TimeInForce, ExchangeError(-1115, "Invalid timeInForce."))
    timed = kind in (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
    if timed and value is None:
        raise missing(name)
    if not timed and value is not None:
        raise not_required(name)
    return TimeInForce.GTC if value is None else value


def check_composition(request: OrderRequest) -> None:
    """Refuse what the type of order lacks or does not take (rest-api.md, "New order")."""
    if request.order_type is OrderType.MARKET:
        for name, value in (("price", request.price), ("stopPrice", request.stop_price)):
            if value is not None:
                raise not_required(name)
        if request.quantity is None and request.quote_quantity is None:
            message = "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
            raise ExchangeError(-1102, message)
        if request.quantity is not None and request.quote_quantity is not None:
            raise not_required("quoteOrderQty")
        return
    if request.quote_quantity is not None:
        raise not_required("quoteOrderQty")
    if request.quantity is None:
        raise missing("quantity")
    check_prices(request, "price", "stopPrice")


def check_prices(request: OrderRequest, price: str, stop_price: str) -> None:
    """Refuse a price that its type of order lacks or does not take, by the names under which they were sent."""
    for name, value, wanted in (
        (price, request.price, request.order_type not in AT_THE_MARKET),
        (stop_price, request.stop_price, request.order_type.is_conditional),
    ):
        if wanted and value is None:
            raise missing(name)
        if not wanted and value is not None:
            raise not_required(name)


def response_type(params: Params, kind: OrderType) -> str:
    value = params.text("newOrderRespType")
    if value is None:
        return "FULL" if kind in (OrderType.MARKET, OrderType.LIMIT) else "ACK"
    if value not in RESPONSES:
        raise not_valid("newOrderRespType")
    return value


def which(params: Params, by_id: str = "orderId", by_name: str = "origClientOrderId") -> tuple[int | None, str | None]:
    """The order that a query or a cancel is about: by id, by client id, or both."""
    order_id = params.integer(by_id)
    client_id = params.text(by_name, CLIENT_ID)
    if order_id is None and client_id is None:
        raise ExchangeError(-1102, f"Param '{by_name}' or '{by_id}' must be sent, but both were empty/null!")
    return order_id, client_id


def restriction(params: Params) -> OrderStatus | None:
    """`cancelRestrictions`: the status that the order has to be in."""
    value = params.text("cancelRestrictions")
    if value is None:
        return None
    if value not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise ExchangeError(-1145, "Invalid cancelRestrictions")
    return OrderStatus(value.removeprefix("ONLY_"))


def history_span(params: Params, from_id: int | None) -> Span:
    """Without a start the newest, with one the oldest from there on; at most a day between start and end."""
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise ExchangeError(-1127, "More than 24 hours between startTime and endTime.")
    return Span(
        from_id=from_id or 0,
        start_ms=start or 0,
        end_ms=ENDLESS if end is None else end,
        limit=params.limit(500, 1000),
        newest=from_id is None and start is None,
    )
