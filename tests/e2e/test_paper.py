"""Paper trading as processes: an exchange that follows another one over the wire, and THUNES on top of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.e2e.support import (
    Exchange,
    assert_books_agree,
    assert_one_decision_each,
    clean_environment,
    events,
    exchange,
    thunes,
    wait_for,
)
from tests.exchange.socket_ends import unused_port
from thunes.exchange.binance import BinanceRest

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BUSY = str(Path(__file__).with_name("busy.py"))
PATIENCE_S = 90.0
"""How long a busy machine may take; where it is idle, a few seconds do."""
CONFIG = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
"""


def get(venue: Exchange, path: str) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(venue.ready["rest"] + path, timeout=5) as answer:
        return json.load(answer)


def book(venue: Exchange, symbol: str = "BTCUSDT") -> tuple[Any, Any]:
    depth = get(venue, f"/api/v3/depth?symbol={symbol}&limit=5000")
    return depth["bids"], depth["asks"]


def following(venue: Exchange) -> list[str]:
    return ["--source", "live", "--live-rest", venue.ready["rest"], "--live-stream", venue.ready["stream"]]


def towards(venue: Exchange) -> dict[str, str]:
    return clean_environment(
        THUNES_EXCHANGE__REST_URL=venue.ready["rest"], THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"]
    )


@contextmanager
def reading(venue: Exchange, stream: str, take: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Hand every frame of a stream to `take` until the block ends or the venue does."""
    address = f"{venue.ready['stream']}/ws/{stream}"
    connection = websocket.create_connection(address, timeout=30, http_no_proxy=["127.0.0.1"])

    def read() -> None:
        try:
            while text := connection.recv():
                take(json.loads(text))
        except (OSError, websocket.WebSocketException):
            return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        connection.abort()
        thread.join(10)
        connection.shutdown()
        assert not thread.is_alive()


def market_order(rest: BinanceRest, side: str) -> Any:
    """The order's answer, or the refusal."""
    try:
        return rest._client.create_order(symbol="BTCUSDT", side=side, type="MARKET", quantity="0.001")
    except Exception as error:
        return error


def trades_again(rest: BinanceRest) -> bool:
    return isinstance(market_order(rest, "BUY"), dict)


@pytest.mark.slow
def test_it_follows_its_venue_through_death_and_return_and_never_fills_in_between(tmp_path: Path) -> None:
    asks: set[Decimal] = set()
    crossed: list[dict[str, Any]] = []

    def displayed(frame: dict[str, Any]) -> None:
        asks.update(Decimal(price) for price, quantity in frame["a"] if Decimal(quantity))

    def best(frame: dict[str, Any]) -> None:
        if Decimal(frame["b"]) >= Decimal(frame["a"]):
            crossed.append(frame)

    with exchange(tmp_path / "a", "--speed", "1") as first:
        port = first.ready["rest"].rsplit(":", 1)[1]
        with exchange(tmp_path / "b", *following(first)) as paper, reading(paper, "btcusdt@bookTicker", best):
            rest = paper.rest()
            wait_for(lambda: trades_again(rest), PATIENCE_S, "the first book")
            with reading(first, "btcusdt@depth@100ms", displayed):
                asks.update(Decimal(price) for price, _ in book(first)[1])
                wait_for(lambda: book(first) == book(paper), PATIENCE_S, "the same book on both")
                prices = [Decimal(fill["price"]) for _ in range(5) for fill in market_order(rest, "BUY")["fills"]]
                wait_for(lambda: asks.issuperset(prices), PATIENCE_S, "what was paid among what was displayed")
            resting = rest._client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.001",
                price=str(round(prices[-1] / 2)),
            )
            first.process.kill()
            first.process.wait(10)
            refusal = wait_for(lambda: refused(market_order(rest, "BUY")), PATIENCE_S, "the closed market")
            assert "Market is closed." in refusal
            held = rest.account()
            frozen = book(paper)
            with exchange(tmp_path / "a", "--speed", "1", "--port", port) as second:
                wait_for(lambda: trades_again(rest), PATIENCE_S, "trading again")
                wait_for(lambda: book(second) == book(paper), PATIENCE_S, "the same book on both again")
                assert book(paper) != frozen
                assert resting["orderId"] in {row["orderId"] for row in rest._client.get_open_orders()}
                assert rest.account()["BTC"][0] > held["BTC"][0]
    assert crossed == []


def refused(answer: Any) -> str:
    return "" if isinstance(answer, dict) else str(answer)


