"""Whatever is sent to the embedded exchange over REST: a documented refusal, no server error, and nothing happened."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select

import orjson
import pytest
from hypothesis import strategies as st

from tests.exchange.malformed import INPUTS, explained, thrown
from tests.exchange.malformed_requests import Sent, requests
from tests.exchange.malformed_target import TIMEOUT_S, Target, check_refusal, target
from thunes.exchange.simulator import signing

__all__ = ["target"]

PATIENCE_S = 0.02
TOO_LARGE = 413
"""Nobody reads such a request, so it is refused by HTTP alone."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def wire(target: Target, sent: Sent) -> bytes:
    """The request's bytes: signed rightly unless it says otherwise."""
    pairs, body, query = sent.pairs(), b"", ""
    if sent.signed:
        pairs += f"{'&' if pairs else ''}timestamp={int(time.time() * 1000)}"
    if sent.in_body:
        body = pairs.encode() + sent.raw_body
        query = sent.raw_query
    else:
        query, body = "&".join(part for part in (pairs, sent.raw_query) if part), sent.raw_body
    if sent.signed:
        payload = signing.signed_payload(query.encode("latin-1"), body)
        given = (
            signing.signature(target.exchange.secret, payload)
            if sent.signature is None
            else sent.encode(sent.signature)
        )
        query += f"{'&' if query else ''}signature={given}"
    key = target.exchange.key if sent.key is None else sent.key
    headers = [("Host", "x"), ("X-MBX-APIKEY", key), ("Content-Length", str(len(body))), *sent.headers]
    lines = [f"{sent.method} {sent.path}{'?' if query else ''}{query} HTTP/1.1", *(f"{n}: {v}" for n, v in headers)]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def test_no_request_is_a_server_error_or_refused_in_other_than_the_documented_shape(target: Target) -> None:
    @thrown("requests", requests)
    def throw(sent: Sent) -> None:
        target.hits["requests"] += 1
        data = wire(target, sent)
        explained(data[:2000])
        with target.unharmed() as verdict:
            status, headers, body = target.http(data, sent.method)
            explained(f"{status} {body[:500]!r}")
            assert 200 <= status < 500
            verdict.refused = status >= 400
        if sent.method != "HEAD" and status != TOO_LARGE:
            assert headers["content-type"].startswith("application/json")
            answer = orjson.loads(body)
            if status >= 400:
                check_refusal(answer)

    throw()
    assert target.hits["requests"] >= INPUTS["requests"]
    assert target.exchange.public("/api/v3/ping") == {}


HTTP = (
    b"FOO /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v3/order?symbol=BTCUSDT HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nside=SELL",
    b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nside=SELL\r\n0\r\n\r\n",
    b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
)
SPOILERS = (
    *(b"", b"\r\n", b"\n", b"\x00", b"\xff\xfe", b" ", b":", b"HTTP/9.9", b"HTTP/0.9", b"GET", b"%", b"?", b"#", b"//"),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999\r\n",
        b"Content-Encoding: gzip\r\n",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Expect: x\r\n",
        b"Host: a\r\nHost: b\r\n",
    ),
    *(
        b"X: " + b"y" * 9000 + b"\r\n",
        b"X-MBX-APIKEY: \xe9\xff\r\n",
        b"z" * 20_000,
        b"ffffffffffffffffff\r\n",
        b"-1\r\n",
    ),
    *(b"Sec-WebSocket-Version: 99\r\n", b"Sec-WebSocket-Extensions: permessage-deflate; x=\x01\r\n"),
)


def spoiled(valid: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    for place, piece in cuts:
        place %= len(valid) + 1
        valid = valid[:place] + piece + valid[place:] if piece else valid[:place]
    return valid


def until_closed(connection: socket.socket, data: bytes) -> bytes:
    """What the server says to these bytes before the connection ends, by either side."""
    received = b""
    # A server that closes with bytes unread resets the connection, and then each call here may be the one that says so.
    with suppress(ConnectionError), suppress_not_connected():
        connection.sendall(data)
        # One that is cut short is never answered; the others are, and half a connection might end before that.
        select([connection], [], [], PATIENCE_S)
        connection.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received


@contextmanager
def suppress_not_connected() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def test_no_broken_http_is_a_server_error_or_stops_the_next_request(target: Target) -> None:
    pieces = st.one_of(st.sampled_from(SPOILERS), st.binary(max_size=20))
    cuts = st.lists(st.tuples(st.integers(0, 300), pieces), min_size=1, max_size=3)

    @thrown("broken HTTP", st.one_of(st.builds(spoiled, st.sampled_from(HTTP), cuts), st.binary(max_size=200)))
    def throw(data: bytes) -> None:
        target.hits["broken HTTP"] += 1
        explained(data)
        with target.unharmed(), socket.create_connection(("127.0.0.1", target.port), TIMEOUT_S) as connection:
            received = until_closed(connection, data)
        explained(received[:500])
        assert not received or 100 <= int(received.split()[1]) < 500

    throw()
    assert target.hits["broken HTTP"] >= INPUTS["broken HTTP"]
    assert target.exchange.public("/api/v3/ping") == {}


def test_at_least_twenty_thousand_inputs_are_thrown() -> None:
    assert sum(INPUTS.values()) >= 20_000
