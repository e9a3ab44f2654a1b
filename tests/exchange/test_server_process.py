"""The embedded exchange as a process: started, killed, started again, misused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import pytest
import requests
import websocket

from tests.exchange.conftest import START_MS, ScriptedSource, book, exchange_over, trade
from thunes.errors import SourceError
from thunes.exchange.simulator.embedded import Options
from thunes.exchange.simulator.process import watch_source
from thunes.messages import MarketEvent

TIMEOUT_S = 20.0
MINUTE = 60_000


@dataclass(frozen=True)
class Child:
    """A running exchange and what it said when it was ready."""

    process: subprocess.Popen[str]
    ready: dict[str, str]
    output: IO[str]

    def signed(self, method: str, path: str, **params: Any) -> Any:
        text = urlencode({"timestamp": int(time.time() * 1000), **params})
        secret = self.ready["api_secret"].encode()
        text += "&signature=" + hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        return self.request(method, f"{path}?{text}")

    def request(self, method: str, path: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"X-MBX-APIKEY": self.ready["api_key"]}
            return session.request(method, self.ready["rest"] + path, headers=headers, timeout=TIMEOUT_S).json()

    def closed_candles(self, count: int) -> list[dict[str, Any]]:
        url = f"{self.ready['stream']}/ws/btcusdt@kline_1m"
        connection = websocket.create_connection(url, timeout=TIMEOUT_S, http_no_proxy=["127.0.0.1"])
        found: list[dict[str, Any]] = []
        try:
            while len(found) < count:
                candle = json.loads(connection.recv())["k"]
                found += [candle] if candle["x"] else []
        finally:
            connection.shutdown()
        return found


def command(home: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "thunes.exchange.simulator", "--home", str(home), *flags]


@contextmanager
def child(home: Path, *flags: str) -> Iterator[Child]:
    """Runs until the block ends; what is still running then is killed."""
    process = subprocess.Popen(
        command(home, "--ready-json", *flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Child(process, json.loads(line), process.stdout)
    finally:
        process.kill()
        process.communicate()


def refused(home: Path, *flags: str) -> tuple[int, str]:
    """Exit status and standard error of an exchange that does not start."""
    done = subprocess.run(command(home, *flags), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_killed_exchange_goes_on_where_it_was(tmp_path: Path) -> None:
    symbol = {"symbol": "BTCUSDT"}

    def state(running: Child) -> list[Any]:
        return [
            running.signed("GET", "/api/v3/account")["balances"],
            running.signed("GET", "/api/v3/allOrders", **symbol),
            running.signed("GET", "/api/v3/myTrades", **symbol),
        ]

    order = {**symbol, "side": "BUY", "quantity": "0.01"}
    with child(tmp_path, "--speed", "600") as first:
        seen = first.closed_candles(2)
        assert first.signed("POST", "/api/v3/order", **order, type="MARKET")["status"] == "FILLED"
        resting = {**order, "type": "LIMIT", "timeInForce": "GTC", "price": "20000"}
        assert first.signed("POST", "/api/v3/order", **resting)["status"] == "NEW"
        before = state(first)
        seen += first.closed_candles(3)
        first.process.send_signal(signal.SIGKILL)
        assert first.process.wait(TIMEOUT_S) == -signal.SIGKILL
    with child(tmp_path, "--speed", "600") as second:
        assert (second.ready["api_key"], second.ready["api_secret"]) == (
            first.ready["api_key"],
            first.ready["api_secret"],
        )
        assert state(second) == before
        after = second.closed_candles(2)
        rows = second.request("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000")
    assert after[0]["t"] > seen[-1]["t"]
    assert [b[0] - a[0] for a, b in pairwise(rows)] == [MINUTE] * (len(rows) - 1)
    served = {row[0]: [row[1], row[4], row[5], row[8]] for row in rows}
    for candle in seen + after:
        assert served[candle["t"]] == [candle["o"], candle["c"], candle["v"], candle["n"]]


def test_a_signal_ends_it_in_order_and_no_key_is_in_its_log(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with child(tmp_path) as running:
            running.signed("GET", "/api/v3/account")
            running.request("GET", f"/api/v3/{running.ready['api_secret']}")
            running.process.send_signal(number)
            _, log = running.process.communicate(timeout=TIMEOUT_S)
        assert running.process.returncode == 0
        assert running.ready["api_key"] not in log
        assert running.ready["api_secret"] not in log


def test_it_ends_with_its_parent_when_told_to(tmp_path: Path) -> None:
    with child(tmp_path, "--parent") as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.process.stdin = None
        assert running.process.wait(TIMEOUT_S) == 0


def test_without_json_the_urls_are_printed_for_people(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(5)]
        process.terminate()
    assert [name for name, _ in lines] == ["rest", "stream", "ws_api", "api_key", "api_secret"]
    assert lines[0][1].startswith("http://127.0.0.1:")


def kline_file(folder: Path, rows: int) -> Path:
    path = folder / "BTCUSDT-1m-2024-01.csv"
    start = 1_704_067_200_000
    figures = "1.5,{close},63000,9,0.7,29400,0"
    lines = [
        f"{at},{42_000 + n},{42_010 + n},{41_990 + n},{42_005 + n}," + figures.format(close=at + MINUTE - 1)
        for n, at in enumerate(range(start, start + rows * MINUTE, MINUTE))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_end_of_the_source_is_told_and_the_exchange_goes_on_serving(tmp_path: Path) -> None:
    source = kline_file(tmp_path, 3)
    flags = ("--symbols", "BTCUSDT", "--source", str(source), "--speed", "100000")
    with child(tmp_path / "home", *flags) as running:
        assert json.loads(running.output.readline()) == {"event": "source_ended"}
        assert running.request("GET", "/api/v3/ping") == {}
        rows = running.request("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1m")
    assert [row[4] for row in rows[:3]] == ["42005.00000000", "42006.00000000", "42007.00000000"]


def test_a_malformed_source_is_refused_by_file_and_row(tmp_path: Path) -> None:
    source = kline_file(tmp_path, 3)
    source.write_text(source.read_text() + "rubbish\n")
    status, error = refused(tmp_path / "home", "--symbols", "BTCUSDT", "--source", str(source), "--speed", "100000")
    assert status == 2
    assert source.name in error
    assert "4" in error


class Breaking(ScriptedSource):
    """A source that goes bad after its first event."""

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        yield from super().play(checkpoint)
        raise SourceError("frames.jsonl: row 2 is torn")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_source_that_goes_bad_while_it_plays_is_told_and_serving_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    options = Options(home=tmp_path, source="script", symbols=("BTCUSDT",), speed=1.0)
    with exchange_over(Breaking([book(), trade(1, "30000", "1", START_MS + 5)]), options) as exchange:
        watching = watch_source(exchange.running, as_json)
        asyncio.run_coroutine_threadsafe(watching, exchange.loop).result(TIMEOUT_S)
        assert exchange.public("/api/v3/ping") == {}
    said = capsys.readouterr().out.splitlines()[-1]
    failure = '{"event":"source_failed","error":"frames.jsonl: row 2 is torn"}'
    assert said == (failure if as_json else "source failed: frames.jsonl: row 2 is torn")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, error = refused(tmp_path, "--port", str(port))
    assert (status, error.count("\n")) == (1, 1)
    assert str(port) in error


def test_another_seed_on_the_same_home_is_refused(tmp_path: Path) -> None:
    with child(tmp_path):
        pass
    status, error = refused(tmp_path, "--seed", "2")
    assert (status, error.count("\n")) == (2, 1)
    assert "another --home" in error


def test_a_second_exchange_on_the_same_home_is_refused_and_the_first_named(tmp_path: Path) -> None:
    with child(tmp_path) as running:
        status, error = refused(tmp_path)
    assert status == 2
    assert str(running.process.pid) in error


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--port", "abc"), "--port"),
        (("--port", "70000"), "--port"),
        (("--speed", "-1"), "--speed"),
        (("--speed", "nan"), "--speed"),
        (("--fee", "1.5"), "--fee"),
        (("--balance", "x"), "--balance"),
        (("--symbols", ","), "--symbols"),
        (("--symbols", "BTCUSDT,NOPE"), "NOPE"),
        (("--source", "/nowhere/at/all"), "/nowhere/at/all"),
        (("--what",), "--what"),
    ],
)
def test_a_bad_command_line_is_refused_and_nothing_is_written(
    tmp_path: Path, flags: tuple[str, ...], named: str
) -> None:
    status, error = refused(tmp_path / "home", *flags)
    assert status == 2
    assert named in error
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, error = refused(tmp_path / "file")
    assert status == 2
    assert f"{tmp_path / 'file'}{os.sep}data" in error
