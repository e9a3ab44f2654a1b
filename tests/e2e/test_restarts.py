"""The running system, over sockets to the embedded exchange, while each of its actors dies in turn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Shutdown
from tests.e2e.support import assert_books_agree, wait_for
from thunes.settings import load
from thunes.storage.home import Home
from thunes.supervisor import System

pytestmark = pytest.mark.slow

LIVELY = """
from thunes.messages import Intent, Side
from thunes.strategies.base import Strategy


class Lively(Strategy):
    name, warmup, ticks = "lively", 0, 0

    def on_candle(self, candle, holding):
        self.candles += 1

    def on_tick(self, tick, holding):
        self.ticks += 1
        if self.ticks % 5 == 0:
            return Intent(Side.BUY if holding is None else Side.SELL, "LIVELY")
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    strategy = tmp_path / "lively.py"
    strategy.write_text(LIVELY)
    flags = {"strategy": str(strategy), "metrics_port": "0", "console_port": "0", "speed": "20", "log": "plain"}
    environ = {"THUNES_RISK__MAX_ORDERS_PER_MINUTE": "100000", "THUNES_RISK__MAX_DAILY_LOSS": "5000"}
    settings = load(environ={**environ, "THUNES_RISK__COOL_DOWN": "0"}, flags=flags)
    home = Home(tmp_path / "home")
    home.prepare()
    with home.lock():
        made = System(settings, home, "plain")
        try:
            made.start()
            assert made.ready.wait(20)
            yield made
        finally:
            made.close()


def fills(system: System) -> int:
    trading = system.figures().trading
    return trading.fills if trading is not None else 0


def restarts(metrics: str) -> dict[str, float]:
    found = re.findall(r'^thunes_actor_restarts_total\{actor="([^"]+)"\} (\S+)$', metrics, re.MULTILINE)
    return {name: float(count) for name, count in found}


def status(home: Path) -> Any:
    command = [sys.executable, "-m", "thunes.cli", "status", "--json", "--home", str(home)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.timeout(180)
def test_trading_goes_on_while_each_actor_dies_in_turn_and_every_restart_shows(system: System) -> None:
    names = [name for name in system.post.boxes if name != "supervisor"]
    wait_for(lambda: fills(system) > 4, 30, "trades")
    # One at a time, and in two halves: eight within half a minute are more than the tree bears.
    for number, name in enumerate(names):
        if number == 7:
            waited = system.clock.monotonic_ns() + 31 * 10**9
            wait_for(lambda until=waited: system.clock.monotonic_ns() > until, 40, "another half minute")  # type: ignore[misc]
        system.post.tell(name, "a message that nobody understands")
        wait_for(
            lambda n=name: system.world.board.figures["supervisor"][n] == ("running", 1),  # type: ignore[misc]
            20,
            f"the replacement of {name}",
        )
        # MetricsActor counts anew, so what grew is looked at from here on.
        before = fills(system)
        wait_for(lambda b=before: fills(system) > b + 1, 30, f"trades after {name}")  # type: ignore[misc]
    port = system.home.read_run() or {}
    with urllib.request.urlopen(f"http://127.0.0.1:{port['metrics_port']}/metrics") as answer:
        shown = restarts(answer.read().decode())
    assert {name: shown[name] for name in names} == dict.fromkeys(names, 1.0)
    assert {row["name"]: row["restarts"] for row in status(system.home.path)["actors"] if row["name"] in names} == (
        dict.fromkeys(names, 1)
    )
    system.post.tell("supervisor", Shutdown())
    assert system.ended.wait(10)
    assert system.ended.value == ""
    assert_books_agree(system.home.path, system.rest, system.symbols)
