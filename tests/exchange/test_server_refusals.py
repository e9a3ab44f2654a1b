"""Requests that are refused: with which code, in which words, and never as a server error."""

from __future__ import annotations

import time

import orjson
import pytest

from tests.exchange.conftest import SHARED, Exchange, Start, book, levels
from tests.exchange.orders import LIMIT_BUY, MARKET_BUY, ORDER, refusal, without

MISSING = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
REFUSED = [
    (without(MARKET_BUY, "symbol"), -1102, MISSING.format("symbol")),
    (without(MARKET_BUY, "side"), -1102, MISSING.format("side")),
    (without(MARKET_BUY, "type"), -1102, MISSING.format("type")),
    (
        without(MARKET_BUY, "quantity"),
        -1102,
        "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
    ),
    (without(LIMIT_BUY, "price"), -1102, MISSING.format("price")),
    (without(LIMIT_BUY, "timeInForce"), -1102, MISSING.format("timeInForce")),
    (without(LIMIT_BUY, "quantity"), -1102, MISSING.format("quantity")),
    (MARKET_BUY | {"symbol": "NOPE"}, -1121, "Invalid symbol."),
    (MARKET_BUY | {"side": "HOLD"}, -1117, "Invalid side."),
    (MARKET_BUY | {"type": "FOO"}, -1116, "Invalid orderType."),
    (LIMIT_BUY | {"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    (MARKET_BUY | {"price": "1"}, -1106, "Parameter 'price' sent when not required."),
    (MARKET_BUY | {"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
    (MARKET_BUY | {"stopPrice": "1"}, -1106, "Parameter 'stopPrice' sent when not required."),
    (LIMIT_BUY | {"quoteOrderQty": "9"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    (MARKET_BUY | {"type": "STOP_LOSS"}, -1102, MISSING.format("stopPrice")),
    (MARKET_BUY | {"type": "STOP_LOSS", "stopPrice": "1"}, -2010, "Order would trigger immediately."),
    (LIMIT_BUY | {"type": "STOP_LOSS_LIMIT"}, -1102, MISSING.format("stopPrice")),
    (LIMIT_BUY | {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "0.001"}, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT_BUY | {"stopPrice": "1"}, -1106, "Parameter 'stopPrice' sent when not required."),
    (LIMIT_BUY | {"icebergQty": "1"}, -2010, "Iceberg orders are not supported for this symbol."),
    (MARKET_BUY | {"quantity": "0.000000001"}, -1111, "Parameter 'quantity' has too much precision."),
    (MARKET_BUY | {"foo": "1"}, -1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
    (MARKET_BUY | {"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
    (MARKET_BUY | {"quantity": "0.000015"}, -1013, "Filter failure: LOT_SIZE"),
    (MARKET_BUY | {"quantity": "0.0001"}, -1013, "Filter failure: NOTIONAL"),
    (MARKET_BUY | {"quantity": "200"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
    (LIMIT_BUY | {"price": "29000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT_BUY | {"price": "1"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    (LIMIT_BUY | {"quantity": "0.0001"}, -1013, "Filter failure: NOTIONAL"),
    (MARKET_BUY | {"quantity": "1"}, -2010, "Account has insufficient balance for requested action."),
    (MARKET_BUY | {"side": "SELL"}, -2010, "Account has insufficient balance for requested action."),
]


@pytest.mark.parametrize(("params", "code", "message"), REFUSED, ids=[f"{c}:{m[:40]}" for _, c, m in REFUSED])
def test_an_order_is_refused_with_code_and_message(
    exchange: Exchange, params: dict[str, str], code: int, message: str
) -> None:
    assert refusal(exchange, "POST", ORDER, **params) == (400, code, message)
    assert exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json() == []


def test_a_request_has_to_be_signed_by_the_accounts_key_and_fresh(exchange: Exchange) -> None:
    def code(query: str, key: str | None) -> tuple[int, int]:
        answer = exchange.raw("GET", "/api/v3/account", query, key)
        return answer.status_code, answer.json()["code"]

    good = exchange.query()
    now_ms = int(time.time() * 1000)
    assert exchange.raw("GET", "/api/v3/account", good, exchange.key).status_code == 200
    assert code(good, None) == (401, -2014)
    assert code(good, "short") == (401, -2014)
    assert code(good, "x" * 64) == (401, -2015)
    assert code(good.replace("signature=", "signature=0"), exchange.key) == (400, -1022)
    assert code("", exchange.key) == (400, -1102)
    assert code(f"timestamp={now_ms}", exchange.key) == (400, -1102)
    assert code(exchange.query(timestamp=now_ms - 6000), exchange.key) == (400, -1021)
    assert code(exchange.query(timestamp=now_ms + 2000), exchange.key) == (400, -1021)
    wider = exchange.query(timestamp=now_ms - 6000, recvWindow="9000.5")
    assert exchange.raw("GET", "/api/v3/account", wider, exchange.key).status_code == 200
    microseconds = exchange.query(timestamp=now_ms * 1000)
    assert exchange.raw("GET", "/api/v3/account", microseconds, exchange.key).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", ORDER, "symbol=%FF%FE&side=%00", b"\xff\xfe=\x00"),
        ("POST", ORDER, "&&&===&;", b"{}"),
        ("POST", ORDER, "", b'{"symbol": "BTCUSDT"}'),
        ("POST", ORDER, "a=" + "x" * 5000, b""),
        ("POST", ORDER, "&".join(f"p{n}=1" for n in range(500)), b""),
        ("POST", ORDER, "", b"x" * 100_000),
        ("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m&startTime=9223372036854775807", b""),
        ("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1M&startTime=1&endTime=0&limit=99999", b""),
        ("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1M&startTime=99999999999999", b""),
        ("GET", "/api/v3/aggTrades", "symbol=BTCUSDT&fromId=9223372036854775807", b""),
        ("GET", "/api/v3/depth", "symbol=../../etc", b""),
        ("GET", "/api/v3/exchangeInfo", "symbols=[[[[", b""),
        ("PATCH", ORDER, "", b""),
        ("OPTIONS", "/", "", b""),
        ("GET", "//api/v3//ping", "", b""),
    ],
)
def test_no_malformed_request_is_a_server_error(
    exchange: Exchange, method: str, path: str, query: str, body: bytes
) -> None:
    answer = exchange.raw(method, path, query, exchange.key, data=body)
    assert answer.status_code < 500, answer.text
    for signed in (exchange.signed(method, path, limit=2**62), exchange.signed(method, path, timestamp="9" * 20)):
        assert signed.status_code < 500, signed.text


def test_the_errors_that_were_seen_have_their_codes_and_messages_here(exchange: Exchange) -> None:
    seen = SHARED / "binance-spot-payloads" / "observed-errors.jsonl"
    if not seen.exists():
        pytest.skip(f"{seen} is absent")
    ours = {(code, message.replace("MIN_NOTIONAL", "NOTIONAL")) for _, code, message in REFUSED}
    ahead = exchange.query(timestamp=int(time.time() * 1000) + 2000)
    body = exchange.raw("GET", "/api/v3/account", ahead, exchange.key).json()
    ours.add((body["code"], body["msg"]))
    for line in seen.read_bytes().splitlines():
        row = orjson.loads(line)
        if "old wording" in row.get("note", ""):
            assert any(code == row["body"]["code"] for code, _ in ours)
            continue
        assert (row["body"]["code"], row["body"]["msg"].replace("MIN_NOTIONAL", "NOTIONAL")) in ours


def test_the_book_is_empty_handed_where_nobody_asks_or_bids(start: Start) -> None:
    with start([book(bids=levels(), asks=levels(("5", "1")))]) as exchange:
        ticker = exchange.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT")
        assert (ticker["bidPrice"], ticker["askPrice"]) == ("0.00000000", "5.00000000")
