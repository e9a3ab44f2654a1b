"""Market streams: what is pushed, and when; at speed 0, in step with who reads."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import websocket

from tests.exchange.conftest import START_MS, Exchange, Start, book, levels, trade
from thunes.exchange.simulator.connections import ConnectionSettings
from thunes.messages import TopChanged

MINUTE = 60_000


def top(time_ms: int, bid: str, ask: str) -> TopChanged:
    return TopChanged("BTCUSDT", time_ms, Decimal(bid), Decimal(1), Decimal(ask), Decimal(1))


def test_a_raw_stream_is_bare_and_a_combined_one_names_its_stream(exchange: Exchange) -> None:
    path = "btcusdt@trade"
    with exchange.listen(f"/ws/{path}") as raw, exchange.listen(f"/stream?streams={path}") as combined:
        exchange.play(trade(5, "30000", "0.5", START_MS + 7, maker=True))
        bare = raw.next()
        assert combined.next() == {"stream": "btcusdt@trade", "data": bare}
    assert bare == {
        "e": "trade",
        "E": START_MS + 7,
        "s": "BTCUSDT",
        "t": 5,
        "p": "30000.00000000",
        "q": "0.50000000",
        "T": START_MS + 7,
        "m": True,
        "M": True,
    }


def test_book_ticker_is_pushed_only_when_the_best_changes_and_its_ids_grow(exchange: Exchange) -> None:
    with exchange.listen("/ws/btcusdt@bookTicker") as listener:
        exchange.play(
            book(bids=levels(("29000", "9")), asks=(), snapshot=False),
            top(START_MS + 1, "29999", "30001"),
            top(START_MS + 2, "29999", "30001"),
            top(START_MS + 3, "29999", "30002"),
        )
        first, second = listener.next(), listener.next()
    assert (first["b"], first["a"]) == ("29999.00000000", "30001.00000000")
    assert (second["b"], second["a"]) == ("29999.00000000", "30002.00000000")
    assert first["u"] < second["u"]
    assert set(first) == {"u", "s", "b", "B", "a", "A"}


def test_an_own_order_that_takes_from_the_best_level_is_seen_in_the_ticker(exchange: Exchange) -> None:
    with exchange.listen("/ws/btcusdt@bookTicker") as listener:
        exchange.order("BUY", "0.25")
        assert listener.next()["A"] == "0.75000000"


def test_times_come_in_microseconds_when_the_url_asks_for_them(exchange: Exchange) -> None:
    path = "/stream?streams=btcusdt@trade/btcusdt@kline_1m&timeUnit=MICROSECOND"
    with exchange.listen(path) as listener:
        exchange.play(trade(5, "30000", "0.5", START_MS + 7))
        assert listener.next()["data"]["T"] == (START_MS + 7) * 1000
        kline = listener.next()["data"]["k"]
        assert (kline["t"], kline["T"]) == (START_MS * 1000, (START_MS + MINUTE) * 1000 - 1)


def test_a_candle_without_trades_is_closed_too_and_flat(start: Start) -> None:
    quiet = [book(), trade(1, "30000", "1", START_MS + 10), top(START_MS + 3 * MINUTE, "29999", "30001")]
    with start(quiet, speed=0.0) as exchange, exchange.listen("/ws/btcusdt@kline_1m") as listener:
        closed = [listener.until(lambda frame: frame["k"]["x"])["k"] for _ in range(3)]
    assert [candle["t"] for candle in closed] == [START_MS, START_MS + MINUTE, START_MS + 2 * MINUTE]
    assert [candle["n"] for candle in closed] == [1, 0, 0]
    assert (closed[1]["o"], closed[1]["l"], closed[1]["v"]) == ("30000.00000000", "30000.00000000", "0.00000000")
    assert (closed[0]["f"], closed[0]["L"], closed[1]["f"], closed[1]["L"]) == (1, 1, -1, -1)


def test_a_longer_candle_is_closed_once_with_all_of_its_minutes(start: Start) -> None:
    first = START_MS // (5 * MINUTE) * 5 * MINUTE
    events = [book(time_ms=first)]
    events += [trade(n + 1, str(30_000 + n), "1", first + n * MINUTE + 5) for n in range(7)]
    with start(events, speed=0.0) as exchange, exchange.listen("/ws/btcusdt@kline_5m") as listener:
        candle = listener.until(lambda frame: frame["k"]["x"])["k"]
        after = listener.next()["k"]
    assert (candle["t"], candle["T"], candle["n"], candle["v"]) == (first, first + 5 * MINUTE - 1, 5, "5.00000000")
    assert (candle["o"], candle["c"], candle["f"], candle["L"]) == ("30000.00000000", "30004.00000000", 1, 5)
    assert (after["t"], after["x"], after["n"]) == (first + 5 * MINUTE, False, 1)


def test_a_kline_is_pushed_at_once_and_then_not_on_every_trade(exchange: Exchange) -> None:
    with exchange.listen("/ws/btcusdt@kline_1m/btcusdt@trade") as listener:
        exchange.play(*(trade(n, "30000", "1", START_MS + n) for n in range(1, 21)))
        frames = [listener.next() for _ in range(21)]
    klines = [frame for frame in frames if frame["e"] == "kline"]
    assert frames[1]["e"] == "kline"
    assert len(klines) < 10


class LocalBook:
    """A book kept by the documented recipe, with each of its rules asserted."""

    def __init__(self, snapshot: dict[str, Any], first: dict[str, Any]) -> None:
        assert snapshot["lastUpdateId"] >= first["U"]
        self.known = snapshot["lastUpdateId"]
        self.sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] <= self.known:
            return
        assert event["U"] <= self.known + 1
        self.known = event["u"]
        for side, levels_now in self.sides.items():
            for price, quantity in event[side]:
                levels_now[price] = quantity
                if Decimal(quantity) == 0:
                    del levels_now[price]


def test_a_local_book_kept_by_the_documented_recipe_equals_the_exchanges(exchange: Exchange) -> None:
    def change(n: int) -> None:
        exchange.play(
            top(START_MS + 2 * n, f"{29_990 + n % 7}", f"{30_000 + n % 5}"),
            book(time_ms=START_MS + 2 * n + 1, bids=levels((f"{29_000 + n}", "1")), asks=(), snapshot=False),
        )

    with exchange.listen("/ws/btcusdt@depth@100ms") as listener:
        change(0)
        first = listener.next()
        change(1)
        kept = LocalBook(exchange.public("/api/v3/depth", symbol="BTCUSDT", limit=5000), first)
        for n in range(2, 20):
            change(n)
        exchange.order("BUY", "0.01")
        now = exchange.public("/api/v3/depth", symbol="BTCUSDT", limit=5000)
        while kept.known < now["lastUpdateId"]:
            kept.apply(listener.next())
    assert kept.sides == {"b": dict(now["bids"]), "a": dict(now["asks"])}


def test_depth_updates_follow_one_another_without_a_gap(exchange: Exchange) -> None:
    with exchange.listen("/ws/btcusdt@depth@100ms") as listener:
        last = 0
        for n in range(4):
            exchange.play(top(START_MS + n, f"{29_990 + n}", "30000"))
            event = listener.next()
            assert last in (0, event["U"] - 1)
            last = event["u"]


def test_partial_depth_has_the_best_levels(exchange: Exchange) -> None:
    with exchange.listen("/ws/btcusdt@depth5@100ms") as listener:
        exchange.play(top(START_MS + 1, "29990", "30000"))
        frame = listener.next()
    assert set(frame) == {"lastUpdateId", "bids", "asks"}
    assert frame["bids"][0] == ["29990.00000000", "1.00000000"]


def test_at_speed_0_nothing_is_played_until_somebody_listens(start: Start) -> None:
    events = [book(), *(trade(n, "30000", "1", START_MS + n) for n in range(1, 5))]
    with start(events, speed=0.0) as exchange:
        assert exchange.public("/api/v3/trades", symbol="BTCUSDT") == []
        with exchange.listen("/ws/btcusdt@trade") as listener:
            assert [listener.next()["t"] for _ in range(4)] == [1, 2, 3, 4]


def test_at_speed_0_the_market_waits_for_a_slow_reader_and_loses_nothing(start: Start) -> None:
    count = 3000
    events = [book(), *(trade(n, "30000", "1", START_MS + n) for n in range(1, count + 1))]
    settings = ConnectionSettings(queue_size=30)
    with start(events, speed=0.0, connections=settings) as exchange:
        with exchange.listen("/ws/btcusdt@trade") as listener:
            first = listener.next()["t"]
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                played = len(exchange.public("/api/v3/trades", symbol="BTCUSDT"))
            assert played <= 20
            seen = [first, *(listener.next()["t"] for _ in range(count - 1))]
        assert seen == list(range(1, count + 1))


def test_at_speed_0_no_more_than_20_frames_are_on_the_way(start: Start) -> None:
    events = [book()]
    for n in range(1, 200):
        events += [trade(n, "30000", "1", START_MS + 5 * n), top(START_MS + 5 * n, "29990", f"{30_000 + n % 9}")]
    streams = "btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@kline_1m/btcusdt@depth@100ms"
    with start(events, speed=0.0) as exchange, exchange.listen(f"/stream?streams={streams}") as listener:
        run = longest = trades = 0
        while trades < 199:
            opcode, frame = listener.connection.recv_data_frame(control_frame=True)
            run = 0 if opcode == websocket.ABNF.OPCODE_PING else run + 1
            longest = max(longest, run)
            trades += b'"trade"' in frame.data
    assert 0 < longest <= 20
