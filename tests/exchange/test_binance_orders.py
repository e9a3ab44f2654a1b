"""Stops, take-profits and pairs of them over REST: what is sent, and what is read of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.conftest import Exchange
from tests.exchange.rest_calls import ORDER, adapter, buy
from tests.exchange.scripted_rest import Scripted, scripted
from thunes.domain.market import OrderAnswer, OwnTrade
from thunes.errors import NetworkError
from thunes.exchange.binance import BinanceRest
from thunes.messages import OrderStatus, OrderType, Side, TimeInForce

D = Decimal
SIGNED = ("timestamp", "signature", "recvWindow")


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def sent(script: Scripted) -> dict[str, str]:
    """The last request's parameters, without those of every signed one."""
    return {name: value for name, value in script.requests[-1].params.items() if name not in SIGNED}


class TestStops:
    @pytest.mark.parametrize(
        ("order_type", "prices", "expected"),
        [
            (OrderType.STOP_LOSS, {"stop_price": D(29_000)}, {"stopPrice": "29000"}),
            (OrderType.TAKE_PROFIT, {"stop_price": D(31_000)}, {"stopPrice": "31000"}),
            (
                OrderType.STOP_LOSS_LIMIT,
                {"stop_price": D(29_000), "price": D("28999.50")},
                {"stopPrice": "29000", "price": "28999.5", "timeInForce": "GTC"},
            ),
            (
                OrderType.TAKE_PROFIT_LIMIT,
                {"stop_price": D(31_000), "price": D("31000.5"), "time_in_force": TimeInForce.FOK},
                {"stopPrice": "31000", "price": "31000.5", "timeInForce": "FOK"},
            ),
            (OrderType.LIMIT_MAKER, {"price": D(31_000)}, {"price": "31000"}),
            (OrderType.MARKET, {}, {}),
        ],
    )
    def test_each_type_is_sent_with_what_it_takes_and_no_more(
        self, script: Scripted, order_type: OrderType, prices: dict[str, Any], expected: dict[str, str]
    ) -> None:
        script.answers(ORDER)
        adapter(script.url).place(
            symbol="BTCUSDT", side=Side.SELL, order_type=order_type, quantity=D(1), client_order_id="home-1", **prices
        )
        assert sent(script) == {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": str(order_type),
            "quantity": "1",
            "newClientOrderId": "home-1",
            "newOrderRespType": "FULL",
            **expected,
        }

    def test_an_answer_says_its_stop_price_and_its_list_and_one_without_them_has_none(self, script: Scripted) -> None:
        script.answers({**ORDER, "type": "STOP_LOSS_LIMIT", "stopPrice": "29000.00000000", "orderListId": 7})
        stop = adapter(script.url).order("BTCUSDT", "home-1")
        assert (stop.stop_price, stop.order_list_id) == (D(29_000), 7)
        script.answers(ORDER)
        plain = adapter(script.url).order("BTCUSDT", "home-1")
        assert (plain.stop_price, plain.order_list_id) == (D(0), -1)

    def test_an_order_is_asked_for_by_the_exchange_s_own_number(self, script: Scripted) -> None:
        script.answers(ORDER)
        assert adapter(script.url).order_by_id("BTCUSDT", 28).client_order_id == "home-1"
        assert (script.requests[0].method, script.requests[0].path) == ("GET", "/api/v3/order")
        assert sent(script) == {"symbol": "BTCUSDT", "orderId": "28"}


def report(client_order_id: str, **members: Any) -> dict[str, Any]:
    """An order of a list, as the list's answer has it."""
    return {**ORDER, "clientOrderId": client_order_id, "orderListId": 1, "status": "NEW", "executedQty": "0", **members}


STOP = report("home-1-stop", orderId=10, type="STOP_LOSS_LIMIT", price="28990.00", stopPrice="29000.00")
PROFIT = report("home-1-profit", orderId=11, type="LIMIT_MAKER", price="31000.00")


def oco(rest: BinanceRest, side: Side = Side.SELL) -> tuple[OrderAnswer, OrderAnswer]:
    return rest.place_oco(
        "BTCUSDT",
        side,
        D("0.050"),
        take_profit=D(31_000),
        stop_price=D(29_000),
        stop_limit=D(28_990),
        list_id="home-1",
        take_profit_id="home-1-profit",
        stop_id="home-1-stop",
    )


