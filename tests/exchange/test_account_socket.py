"""An account socket is open once the exchange has confirmed its subscription, on every connection anew."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import threading
from decimal import Decimal
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import ServerConnection

from tests.exchange.conftest import Exchange
from tests.exchange.socket_ends import TIMEOUT_S, Handler, Heard, serving
from thunes.domain.budget import Pause, Scope
from thunes.domain.market import ExecutionReport
from thunes.exchange.account_frames import decode_account
from thunes.exchange.gate import Gate
from thunes.exchange.streams import AccountSocket
from thunes.messages import OrderStatus, Side

KEY, SECRET = "the-api-key", "the-api-secret"
NOW_MS = 1_723_161_255_342
CONFIRMED = json.dumps({"id": "subscribe", "status": 200, "result": {"subscriptionId": 0}})
EVENT = json.dumps({"subscriptionId": 0, "event": {"e": "somethingNew", "E": NOW_MS}})


def account_socket(url: str, heard: Heard, secret: str = SECRET, key: str = KEY, timeout: float = 10) -> AccountSocket:
    return AccountSocket(url, key, secret, wall_ms=lambda: NOW_MS, **heard.options(timeout))


@pytest.fixture
def heard() -> Heard:
    return Heard()


def answering(*frames: str) -> tuple[Handler, queue.Queue[Any]]:
    """A server that answers each connection's first message with these, and the messages it got."""
    got: queue.Queue[Any] = queue.Queue()

    def handle(connection: ServerConnection) -> None:
        got.put(json.loads(connection.recv()))
        for frame in frames:
            connection.send(frame)

    return handle, got


def test_it_subscribes_with_a_signature_over_all_its_parameters_by_name(heard: Heard) -> None:
    handler, got = answering(CONFIRMED)
    with serving(handler) as url:
        socket = account_socket(url, heard)
        socket.open()
        request = got.get(timeout=TIMEOUT_S)
        assert heard.next() == ("open",)
        socket.close()
    signed = f"apiKey={KEY}&timestamp={NOW_MS}"
    assert request["method"] == "userDataStream.subscribe.signature"
    assert request["params"] == {
        "apiKey": KEY,
        "timestamp": NOW_MS,
        "signature": hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest(),
    }


