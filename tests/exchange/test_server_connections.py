"""Connections to the streams: control messages, limits, pings, and clients that do not read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import websocket

from tests.exchange.conftest import START_MS, Exchange, Listener, Start, trade
from thunes.exchange.simulator.connections import ConnectionSettings
from thunes.exchange.simulator.limits import LimitSettings
from thunes.messages import TopChanged


def top(time_ms: int, bid: str, ask: str) -> TopChanged:
    return TopChanged("BTCUSDT", time_ms, Decimal(bid), Decimal(1), Decimal(ask), Decimal(1))


def test_streams_can_be_subscribed_listed_and_left_on_a_live_connection(exchange: Exchange) -> None:
    with exchange.listen("/ws") as listener:
        assert listener.ask(method="SUBSCRIBE", params=["btcusdt@trade", "btcusdt@depth"], id=1) == {
            "result": None,
            "id": 1,
        }
        assert listener.ask(method="LIST_SUBSCRIPTIONS", id="a-3")["result"] == ["btcusdt@trade", "btcusdt@depth"]
        assert listener.ask(method="UNSUBSCRIBE", params=["btcusdt@depth"], id=None)["result"] is None
        exchange.play(top(START_MS + 1, "29990", "30000"), trade(1, "30000", "1", START_MS + 2))
        assert listener.next()["e"] == "trade"


def test_the_combined_property_can_be_read_and_set(start: Start) -> None:
    with start(limits=LimitSettings(messages_per_second=0)) as exchange, exchange.listen("/stream") as listener:
        assert listener.ask(method="GET_PROPERTY", params=["combined"], id=1)["result"] is True
        assert listener.ask(method="SET_PROPERTY", params=["combined", False], id=2)["result"] is None
        listener.ask(method="SUBSCRIBE", params=["btcusdt@trade"], id=3)
        exchange.play(trade(1, "30000", "1", START_MS + 2))
        assert listener.next()["e"] == "trade"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', 2),
        ('{"id":1}', 2),
        ('{"method":"FOO","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1,"x":1}', 2),
        ('{"method":"GET_PROPERTY","params":["foo"],"id":1}', 0),
        ('{"method":"GET_PROPERTY","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
    ],
)
def test_a_control_message_that_makes_no_sense_gets_an_error_object(exchange: Exchange, text: str, code: int) -> None:
    with exchange.listen("/ws") as listener:
        listener.connection.send(text)
        answer = listener.next()
    assert answer["code"] == code
    assert answer["msg"]


def closed(listener: Listener) -> bool:
    """Whether the exchange has ended the connection."""
    try:
        while listener.connection.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        return True
    return True


def test_a_sixth_message_in_a_second_ends_the_connection(exchange: Exchange) -> None:
    with exchange.listen("/ws") as listener:
        for n in range(12):
            listener.connection.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{n}}}')
        assert closed(listener)


def test_too_many_streams_on_one_connection_are_refused(start: Start) -> None:
    with start(limits=LimitSettings(streams_per_connection=2)) as exchange, exchange.listen("/ws/a@trade") as listener:
        refusal = listener.ask(method="SUBSCRIBE", params=["b@trade", "c@trade"], id=1)
        assert refusal["code"] == 2
        assert listener.ask(method="LIST_SUBSCRIPTIONS", id=2)["result"] == ["a@trade"]


def test_too_many_connections_are_refused(start: Start) -> None:
    with (
        start(limits=LimitSettings(connections_per_5m=1)) as exchange,
        exchange.listen("/ws"),
        pytest.raises(websocket.WebSocketBadStatusException) as caught,
        exchange.listen("/ws"),
    ):
        pass
    assert caught.value.status_code == 429


def test_pings_carry_a_payload_and_a_client_that_answers_stays(start: Start) -> None:
    settings = ConnectionSettings(ping_every_s=0.02, pong_within_s=0.2)
    limits = LimitSettings(messages_per_second=0)
    with start(connections=settings, limits=limits) as exchange, exchange.listen("/ws/btcusdt@trade") as listener:
        pings = []
        while len(pings) < 20:
            opcode, frame = listener.connection.recv_data_frame(control_frame=True)
            assert opcode == websocket.ABNF.OPCODE_PING
            pings.append(frame.data)
        exchange.play(trade(1, "30000", "1", START_MS + 2))
        assert listener.next()["t"] == 1
    assert all(pings)
    assert len(set(pings)) == len(pings)


class Silent(websocket.WebSocket):
    """A client that never answers a ping, but says pong unasked."""

    def pong(self, payload: Any = "") -> None:
        super().pong("unasked")


def test_a_client_without_the_right_pong_is_dropped(start: Start) -> None:
    settings = ConnectionSettings(ping_every_s=0.02, pong_within_s=0.1)
    limits = LimitSettings(messages_per_second=0)
    with start(connections=settings, limits=limits) as exchange:
        connection = websocket.create_connection(
            f"{exchange.running.stream}/ws", timeout=5, class_=Silent, http_no_proxy=["127.0.0.1"]
        )
        assert closed(Listener(connection))
        connection.shutdown()


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_not(start: Start) -> None:
    settings = ConnectionSettings(queue_size=50)
    with (
        start(connections=settings) as exchange,
        exchange.listen("/stream?streams=btcusdt@trade") as slow,
        exchange.listen("/ws/btcusdt@bookTicker") as other,
    ):
        parts = exchange.running.exchange.parts

        def flood() -> None:
            for n in range(1, 1000):
                exchange._play(trade(n, "30000", "1", START_MS + 1))

        while parts.hub.wanted("btcusdt@trade"):
            exchange.do(flood)
        exchange.play(top(START_MS + 2, "29990", "30000"))
        assert other.next()["b"] == "29990.00000000"
        assert closed(slow)


def test_clients_are_told_of_a_shutdown(start: Start) -> None:
    with start() as exchange:
        url = exchange.running.stream
        raw, combined, api = (
            websocket.create_connection(f"{url}{path}", timeout=5, http_no_proxy=["127.0.0.1"])
            for path in ("/ws/btcusdt@trade", "/stream?streams=btcusdt@trade", "/ws-api/v3")
        )
    last = [Listener(connection).next() for connection in (raw, combined, api)]
    assert last[0]["e"] == "serverShutdown"
    assert (last[1]["stream"], last[1]["data"]["e"]) == ("!serverShutdown", "serverShutdown")
    assert last[2]["event"]["e"] == "serverShutdown"
    for connection in (raw, combined, api):
        connection.shutdown()