@pytest.mark.parametrize("words", [["exchange", "--source", "live"], ["run", "--venue", "paper"]])
def test_a_live_market_out_of_reach_at_the_start_is_one_sentence(tmp_path: Path, words: list[str]) -> None:
    address = f"127.0.0.1:{unused_port()}"
    named = ["--live-rest", f"http://{address}", "--live-stream", f"ws://{address}"] if words[0] == "exchange" else []
    environ = clean_environment(
        THUNES_EXCHANGE__REST_URL=f"http://{address}", THUNES_EXCHANGE__STREAM_URL=f"ws://{address}"
    )
    command = [sys.executable, "-m", "thunes", *words, *named, "--home", str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False, timeout=PATIENCE_S)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"The live market cannot be had: http://{address} does not answer: ")


def test_a_pace_of_the_live_market_is_refused_by_the_exchange_alone_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thunes", "exchange", "--source", "live", "--speed", "2", "--home", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), check=False, timeout=PATIENCE_S
    )

    assert (done.returncode, done.stderr) == (2, "--speed: the live market has a pace of its own; leave it out.\n")


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path / "venue", "--speed", "60") as running:
        yield running


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """Of a system on paper that trades on every candle."""
    config = tmp_path / "busy.toml"
    config.write_text(CONFIG)
    return ["--venue", "paper", "--config", str(config), "--strategy", BUSY]


def filled(home: Path) -> int:
    return sum(1 for event in events(home) if event.event == "ORDER_FILLED")


def trades_on_both_sides(home: Path, times: int) -> bool:
    sides = [event.side for event in events(home) if event.event == "ORDER_FILLED"]
    return min(sides.count("BUY"), sides.count("SELL")) >= times


@pytest.mark.slow
def test_a_run_ends_well_the_next_goes_on_where_it_was_and_all_books_agree(
    tmp_path: Path, venue: Exchange, flags: list[str]
) -> None:
    home = tmp_path / "home"
    for times in (1, 2):
        with thunes(home, *flags, env=towards(venue)) as system:
            wait_for(system.is_ready, PATIENCE_S, "readiness")
            status = system.status() or {}
            assert status["venue"] == "paper"
            assert all(stream["connected"] for stream in status["streams"].values())
            assert (system.run or {})["exchange"] != venue.ready["rest"]
            wait_for(lambda times=times: trades_on_both_sides(home, 3 * times), PATIENCE_S, "fills")
            assert system.stop() == 0, system.said()
            assert "chain verified" in system.said()
    assert_one_decision_each(events(home))
    with exchange(home, *following(venue)) as paper:
        assert_books_agree(home, paper.rest(), SYMBOLS)
    with thunes(home, "--venue", "sim") as system:
        assert system.process.wait(PATIENCE_S) == 2
        assert "holds another market" in system.said()


@pytest.mark.slow
def test_a_system_outlives_its_live_market_and_trades_again_when_it_is_back(tmp_path: Path, flags: list[str]) -> None:
    home = tmp_path / "home"
    with exchange(tmp_path / "venue", "--speed", "60") as first:
        port = first.ready["rest"].rsplit(":", 1)[1]
        with thunes(home, *flags, env=towards(first)) as system:
            wait_for(lambda: system.is_ready() and trades_on_both_sides(home, 1), PATIENCE_S, "fills")
            first.process.kill()
            first.process.wait(10)
            wait_for(lambda: "nothing trades until it is" in log_of(home), PATIENCE_S, "the closed market")
            with exchange(tmp_path / "venue", "--speed", "60", "--port", port):
                before = filled(home)
                wait_for(lambda: filled(home) >= before + 2, PATIENCE_S, "fills again")
                assert system.stop() == 0, system.said()
    assert_one_decision_each(events(home))


def log_of(home: Path) -> str:
    return (home / "logs" / "paper_trader.log").read_text()


@pytest.mark.slow
def test_a_hung_system_on_paper_is_killed_from_outside_and_its_orders_cancelled(
    tmp_path: Path, venue: Exchange, flags: list[str]
) -> None:
    home = tmp_path / "home"
    with thunes(home, *flags, env=towards(venue)) as system:
        wait_for(system.is_ready, PATIENCE_S, "readiness")
        os.kill(system.process.pid, signal.SIGSTOP)
        command = [sys.executable, "-m", "thunes", "kill", "--reason", "drill", "--home", str(home)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=clean_environment(), check=False, timeout=PATIENCE_S
        )
        os.kill(system.process.pid, signal.SIGCONT)
        assert (home / "data" / "KILL").exists()
        assert "open at the venue" in done.stdout + done.stderr or "Cancelled" in done.stdout + done.stderr
        assert system.stop() == 0, system.said()