def test_it_is_open_only_once_the_exchange_has_confirmed(heard: Heard) -> None:
    asked, confirm = threading.Event(), threading.Event()

    def handle(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(EVENT)
        asked.set()
        confirm.wait(TIMEOUT_S)
        connection.send(CONFIRMED)

    with serving(handle) as url:
        socket = account_socket(url, heard)
        socket.open()
        assert asked.wait(TIMEOUT_S)
        assert heard.said.empty()
        confirm.set()
        assert heard.next() == ("open",)
        socket.close()


def test_events_after_the_confirmation_are_given_on(heard: Heard) -> None:
    handler, _ = answering(CONFIRMED, EVENT)
    with serving(handler) as url:
        socket = account_socket(url, heard)
        socket.open()
        assert heard.next() == ("open",)
        assert heard.frame() == json.loads(EVENT)
        socket.close()
        assert heard.rest() == [("close", "closed by us")]


def test_every_connection_subscribes_anew(heard: Heard) -> None:
    handler, got = answering(CONFIRMED)
    with serving(handler) as url:
        for _ in range(2):
            socket = account_socket(url, heard)
            socket.open()
            assert heard.next() == ("open",)
            socket.close()
            assert heard.rest() == [("close", "closed by us")]
    assert got.qsize() == 2


def test_a_refused_subscription_was_never_open_and_says_the_exchange_s_words(heard: Heard) -> None:
    refusal = {"id": "subscribe", "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}}
    handler, _ = answering(json.dumps(refusal))
    with serving(handler) as url:
        account_socket(url, heard).open()
        assert heard.rest() == [("close", "code=-1022 Signature is not valid.")]


@pytest.mark.parametrize("status", [200, 400])
def test_the_answer_to_another_request_is_no_word_on_the_subscription(heard: Heard, status: int) -> None:
    refusal = {"id": "subscribe", "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}}
    handler, _ = answering(json.dumps({"id": "another", "status": status}), json.dumps(refusal))
    with serving(handler) as url:
        account_socket(url, heard).open()
        assert heard.rest() == [("close", "code=-1022 Signature is not valid.")]


def test_a_connection_that_ends_before_the_confirmation_was_never_open(heard: Heard) -> None:
    def handle(connection: ServerConnection) -> None:
        connection.recv()
        connection.close(1008)

    with serving(handle) as url:
        account_socket(url, heard).open()
        assert heard.rest() == [("close", "closed by the exchange with code 1008")]


def test_a_confirmation_that_does_not_come_is_given_up_on(heard: Heard) -> None:
    handler, _ = answering()
    with serving(handler) as url:
        account_socket(url, heard, timeout=0.2).open()
        [(what, why)] = heard.rest()
    assert what == "close"
    assert "timed out" in why


def test_an_answer_that_cannot_be_read_was_no_confirmation(heard: Heard) -> None:
    handler, _ = answering("nonsense")
    with serving(handler) as url:
        account_socket(url, heard).open()
        [(what, why)] = heard.rest()
    assert what == "close"
    assert "NOT_JSON" in why


def test_the_keys_are_in_no_text_and_no_log(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = {"id": "subscribe", "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}}
    handler, got = answering(json.dumps(refusal))
    with serving(handler) as url:
        socket = account_socket(url, heard)
        socket.open()
        texts = [repr(socket), str(socket), caplog.text, str(heard.rest()), str(heard.errors)]
    assert got.get(timeout=TIMEOUT_S)["params"]["apiKey"] == KEY
    assert [text for text in texts if KEY in text or SECRET in text] == []


class TestAgainstTheEmbeddedExchange:
    def test_an_order_is_reported_from_its_first_moment_to_its_fill(self, exchange: Exchange, heard: Heard) -> None:
        socket = self.real(exchange, heard, exchange.secret)
        socket.open()
        assert heard.next() == ("open",)
        exchange.order("BUY", "0.05", newClientOrderId="home-1")
        reports: list[ExecutionReport] = []
        while not reports or reports[-1].status.is_open:
            event = decode_account(heard.next()[1])
            if isinstance(event, ExecutionReport):
                reports.append(event)
        assert [report.execution for report in reports] == ["NEW", "TRADE"]
        assert {(report.client_order_id, report.side) for report in reports} == {("home-1", Side.BUY)}
        filled = reports[-1]
        assert (filled.status, filled.executed) == (OrderStatus.FILLED, Decimal("0.05"))
        assert filled.fill is not None
        assert (filled.fill.price, filled.fill.quantity) == (Decimal(30000), Decimal("0.05"))
        socket.close()
        assert heard.rest()[-1] == ("close", "closed by us")

    def test_a_cancel_is_reported_under_the_order_s_own_id(self, exchange: Exchange, heard: Heard) -> None:
        socket = self.real(exchange, heard, exchange.secret)
        socket.open()
        assert heard.next() == ("open",)
        exchange.order("BUY", "0.05", "29000", newClientOrderId="home-2")
        canceled = exchange.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="home-2")
        assert canceled.status_code == 200
        while True:
            event = decode_account(heard.next()[1])
            if isinstance(event, ExecutionReport) and event.execution == "CANCELED":
                break
        assert (event.client_order_id, event.status) == ("home-2", OrderStatus.CANCELED)
        socket.close()
        heard.rest()

    def test_a_wrong_secret_is_refused(self, exchange: Exchange, heard: Heard) -> None:
        self.real(exchange, heard, "another-secret").open()
        [(what, why)] = heard.rest()
        assert what == "close"
        assert why.startswith("code=-1022 ")

    @staticmethod
    def real(exchange: Exchange, heard: Heard, secret: str) -> AccountSocket:
        """A socket of the exchange's account, whose clock is the machine's."""
        server_ms = exchange.public("/api/v3/time")["serverTime"]
        return AccountSocket(
            exchange.running.ws_api, exchange.key, secret, wall_ms=lambda: server_ms, **heard.options()
        )


class TestTheSharedGate:
    """Connecting is charged to the same address as REST, so a pause for one is a pause for both."""

    def gate(self) -> Gate:
        return Gate(wall_ms=lambda: NOW_MS, monotonic_ns=lambda: 1)

    def socket(self, url: str, heard: Heard, gate: Gate) -> AccountSocket:
        return AccountSocket(url, KEY, SECRET, wall_ms=lambda: NOW_MS, gate=gate, **heard.options())

    @pytest.mark.parametrize("scope", [Scope.REQUESTS, Scope.ADDRESS])
    def test_nothing_is_connected_during_a_pause(self, heard: Heard, scope: Scope) -> None:
        connections: list[ServerConnection] = []
        gate = self.gate()
        gate.obey(Pause(scope, 17.0))
        with serving(connections.append) as url:
            self.socket(url, heard, gate).open()
            [(what, why)] = heard.rest()
        assert (what, connections) == ("close", [])
        assert "code=-1003" in why

    @pytest.mark.parametrize(("status", "scope"), [(429, Scope.REQUESTS), (418, Scope.ADDRESS)])
    def test_a_refused_handshake_is_a_pause_for_rest_too(self, heard: Heard, status: int, scope: Scope) -> None:
        def refuse(_connection: ServerConnection, _request: Any) -> Response:
            return Response(status, "Later", Headers({"retry-after": "170"}), b"{}")

        gate = self.gate()
        with serving(lambda _: None, process_request=refuse) as url:
            self.socket(url, heard, gate).open()
            assert heard.rest() == [("close", f"the exchange refused the connection with HTTP {status}")]
        assert gate.figures.paused_until_ns == 1 + 170 * 1_000_000_000

    @pytest.mark.parametrize(
        ("data", "seconds"), [({"retryAfter": NOW_MS + 170_000}, 170), ({"retryAfter": NOW_MS * 1_000}, 1), (None, 60)]
    )
    def test_a_refused_subscription_is_one_too(self, heard: Heard, data: Any, seconds: int) -> None:
        error = {"code": -1003, "msg": "Too much request weight used.", **({} if data is None else {"data": data})}
        handler, _ = answering(json.dumps({"id": "subscribe", "status": 429, "error": error}))
        gate = self.gate()
        with serving(handler) as url:
            self.socket(url, heard, gate).open()
            assert heard.rest() == [("close", "code=-1003 Too much request weight used.")]
        assert gate.figures.paused_until_ns == 1 + seconds * 1_000_000_000
