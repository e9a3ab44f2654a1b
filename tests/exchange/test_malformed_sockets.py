"""Whatever is sent to the embedded exchange over WebSocket: a documented answer, and nothing happened."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing, suppress
from typing import Any

import orjson
import pytest
import websocket
from hypothesis import strategies as st

from tests.exchange.conftest import START_MS
from tests.exchange.malformed import INPUTS, explained, frames, json_garbage, texts, thrown, values
from tests.exchange.malformed_target import TIMEOUT_S, Target, check_refusal, target
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.endpoints import METHODS

__all__ = ["target"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BUY = {"symbol": "BTCUSDT", "side": "BUY"}
SIGNED = {
    "order.place": {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "29000",
        "quantity": "0.001",
    },
    "order.test": {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": 1},
    "order.cancelReplace": {
        "symbol": "BTCUSDT",
        "cancelOrderId": 1,
        "cancelReplaceMode": "ALLOW_FAILURE",
        "side": "BUY",
    },
    "orderList.place.oco": {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": 1,
        "aboveType": "STOP_LOSS",
        "belowType": "LIMIT_MAKER",
    },
    "order.status": {"symbol": "BTCUSDT", "orderId": 1},
    "order.cancel": {"symbol": "BTCUSDT", "origClientOrderId": "nobody"},
    "openOrders.status": {"symbol": "BTCUSDT"},
    "account.status": {"omitZeroBalances": True},
    "allOrders": {"symbol": "BTCUSDT", "limit": 3},
    "myTrades": {"symbol": "BTCUSDT", "fromId": 0},
    "userDataStream.subscribe.signature": {},
    "session.logon": {},
}
PLAIN = {
    "klines": {"symbol": "BTCUSDT", "interval": "1m", "startTime": START_MS},
    "depth": {"symbol": "BTCUSDT", "limit": 5},
    "ticker.price": {"symbols": ["BTCUSDT"]},
    "session.status": {},
    "userDataStream.unsubscribe": {"subscriptionId": 0},
    **{name: {} for name in ("ping", "time", "exchangeInfo", "session.logout", "userDataStream.subscribe")},
}
names = st.sampled_from([*SIGNED, *PLAIN, *METHODS])
params = st.dictionaries(
    st.one_of(
        st.sampled_from(("symbol", "orderId", "limit", "timestamp", "recvWindow", "apiKey", "signature", "x")), texts
    ),
    st.one_of(values, texts),
    max_size=3,
)
ids = st.one_of(st.integers(), st.text(max_size=80), values, st.just("x" * 5000), st.just(10**40))


def asked(target: Target, name: str, bent: dict[str, Any], dropped: int, sign: bool, outer: dict[str, Any]) -> bytes:
    """A request on the WebSocket API, signed over its parameters as they are after they were bent."""
    sent: dict[str, Any] = dict(SIGNED.get(name) or PLAIN.get(name, {}))
    for key in sorted(sent)[:dropped]:
        del sent[key]
    sent |= {"timestamp": int(time.time() * 1000), "apiKey": target.exchange.key} if name in SIGNED else {}
    sent |= bent
    if sign and name in SIGNED:
        payload = signing.socket_payload(json.loads(json.dumps(sent)))
        sent["signature"] = signing.signature(target.exchange.secret, payload)
    return json.dumps({"id": 1, "method": name, "params": sent} | outer).encode()


outer = st.one_of(
    st.just({}),
    ids.map(lambda value: {"id": value}),
    st.one_of(texts, values).map(lambda value: {"method": value}),
    values.map(lambda value: {"params": value}),
    st.dictionaries(texts, values, max_size=2),
)


def connected(target: Target, path: str) -> websocket.WebSocket:
    url = f"{target.exchange.running.stream}{path}"
    return websocket.create_connection(url, timeout=TIMEOUT_S, http_no_proxy=["127.0.0.1"])


def answered(connection: websocket.WebSocket, frame: bytes) -> Any:
    """The answer to a text frame; events are passed over."""
    connection.send(frame, opcode=websocket.ABNF.OPCODE_TEXT)
    while True:
        body = orjson.loads(connection.recv())
        if not {"event", "stream", "e"} & set(body) and "u" not in body:
            return body


def test_no_request_on_the_websocket_api_goes_without_a_documented_answer(target: Target) -> None:
    built = st.tuples(names, st.one_of(st.just({}), params), st.integers(0, 2), st.booleans(), outer)
    valid = ({"id": 7, "method": "klines", "params": PLAIN["klines"]}, {"id": "a", "method": "ping"})
    with closing(connected(target, "/ws-api/v3")) as connection:

        @thrown("WebSocket API", st.one_of(built, built, frames(valid).filter(is_text)))
        def throw(drawn: Any) -> None:
            target.hits["WebSocket API"] += 1
            frame = drawn if isinstance(drawn, bytes) else asked(target, *drawn)
            explained(frame[:2000])
            with target.unharmed() as verdict:
                answer = answered(connection, frame)
                explained(answer)
                verdict.refused = answer["status"] != 200
            assert set(answer) <= {"id", "status", "result", "error", "rateLimits"}
            assert 200 <= answer["status"] < 500
            if verdict.refused:
                check_refusal(answer["error"])

        throw()
        assert target.hits["WebSocket API"] >= INPUTS["WebSocket API"]
        assert answered(connection, b'{"id":1,"method":"ping"}')["status"] == 200


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


STREAM = (
    {"id": 1, "method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@depth5"]},
    {"id": "a-1", "method": "UNSUBSCRIBE", "params": ["btcusdt@trade"]},
    {"id": 2, "method": "LIST_SUBSCRIPTIONS"},
    {"id": 3, "method": "SET_PROPERTY", "params": ["combined", True]},
    {"id": None, "method": "GET_PROPERTY", "params": ["combined"]},
)


def test_no_message_to_a_stream_goes_without_a_documented_answer(target: Target) -> None:
    with closing(connected(target, "/stream")) as connection:

        @thrown("stream control", frames(STREAM).filter(is_text))
        def throw(frame: bytes) -> None:
            target.hits["stream control"] += 1
            explained(frame)
            with target.unharmed():
                answer = answered(connection, frame)
            explained(answer)
            if "result" in answer:
                assert set(answer) == {"result", "id"}
            else:
                assert set(answer) - {"id"} == {"code", "msg"}
                assert answer["code"] in (0, 1, 2, 3)

        throw()
        assert target.hits["stream control"] >= INPUTS["stream control"]
        answered(connection, b'{"id":1,"method":"UNSUBSCRIBE","params":["btcusdt@trade"]}')
        assert answered(connection, b'{"id":1,"method":"GET_PROPERTY","params":["combined"]}')["id"] == 1


TOO_LARGE = 70_000
"""Bytes of a message that the exchange need not read."""


def spoken(piece: bytes | tuple[int, bytes]) -> bytes:
    """The bytes of a frame by its opcode and payload; without a payload it is too large."""
    if isinstance(piece, bytes):
        return piece
    opcode, payload = piece
    return bytes(websocket.ABNF.create_frame(payload or b"x" * TOO_LARGE, opcode).format())


def test_no_broken_frame_hurts_anybody_but_its_own_connection(target: Target) -> None:
    """Reserved opcodes, lengths that lie, frames cut short, unmasked ones, text that is none, messages too large."""
    frame = st.builds(
        lambda first, second, payload: bytes([first, second]) + payload,
        *(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200)),
    )
    whole = st.tuples(st.sampled_from((0, 1, 2, 8, 9, 10)), st.one_of(json_garbage, st.binary(max_size=130)))
    pieces = st.lists(st.one_of(frame, whole, st.binary(max_size=40)), min_size=1, max_size=4)
    paths = st.sampled_from(("/ws-api/v3", "/stream", "/ws/btcusdt@trade"))
    with closing(connected(target, "/ws-api/v3")) as bystander:

        @thrown("broken sockets", paths, pieces)
        def throw(path: str, pieces: list[bytes | tuple[int, bytes]]) -> None:
            target.hits["broken sockets"] += 1
            explained((path, pieces))
            with target.unharmed(), closing(connected(target, path)) as connection:
                with suppress(OSError):  # it may have been cut before all was said
                    connection.sock.sendall(b"".join(spoken(piece) for piece in pieces))
                    connection.sock.shutdown(socket.SHUT_WR)
                    while connection.sock.recv(65536):
                        pass
                connection.shutdown()
                assert answered(bystander, b'{"id":1,"method":"ping"}')["status"] == 200

        throw()
    assert target.hits["broken sockets"] >= INPUTS["broken sockets"]
