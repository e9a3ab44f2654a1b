"""An order put in another's place (rest-api.md, "Cancel an Existing Order and Send a New Order")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.exchange.conftest import Exchange, Start
from tests.exchange.orders import ORDER, refusal
from tests.exchange.test_server_order_lists import Socket
from thunes.exchange.simulator.limits import LimitSettings

REPLACE = f"{ORDER}/cancelReplace"
NEW = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "29100",
    "newClientOrderId": "new", "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "old",
}  # fmt: skip
UNAFFORDABLE = {"quantity": "50"}


@pytest.fixture
def resting(exchange: Exchange) -> Exchange:
    exchange.order("BUY", "0.01", "29000", newClientOrderId="old")
    return exchange


def open_names(exchange: Exchange) -> list[str]:
    rows = exchange.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json()
    return [row["clientOrderId"] for row in rows]


def replaced(exchange: Exchange, **more: Any) -> tuple[int, dict[str, Any]]:
    answer = exchange.signed("POST", REPLACE, **(NEW | more))
    return answer.status_code, answer.json()


def test_the_new_order_takes_the_old_ones_place(resting: Exchange) -> None:
    status, body = replaced(resting)
    assert (status, body["cancelResult"], body["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    assert body["cancelResponse"]["origClientOrderId"] == "old"
    assert body["newOrderResponse"]["clientOrderId"] == "new"
    assert open_names(resting) == ["new"]


def test_without_the_old_order_nothing_is_placed_when_failures_stop_it(exchange: Exchange) -> None:
    status, body = replaced(exchange)
    assert (status, body["code"], body["msg"]) == (400, -2022, "Order cancel-replace failed.")
    assert body["data"] == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    assert open_names(exchange) == []


def test_without_the_old_order_the_new_one_is_placed_when_failures_are_allowed(exchange: Exchange) -> None:
    status, body = replaced(exchange, cancelReplaceMode="ALLOW_FAILURE")
    assert (status, body["code"], body["msg"]) == (409, -2021, "Order cancel-replace partially failed.")
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert open_names(exchange) == ["new"]


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
def test_a_new_order_that_is_refused_leaves_the_old_one_cancelled(resting: Exchange, mode: str) -> None:
    status, body = replaced(resting, cancelReplaceMode=mode, **UNAFFORDABLE)
    assert (status, body["code"]) == (409, -2021)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert body["data"]["newOrderResponse"]["code"] == -2010
    assert open_names(resting) == []


def test_both_may_fail(exchange: Exchange) -> None:
    status, body = replaced(exchange, cancelReplaceMode="ALLOW_FAILURE", **UNAFFORDABLE)
    assert (status, body["code"]) == (400, -2022)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("FAILURE", "FAILURE")


def test_restrictions_keep_an_order_that_is_in_another_state(resting: Exchange) -> None:
    _, body = replaced(resting, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert body["data"]["cancelResponse"] == {
        "code": -2011,
        "msg": "Order was not canceled due to cancel restrictions.",
    }
    assert open_names(resting) == ["old"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cancelReplaceMode": None}, -1102),
        ({"cancelReplaceMode": "PERHAPS"}, -1130),
        ({"cancelOrigClientOrderId": None}, -1102),
        ({"cancelRestrictions": "ONLY_OLD"}, -1145),
        ({"orderRateLimitExceededMode": "NEVER"}, -1130),
        ({"price": None}, -1102),
    ],
)
def test_a_malformed_request_does_nothing(resting: Exchange, changes: dict[str, str | None], code: int) -> None:
    sent = {name: value for name, value in (NEW | changes).items() if value is not None}
    assert refusal(resting, "POST", REPLACE, **sent)[:2] == (400, code)
    assert open_names(resting) == ["old"]


class TestTooManyOrders:
    @pytest.fixture
    def full(self, start: Start) -> Iterator[Exchange]:
        """An account that has used up its day: ten seconds are over sooner than a slow machine is done."""
        with start(limits=LimitSettings(orders_per_day=1)) as exchange:
            exchange.order("BUY", "0.01", "29000", newClientOrderId="old")
            yield exchange

    def test_the_old_order_stays_unless_asked_otherwise(self, full: Exchange) -> None:
        status, body = replaced(full)
        assert (status, body["code"]) == (429, -1015)
        assert open_names(full) == ["old"]

    def test_the_old_order_alone_is_cancelled_when_asked(self, full: Exchange) -> None:
        status, body = replaced(full, orderRateLimitExceededMode="CANCEL_ONLY")
        assert (status, body["data"]["cancelResult"]) == (409, "SUCCESS")
        assert body["data"]["newOrderResponse"]["code"] == -1015
        assert open_names(full) == []


def test_the_socket_answers_alike(resting: Exchange) -> None:
    with resting.listen("/ws-api/v3") as end:
        api = Socket(resting, end)
        done = api.ask("order.cancelReplace", **NEW)
        assert (done["status"], done["result"]["newOrderResult"]) == (200, "SUCCESS")
        partial = api.ask(
            "order.cancelReplace", **NEW | {"cancelReplaceMode": "ALLOW_FAILURE", "newClientOrderId": "n2"}
        )
        assert (partial["status"], partial["error"]["code"]) == (409, -2021)
        assert partial["error"]["data"]["cancelResponse"]["code"] == -2011
