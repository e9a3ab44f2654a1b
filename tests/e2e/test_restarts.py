"""Each actor of the real system dies in turn while it trades: it goes on, says so, and its books stay right."""

from __future__ import annotations

import gc
import json
import logging
import signal
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.tree import tree
from tests.e2e.support import (
    assert_books_agree,
    assert_one_decision_each,
    clean_environment,
    events,
    exchange,
    wait_for,
)
from thunes.settings import load
from thunes.storage.home import Home
from thunes.supervisor import System

SYMBOLS = ("BTCUSDT", "ETHUSDT")
ACTORS = tuple(spec.name for spec in tree(SYMBOLS).children)

LIVELY = '''
from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy


class Lively(Strategy):
    """Buys when it holds nothing and sells when it does, on every fifth tick."""

    name = "lively"
    warmup = 1
    ticks = 0

    def on_candle(self, candle: Candle, holding: Holding | None) -> None:
        self.candles += 1

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        self.ticks += 1
        if self.ticks % 5:
            return None
        return Intent(Side.BUY, "FLAT") if holding is None else Intent(Side.SELL, "HOLDING")
'''


class Poison:
    """Something that no actor understands."""


@pytest.fixture
def litter() -> Iterator[None]:
    """What the exchange's client library leaves open, and the end of a process would close, is dropped unsaid here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def signals_and_logging_as_before() -> Iterator[None]:
    """A system takes both for the whole process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    root = logging.getLogger()
    handlers, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.raiseExceptions = raises


@contextmanager
def system(home: Path, strategy: Path) -> Iterator[System]:
    """The whole system in this process, with an exchange in another; told to stop at the end."""
    environ = {
        "THUNES_RISK__COOL_DOWN": "0",
        "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "10000",
        "THUNES_RISK__MAX_DAILY_LOSS": "5000",
    }
    flags = {"symbols": ",".join(SYMBOLS), "strategy": str(strategy), "metrics_port": 0, "console_port": 0}
    settings, place = load(environ=environ, flags=flags), Home(home)
    place.prepare()
    with signals_and_logging_as_before(), place.lock():
        alive = System(settings, place, "plain")
        try:
            alive.start()
            yield alive
        finally:
            alive.asked.stop = alive.asked.stop or "the test is over"
            alive.wait()
            alive.close()


def get(home: Path, path: str, port: str) -> str:
    run = Home(home).read_run()
    assert run is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{run[port]}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def status(home: Path) -> dict[str, Any]:
    """What `thunes status --json` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "thunes", "status", "--json", "--home", str(home)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def restarts(home: Path) -> dict[str, int]:
    """Restarts as Prometheus is told of them."""
    lines = get(home, "/metrics", "metrics_port").splitlines()
    start = 'thunes_actor_restarts_total{actor="'
    told = [line.removeprefix(start).split('"} ') for line in lines if line.startswith(start)]
    return {name: int(float(value)) for name, value in told if name != "supervisor"}


@pytest.mark.slow
@pytest.mark.usefixtures("litter")
def test_every_actor_dies_in_turn_while_the_system_trades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # More die here within half a minute than a system would bear for long.
    monkeypatch.setattr("thunes.supervisor.tree", lambda symbols: tree(symbols).with_patience(100))
    home, strategy = tmp_path / "home", tmp_path / "lively.py"
    strategy.write_text(LIVELY)

    def trades() -> dict[str, int]:
        lines = [e for e in events(home) if e.event == "ORDER_FILLED"]
        return {symbol: sum(1 for line in lines if line.symbol == symbol) for symbol in SYMBOLS}

    def more_than(before: dict[str, int], by: int) -> bool:
        now = trades()
        return all(now[symbol] >= before[symbol] + by for symbol in SYMBOLS)

    with system(home, strategy) as alive:
        wait_for(lambda: alive.figures().ready, what="readiness")
        wait_for(lambda: more_than(dict.fromkeys(SYMBOLS, 0), 2), what="a trade of each symbol")
        for dead, name in enumerate(ACTORS, 1):
            alive.post.tell(name, Poison())
            expected = {other: int(place < dead) for place, other in enumerate(ACTORS)}
            wait_for(lambda expected=expected: restarts(home) == expected, what=f"the restart of {name}")  # type: ignore[misc]
            wait_for(lambda: alive.figures().ready, what=f"readiness after the death of {name}")
            before = trades()
            wait_for(lambda before=before: more_than(before, 2), what=f"trades after the death of {name}")  # type: ignore[misc]
        said = status(home)
        assert said["ready"]
        assert not said["kill_switch"]["active"]
        told = {actor["name"]: (actor["state"], actor["restarts"]) for actor in said["actors"]}
        assert told == {"supervisor": ("running", 0), **dict.fromkeys(ACTORS, ("running", 1))}
        alive.asked.stop = "the test is over"
        assert alive.wait() == 0
        alive.close()
        assert alive.report() == 0
    lines = events(home)
    assert [e.metadata["actor"] for e in lines if e.event == "ACTOR_RESTARTED"] == list(ACTORS)
    lost = [e.metadata for e in lines if e.event == "DEAD_LETTER"]
    assert [meta["actor"] for meta in lost] == list(ACTORS)
    assert all("Poison object" in meta["message"] for meta in lost)
    assert_one_decision_each(lines)
    with exchange(home, "--speed", "60") as venue:
        assert_books_agree(home, venue.rest(), SYMBOLS)
    assert not (home / "data" / "KILL").exists()
