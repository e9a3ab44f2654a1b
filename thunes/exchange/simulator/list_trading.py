"""Order lists and cancel-replace over REST and the WebSocket API (rest-api.md, "Order lists").

Each function reads its parameters and hands back what does the work; see `dispatch.Endpoint`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from thunes.domain.executions import OrderRequest
from thunes.domain.order_lists import PairRequest
from thunes.errors import ExchangeError
from thunes.exchange.simulator import list_payloads
from thunes.exchange.simulator.dispatch import Act, Call, Refusal, error_body
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.order_lists import PairBook
from thunes.exchange.simulator.params import CLIENT_ID, Params, missing, not_valid
from thunes.exchange.simulator.trading import (
    RESPONSES,
    Trading,
    check_prices,
    history_span,
    order_side,
    order_type,
    restriction,
    time_in_force,
    unsupported,
    which,
)
from thunes.messages import OrderType, TimeInForce

UNSUPPORTED_OF_A_LEG = ("IcebergQty", "TrailingDelta", "PegPriceType", "PegOffsetType", "PegOffsetValue")
STRATEGY = ("StrategyId", "StrategyType")
STOP_ON_FAILURE, ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
DO_NOTHING, CANCEL_ONLY = "DO_NOTHING", "CANCEL_ONLY"
TOO_MANY_ORDERS = -1015

UNSUPPORTED = {
    ("POST", "/api/v3/orderList/oto"): (-2010, "OTO orders are not supported for this symbol."),
    ("POST", "/api/v3/orderList/otoco"): (-2010, "OTO orders are not supported for this symbol."),
    ("POST", "/api/v3/orderList/opo"): (-2010, "OPO orders are not supported for this symbol."),
    ("POST", "/api/v3/orderList/opoco"): (-2010, "OPO orders are not supported for this symbol."),
    ("PUT", "/api/v3/order/amend/keepPriority"): (-2038, "Order amend is not supported for this symbol."),
}
"""Requests that no symbol is enabled for, as exchangeInfo says, and how they are refused (errors.md)."""


class ListTrading:
    """The signed endpoints about pairs of orders, and the one that puts an order in another's place."""

    def __init__(self, exchange: Exchange, trading: Trading) -> None:
        self._exchange = exchange
        self._trading = trading
        self._pairs = PairBook(exchange)

    # order lists

    def oco(self, call: Call) -> Act:
        """`POST /api/v3/orderList/oco`."""
        params = call.params
        symbol, side = self._exchange.symbol(params), order_side(params)
        rules = self._exchange.rules[symbol]
        common = {"symbol": symbol, "side": side, "quantity": params.decimal("quantity", rules.base_precision)}
        if common["quantity"] is None:
            raise missing("quantity")
        above, below = (self._leg(params, name, common) for name in ("above", "below"))
        return self._placing(call, PairRequest(above, below, self._list_name(params)))

    def old_oco(self, call: Call) -> Act:
        """`POST /api/v3/order/oco`, which the exchange keeps for clients of before."""
        params = call.params
        symbol, side = self._exchange.symbol(params), order_side(params)
        rules = self._exchange.rules[symbol]
        for name in ("trailingDelta", "limitIcebergQty", "stopIcebergQty"):
            unsupported(params, name)
        for name in ("limitStrategyId", "limitStrategyType", "stopStrategyId", "stopStrategyType"):
            params.integer(name)
        prices = {
            name: params.decimal(name, rules.quote_precision) for name in ("price", "stopPrice", "stopLimitPrice")
        }
        quantity = params.decimal("quantity", rules.base_precision)
        for name, value in (("quantity", quantity), ("price", prices["price"]), ("stopPrice", prices["stopPrice"])):
            if value is None:
                raise missing(name)
        timed = params.choice("stopLimitTimeInForce", TimeInForce, ExchangeError(-1115, "Invalid timeInForce."))
        stop_limit = prices["stopLimitPrice"]
        if stop_limit is not None and timed is None:
            raise missing("stopLimitTimeInForce")
        limit = OrderRequest(
            symbol, side, OrderType.LIMIT_MAKER, quantity, None, prices["price"],
            client_order_id=params.text("limitClientOrderId", CLIENT_ID) or self._exchange.new_id(),
        )  # fmt: skip
        stop = replace(
            limit,
            order_type=OrderType.STOP_LOSS if stop_limit is None else OrderType.STOP_LOSS_LIMIT,
            price=stop_limit,
            stop_price=prices["stopPrice"],
            time_in_force=timed or TimeInForce.GTC,
            client_order_id=params.text("stopClientOrderId", CLIENT_ID) or self._exchange.new_id(),
        )
        above, below = (limit, stop) if side.value == "SELL" else (stop, limit)
        return self._placing(call, PairRequest(above, below, self._list_name(params)))

    def cancel_list(self, call: Call) -> Act:
        """`DELETE /api/v3/orderList`."""
        symbol = self._exchange.symbol(call.params)
        list_id, name = which_list(call.params, "listClientOrderId")
        cancel_id = call.params.text("newClientOrderId", CLIENT_ID) or self._exchange.new_id()

        def act() -> Any:
            pair, orders = self._pairs.cancel(call.account, symbol, list_id, name, cancel_id)
            return list_payloads.canceled_list(pair, orders, cancel_id)

        return act

    def status(self, call: Call) -> Act:
        """`GET /api/v3/orderList`."""
        list_id, name = which_list(call.params, "origClientOrderId")

        def act() -> Any:
            pair = self._pairs.find(call.account, list_id, name)
            if pair is None:
                raise ExchangeError(-2018, "Order list does not exist.")
            return list_payloads.order_list(pair)

        return act

    def open_lists(self, call: Call) -> Act:
        """`GET /api/v3/openOrderList`."""
        return lambda: [list_payloads.order_list(each) for each in self._pairs.open(call.account)]

    def all_lists(self, call: Call) -> Act:
        """`GET /api/v3/allOrderList`: by `fromId` from there on, by time, else the newest."""
        from_id = call.params.integer("fromId")
        if from_id is not None and (call.params.has("startTime") or call.params.has("endTime")):
            raise ExchangeError(-1128, "Combination of optional parameters invalid.")
        span = history_span(call.params, from_id)
        return lambda: [list_payloads.order_list(each) for each in self._pairs.all(call.account, span)]

    def _placing(self, call: Call, request: PairRequest) -> Act:
        response = call.params.text("newOrderRespType") or "RESULT"
        if response not in RESPONSES:
            raise not_valid("newOrderRespType")
        if call.params.text("selfTradePreventionMode") not in (None, "NONE"):
            raise not_valid("selfTradePreventionMode")

        def act() -> Any:
            pair, orders = self._pairs.place(call.account, request)
            return list_payloads.placed_list(pair, orders, response)

        return act

    def _list_name(self, params: Params) -> str:
        return params.text("listClientOrderId", CLIENT_ID) or self._exchange.new_id()

    def _leg(self, params: Params, name: str, common: dict[str, Any]) -> OrderRequest:
        """The order above or below; its parameters begin with that word."""
        kind = order_type(params, f"{name}Type")
        for what in UNSUPPORTED_OF_A_LEG:
            unsupported(params, f"{name}{what}", what[0].lower() + what[1:])
        for what in STRATEGY:
            params.integer(f"{name}{what}")
        precision = self._exchange.rules[common["symbol"]].quote_precision
        order = OrderRequest(
            **common,
            order_type=kind,
            quote_quantity=None,
            price=params.decimal(f"{name}Price", precision),
            stop_price=params.decimal(f"{name}StopPrice", precision),
            time_in_force=time_in_force(params, kind, f"{name}TimeInForce"),
            client_order_id=params.text(f"{name}ClientOrderId", CLIENT_ID) or self._exchange.new_id(),
        )
        check_prices(order, f"{name}Price", f"{name}StopPrice")
        return order

    def unsupported(self, code: int, message: str) -> Callable[[Call], Act]:
        """A request that is refused for every symbol."""

        def prepare(call: Call) -> Act:
            self._exchange.symbol(call.params)
            raise ExchangeError(code, message)

        return prepare

    # cancel and replace

    def replace(self, call: Call) -> Act:
        """`POST /api/v3/order/cancelReplace`."""
        params = call.params
        mode = one_of(params, "cancelReplaceMode", STOP_ON_FAILURE, ALLOW_FAILURE)
        if mode is None:
            raise missing("cancelReplaceMode")
        exceeded = one_of(params, "orderRateLimitExceededMode", DO_NOTHING, CANCEL_ONLY) or DO_NOTHING
        symbol = self._exchange.symbol(params)
        order_id, client_id = which(params, "cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = params.text("cancelNewClientOrderId", CLIENT_ID) or self._exchange.new_id()
        only = restriction(params)
        request, response = self._trading.order(params)

        def cancel() -> Any:
            return self._trading.canceled(call.account, symbol, (order_id, client_id), cancel_id, only)

        def place() -> Any:
            return self._trading.placed(call.account, request, response)

        def act() -> Any:
            try:
                self._exchange.may_place(call.account)
            except ExchangeError:
                if exceeded == DO_NOTHING:
                    raise
            return in_turn(cancel, place, mode)

        return act


def in_turn(cancel: Act, place: Act, mode: str) -> dict[str, Any]:
    """Cancel, then place; raises Refusal -2021 where one of them failed and -2022 where both did or one was not tried.

    Both answers are in it, as the exchange documents them.
    """
    canceled, cancel_failed = attempted(cancel)
    if cancel_failed and mode == STOP_ON_FAILURE:
        raise Refusal(-2022, "Order cancel-replace failed.", 400, results(canceled, "FAILURE", None, "NOT_ATTEMPTED"))
    placed, place_failed = attempted(place)
    words = {False: "SUCCESS", True: "FAILURE"}
    both = results(canceled, words[cancel_failed], placed, words[place_failed])
    if cancel_failed and place_failed:
        raise Refusal(-2022, "Order cancel-replace failed.", 400, both)
    if cancel_failed or place_failed:
        raise Refusal(-2021, "Order cancel-replace partially failed.", 409, both)
    return both


def attempted(act: Act) -> tuple[Any, bool]:
    """The answer, or the refusal as the exchange writes it, and whether it is one."""
    try:
        return act(), False
    except ExchangeError as error:
        return dict(error_body(error)), True


def results(canceled: Any, cancel_result: str, placed: Any, new_result: str) -> dict[str, Any]:
    return {
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": canceled,
        "newOrderResponse": placed,
    }


def one_of(params: Params, name: str, *legal: str) -> str | None:
    value = params.text(name)
    if value is not None and value not in legal:
        raise not_valid(name)
    return value


def which_list(params: Params, name: str) -> tuple[int | None, str | None]:
    """The order list that a query or a cancel is about: by id, by client id, or both."""
    list_id, client_id = params.integer("orderListId"), params.text(name, CLIENT_ID)
    if list_id is None and client_id is None:
        raise ExchangeError(-1102, f"Param '{name}' or 'orderListId' must be sent, but both were empty/null!")
    return list_id, client_id
