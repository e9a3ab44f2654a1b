"""Market data over REST, its weights and its refusals."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Start, book, trade, within_a_minute
from thunes.exchange.simulator.limits import LimitSettings
from thunes.messages import Candle


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
    asked = (
        ("/api/v3/ping", ""),
        ("/api/v3/depth", "symbol=BTCUSDT&limit=101"),
        ("/api/v3/ticker/bookTicker", ""),
        ("/api/v3/klines", "symbol=BTCUSDT"),
    )

    def used() -> list[int]:
        return [int(exchange.raw("GET", path, query).headers["X-MBX-USED-WEIGHT-1M"]) for path, query in asked]

    assert [b - a for a, b in pairwise(within_a_minute(used))] == [25, 4, 2]


def test_over_the_weight_is_429_and_insisting_is_418(start: Start) -> None:
    def insisting() -> list[Any]:
        with start(limits=LimitSettings(weight_per_minute=2, refusals_before_ban=1)) as exchange:
            return [exchange.raw("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m") for _ in range(3)]

    answers = within_a_minute(insisting)
    assert [answer.status_code for answer in answers] == [200, 429, 418]
    assert [answer.json()["code"] for answer in answers[1:]] == [-1003, -1003]
    assert 0 < int(answers[1].headers["Retry-After"]) <= 60 < int(answers[2].headers["Retry-After"]) <= 120
