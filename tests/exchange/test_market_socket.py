"""A market socket gives every frame in order, answers pings, and says exactly once that it has ended."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable
from decimal import Decimal

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.exchange.conftest import START_MS, Exchange, trade
from tests.exchange.socket_ends import TIMEOUT_S, Heard, listening, serving, unused_port
from thunes.exchange.frames import decode_market
from thunes.exchange.streams import MarketSocket
from thunes.messages import PublicTrade

STREAMS = ("btcusdt@bookTicker", "btcusdt@trade")


def market_socket(url: str, heard: Heard, timeout: float = TIMEOUT_S) -> MarketSocket:
    return MarketSocket(url, STREAMS, **heard.options(timeout))


@pytest.fixture
def heard() -> Heard:
    return Heard()


def quiet(_connection: ServerConnection) -> None:
    """Says nothing."""


def test_it_asks_for_all_its_streams_in_one_connection(heard: Heard) -> None:
    paths: queue.Queue[str] = queue.Queue()
    with serving(lambda connection: paths.put(connection.request.path)) as url:  # type: ignore[union-attr]
        market = market_socket(url, heard)
        market.open()
        assert paths.get(timeout=TIMEOUT_S) == "/stream?streams=btcusdt@bookTicker/btcusdt@trade"
        assert heard.next() == ("open",)
        assert heard.threads[0].name == "socket.btcusdt@bookTicker"
        market.close()
        assert heard.rest() == [("close", "closed by us")]


def test_frames_come_as_bytes_in_order_with_the_time_they_came(heard: Heard) -> None:
    def send(connection: ServerConnection) -> None:
        for n in range(200):
            connection.send(f"frame {n}")

    with serving(send) as url:
        market = market_socket(url, heard)
        market.open()
        assert heard.next() == ("open",)
        assert [heard.next() for _ in range(200)] == [("frame", b"frame %d" % n, n + 1) for n in range(200)]
        market.close()


def test_a_message_in_fragments_is_one_frame(heard: Heard) -> None:
    with serving(lambda connection: connection.send(["first ", "second ", "third"])) as url:
        market = market_socket(url, heard)
        market.open()
        assert [heard.next() for _ in range(2)] == [("open",), ("frame", b"first second third", 1)]
        market.close()


def test_a_ping_is_answered_with_its_payload_and_is_no_frame(heard: Heard) -> None:
    answered = threading.Event()

    def ping(connection: ServerConnection) -> None:
        if connection.ping(b"1723161255342").wait(TIMEOUT_S):
            answered.set()
        connection.send("after")

    with serving(ping, ping_interval=None) as url:
        market = market_socket(url, heard)
        market.open()
        assert [heard.next() for _ in range(2)] == [("open",), ("frame", b"after", 1)]
        assert answered.is_set()
        market.close()


def test_text_that_is_not_utf_8_is_a_bad_frame_and_not_the_end_of_the_connection(heard: Heard) -> None:
    def send(connection: ServerConnection) -> None:
        connection.send(b"\xff\xfe", text=True)
        connection.send("good")

    with serving(send) as url:
        market = market_socket(url, heard)
        market.open()
        assert [heard.next()[1:] for _ in range(3)] == [(), (b"\xff\xfe", 1), (b"good", 2)]
        market.close()


def test_silence_after_the_opening_is_not_its_business(heard: Heard) -> None:
    speak = threading.Event()

    def wait(connection: ServerConnection) -> None:
        speak.wait(TIMEOUT_S)
        connection.send("at last")

    with serving(wait) as url:
        market = market_socket(url, heard, timeout=0.1)
        market.open()
        assert heard.next() == ("open",)
        with pytest.raises(queue.Empty):
            heard.said.get(timeout=0.4)
        speak.set()
        assert heard.next() == ("frame", b"at last", 1)
        market.close()


class TestClosing:
    def test_it_ends_the_reader_and_is_said_once_however_often_it_is_asked_for(self, heard: Heard) -> None:
        with serving(quiet) as url:
            market = market_socket(url, heard)
            market.open()
            assert heard.next() == ("open",)
            market.close()
            market.close()
            assert heard.rest() == [("close", "closed by us")]
            market.close()
            assert heard.said.empty()
        assert heard.errors == []

    def test_it_may_be_asked_for_while_the_connection_is_being_made(self, heard: Heard) -> None:
        reached, go_on = threading.Event(), threading.Event()

        def refuse_for_a_while(_connection: ServerConnection, _request: Request) -> Response | None:
            reached.set()
            go_on.wait(TIMEOUT_S)
            return None

        with serving(quiet, process_request=refuse_for_a_while) as url:
            market = market_socket(url, heard)
            market.open()
            assert reached.wait(TIMEOUT_S)
            market.close()
            go_on.set()
            assert heard.rest() == [("close", "closed by us")]

    def test_it_may_be_asked_for_by_the_thread_that_reads(self, heard: Heard) -> None:
        def send(connection: ServerConnection) -> None:
            for _ in range(3):
                connection.send("x")

        def close(_data: bytes, _received_ns: int) -> None:
            market.close()

        with serving(send) as url:
            market = MarketSocket(url, STREAMS, **{**heard.options(), "on_frame": close})
            market.open()
            assert heard.rest() == [("open",), ("close", "closed by us")]

    def test_a_close_by_the_exchange_is_said_with_its_code(self, heard: Heard) -> None:
        with serving(lambda connection: connection.close(1008, "Too many requests")) as url:
            market_socket(url, heard).open()
            assert heard.rest() == [("open",), ("close", "closed by the exchange with code 1008")]

    def test_a_connection_that_breaks_is_said(self, heard: Heard) -> None:
        def reset(connection: ServerConnection) -> None:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.socket.shutdown(socket.SHUT_RDWR)

        with serving(reset) as url:
            market_socket(url, heard).open()
            opened, closed = heard.rest()
        assert opened == ("open",)
        assert closed[0] == "close"
        assert closed[1] != "closed by us"

    def test_a_receiver_that_fails_ends_the_connection_and_is_not_called_our_wish(self, heard: Heard) -> None:
        def fail(_data: bytes, _received_ns: int) -> None:
            raise RuntimeError("the receiver is broken")

        with serving(lambda connection: connection.send("x")) as url:
            MarketSocket(url, STREAMS, **{**heard.options(), "on_frame": fail}).open()
            assert heard.rest() == [("open",), ("close", "its reader failed")]
        assert [str(error) for error in heard.errors] == ["the receiver is broken"]


class TestNotConnecting:
    def test_a_refused_connection_was_never_open(self, heard: Heard) -> None:
        market_socket(f"ws://127.0.0.1:{unused_port()}", heard).open()
        [(what, why)] = heard.rest()
        assert what == "close"
        assert "refused" in why

    def test_a_refused_handshake_says_the_status_alone(self, heard: Heard) -> None:
        def ban(connection: ServerConnection, _request: Request) -> Response:
            return connection.respond(418, "<html>a long page</html>")

        with serving(quiet, process_request=ban) as url:
            market_socket(url, heard).open()
            assert heard.rest() == [("close", "the exchange refused the connection with HTTP 418")]

    def test_an_exchange_that_does_not_answer_is_given_up_on(self, heard: Heard) -> None:
        ended = threading.Event()

        def say_nothing(_connection: socket.socket) -> None:
            ended.wait(TIMEOUT_S)

        with listening(say_nothing) as url:
            market_socket(url, heard, timeout=0.1).open()
            [(what, why)] = heard.rest()
            ended.set()
        assert what == "close"
        assert "timed out" in why

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
    def test_a_proxy_of_the_environment_is_not_used(
        self, heard: Heard, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        for setting in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(setting, raising=False)
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
        with serving(quiet) as url:
            market = market_socket(url, heard)
            market.open()
            assert heard.next() == ("open",)
            market.close()
            heard.rest()


def test_what_the_embedded_exchange_pushes_is_read(exchange: Exchange, heard: Heard) -> None:
    market = market_socket(exchange.running.stream, heard)
    market.open()
    assert heard.next() == ("open",)
    exchange.play(trade(5, "30000", "0.5", START_MS + 7, maker=True))
    decode: Callable[[bytes], object] = lambda data: decode_market(data, received_ns=0, market_ms=0)  # noqa: E731
    while not isinstance(event := decode(heard.next()[1]), PublicTrade):
        pass
    assert event == PublicTrade("BTCUSDT", 5, Decimal(30000), Decimal("0.5"), START_MS + 7, True)
    market.close()
    assert heard.rest()[-1] == ("close", "closed by us")
