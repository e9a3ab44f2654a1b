"""Whatever an exchange may answer or push: our types, a named error, and never anything else."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.sync.server import ServerConnection

from tests.exchange.malformed import INPUTS, explained, frames, json_garbage, texts, thrown, values
from tests.exchange.rest_calls import ORDER, adapter, buy
from tests.exchange.socket_ends import Heard, serving
from tests.exchange.test_account_frames import REPORT
from tests.exchange.test_frames import KLINE, TICKER, TIME, TRADE
from thunes.domain.figures import ExchangeFigures
from thunes.errors import ExchangeError, MarketDataError, NetworkError
from thunes.exchange.account_frames import decode_account
from thunes.exchange.binance import BinanceRest
from thunes.exchange.frames import decode_market
from thunes.exchange.gate import Gate
from thunes.exchange.refusals import KINDS
from thunes.exchange.streams import MarketSocket

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MARKET = (
    *(TICKER, TRADE, {"e": "kline", "E": TIME, "s": "BNBUSDT", "k": KLINE}, {"e": "serverShutdown", "E": TIME}),
    *({"stream": "bnbusdt@bookTicker", "data": TICKER}, {"stream": "bnbusdt@trade", "data": TRADE}),
    {"stream": "bnbusdt@kline_1m", "data": {"e": "kline", "s": "BNBUSDT", "k": KLINE}},
    {"result": None, "id": 1},
)
POSITION = {"e": "outboundAccountPosition", "E": TIME, "u": TIME, "B": [{"a": "ETH", "f": "1.5", "l": "0.5"}]}
ACCOUNT = (
    *(REPORT, {"subscriptionId": 0, "event": REPORT}, POSITION, {"subscriptionId": 0, "event": POSITION}),
    {"e": "balanceUpdate", "E": TIME, "a": "BTC", "d": "100.0", "T": TIME},
    {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": TIME}},
    {"id": "subscribe", "status": 429, "error": {"code": -1003, "msg": "Too many", "data": {"retryAfter": TIME}}},
)


def understood(decode: Callable[[bytes], Any], frame: bytes) -> Any:
    """What the frame says; None where it is refused with one of the known reasons."""
    try:
        return decode(frame)
    except MarketDataError as error:
        refused = error
    assert refused.kind in KINDS
    return None


def numbers(of: Any) -> list[Any]:
    """The decimals of a decoded frame."""
    return [value for name in of.__slots__ if hasattr(value := getattr(of, name), "is_finite")]


def test_no_market_frame_is_anything_but_understood_or_refused() -> None:
    hits = [0]

    @thrown("market frames", frames(MARKET))
    def throw(frame: bytes) -> None:
        hits[0] += 1
        explained(frame)
        found = understood(lambda data: decode_market(data, received_ns=7, market_ms=TIME), frame)
        if found is not None:
            assert all(value.is_finite() and value >= 0 for value in numbers(found))

    throw()
    assert hits[0] >= INPUTS["market frames"]


def test_no_account_frame_is_anything_but_understood_or_refused() -> None:
    hits = [0]

    @thrown("account frames", frames(ACCOUNT))
    def throw(frame: bytes) -> None:
        hits[0] += 1
        explained(frame)
        understood(decode_account, frame)

    throw()
    assert hits[0] >= INPUTS["account frames"]


class Answering(BaseHTTPRequestHandler):
    """Answers every request on a connection that is kept with what the server was told."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body, headers = self.server.told  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = handle_one  # noqa: N815 names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


CANCELED = {**ORDER, "origClientOrderId": "home-1", "status": "CANCELED"}
CALLS: tuple[tuple[Any, Callable[[BinanceRest], Any]], ...] = (
    ({**ORDER, "fills": [{"price": "1", "qty": "10", "commission": "0", "commissionAsset": "BNB", "tradeId": 5}]}, buy),
    (ORDER, lambda rest: rest.order("BTCUSDT", "home-1")),
    ([ORDER, ORDER], lambda rest: rest.open_orders()),
    (CANCELED, lambda rest: rest.cancel("BTCUSDT", "home-1")),
    ({"balances": [{"asset": "BTC", "free": "1", "locked": "0"}]}, lambda rest: rest.account()),
    (
        [[TIME, "1", "2", "1", "1", "5", TIME, "5", 3, "1", "1", "0"]],
        lambda rest: rest.klines("BTCUSDT", "1m", limit=1),
    ),
    ({"serverTime": TIME}, lambda rest: rest.sync_clock()),
    (
        [
            {
                "id": 1,
                "orderId": 2,
                "price": "1",
                "qty": "1",
                "quoteQty": "1",
                "commission": "0",
                "commissionAsset": "BNB",
                "time": TIME,
                "isBuyer": True,
                "isMaker": False,
            }
        ],
        lambda rest: rest.my_trades("BTCUSDT"),
    ),
    ({"rateLimits": [], "symbols": [{"symbol": "BTCUSDT"}]}, lambda rest: rest.exchange_info(["BTCUSDT"])),
    ({"code": -2010, "msg": "Account has insufficient balance for requested action."}, buy),
)
statuses = st.one_of(
    st.sampled_from((200, 200, 200, 400, 401, 403, 404, 409, 418, 429, 500, 503)), st.integers(200, 599)
)
headers = st.lists(
    st.tuples(
        st.sampled_from(("Retry-After", "X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S", "Content-Type", "Date")),
        st.one_of(st.sampled_from(("", "-1", "1e9", "NaN", "9" * 40, "soon", "\xb2", "1;2")), st.integers().map(str)),
    ),
    max_size=2,
)


