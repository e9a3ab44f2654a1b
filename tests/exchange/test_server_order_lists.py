"""Order lists of the embedded exchange, as rest-api.md, web-socket-api.md and user-data-stream.md have them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Listener, Start, trade
from tests.exchange.orders import ORDER, refusal
from tests.exchange.rest_calls import adapter
from tests.exchange.test_server_restart import account_of, crash
from thunes.exchange.simulator import signing
from thunes.messages import Side

D = Decimal
OCO, LIST = "/api/v3/orderList/oco", "/api/v3/orderList"
SELL_OCO = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "0.1",
    "listClientOrderId": "pair",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "31000",
    "aboveClientOrderId": "profit",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "29000",
    "belowPrice": "28900",
    "belowTimeInForce": "GTC",
    "belowClientOrderId": "stop",
}


def without(*names: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in SELL_OCO.items() if name not in names} | more


def oco(exchange: Exchange, **more: str) -> dict[str, Any]:
    answer = exchange.signed("POST", OCO, **(SELL_OCO | more))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture
def market(start: Start) -> Iterator[Exchange]:
    """The last public trade was at 30000, and the account has bought 0.3 BTC."""
    with start() as exchange:
        exchange.play(trade(1, "30000", "0.5", START_MS + 5))
        exchange.order("BUY", "0.3")
        yield exchange


def open_names(exchange: Exchange) -> list[tuple[str, int]]:
    rows = exchange.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json()
    return [(row["clientOrderId"], row["orderListId"]) for row in rows]


class TestPlaced:
    def test_the_answer_is_the_documented_one(self, market: Exchange) -> None:
        answer = oco(market, newOrderRespType="RESULT")
        facts = ("contingencyType", "listStatusType", "listOrderStatus", "listClientOrderId", "symbol")
        assert [answer[name] for name in facts] == ["OCO", "EXEC_STARTED", "EXECUTING", "pair", "BTCUSDT"]
        assert [row["clientOrderId"] for row in answer["orders"]] == ["stop", "profit"]
        stop, profit = answer["orderReports"]
        assert (stop["type"], stop["stopPrice"], stop["workingTime"]) == ("STOP_LOSS_LIMIT", "29000.00000000", -1)
        assert (profit["type"], profit["workingTime"]) == ("LIMIT_MAKER", profit["transactTime"])
        assert stop["orderListId"] == profit["orderListId"] == answer["orderListId"]

    def test_it_locks_what_one_of_its_orders_sells(self, market: Exchange) -> None:
        free, locked = market.balance("BTC")
        oco(market)
        assert market.balance("BTC") == (free - D("0.1"), locked + D("0.1"))

    def test_it_counts_as_two_orders(self, market: Exchange) -> None:
        answer = market.signed("POST", OCO, **SELL_OCO)
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "2"

    def test_queries_of_orders_show_the_list(self, market: Exchange) -> None:
        number = oco(market)["orderListId"]
        assert open_names(market) == [("stop", number), ("profit", number)]
        one = market.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="stop").json()
        every = market.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json()
        assert one["orderListId"] == every[1]["orderListId"] == number

    def test_the_older_request_makes_the_same_pair(self, market: Exchange) -> None:
        old = {
            "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.02", "price": "29000", "stopPrice": "31000",
            "stopLimitPrice": "31100", "stopLimitTimeInForce": "GTC", "newOrderRespType": "RESULT",
        }  # fmt: skip
        answer = market.signed("POST", "/api/v3/order/oco", **old).json()
        assert [(row["type"], row["price"]) for row in answer["orderReports"]] == [
            ("STOP_LOSS_LIMIT", "31100.00000000"),
            ("LIMIT_MAKER", "29000.00000000"),
        ]
        assert market.balance("USDT")[1] == D(622)

    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            (without(abovePrice="29500"), (-2010, "The relationship of the prices for the orders is not correct.")),
            (without(belowType="TAKE_PROFIT_LIMIT"), (-1199, "A take profit order in a sell OCO must be above.")),
            (without(aboveType="LIMIT"), None),
            (
                without("aboveType"),
                (-1102, "Mandatory parameter 'aboveType' was not sent, was empty/null, or malformed."),
            ),
            (without("belowTimeInForce"), (-1102, None)),
            (
                without("abovePrice"),
                (-1102, "Mandatory parameter 'abovePrice' was not sent, was empty/null, or malformed."),
            ),
            (without("quantity"), (-1102, None)),
            (without(aboveStopPrice="31000"), (-1106, "Parameter 'aboveStopPrice' sent when not required.")),
            (without(aboveTrailingDelta="10"), (-2010, "Trailing stop orders are not supported for this symbol.")),
            (without(belowIcebergQty="1"), (-2010, "Iceberg orders are not supported for this symbol.")),
            (without(quantity="5"), (-2010, "Account has insufficient balance for requested action.")),
            (without(abovePrice="31000.001"), (-1013, "Filter failure: PRICE_FILTER")),
            (without(aboveClientOrderId="stop"), (-2010, "Duplicate order sent.")),
            (without(price="1"), (-1104, None)),
        ],
    )
    def test_what_may_not_be_placed_is_refused_as_documented(
        self, market: Exchange, params: dict[str, str], expected: tuple[int, str | None] | None
    ) -> None:
        status, code, message = refusal(market, "POST", OCO, **params)
        assert status == 400
        if expected is None:
            assert code in (-1158, -1102)
        else:
            assert (code, message if expected[1] else None) == expected, message
        assert open_names(market) == []


class TestAskedFor:
    def test_one_by_id_or_name_all_and_the_open_ones(self, market: Exchange) -> None:
        number = oco(market)["orderListId"]
        other = oco(market, listClientOrderId="b", aboveClientOrderId="b1", belowClientOrderId="b2")["orderListId"]
        market.signed("DELETE", LIST, symbol="BTCUSDT", orderListId=other)
        by_id = market.signed("GET", LIST, orderListId=number).json()
        assert by_id == market.signed("GET", LIST, origClientOrderId="pair").json()
        assert by_id["listOrderStatus"] == "EXECUTING"
        assert market.signed("GET", "/api/v3/openOrderList").json() == [by_id]
        every = market.signed("GET", "/api/v3/allOrderList").json()
        assert [(row["orderListId"], row["listStatusType"]) for row in every] == [
            (number, "EXEC_STARTED"),
            (other, "ALL_DONE"),
        ]
        assert market.signed("GET", "/api/v3/allOrderList", fromId=other).json() == every[1:]

    def test_unknown_ones_are_refused(self, market: Exchange) -> None:
        assert refusal(market, "GET", LIST, orderListId=9) == (400, -2018, "Order list does not exist.")
        assert refusal(market, "DELETE", LIST, symbol="BTCUSDT", orderListId=9)[1] == -2011
        assert refusal(market, "GET", LIST)[1] == -1102
        assert refusal(market, "GET", "/api/v3/allOrderList", fromId=1, startTime=1)[1] == -1128


class TestEnded:
    def test_cancelling_one_order_answers_with_the_list(self, market: Exchange) -> None:
        number = oco(market)["orderListId"]
        answer = market.signed("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="profit").json()
        assert (answer["orderListId"], answer["listStatusType"]) == (number, "ALL_DONE")
        assert [row["status"] for row in answer["orderReports"]] == ["CANCELED", "CANCELED"]
        assert (open_names(market), market.balance("BTC")[1]) == ([], D(0))

    def test_cancelling_everything_names_the_list_and_the_lone_order(self, market: Exchange) -> None:
        number = oco(market)["orderListId"]
        market.order("BUY", "0.01", "28000", newClientOrderId="alone")
        answers = market.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json()
        assert [(row["orderListId"], len(row.get("orderReports", ()))) for row in answers] == [(number, 2), (-1, 0)]
        assert open_names(market) == []

    def test_a_fill_of_one_expires_the_other(self, market: Exchange) -> None:
        oco(market)
        market.play(trade(2, "31001", "5", START_MS + 6))
        rows = market.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json()
        assert [row["status"] for row in rows[1:]] == ["EXPIRED", "FILLED"]
        assert rows[1]["expiryReason"] == "OCO_TRIGGER"
        assert market.signed("GET", LIST, origClientOrderId="pair").json()["listOrderStatus"] == "ALL_DONE"
        assert market.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()[-1]["orderListId"] == 0
        assert refusal(market, "DELETE", LIST, symbol="BTCUSDT", listClientOrderId="pair")[1] == -2011


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "orderList/oto", (400, -2010, "OTO orders are not supported for this symbol.")),
        ("POST", "orderList/otoco", (400, -2010, "OTO orders are not supported for this symbol.")),
        ("POST", "orderList/opo", (400, -2010, "OPO orders are not supported for this symbol.")),
        ("POST", "orderList/opoco", (400, -2010, "OPO orders are not supported for this symbol.")),
        ("PUT", "order/amend/keepPriority", (400, -2038, "Order amend is not supported for this symbol.")),
    ],
)
def test_what_no_symbol_is_enabled_for_says_so(
    exchange: Exchange, method: str, path: str, expected: tuple[int, int, str]
) -> None:
    assert refusal(exchange, method, f"/api/v3/{path}", symbol="BTCUSDT", orderId=1, newQty="1") == expected


def test_the_adapter_places_and_cancels_a_pair(market: Exchange) -> None:
    rest = adapter(market.running.rest, market.key, market.secret)
    names: dict[str, Any] = {"list_id": "home-l", "take_profit_id": "home-t", "stop_id": "home-s"}
    prices: dict[str, Any] = {"take_profit": D(31000), "stop_price": D(29000), "stop_limit": D(28900)}
    answers = rest.place_oco("BTCUSDT", Side.SELL, D("0.1"), **prices, **names)
    assert [each.client_order_id for each in answers] == ["home-t", "home-s"]
    ended = rest.cancel_list("BTCUSDT", "home-l")
    assert {each.client_order_id for each in ended} == {"home-t", "home-s"}
    assert open_names(market) == []


class Socket:
    """Signed requests of the WebSocket API."""

    def __init__(self, exchange: Exchange, end: Listener) -> None:
        self._exchange, self._end = exchange, end

    def ask(self, method: str, **params: Any) -> Any:
        sent = params | {"apiKey": self._exchange.key, "timestamp": int(time.time() * 1000)}
        sent["signature"] = signing.signature(self._exchange.secret, signing.socket_payload(sent))
        return self._end.ask(id=1, method=method, params=sent)

    def events(self, count: int) -> list[dict[str, Any]]:
        return [self._end.until(lambda frame: "event" in frame)["event"] for _ in range(count)]


class TestOverTheSocket:
    def test_every_method_of_lists_answers(self, market: Exchange) -> None:
        with market.listen("/ws-api/v3") as end:
            api = Socket(market, end)
            placed = api.ask("orderList.place.oco", **SELL_OCO)
            assert placed["status"] == 200, placed
            number = placed["result"]["orderListId"]
            assert api.ask("orderList.status", orderListId=number)["result"]["listClientOrderId"] == "pair"
            assert len(api.ask("openOrderLists.status")["result"]) == 1
            ended = api.ask("orderList.cancel", symbol="BTCUSDT", orderListId=number)
            assert ended["result"]["listStatusType"] == "ALL_DONE"
            assert [row["orderListId"] for row in api.ask("allOrderLists")["result"]] == [number]
            old = api.ask(
                "orderList.place", symbol="BTCUSDT", side="SELL", quantity="0.1", price="31000", stopPrice="29000"
            )
            assert old["status"] == 200, old
            refused = api.ask("orderList.place.oto", symbol="BTCUSDT")
            assert refused["error"]["msg"] == "OTO orders are not supported for this symbol."

    def test_the_account_hears_of_the_list_from_beginning_to_end(self, market: Exchange) -> None:
        with market.listen("/ws-api/v3") as end:
            api = Socket(market, end)
            assert api.ask("userDataStream.subscribe.signature")["status"] == 200
            number = oco(market)["orderListId"]
            stop, profit, begun, _ = api.events(4)
            assert [(e["e"], e["g"], e["x"]) for e in (stop, profit)] == [("executionReport", number, "NEW")] * 2
            assert (stop["o"], stop["w"], profit["w"]) == ("STOP_LOSS_LIMIT", False, True)
            assert [begun[name] for name in "egclLrC"] == [
                "listStatus", number, "OCO", "EXEC_STARTED", "EXECUTING", "NONE", "pair",
            ]  # fmt: skip
            assert [row["c"] for row in begun["O"]] == ["stop", "profit"]
            market.play(trade(2, "31001", "5", START_MS + 6))
            expired, filled, done, position = api.events(4)
            assert [(e["c"], e["x"], e["X"]) for e in (expired, filled)] == [
                ("stop", "EXPIRED", "EXPIRED"),
                ("profit", "TRADE", "FILLED"),
            ]
            assert (expired["eR"], done["l"], done["L"]) == ("OCO_TRIGGER", "ALL_DONE", "ALL_DONE")
            assert position["e"] == "outboundAccountPosition"


def test_a_list_is_a_list_after_a_kill(start: Start, tmp_path: Path) -> None:
    with start() as exchange:
        exchange.play(trade(1, "30000", "0.5", START_MS + 5))
        exchange.order("BUY", "0.3")
        number = oco(exchange)["orderListId"]
        before = account_of(exchange), exchange.signed("GET", "/api/v3/openOrderList").json()
        home = crash(exchange, tmp_path)
    with start(home=home) as again:
        assert (account_of(again), again.signed("GET", "/api/v3/openOrderList").json()) == before
        again.play(trade(2, "31001", "5", START_MS + 6))
        done = again.signed("GET", LIST, orderListId=number).json()
        assert done["listOrderStatus"] == "ALL_DONE"
        assert again.balance("BTC")[1] == 0
        assert oco(again, abovePrice="32000")["orderListId"] == number + 1
