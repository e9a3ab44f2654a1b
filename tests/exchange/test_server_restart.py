"""What a killed exchange remembers: a copy of its files at any moment is what a kill -9 leaves."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Start, book, levels, trade
from thunes.errors import HomeInUse, OperatorError
from thunes.messages import Candle, MarketEvent, TopChanged

MINUTE = 60_000


def eventful(minutes: int) -> list[MarketEvent]:
    """A market in which something happens every few seconds."""
    events: list[MarketEvent] = [book()]
    for n in range(1, minutes * 12):
        now = START_MS + n * 5000
        price = 30_000 + n % 17
        events.append(TopChanged("BTCUSDT", now, Decimal(price - 1), Decimal(2), Decimal(price + 1), Decimal(3)))
        if n % 3:
            events.append(trade(n, str(price), f"0.{n % 9 + 1}", now + 1, maker=n % 2 == 0))
    return events


def crash(exchange: Exchange, home: Path) -> Path:
    """The files as they are now, in a new home."""
    copy = home.with_name(f"{home.name}-killed")

    def take() -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)

    exchange.do(take)
    return copy


def account_of(exchange: Exchange) -> dict[str, Any]:
    symbol = {"symbol": "BTCUSDT"}
    return {
        "keys": (exchange.key, exchange.secret),
        "balances": exchange.signed("GET", "/api/v3/account").json()["balances"],
        "orders": exchange.signed("GET", "/api/v3/allOrders", **symbol).json(),
        "open": exchange.signed("GET", "/api/v3/openOrders", **symbol).json(),
        "trades": exchange.signed("GET", "/api/v3/myTrades", **symbol).json(),
    }


def test_everything_of_the_account_is_there_after_a_kill(start: Start, tmp_path: Path) -> None:
    with start() as exchange:
        exchange.order("BUY", "0.1")
        exchange.order("BUY", "0.01", "29000", newClientOrderId="resting")
        exchange.order("BUY", "0.01", "29500")
        exchange.play(trade(1, "29400", "0.004", START_MS + 5))
        exchange.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=2)
        exchange.order("BUY", "0.01", "28000")
        before = account_of(exchange)
        killed = crash(exchange, tmp_path)
    with start(home=killed) as exchange:
        assert account_of(exchange) == before
        exchange.play(trade(2, "27000", "9", START_MS + 9))
        assert exchange.signed("GET", "/api/v3/openOrders").json() == []
        placed = exchange.order("BUY", "0.01")
        assert placed["orderId"] == 5
        assert placed["fills"][0]["tradeId"] == 5
    assert before["orders"][2]["status"] == "PARTIALLY_FILLED"


def test_a_resting_order_keeps_its_place_in_the_queue(start: Start, tmp_path: Path) -> None:
    with start([book(bids=levels(("29000", "1")))]) as exchange:
        exchange.order("BUY", "0.1", "29000")
        exchange.play(trade(1, "29000", "0.7", START_MS + 5, maker=True))
        exchange.do(exchange.running.exchange.save)
        killed = crash(exchange, tmp_path)
    with start([book(bids=levels(("29000", "1")))], home=killed) as exchange:
        exchange.play(trade(2, "29000", "0.35", START_MS + 6, maker=True))
        [order] = exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json()
        assert order["executedQty"] == "0.05000000"


def test_a_trade_that_filled_an_order_before_the_kill_is_not_played_again(start: Start, tmp_path: Path) -> None:
    trades = [trade(n, str(28_990 + n), "0.5", START_MS + n) for n in range(1, 21)]
    with start([book(), *trades], speed=0.0) as exchange:
        exchange.order("BUY", "0.1", "28991.5")
        with exchange.listen("/ws/btcusdt@trade") as listener:
            listener.next()
            killed = crash(exchange, tmp_path)
    with start([book(), *trades], speed=100_000.0, home=killed) as exchange:
        exchange.source_ended()
        [order] = exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json()
        [candle] = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert order["status"] == "FILLED"
    assert (candle[5], candle[8]) == ("10.00000000", 20)


def closed_candles(exchange: Exchange, count: int) -> list[dict[str, Any]]:
    with exchange.listen("/ws/btcusdt@kline_1m") as listener:
        return [listener.until(lambda frame: frame["k"]["x"])["k"] for _ in range(count)]


def test_candles_go_on_without_a_gap_and_none_is_closed_twice(start: Start, tmp_path: Path) -> None:
    events = eventful(9)
    with start(events, speed=0.0) as exchange:
        whole = closed_candles(exchange, 8)
    again = tmp_path / "again"
    with start(events, speed=0.0, home=again) as exchange:
        first = closed_candles(exchange, 3)
        killed = crash(exchange, again)
    with start(events, speed=0.0, home=killed) as exchange:
        stored = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
        done = sum(1 for row in stored if row[6] < stored[-1][6])
        rest = closed_candles(exchange, 8 - done)
        rows = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert first == whole[:3]
    assert done in (3, 4)
    assert rest == whole[done:]
    assert [[row[0], row[1], row[5], row[8]] for row in rows[:8]] == [[c["t"], c["o"], c["v"], c["n"]] for c in whole]


@pytest.mark.parametrize("order_after", [5, 31, 32, 60])
def test_what_is_played_again_after_a_kill_is_the_same_with_the_same_ids(
    start: Start, tmp_path: Path, order_after: int
) -> None:
    """The market goes on from the last thing on disk: frames after it come again, as they were."""
    events, streams = eventful(6), "/stream?streams=btcusdt@trade/btcusdt@bookTicker"
    home = tmp_path / "first"
    with start(events, speed=0.0, home=home) as exchange, exchange.listen(streams) as listener:
        before = [listener.next() for _ in range(order_after)]
        exchange.order("BUY", "0.001", "29000")
        killed = crash(exchange, home)
        before += [listener.next() for _ in range(40)]
    with start(events, speed=0.0, home=killed) as exchange, exchange.listen(streams) as listener:
        after = [listener.next() for _ in range(20)]
    place = before.index(after[0])
    assert order_after <= place <= order_after + 20
    assert after == before[place : place + 20]


def test_public_trades_and_the_average_price_are_there_after_a_kill(start: Start, tmp_path: Path) -> None:
    events = eventful(3)
    with start(events, speed=100_000.0) as exchange:
        exchange.source_ended()
        killed = crash(exchange, tmp_path)
        paths = ("/api/v3/trades", "/api/v3/avgPrice", "/api/v3/ticker/24hr", "/api/v3/depth")
        before = [exchange.public(path, symbol="BTCUSDT") for path in paths]
    with start(events, speed=100_000.0, home=killed) as exchange:
        assert [exchange.public(path, symbol="BTCUSDT") for path in paths] == before


def test_an_order_and_its_fills_are_on_disk_when_it_is_answered(start: Start, tmp_path: Path) -> None:
    homes = []
    with start() as exchange:
        for n in range(3):
            exchange.order("BUY", "0.01")
            copy = crash(exchange, tmp_path)
            homes.append(shutil.move(copy, tmp_path.with_name(f"{tmp_path.name}-{n}")))
    for n, home in enumerate(homes):
        with start(home=home) as exchange:
            assert len(account_of(exchange)["trades"]) == n + 1


def test_a_home_of_another_market_is_refused_with_what_to_do(start: Start) -> None:
    with start():
        pass
    with pytest.raises(OperatorError, match=r"seed 1.*asked for: seed 2.*another --home"), start(seed=2):
        pass
    other: list[MarketEvent] = [book("ETHUSDT")]
    with pytest.raises(OperatorError, match="another market"), start(other):
        pass


def test_a_home_serves_one_exchange_at_a_time(start: Start) -> None:
    with start(), pytest.raises(HomeInUse, match="in use by another exchange"), start():
        pass


def test_a_file_that_is_no_database_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "exchange.db").write_bytes(b"not a database" * 100)
    with pytest.raises(OperatorError, match=r"exchange\.db cannot be used"), start():
        pass


def test_a_balance_is_given_once(start: Start) -> None:
    with start(balance=Decimal(500)) as exchange:
        assert exchange.balance("USDT") == (Decimal(500), Decimal(0))
    with start(balance=Decimal(900)) as exchange:
        assert exchange.balance("USDT") == (Decimal(500), Decimal(0))


def test_history_before_the_start_stays_after_a_restart(start: Start) -> None:
    old = [Candle("BTCUSDT", "1m", START_MS - MINUTE, START_MS - 1, *[Decimal(7)] * 4, Decimal(1))]
    for _ in range(2):
        with start(history=old) as exchange:
            rows = exchange.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
            assert [row[0] for row in rows] == [START_MS - MINUTE, START_MS]
            assert rows[1][4] == "7.00000000"


NEWER = {
    "pairs": ('"order" DROP COLUMN list_id', '"order" DROP COLUMN held', '"fill" DROP COLUMN list_id'),
    "stops": ('"order" DROP COLUMN stop_price', '"order" DROP COLUMN working_ms'),
}
"""What a database from before these lacks."""


@pytest.mark.parametrize("lacks", [("pairs",), ("pairs", "stops")], ids="+".join)
def test_a_database_from_before_there_were_pairs_or_stops_is_taken_up(
    start: Start, tmp_path: Path, lacks: tuple[str, ...]
) -> None:
    with start() as exchange:
        exchange.order("BUY", "0.1")
        exchange.order("BUY", "0.01", "29000")
        before = account_of(exchange)
    with closing(sqlite3.connect(tmp_path / "data" / "exchange.db")) as database:
        for change in (each for name in lacks for each in NEWER[name]):
            database.execute(f"ALTER TABLE {change}")
        if "pairs" in lacks:
            database.execute('DROP TABLE "order_list"')
        database.commit()
    with start() as exchange:
        assert account_of(exchange) == before
        assert exchange.signed("GET", "/api/v3/allOrderList").json() == []
