"""The WebSocket API: requests by name, and the account's events as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Listener, Start, book, levels, trade
from thunes.exchange.simulator.limits import LimitSettings


def signed(exchange: Exchange, **params: Any) -> dict[str, Any]:
    """Parameters of a signed request, as web-socket-api.md says: signed in the order of their names."""
    sent = {"apiKey": exchange.key, "timestamp": int(time.time() * 1000), **params}
    text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
    return sent | {"signature": exchange.sign(text)}


def subscribe(exchange: Exchange, api: Listener) -> dict[str, Any]:
    answer: dict[str, Any] = api.ask(id=1, method="userDataStream.subscribe.signature", params=signed(exchange))
    return answer


@pytest.fixture
def api(exchange: Exchange) -> Iterator[Listener]:
    with exchange.listen("/ws-api/v3") as listener:
        yield listener


def events(api: Listener, count: int) -> list[dict[str, Any]]:
    return [api.next()["event"] for _ in range(count)]


def test_a_market_order_is_reported_new_then_traded_then_the_balances(exchange: Exchange, api: Listener) -> None:
    assert subscribe(exchange, api)["result"] == {"subscriptionId": 0}
    placed = exchange.order("BUY", "0.3", newClientOrderId="mine")
    frame = api.next()
    assert frame["subscriptionId"] == 0
    new, traded, position = frame["event"], *events(api, 2)
    assert [(e["x"], e["X"], e["t"]) for e in (new, traded)] == [("NEW", "NEW", -1), ("TRADE", "FILLED", 1)]
    assert (traded["c"], traded["i"], traded["C"]) == ("mine", placed["orderId"], "")
    assert (traded["l"], traded["L"], traded["n"], traded["N"]) == (
        "0.30000000",
        "30000.00000000",
        "0.00030000",
        "BTC",
    )
    assert new["I"] < traded["I"]
    assert position["e"] == "outboundAccountPosition"
    balances = {row["a"]: (row["f"], row["l"]) for row in position["B"]}
    assert balances == {"BTC": ("0.29970000", "0.00000000"), "USDT": ("1000.00000000", "0.00000000")}


def test_an_order_through_several_levels_is_reported_level_by_level(start: Start) -> None:
    asks = levels(("30000", "0.1"), ("30001", "0.1"), ("30002", "9"))
    with start([book(asks=asks)]) as exchange, exchange.listen("/ws-api/v3") as api:
        subscribe(exchange, api)
        exchange.order("BUY", "0.3")
        reports = events(api, 4)
    assert [report["X"] for report in reports] == ["NEW", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "FILLED"]
    assert [report["z"] for report in reports] == ["0.00000000", "0.10000000", "0.20000000", "0.30000000"]
    assert [report["t"] for report in reports] == [-1, 1, 2, 3]


def test_a_book_too_thin_ends_a_market_order_expired_with_its_reason(start: Start) -> None:
    with start([book(asks=levels(("30000", "0.1")))]) as exchange, exchange.listen("/ws-api/v3") as api:
        subscribe(exchange, api)
        body = exchange.order("BUY", "0.3")
        reports = events(api, 3)
    assert (body["status"], body["executedQty"], body["expiryReason"]) == (
        "EXPIRED",
        "0.10000000",
        "INSUFFICIENT_LIQUIDITY",
    )
    assert [report["x"] for report in reports] == ["NEW", "TRADE", "EXPIRED"]
    assert (reports[2]["eR"], reports[2]["t"]) == ("INSUFFICIENT_LIQUIDITY", -1)


def test_a_cancel_is_reported_under_the_cancels_own_id(exchange: Exchange, api: Listener) -> None:
    subscribe(exchange, api)
    exchange.order("BUY", "0.1", "29000", newClientOrderId="order")
    new, locked = events(api, 2)
    path = "/api/v3/order"
    exchange.signed("DELETE", path, symbol="BTCUSDT", origClientOrderId="order", newClientOrderId="cancel")
    canceled, freed = events(api, 2)
    assert (new["c"], new["C"], new["w"]) == ("order", "", True)
    assert (canceled["c"], canceled["C"], canceled["X"], canceled["w"]) == ("cancel", "order", "CANCELED", False)
    assert {row["a"]: row["l"] for row in locked["B"]}["USDT"] == "2900.00000000"
    assert {row["a"]: row["l"] for row in freed["B"]}["USDT"] == "0.00000000"


def test_the_market_fills_a_resting_order_and_the_account_hears_of_it(exchange: Exchange, api: Listener) -> None:
    subscribe(exchange, api)
    exchange.order("BUY", "0.1", "29000")
    events(api, 2)
    exchange.play(trade(1, "28999", "0.04", START_MS + 5), trade(2, "28999", "5", START_MS + 6))
    first, _, second, _ = events(api, 4)
    assert [(e["X"], e["l"], e["m"], e["T"]) for e in (first, second)] == [
        ("PARTIALLY_FILLED", "0.04000000", True, START_MS + 5),
        ("FILLED", "0.06000000", True, START_MS + 6),
    ]


def test_an_account_can_be_subscribed_to_once_a_connection(exchange: Exchange, api: Listener) -> None:
    subscribe(exchange, api)
    again = subscribe(exchange, api)
    assert (again["status"], again["error"]["code"]) == (400, -2035)
    with exchange.listen("/ws-api/v3") as other:
        assert subscribe(exchange, other)["status"] == 200


def test_an_ended_subscription_is_told_so_and_hears_nothing_more(exchange: Exchange, api: Listener) -> None:
    subscribe(exchange, api)
    api.connection.send('{"id":2,"method":"userDataStream.unsubscribe"}')
    assert api.next()["event"]["e"] == "eventStreamTerminated"
    assert api.next()["result"] == {}
    exchange.order("BUY", "0.01")
    assert api.ask(id=3, method="session.subscriptions")["result"] == []
    assert subscribe(exchange, api)["result"] == {"subscriptionId": 1}
    gone = api.ask(id=4, method="userDataStream.unsubscribe", params={"subscriptionId": 0})
    assert gone["error"]["code"] == -2036


def test_times_come_in_microseconds_when_the_url_asks_for_them(exchange: Exchange) -> None:
    with exchange.listen("/ws-api/v3?timeUnit=microsecond") as api:
        subscribe(exchange, api)
        placed = exchange.order("BUY", "0.01")
        assert api.next()["event"]["T"] == placed["transactTime"] * 1000


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"apiKey": "x" * 64}, 401, -2015),
        ({"apiKey": "short"}, 401, -2014),
        ({"apiKey": None}, 401, -2014),
        ({"signature": "0" * 64}, 400, -1022),
        ({"timestamp": 1}, 400, -1021),
        ({"timestamp": "soon"}, 400, -1100),
    ],
)
def test_a_subscription_has_to_be_signed(
    exchange: Exchange, api: Listener, change: dict[str, Any], status: int, code: int
) -> None:
    params = signed(exchange) | change
    answer = api.ask(id=1, method="userDataStream.subscribe.signature", params=params)
    assert (answer["status"], answer["error"]["code"]) == (status, code)


def test_orders_can_be_placed_asked_for_and_canceled_over_the_socket(exchange: Exchange, api: Listener) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "price": "29000", "quantity": "0.1"}
    params = signed(exchange, **order, timeInForce="GTC", newOrderRespType="RESULT")
    placed = api.ask(id="a", method="order.place", params=params)
    assert (placed["status"], placed["id"], placed["result"]["status"]) == (200, "a", "NEW")
    assert [limit["rateLimitType"] for limit in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    which = {"symbol": "BTCUSDT", "orderId": placed["result"]["orderId"]}
    assert api.ask(id=1, method="v3/order.status", params=signed(exchange, **which))["result"]["price"] == (
        "29000.00000000"
    )
    gone = api.ask(id=2, method="order.cancel", params=signed(exchange, **which))
    assert gone["result"]["status"] == "CANCELED"
    again = api.ask(id=3, method="order.cancel", params=signed(exchange, **which))
    assert (again["status"], again["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})


def test_public_requests_answer_with_their_weight_unless_told_not_to(exchange: Exchange, api: Listener) -> None:
    answer = api.ask(id=1, method="ping")
    assert (answer["status"], answer["result"]) == (200, {})
    [limit] = answer["rateLimits"]
    assert (limit["rateLimitType"], limit["limit"], limit["count"]) == ("REQUEST_WEIGHT", 6000, 3)
    quiet = api.ask(id=2, method="time", params={"returnRateLimits": False})
    assert "rateLimits" not in quiet
    assert api.ask(id=3, method="depth", params={"symbol": "BTCUSDT", "limit": 1})["result"]["bids"]
    assert len(api.ask(id=4, method="ticker.price", params={"symbols": ["BTCUSDT"]})["result"]) == 1
    with exchange.listen("/ws-api/v3?returnRateLimits=false") as other:
        assert "rateLimits" not in other.ask(id=1, method="ping")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", -1135),
        ("[]", -1135),
        ('{"id":1,"method":"ping","params":[]}', -1135),
        ('{"id":1}', -1102),
        ('{"id":1,"method":5}', -1102),
        ('{"id":1,"method":"foo"}', -1020),
        ('{"id":1,"method":"ping","params":{"x":1}}', -1101),
        ('{"id":1,"method":"depth","params":{"symbol":null}}', -1100),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(api: Listener, text: str, code: int) -> None:
    api.connection.send(text)
    answer = api.next()
    assert (answer["status"], answer["error"]["code"]) == (400, code)


def test_over_the_weight_is_429_with_the_time_to_try_again(start: Start) -> None:
    with start(limits=LimitSettings(weight_per_minute=3)) as exchange, exchange.listen("/ws-api/v3") as api:
        api.ask(id=1, method="ping")
        answer = api.ask(id=2, method="ping")
    assert (answer["status"], answer["error"]["code"]) == (429, -1003)
    retry = answer["error"]["data"]
    assert 0 < retry["retryAfter"] - retry["serverTime"] <= 60_000


def test_reports_add_up_to_the_balances(exchange: Exchange, api: Listener) -> None:
    subscribe(exchange, api)
    exchange.order("BUY", "0.2")
    exchange.order("SELL", "0.1")
    reports = [event for event in events(api, 6) if event["e"] == "executionReport" and event["x"] == "TRADE"]
    btc, usdt = Decimal(0), Decimal(10_000)
    for report in reports:
        sign = 1 if report["S"] == "BUY" else -1
        btc += sign * Decimal(report["l"]) - (Decimal(report["n"]) if report["N"] == "BTC" else 0)
        usdt -= sign * Decimal(report["Y"]) + (Decimal(report["n"]) if report["N"] == "USDT" else 0)
    assert (btc, usdt) == (exchange.balance("BTC")[0], exchange.balance("USDT")[0])
