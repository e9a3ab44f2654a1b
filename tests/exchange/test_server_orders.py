"""Orders and the account over REST: what they do."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Start, trade, within_a_minute
from tests.exchange.orders import LIMIT_BUY, MARKET_BUY, ORDER, refusal, without
from thunes.exchange.simulator.limits import LimitSettings


def test_a_market_buy_fills_level_by_level_and_moves_the_balances(exchange: Exchange) -> None:
    body = exchange.order("BUY", "0.3")
    assert (body["status"], body["executedQty"], body["price"]) == ("FILLED", "0.30000000", "0.00000000")
    assert body["fills"] == [
        {
            "price": "30000.00000000",
            "qty": "0.30000000",
            "commission": "0.00030000",
            "commissionAsset": "BTC",
            "tradeId": 1,
        }
    ]
    assert exchange.balance("BTC") == (Decimal("0.2997"), Decimal(0))
    assert exchange.balance("USDT") == (Decimal(1000), Decimal(0))


def test_a_limit_order_rests_locks_and_is_canceled(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000", newClientOrderId="mine")
    assert (placed["status"], placed["clientOrderId"]) == ("NEW", "mine")
    assert exchange.balance("USDT") == (Decimal(7100), Decimal(2900))
    assert [row["orderId"] for row in exchange.signed("GET", "/api/v3/openOrders").json()] == [placed["orderId"]]
    canceled = exchange.signed(
        "DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="stop"
    ).json()
    assert (canceled["status"], canceled["origClientOrderId"], canceled["clientOrderId"]) == (
        "CANCELED",
        "mine",
        "stop",
    )
    assert exchange.balance("USDT") == (Decimal(10_000), Decimal(0))
    assert exchange.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="mine").json()["status"] == "CANCELED"


def test_a_resting_order_fills_when_the_market_comes_to_it(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000")
    exchange.play(trade(1, "28999", "5", START_MS + 5))
    order = exchange.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"]).json()
    assert (order["status"], order["updateTime"]) == ("FILLED", START_MS + 5)
    [fill] = exchange.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()
    assert (fill["price"], fill["isMaker"], fill["orderId"]) == ("29000.00000000", True, placed["orderId"])


def test_what_a_taker_took_is_gone_from_the_book(exchange: Exchange) -> None:
    before = exchange.public("/api/v3/depth", symbol="BTCUSDT")
    exchange.order("BUY", "0.25")
    after = exchange.public("/api/v3/depth", symbol="BTCUSDT")
    assert after["asks"][0] == ["30000.00000000", "0.75000000"]
    assert after["lastUpdateId"] > before["lastUpdateId"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("ACK", 5), ("RESULT", 16), ("FULL", 17)],
)
def test_the_answer_has_the_type_that_was_asked_for(exchange: Exchange, kind: str, fields: int) -> None:
    assert len(exchange.order("BUY", "0.01", newOrderRespType=kind)) == fields


def test_limit_maker_answers_ack_and_is_refused_when_it_would_take(exchange: Exchange) -> None:
    params = {**without(LIMIT_BUY, "timeInForce"), "type": "LIMIT_MAKER"}
    assert set(exchange.signed("POST", ORDER, **params).json()) == {
        "symbol",
        "orderId",
        "orderListId",
        "clientOrderId",
        "transactTime",
    }
    crossing = refusal(exchange, "POST", ORDER, **(params | {"price": "30000"}))
    assert crossing == (400, -2010, "Order would immediately match and take.")


def test_an_order_by_quote_amount_spends_at_most_that(exchange: Exchange) -> None:
    params = {**without(MARKET_BUY, "quantity"), "quoteOrderQty": "100"}
    body = exchange.signed("POST", ORDER, **params).json()
    assert (body["executedQty"], body["origQuoteOrderQty"]) == ("0.00333000", "100.00000000")


def test_order_test_checks_everything_and_does_nothing(exchange: Exchange) -> None:
    assert exchange.signed("POST", "/api/v3/order/test", **MARKET_BUY).json() == {}
    rates = exchange.signed("POST", "/api/v3/order/test", **MARKET_BUY, computeCommissionRates="true").json()
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    short = refusal(exchange, "POST", "/api/v3/order/test", **(MARKET_BUY | {"quantity": "9"}))
    assert short[1] == -2010
    assert exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json() == []


def test_a_body_and_a_query_are_signed_together(exchange: Exchange) -> None:
    query, body = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quantity=0.01&timestamp={int(time.time() * 1000)}"
    signature = exchange.sign(query + body)
    answer = exchange.raw("POST", ORDER, query, exchange.key, data=f"{body}&signature={signature}")
    assert answer.json()["status"] == "FILLED"


def test_a_client_id_is_refused_while_its_order_is_open_and_free_once_it_filled(exchange: Exchange) -> None:
    exchange.order("BUY", "0.01", "29000", newClientOrderId="same")
    again = refusal(exchange, "POST", ORDER, **LIMIT_BUY, newClientOrderId="same")
    assert again == (400, -2010, "Duplicate order sent.")
    exchange.play(trade(1, "28000", "5", START_MS + 5))
    exchange.order("BUY", "0.01", newClientOrderId="same")
    exchange.order("BUY", "0.01", newClientOrderId="same")
    newest = exchange.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="same").json()
    assert newest["orderId"] == 3


def test_orders_that_are_not_there_cannot_be_asked_for_or_canceled(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.01")
    unknown = {"symbol": "BTCUSDT", "orderId": 99}
    assert refusal(exchange, "GET", ORDER, **unknown) == (400, -2013, "Order does not exist.")
    assert refusal(exchange, "DELETE", ORDER, **unknown) == (400, -2011, "Unknown order sent.")
    filled = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert refusal(exchange, "DELETE", ORDER, **filled)[1] == -2011
    assert refusal(exchange, "GET", ORDER, **filled, origClientOrderId="other")[1] == -2039
    assert refusal(exchange, "GET", ORDER, symbol="BTCUSDT")[1] == -1102
    assert refusal(exchange, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")[1] == -2011


def test_cancel_restrictions_are_kept(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000")
    params = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    partly = refusal(exchange, "DELETE", ORDER, **params, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert partly == (400, -2011, "Order was not canceled due to cancel restrictions.")
    assert refusal(exchange, "DELETE", ORDER, **params, cancelRestrictions="FOO")[1] == -1145
    assert exchange.signed("DELETE", ORDER, **params, cancelRestrictions="ONLY_NEW").json()["status"] == "CANCELED"


def test_all_open_orders_of_a_symbol_are_canceled_at_once(exchange: Exchange) -> None:
    for price in ("29000", "28000"):
        exchange.order("BUY", "0.01", price)
    rows = exchange.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json()
    assert [row["status"] for row in rows] == ["CANCELED", "CANCELED"]
    assert exchange.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json() == []


def test_histories_page_by_id_and_by_time(exchange: Exchange) -> None:
    for _ in range(4):
        exchange.order("BUY", "0.01")
    path = "/api/v3/myTrades"

    def ids(**params: Any) -> list[int]:
        return [row["id"] for row in exchange.signed("GET", path, symbol="BTCUSDT", **params).json()]

    assert ids(limit=2) == [3, 4]
    assert ids(fromId=2, limit=2) == [2, 3]
    assert ids(orderId=3) == [3]
    assert ids(startTime=START_MS, limit=2) == [1, 2]
    assert ids(endTime=START_MS - 1) == []
    assert refusal(exchange, "GET", path, symbol="BTCUSDT", startTime=0, fromId=1)[1] == -1128
    assert refusal(exchange, "GET", path, symbol="BTCUSDT", startTime=0, endTime=86_400_001)[1] == -1127
    orders = exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=2, limit=2).json()
    assert [row["orderId"] for row in orders] == [2, 3]


def test_accepted_orders_carry_the_order_count(exchange: Exchange) -> None:
    answer = exchange.signed("POST", ORDER, **LIMIT_BUY)
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == answer.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    refused = exchange.signed("POST", ORDER, **(LIMIT_BUY | {"side": "FOO"}))
    assert "X-MBX-ORDER-COUNT-10S" not in refused.headers


def test_an_accepted_order_weighs_nothing_and_a_refused_one_1(exchange: Exchange) -> None:
    def weights() -> list[int]:
        answers = [
            exchange.raw("GET", "/api/v3/ping"),
            exchange.signed("POST", ORDER, **LIMIT_BUY),
            exchange.signed("POST", ORDER, **(LIMIT_BUY | {"side": "FOO"})),
        ]
        return [int(answer.headers["X-MBX-USED-WEIGHT-1M"]) for answer in answers]

    assert [b - a for a, b in pairwise(within_a_minute(weights))] == [0, 1]


def test_too_many_unfilled_orders_are_429_and_fills_make_room(start: Start) -> None:
    with start(limits=LimitSettings(orders_per_10s=3, orders_per_day=3)) as exchange:
        for _ in range(5):
            exchange.order("BUY", "0.01")
        for _ in range(3):
            exchange.order("BUY", "0.01", "29000")
        answer = exchange.signed("POST", ORDER, **MARKET_BUY)
        assert (answer.status_code, answer.json()["code"]) == (429, -1015)
        assert int(answer.headers["Retry-After"]) > 0
        exchange.play(trade(1, "28000", "9", START_MS + 5))
        exchange.order("BUY", "0.01")
