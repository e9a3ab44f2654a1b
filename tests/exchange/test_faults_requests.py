"""Faults of requests, as clients of REST and of the WebSocket API meet them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
import requests
import websocket

from tests.exchange.conftest import Exchange, Listener, Start
from tests.exchange.faulty import WITH_CONTROL, Control, control_of, signed, until

ORDER: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING = ORDER | {"quantity": "0.1", "price": "20000"}


@pytest.fixture
def exchange(start: Start) -> Iterator[Exchange]:
    with start(trouble=WITH_CONTROL) as running:
        yield running


@pytest.fixture
def control(exchange: Exchange) -> Control:
    return control_of(exchange)


@pytest.fixture
def api(exchange: Exchange) -> Iterator[Listener]:
    with exchange.listen("/ws-api/v3") as listener:
        yield listener


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def place(exchange: Exchange, **more: Any) -> requests.Response:
    return exchange.signed("POST", "/api/v3/order", **RESTING, **more)


def open_orders(exchange: Exchange) -> int:
    return len(exchange.signed("GET", "/api/v3/openOrders").json())


def test_a_lost_request_has_no_answer_and_no_effect(exchange: Exchange, control: Control) -> None:
    control.arm("lose-request")
    with pytest.raises(requests.ConnectionError):
        place(exchange)
    assert open_orders(exchange) == 0
    assert place(exchange).status_code == 200


def test_a_lost_answer_is_none_but_the_order_is_there(exchange: Exchange, control: Control) -> None:
    control.arm("lose-answer")
    with pytest.raises(requests.ConnectionError):
        place(exchange)
    assert open_orders(exchange) == 1


@pytest.mark.parametrize(("status", "phrase"), [(504, "504 Gateway Time-out"), (502, "502 Bad Gateway")])
def test_an_order_is_accepted_and_a_gateways_page_says_otherwise(
    status: int, phrase: str, exchange: Exchange, control: Control
) -> None:
    control.arm("accept-then-504", status=status)
    answer = place(exchange)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (status, "text/html")
    assert phrase in answer.text
    assert open_orders(exchange) == 1


def test_an_order_is_accepted_and_its_fate_said_to_be_unknown(exchange: Exchange, control: Control) -> None:
    control.arm("accept-then-504", status=503, code=-1006)
    answer = place(exchange)
    assert (answer.status_code, answer.json()["code"]) == (503, -1006)
    assert "Execution status unknown" in answer.json()["msg"]
    assert open_orders(exchange) == 1


def test_a_held_request_is_processed_late_even_if_its_client_has_gone(exchange: Exchange, control: Control) -> None:
    number = control.arm("hold-request", seconds=60)
    url = f"{exchange.running.rest}/api/v3/order?{exchange.query(**RESTING)}"
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.Timeout):
            session.post(url, headers={"X-MBX-APIKEY": exchange.key}, timeout=0.2)
    assert open_orders(exchange) == 0
    assert control.ask("GET", "/state").json()["held"] == 1
    control.clear(number)
    until(lambda: open_orders(exchange) == 1, "the late order")


def test_a_held_request_goes_on_by_itself_when_its_time_is_over(exchange: Exchange, control: Control) -> None:
    control.arm("hold-request", seconds=0.2)
    begun = time.monotonic()
    assert place(exchange).status_code == 200
    assert time.monotonic() - begun >= 0.2


def test_a_held_request_may_be_lost_in_the_end(exchange: Exchange, control: Control) -> None:
    control.arm("hold-request", seconds=0.05, then="drop")
    with pytest.raises(requests.ConnectionError):
        place(exchange)
    assert open_orders(exchange) == 0


def test_a_request_that_is_held_while_the_exchange_ends_is_lost(start: Start, aside: ThreadPoolExecutor) -> None:
    with start(trouble=WITH_CONTROL) as exchange:
        control_of(exchange).arm("hold-request", seconds=60)
        waiting = aside.submit(place, exchange)
        until(lambda: exchange.do(exchange.running.faults.holding) == 1, "the held request")
    with pytest.raises(requests.ConnectionError):
        waiting.result(10)
    with start() as exchange:
        assert open_orders(exchange) == 0


@pytest.mark.parametrize("name", ["hold-answer", "slow"])
def test_an_answer_comes_late_and_others_overtake_it(
    name: str, exchange: Exchange, control: Control, aside: ThreadPoolExecutor
) -> None:
    number = control.arm(name, seconds=60)
    answer = aside.submit(place, exchange)
    until(lambda: open_orders(exchange) == 1, "the order")
    assert not answer.done()
    control.clear(number)
    assert answer.result(10).json()["status"] == "NEW"


def test_a_request_is_refused_with_the_error_asked_for_and_changes_nothing(
    exchange: Exchange, control: Control
) -> None:
    control.arm("reject", code=-1013, message="Filter failure: NOTIONAL", status=401)
    answer = place(exchange)
    assert (answer.status_code, answer.json()) == (401, {"code": -1013, "msg": "Filter failure: NOTIONAL"})
    assert open_orders(exchange) == 0


@pytest.mark.parametrize(("status", "words"), [(429, "Too much request weight"), (418, "IP banned until")])
def test_too_much_was_asked_and_retry_after_says_how_long_to_wait(
    status: int, words: str, exchange: Exchange, control: Control
) -> None:
    control.arm("limit", status=status, retry_after=7)
    answer = exchange.raw("GET", "/api/v3/time")
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert (answer.json()["code"], words in answer.json()["msg"]) == (-1003, True)
    assert exchange.raw("GET", "/api/v3/time").status_code == 200


def test_a_limit_for_some_time_refuses_everything_until_it_is_over(exchange: Exchange, control: Control) -> None:
    number = control.arm("limit", seconds=0.3)
    refused = 0
    while exchange.raw("GET", "/api/v3/time").status_code == 429:
        refused += 1
    assert refused > 1
    assert control.row(number)["active"] is False


def test_garbage_is_an_answer_that_is_no_json(exchange: Exchange, control: Control) -> None:
    control.arm("garbage")
    answer = place(exchange)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "application/json")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)
    assert open_orders(exchange) == 1


def test_a_fault_strikes_only_the_request_and_the_symbol_it_is_for(exchange: Exchange, control: Control) -> None:
    control.arm("reject", match="DELETE /api/v3/order")
    control.arm("reject", match="GET /api/v3/depth", symbol="BTCUSDT")
    assert place(exchange, newClientOrderId="mine").status_code == 200
    assert exchange.raw("GET", "/api/v3/depth", "symbol=ETHUSDT").json()["code"] == -1121
    assert exchange.raw("GET", "/api/v3/depth", "symbol=BTCUSDT").json()["code"] == -2010
    cancel = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
    assert exchange.signed("DELETE", "/api/v3/order", **cancel).json()["code"] == -2010
    assert exchange.signed("DELETE", "/api/v3/order", **cancel).json()["status"] == "CANCELED"


def test_the_oldest_fault_strikes_first_and_both_strikes_on_the_way_may_befall_one_request(
    exchange: Exchange, control: Control
) -> None:
    control.arm("reject", code=-1001)
    control.arm("reject", code=-1002)
    assert [place(exchange).json()["code"] for _ in range(2)] == [-1001, -1002]
    control.arm("hold-request", seconds=0.01)
    control.arm("lose-answer")
    with pytest.raises(requests.ConnectionError):
        place(exchange)
    assert open_orders(exchange) == 1


# the WebSocket API


def api_place(exchange: Exchange, api: Listener, request_id: int = 7) -> Any:
    return api.ask(id=request_id, method="order.place", params=signed(exchange, **RESTING))


def test_a_rest_requests_name_stands_for_the_socket_request_too(
    exchange: Exchange, control: Control, api: Listener
) -> None:
    control.arm("reject", match="POST /api/v3/order", code=-2010)
    control.arm("reject", match="order.place", code=-1001)
    answers = [api_place(exchange, api) for _ in range(2)]
    assert [(each["id"], each["status"], each["error"]["code"]) for each in answers] == [
        (7, 400, -2010),
        (7, 400, -1001),
    ]
    assert open_orders(exchange) == 0


def test_too_much_over_the_socket_says_when_to_come_again(exchange: Exchange, control: Control, api: Listener) -> None:
    control.arm("limit", match="*", status=418, retry_after=5)
    answer = api.ask(id=1, method="ping")
    error = answer["error"]
    assert (answer["status"], error["code"]) == (418, -1003)
    assert error["data"]["retryAfter"] - error["data"]["serverTime"] == 5000


def test_an_accepted_order_over_the_socket_is_answered_with_an_unknown_fate(
    exchange: Exchange, control: Control, api: Listener
) -> None:
    control.arm("accept-then-504")
    answer = api_place(exchange, api)
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (7, 504, -1007)
    assert open_orders(exchange) == 1


@pytest.mark.parametrize(("name", "orders"), [("lose-request", 0), ("lose-answer", 1)])
def test_what_is_lost_over_the_socket_takes_the_connection_with_it(
    name: str, orders: int, exchange: Exchange, control: Control, api: Listener
) -> None:
    control.arm(name)
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        api_place(exchange, api)
    assert open_orders(exchange) == orders


def test_a_held_request_over_the_socket_is_overtaken_by_the_next(
    exchange: Exchange, control: Control, api: Listener
) -> None:
    number = control.arm("hold-request", seconds=60)
    api.connection.send(
        orjson.dumps({"id": 7, "method": "order.place", "params": signed(exchange, **RESTING)}).decode()
    )
    assert api.ask(id=8, method="ping")["id"] == 8
    assert open_orders(exchange) == 0
    control.clear(number)
    answer = api.next()
    assert (answer["id"], answer["result"]["status"]) == (7, "NEW")


def test_garbage_over_the_socket_is_no_json(exchange: Exchange, control: Control, api: Listener) -> None:
    control.arm("garbage", match="ping")
    api.connection.send('{"id": 1, "method": "ping"}')
    with pytest.raises(orjson.JSONDecodeError):
        api.next()


def test_requests_meet_no_delay_from_a_fault_for_others(exchange: Exchange, control: Control) -> None:
    control.arm("hold-request", match="GET /api/v3/account", seconds=60)
    assert place(exchange).status_code == 200
    assert control.ask("GET", "/state").json()["held"] == 0