def bodies(valid: Any) -> st.SearchStrategy[bytes]:
    """An answer of this call, bent: a list's by its first row."""
    if isinstance(valid, dict):
        return frames((valid,))
    row = valid[0]
    if isinstance(row, dict):
        return frames((row,)).map(lambda bent: b"[" + bent + b"]")
    at = st.tuples(st.integers(0, len(row) - 1), st.one_of(texts, values))
    return at.map(lambda change: json.dumps([[*row[: change[0]], change[1], *row[change[0] + 1 :]]]).encode())


answers = st.one_of(
    *(st.tuples(st.just(index), st.one_of(bodies(valid), json_garbage)) for index, (valid, _) in enumerate(CALLS))
)


def test_no_rest_answer_is_anything_but_understood_or_a_named_error() -> None:
    """Without a gate's memory of earlier answers: each is to an adapter that was never told to wait."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    rest, hits, kinds = adapter(f"http://127.0.0.1:{server.server_port}"), [0], Counter[str]()

    @thrown("REST answers", answers, statuses, headers)
    def throw(answer: tuple[int, bytes], status: int, headers: list[tuple[str, str]]) -> None:
        hits[0] += 1
        index, body = answer
        if status in (204, 304):
            body = b""
        server.told = status, body, headers  # type: ignore[attr-defined]
        explained((index, status, body[:1000], headers))
        rest.gate = Gate(wall_ms=lambda: int(time.time() * 1000), monotonic_ns=time.monotonic_ns)
        refused: ExchangeError | None = None
        try:
            CALLS[index][1](rest)
        except ExchangeError as error:
            refused = error
        except NetworkError:
            kinds["unknown"] += 1
        if refused is not None:
            kinds["refused"] += 1
            assert 400 <= refused.status < 500
            assert refused.code
        assert isinstance(rest.figures, ExchangeFigures)

    try:
        throw()
    finally:
        rest._client.session.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert hits[0] >= INPUTS["REST answers"]
    # How many of each are drawn changes with every constant in the code, which hypothesis looks for there.
    assert min(kinds["unknown"], kinds["refused"], hits[0] - kinds.total()) > 10


def test_no_frame_on_a_socket_ends_its_reader_but_by_its_own_word() -> None:
    """Each message arrives or the connection ends, which is said once; the reader's thread never fails."""
    sent = st.lists(
        st.tuples(st.sampled_from((Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG)), json_garbage),
        min_size=1,
        max_size=5,
    )
    told: list[tuple[Opcode, bytes]] = []
    logging.getLogger("websocket").setLevel(logging.CRITICAL)

    def send(connection: ServerConnection) -> None:
        try:
            for number, (opcode, data) in enumerate(told):
                if opcode is Opcode.PING:
                    connection.ping(b"%d" % number + data[:120])
                elif opcode is Opcode.PONG:
                    connection.pong(data[:125])
                else:
                    connection.send(data, text=opcode is Opcode.TEXT)
            connection.close()
        except ConnectionClosed:
            return

    hits = [0]
    with serving(send) as url:

        @thrown("frames on sockets", sent)
        def throw(messages: list[tuple[Opcode, bytes]]) -> None:
            hits[0] += 1
            explained(messages)
            told[:] = messages
            heard = Heard()
            market = MarketSocket(url, ("btcusdt@trade",), **heard.options())
            market.open()
            said = heard.rest()
            assert not heard.errors
            assert said[0] == ("open",)
            carried = [data for opcode, data in messages if opcode in (Opcode.TEXT, Opcode.BINARY)]
            assert [each[1] for each in said if each[0] == "frame"] == carried
            assert [each[0] for each in said].count("close") == 1

        throw()
    assert hits[0] >= INPUTS["frames on sockets"]
