"""REST as a client meets it: market data, orders, the account, and every way to be refused."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.exchange.conftest import SHARED, START_MS, Exchange, Start, book, levels, trade

from thunes.exchange.simulator.limits import LimitSettings
from thunes.messages import Candle

ORDER = "/api/v3/order"
MARKET_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT_BUY = {**MARKET_BUY, "type": "LIMIT", "price": "29000", "timeInForce": "GTC"}


def refusal(exchange: Exchange, method: str, path: str, **params: Any) -> tuple[int, int, str]:
    answer = exchange.signed(method, path, **params)
    body = answer.json()
    return answer.status_code, body["code"], body["msg"]


def without(params: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}


# market data


def test_the_book_is_served_with_eight_decimals(exchange: Exchange) -> None:
    body = exchange.public("/api/v3/depth", symbol="BTCUSDT", limit=1)
    assert body["bids"] == [["29999.99000000", "2.00000000"]]
    assert body["asks"] == [["30000.00000000", "1.00000000"]]


def test_server_time_is_wall_time_and_trade_time_is_market_time(exchange: Exchange) -> None:
    exchange.play(trade(7, "30000", "0.5", START_MS + 10))
    assert abs(exchange.public("/api/v3/time")["serverTime"] / 1000 - time.time()) < 5
    assert exchange.public("/api/v3/trades", symbol="BTCUSDT") == [
        {
            "id": 7,
            "price": "30000.00000000",
            "qty": "0.50000000",
            "quoteQty": "15000.00000000",
            "time": START_MS + 10,
            "isBuyerMaker": False,
            "isBestMatch": True,
        }
    ]


def test_times_come_in_microseconds_when_asked_for(exchange: Exchange) -> None:
    exchange.play(trade(7, "30000", "0.5", START_MS + 10))
    microseconds = {"X-MBX-TIME-UNIT": "microsecond"}
    [row] = exchange.raw("GET", "/api/v3/trades", "symbol=BTCUSDT", headers=microseconds).json()
    assert row["time"] == (START_MS + 10) * 1000
    [candle] = exchange.raw("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m", headers=microseconds).json()
    assert (candle[0], candle[8]) == (START_MS * 1000, 1)


def test_klines_join_the_sources_history_the_closed_minutes_and_the_forming_one(start: Start) -> None:
    old = [
        Candle(
            "BTCUSDT",
            "1m",
            START_MS - 60_000 * n,
            START_MS - 60_000 * n + 59_999,
            *[Decimal(29_000 + n)] * 4,
            Decimal(n),
        )
        for n in (3, 2, 1)
    ]
    events = [
        book(),
        trade(1, "30000", "1", START_MS + 100),
        trade(2, "30100", "2", START_MS + 60_100, maker=True),
        trade(3, "30050", "1", START_MS + 60_200),
    ]
    with start(events, history=old, speed=100_000.0) as exchange:
        rows = wait_for_rows(exchange, 5)
    opens = [row[0] for row in rows]
    assert opens == [START_MS + 60_000 * n for n in (-3, -2, -1, 0, 1)]
    assert rows[3][1:6] == ["30000.00000000"] * 4 + ["1.00000000"]
    assert rows[4][1:6] == ["30100.00000000", "30100.00000000", "30050.00000000", "30050.00000000", "3.00000000"]
    assert rows[4][9:11] == ["1.00000000", "30050.00000000"]


def wait_for_rows(exchange: Exchange, count: int) -> list[list[Any]]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        rows: list[list[Any]] = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
        if len(rows) == count and rows[-1][8] == 2:
            return rows
    raise AssertionError(rows)


def test_longer_candles_are_added_up_from_minutes(start: Start) -> None:
    old = [
        Candle(
            "BTCUSDT",
            "1m",
            START_MS - 60_000 * n,
            START_MS - 60_000 * n + 59_999,
            *[Decimal(n)] * 4,
            Decimal(1),
            trades=1,
        )
        for n in range(20, 0, -1)
    ]
    with start(history=old) as exchange:
        rows = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="5m", limit=3)
        assert [row[0] % 300_000 for row in rows] == [0, 0, 0]
        whole = rows[1]
        first = (START_MS - whole[0]) // 60_000
        assert [Decimal(whole[n]) for n in (1, 2, 3, 4, 5)] == [first, first, first - 4, first - 4, 5]
        since = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="5m", startTime=rows[0][0] + 1, limit=1)
        assert since == [rows[1]]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/api/v3/klines", {"symbol": "NOPE", "interval": "1m"}, -1121),
        ("/api/v3/klines", {"symbol": "btcusdt", "interval": "1m"}, -1100),
        ("/api/v3/klines", {"symbol": "BTCUSDT"}, -1102),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "foo": "1"}, -1104),
        ("/api/v3/ping", {"foo": "1"}, -1101),
        ("/api/v3/exchangeInfo", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
        ("/api/v3/exchangeInfo", {"symbols": "BTCUSDT"}, -1135),
        ("/api/v3/ticker/price", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
        ("/api/v3/nope", {}, -1020),
    ],
)
def test_a_public_request_that_makes_no_sense_is_refused_by_code(
    exchange: Exchange, path: str, params: dict[str, str], code: int
) -> None:
    assert exchange.public(path, **params)["code"] == code


def test_weights_add_up_in_the_header_of_every_answer(exchange: Exchange) -> None:
    used = [
        int(exchange.raw("GET", path, query).headers["X-MBX-USED-WEIGHT-1M"])
        for path, query in (
            ("/api/v3/ping", ""),
            ("/api/v3/depth", "symbol=BTCUSDT&limit=101"),
            ("/api/v3/ticker/bookTicker", ""),
            ("/api/v3/klines", "symbol=BTCUSDT"),
        )
    ]
    assert [b - a for a, b in zip(used, used[1:], strict=False)] == [25, 4, 2]


def test_over_the_weight_is_429_and_insisting_is_418(start: Start) -> None:
    with start(limits=LimitSettings(weight_per_minute=2, refusals_before_ban=1)) as exchange:
        answers = [exchange.raw("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 418]
    assert [answer.json()["code"] for answer in answers[1:]] == [-1003, -1003]
    assert 0 < int(answers[1].headers["Retry-After"]) <= 60 < int(answers[2].headers["Retry-After"]) <= 120


# orders


def test_a_market_buy_fills_level_by_level_and_moves_the_balances(exchange: Exchange) -> None:
    body = exchange.order("BUY", "0.3")
    assert (body["status"], body["executedQty"], body["price"]) == ("FILLED", "0.30000000", "0.00000000")
    assert body["fills"] == [
        {
            "price": "30000.00000000",
            "qty": "0.30000000",
            "commission": "0.00030000",
            "commissionAsset": "BTC",
            "tradeId": 1,
        }
    ]
    assert exchange.balance("BTC") == (Decimal("0.2997"), Decimal(0))
    assert exchange.balance("USDT") == (Decimal(1000), Decimal(0))


def test_a_limit_order_rests_locks_and_is_canceled(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000", newClientOrderId="mine")
    assert (placed["status"], placed["clientOrderId"]) == ("NEW", "mine")
    assert exchange.balance("USDT") == (Decimal(7100), Decimal(2900))
    assert [row["orderId"] for row in exchange.signed("GET", "/api/v3/openOrders").json()] == [placed["orderId"]]
    canceled = exchange.signed(
        "DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="stop"
    ).json()
    assert (canceled["status"], canceled["origClientOrderId"], canceled["clientOrderId"]) == (
        "CANCELED",
        "mine",
        "stop",
    )
    assert exchange.balance("USDT") == (Decimal(10_000), Decimal(0))
    assert exchange.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="mine").json()["status"] == "CANCELED"


def test_a_resting_order_fills_when_the_market_comes_to_it(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000")
    exchange.play(trade(1, "28999", "5", START_MS + 5))
    order = exchange.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"]).json()
    assert (order["status"], order["updateTime"]) == ("FILLED", START_MS + 5)
    [fill] = exchange.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()
    assert (fill["price"], fill["isMaker"], fill["orderId"]) == ("29000.00000000", True, placed["orderId"])


def test_what_a_taker_took_is_gone_from_the_book(exchange: Exchange) -> None:
    before = exchange.public("/api/v3/depth", symbol="BTCUSDT")
    exchange.order("BUY", "0.25")
    after = exchange.public("/api/v3/depth", symbol="BTCUSDT")
    assert after["asks"][0] == ["30000.00000000", "0.75000000"]
    assert after["lastUpdateId"] > before["lastUpdateId"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("ACK", 5), ("RESULT", 16), ("FULL", 17)],
)
def test_the_answer_has_the_type_that_was_asked_for(exchange: Exchange, kind: str, fields: int) -> None:
    assert len(exchange.order("BUY", "0.01", newOrderRespType=kind)) == fields


def test_limit_maker_answers_ack_and_is_refused_when_it_would_take(exchange: Exchange) -> None:
    params = {**without(LIMIT_BUY, "timeInForce"), "type": "LIMIT_MAKER"}
    assert set(exchange.signed("POST", ORDER, **params).json()) == {
        "symbol",
        "orderId",
        "orderListId",
        "clientOrderId",
        "transactTime",
    }
    crossing = refusal(exchange, "POST", ORDER, **(params | {"price": "30000"}))
    assert crossing == (400, -2010, "Order would immediately match and take.")


def test_an_order_by_quote_amount_spends_at_most_that(exchange: Exchange) -> None:
    params = {**without(MARKET_BUY, "quantity"), "quoteOrderQty": "100"}
    body = exchange.signed("POST", ORDER, **params).json()
    assert (body["executedQty"], body["origQuoteOrderQty"]) == ("0.00333000", "100.00000000")


def test_order_test_checks_everything_and_does_nothing(exchange: Exchange) -> None:
    assert exchange.signed("POST", "/api/v3/order/test", **MARKET_BUY).json() == {}
    rates = exchange.signed("POST", "/api/v3/order/test", **MARKET_BUY, computeCommissionRates="true").json()
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    short = refusal(exchange, "POST", "/api/v3/order/test", **(MARKET_BUY | {"quantity": "9"}))
    assert short[1] == -2010
    assert exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json() == []


def test_a_body_and_a_query_are_signed_together(exchange: Exchange) -> None:
    query, body = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quantity=0.01&timestamp={int(time.time() * 1000)}"
    signature = exchange.sign(query + body)
    answer = exchange.raw("POST", ORDER, query, exchange.key, data=f"{body}&signature={signature}")
    assert answer.json()["status"] == "FILLED"


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
    (MARKET_BUY | {"type": "STOP_LOSS"}, -2010, "Stop loss orders are not supported for this symbol."),
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


def test_a_client_id_is_refused_while_its_order_is_open_and_free_once_it_filled(exchange: Exchange) -> None:
    exchange.order("BUY", "0.01", "29000", newClientOrderId="same")
    again = refusal(exchange, "POST", ORDER, **LIMIT_BUY, newClientOrderId="same")
    assert again == (400, -2010, "Duplicate order sent.")
    exchange.play(trade(1, "28000", "5", START_MS + 5))
    exchange.order("BUY", "0.01", newClientOrderId="same")
    exchange.order("BUY", "0.01", newClientOrderId="same")
    newest = exchange.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="same").json()
    assert newest["orderId"] == 3


def test_orders_that_are_not_there_cannot_be_asked_for_or_canceled(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.01")
    unknown = {"symbol": "BTCUSDT", "orderId": 99}
    assert refusal(exchange, "GET", ORDER, **unknown) == (400, -2013, "Order does not exist.")
    assert refusal(exchange, "DELETE", ORDER, **unknown) == (400, -2011, "Unknown order sent.")
    filled = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert refusal(exchange, "DELETE", ORDER, **filled)[1] == -2011
    assert refusal(exchange, "GET", ORDER, **filled, origClientOrderId="other")[1] == -2039
    assert refusal(exchange, "GET", ORDER, symbol="BTCUSDT")[1] == -1102
    assert refusal(exchange, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")[1] == -2011


def test_cancel_restrictions_are_kept(exchange: Exchange) -> None:
    placed = exchange.order("BUY", "0.1", "29000")
    params = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    partly = refusal(exchange, "DELETE", ORDER, **params, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert partly == (400, -2011, "Order was not canceled due to cancel restrictions.")
    assert refusal(exchange, "DELETE", ORDER, **params, cancelRestrictions="FOO")[1] == -1145
    assert exchange.signed("DELETE", ORDER, **params, cancelRestrictions="ONLY_NEW").json()["status"] == "CANCELED"


def test_all_open_orders_of_a_symbol_are_canceled_at_once(exchange: Exchange) -> None:
    for price in ("29000", "28000"):
        exchange.order("BUY", "0.01", price)
    rows = exchange.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json()
    assert [row["status"] for row in rows] == ["CANCELED", "CANCELED"]
    assert exchange.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").json() == []


def test_histories_page_by_id_and_by_time(exchange: Exchange) -> None:
    for _ in range(4):
        exchange.order("BUY", "0.01")
    path = "/api/v3/myTrades"

    def ids(**params: Any) -> list[int]:
        return [row["id"] for row in exchange.signed("GET", path, symbol="BTCUSDT", **params).json()]

    assert ids(limit=2) == [3, 4]
    assert ids(fromId=2, limit=2) == [2, 3]
    assert ids(orderId=3) == [3]
    assert ids(startTime=START_MS, limit=2) == [1, 2]
    assert ids(endTime=START_MS - 1) == []
    assert refusal(exchange, "GET", path, symbol="BTCUSDT", startTime=0, fromId=1)[1] == -1128
    assert refusal(exchange, "GET", path, symbol="BTCUSDT", startTime=0, endTime=86_400_001)[1] == -1127
    orders = exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=2, limit=2).json()
    assert [row["orderId"] for row in orders] == [2, 3]


def test_accepted_orders_cost_no_weight_and_carry_the_order_count(exchange: Exchange) -> None:
    before = int(exchange.raw("GET", "/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"])
    answer = exchange.signed("POST", ORDER, **LIMIT_BUY)
    assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) == before
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == answer.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    refused = exchange.signed("POST", ORDER, **(LIMIT_BUY | {"side": "FOO"}))
    assert int(refused.headers["X-MBX-USED-WEIGHT-1M"]) == before + 1
    assert "X-MBX-ORDER-COUNT-10S" not in refused.headers


def test_too_many_unfilled_orders_are_429_and_fills_make_room(start: Start) -> None:
    with start(limits=LimitSettings(orders_per_10s=3, orders_per_day=3)) as exchange:
        for _ in range(5):
            exchange.order("BUY", "0.01")
        for _ in range(3):
            exchange.order("BUY", "0.01", "29000")
        answer = exchange.signed("POST", ORDER, **MARKET_BUY)
        assert (answer.status_code, answer.json()["code"]) == (429, -1015)
        assert int(answer.headers["Retry-After"]) > 0
        exchange.play(trade(1, "28000", "9", START_MS + 5))
        exchange.order("BUY", "0.01")


# who asks


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