class TestLists:
    def test_a_sale_takes_its_profit_above_the_market_and_stops_below_it(self, script: Scripted) -> None:
        script.answers({"orderListId": 1, "orderReports": [STOP, PROFIT]})
        oco(adapter(script.url))
        assert (script.requests[0].method, script.requests[0].path) == ("POST", "/api/v3/orderList/oco")
        assert sent(script) == {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "0.05",
            "listClientOrderId": "home-1",
            "newOrderRespType": "FULL",
            "aboveType": "LIMIT_MAKER",
            "aboveClientOrderId": "home-1-profit",
            "abovePrice": "31000",
            "belowType": "STOP_LOSS_LIMIT",
            "belowClientOrderId": "home-1-stop",
            "belowPrice": "28990",
            "belowStopPrice": "29000",
            "belowTimeInForce": "GTC",
        }

    def test_a_purchase_takes_its_profit_below_the_market_and_stops_above_it(self, script: Scripted) -> None:
        script.answers({"orderListId": 1, "orderReports": [STOP, PROFIT]})
        oco(adapter(script.url), Side.BUY)
        params = sent(script)
        assert (params["belowType"], params["belowClientOrderId"]) == ("LIMIT_MAKER", "home-1-profit")
        assert (params["aboveType"], params["aboveClientOrderId"]) == ("STOP_LOSS_LIMIT", "home-1-stop")

    @pytest.mark.parametrize("reports", [[STOP, PROFIT], [PROFIT, STOP]])
    def test_the_take_profit_comes_first_in_whatever_order_the_exchange_tells_them(
        self, script: Scripted, reports: list[Any]
    ) -> None:
        script.answers({"orderListId": 1, "orderReports": reports})
        profit, stop = oco(adapter(script.url))
        assert (profit.client_order_id, profit.order_id, profit.price) == ("home-1-profit", 11, D(31_000))
        assert (stop.client_order_id, stop.order_id, stop.price) == ("home-1-stop", 10, D(28_990))
        assert (stop.stop_price, stop.order_list_id, profit.order_list_id) == (D(29_000), 1, 1)

    @pytest.mark.parametrize("reports", [[STOP], [STOP, STOP], [], None])
    def test_half_an_answer_leaves_the_fate_of_both_unknown(self, script: Scripted, reports: Any) -> None:
        script.answers({"orderListId": 1, "orderReports": reports})
        with pytest.raises(NetworkError):
            oco(adapter(script.url))
        assert len(script.requests) == 1

    def test_a_canceled_list_s_orders_are_named_by_their_own_ids(self, script: Scripted) -> None:
        ended = [
            {**each, "origClientOrderId": each["clientOrderId"], "clientOrderId": "the-cancel", "status": "CANCELED"}
            for each in (STOP, PROFIT)
        ]
        script.answers({"orderListId": 1, "orderReports": ended})
        answers = adapter(script.url).cancel_list("BTCUSDT", "home-1")
        assert (script.requests[0].method, script.requests[0].path) == ("DELETE", "/api/v3/orderList")
        assert sent(script) == {"symbol": "BTCUSDT", "listClientOrderId": "home-1"}
        assert {each.client_order_id: each.status for each in answers} == {
            "home-1-stop": OrderStatus.CANCELED,
            "home-1-profit": OrderStatus.CANCELED,
        }


class TestOwnTrades:
    def test_they_say_whose_they_are_and_on_which_side(self, exchange: Exchange) -> None:
        rest = adapter(exchange.running.rest, exchange.key, exchange.secret)
        bought = buy(rest, "0.02", "home-1")
        sold = rest.place(
            symbol="BTCUSDT",
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quantity=D("0.01"),
            client_order_id="home-2",
        )
        both = (
            OwnTrade(bought.order_id, Side.BUY, bought.fills[0]),
            OwnTrade(sold.order_id, Side.SELL, sold.fills[0]),
        )
        assert rest.own_trades("BTCUSDT") == both
        assert rest.own_trades("BTCUSDT", limit=1) == both[1:]
        assert rest.own_trades("BTCUSDT", from_id=sold.fills[0].trade_id) == both[1:]
        assert rest.own_trades("BTCUSDT", start_ms=bought.time_ms) == both
        assert rest.own_trades("BTCUSDT", start_ms=sold.time_ms + 1) == ()
        assert rest.order_by_id("BTCUSDT", sold.order_id).client_order_id == "home-2"

    def test_what_is_not_asked_for_is_not_sent(self, script: Scripted) -> None:
        script.answers([])
        adapter(script.url).own_trades("BTCUSDT", start_ms=5, limit=10)
        assert sent(script) == {"symbol": "BTCUSDT", "startTime": "5", "limit": "10"}

    def test_a_side_that_is_no_truth_value_is_no_answer(self, script: Scripted) -> None:
        row = {"orderId": 1, "id": 1, "price": "1", "qty": "1", "quoteQty": "1", "commission": "0", "time": 1}
        script.answers([{**row, "commissionAsset": "BTC", "isMaker": False, "isBuyer": "false"}])
        with pytest.raises(NetworkError):
            adapter(script.url).own_trades("BTCUSDT")
