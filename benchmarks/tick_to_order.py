"""Tick on the wire to order on the wire: THUNES with everything on, against the bare loop, interleaved."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wire import Wire

HERE = Path(__file__).parent
SPEED = "20"
"""A tick each 30 ms or so: an order is over well before the next."""

UNHINDERED = {
    "THUNES_RISK__COOL_DOWN": "0",
    "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "1000000",
    "THUNES_RISK__MAX_DAILY_LOSS": "9000",
}


@dataclass(frozen=True)
class Figures:
    p50_us: float
    p99_us: float
    count: int


def figures(latencies_ns: list[int]) -> Figures:
    ordered = sorted(latencies_ns)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Figures(statistics.median(ordered) / 1e3, p99 / 1e3, len(ordered))


def measure(rounds: int, orders: int) -> dict[str, Figures]:
    """`rounds` of `orders` orders each of both clients in turn."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), rounds, orders))


async def _measure(folder: Path, rounds: int, orders: int) -> dict[str, Figures]:
    found: dict[str, list[int]] = {"thunes": [], "bare loop": []}
    for number in range(rounds):
        for client, latencies in found.items():
            print(f"\rround {number + 1} of {rounds}: {client:<12}", end="", file=sys.stderr, flush=True)
            with exchange(Path(tempfile.mkdtemp(dir=folder))) as ready:
                latencies += await _round(client, ready, folder, orders)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return {client: figures(latencies) for client, latencies in found.items()}


@contextmanager
def exchange(home: Path) -> Iterator[dict[str, Any]]:
    """An exchange for one round, which answers at once: THUNES refuses an account that another has just traded on."""
    command = [sys.executable, "-m", "thunes.exchange.simulator", "--home", str(home), "--latency", "0"]
    command += ["--ready-json", "--parent", "--speed", SPEED, "--symbols", "BTCUSDT"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


async def _round(client: str, ready: dict[str, Any], folder: Path, orders: int) -> list[int]:
    wire = Wire(ready["rest"], ready["stream"])
    await wire.start()
    process = _start(client, ready, wire, folder)
    warm_up = 20
    try:
        while len(wire.latencies_ns) < orders + warm_up:
            if process.poll() is not None:
                raise RuntimeError(f"{client} ended with {process.returncode}")
            await asyncio.sleep(0.05)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 15)
        wire.stop()
    return wire.latencies_ns[warm_up : warm_up + orders]


def _start(client: str, ready: dict[str, Any], wire: Wire, folder: Path) -> subprocess.Popen[bytes]:
    rest, stream = f"http://127.0.0.1:{wire.ports['rest']}", f"ws://127.0.0.1:{wire.ports['stream']}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if client == "bare loop":
        script = str(HERE / "bare_loop.py")
        return subprocess.Popen([sys.executable, script, rest, stream, ready["api_key"], ready["api_secret"]], **quiet)
    environment = {
        **os.environ,
        **UNHINDERED,
        "THUNES_API_KEY": ready["api_key"],
        "THUNES_API_SECRET": ready["api_secret"],
        "THUNES_EXCHANGE__REST_URL": rest,
        "THUNES_EXCHANGE__STREAM_URL": stream,
        "THUNES_EXCHANGE__WS_API_URL": ready["ws_api"],
    }
    home = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "thunes.supervisor", "--venue", "testnet", "--symbols", "BTCUSDT", "--home", home]
    command += ["--strategy", str(HERE / "always.py"), "--metrics-port", "0", "--console-port", "0", "--log", "plain"]
    return subprocess.Popen(command, env=environment, **quiet)
