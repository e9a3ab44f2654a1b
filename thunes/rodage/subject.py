"""The system that is drilled: processes of its own on the embedded exchange, in a home that is thrown away."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from thunes.errors import ThunesError
from thunes.rodage import flood
from thunes.storage.home import Home
from thunes.venue import Endpoints, credentials

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
SETTINGS = """
[risk]
max_daily_loss = 1000000
max_drawdown = 1
max_positions = 100
max_exposure = 1000000
max_orders_per_minute = 1000000
cool_down = 0
price_collar = 0.5
[breaker]
fail_max = 1000
[exchange]
timeout = 2
[simulator]
balance = 1000000
fee = 0
order_limit = 100000
latency = {latency}
"""
READY_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 60.0, 10.0, 15.0
LOOK_SECONDS = 0.01
REFUSED = re.compile(r'^thunes_risk_decisions_total\{outcome="rejected",reason="KILL_SWITCH"\} (\S+)$', re.MULTILINE)


class DrillFailed(ThunesError):
    """The drill could not be held; the message says what did not come about."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A running system under flood."""

    home: Home
    process: Process
    session: ClientSession
    api: str
    metrics: str
    exchange: Endpoints

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        async with self.session.post(self.api + path, json=body) as response:
            if response.status >= 400:
                raise DrillFailed(f"{path} was answered with {response.status}: {await response.text()}")

    async def status(self) -> dict[str, Any]:
        async with self.session.get(f"{self.api}/api/status") as response:
            return dict(await response.json())

    async def refused(self) -> int:
        """Entries that risk has refused because of the kill switch."""
        async with self.session.get(self.metrics) as response:
            found = REFUSED.search(await response.text())
        return int(float(found[1])) if found else 0

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def kill(self, reason: str) -> None:
        await self.post("/api/kill", {"reason": reason})

    async def kill_from_outside(self, reason: str) -> None:
        """`thunes kill`, in a process of its own."""
        words = ("-m", "thunes", "kill", "--home", str(self.home.path), "--reason", reason, "--json")
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, stderr=PIPE)
        said, complained = await process.communicate()
        if process.returncode:
            raise DrillFailed(f"thunes kill failed: {(complained or said).decode().strip()}")


@asynccontextmanager
async def subject(folder: Path, latency: float) -> AsyncIterator[Subject]:
    """Start a system and give it once it trades; end it at the end, hung or not."""
    home = Home(folder / "home")
    config, output = folder / "drill.toml", folder / "output.txt"
    config.write_text(SETTINGS.format(latency=latency))
    words = ["-m", "thunes.supervisor", "--venue", "sim", "--home", str(home.path), "--config", str(config)]
    words += ["--strategy", str(flood.__file__), "--symbols", ",".join(SYMBOLS), "--log", "plain"]
    words += ["--metrics-port", "0", "--console-port", "0"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("THUNES_")}
    with output.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=DEVNULL, stdout=said, stderr=said, env=environ
        )
    try:
        async with ClientSession(timeout=ClientTimeout(ANSWER_SECONDS)) as session:
            yield await _ready(home, process, session, output)
    finally:
        await _end(process)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait for it; DrillFailed says what did not come."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError as error:
        raise DrillFailed(f"There was {what} for {seconds:g} s; the drill is given up.") from error


async def _ready(home: Home, process: Process, session: ClientSession, output: Path) -> Subject:
    found: list[Subject] = []

    async def trades() -> bool:
        if process.returncode is not None:
            raise DrillFailed(f"The system ended with {process.returncode}: {output.read_text()[-500:].strip()}")
        if not found and (made := _subject(home, process, session)) is not None:
            found.append(made)
        with suppress(ClientError):
            return bool(found) and bool((await found[0].status())["ready"])
        return False

    await until(trades, READY_SECONDS, "no system that is ready")
    return found[0]


def _subject(home: Home, process: Process, session: ClientSession) -> Subject | None:
    """The system, once it has said where it is."""
    run, token, exchange = home.read_run(), home.read_token(), credentials(home, {})
    if run is None or token is None or exchange is None or run["pid"] != process.pid:
        return None
    session.headers["Authorization"] = f"Bearer {token}"
    api, metrics = (f"http://127.0.0.1:{run[name]}" for name in ("console_port", "metrics_port"))
    return Subject(home, process, session, api, f"{metrics}/metrics", exchange)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
