"""A long run under random faults: `python -m tests.e2e.soak --minutes 40 --seed 1` prints what happened.

One exchange and one THUNES, each in a process of its own, at 60-fold speed. Faults come at moments drawn from the seed,
and so do the deaths of either process. At the end everything has to be in step: exit 0, books that agree to the last
digit, a chain that verifies, one decision for each intent, one end for each approval, no order twice.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.e2e.matrix.agreement import assert_in_step
from tests.e2e.matrix.bench import until
from tests.e2e.matrix.control import Control
from tests.e2e.matrix.journal import Follower
from tests.e2e.soak_faults import KILL_EXCHANGE, KILL_THUNES, drawn
from tests.e2e.support import Exchange, Thunes, clean_environment, exchange, thunes
from thunes.control.client import RunningSystem
from thunes.domain.books import FILLS
from thunes.storage.home import Home

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SPEED = 60
CONFIG = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
max_drawdown = 1
[breaker]
reset_timeout = 5
[exchange]
timeout = 3
[stream]
watchdog = 5
"""
COUNTED = (
    "TRADE_APPROVED",
    "TRADE_REJECTED",
    "ORDER_UNKNOWN",
    "ORDER_RESOLVED",
    "RECONCILIATION_MISMATCH",
    "STREAM_DISCONNECTED",
    "STREAM_GAP",
    "STREAM_STALE",
    "CIRCUIT_OPENED",
    "SYSTEM_STARTED",
)


@dataclass
class Soak:
    """`every` is the mean number of wall seconds between two faults."""

    folder: Path
    seconds: float
    seed: int
    every: float
    quiet: bool = False
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)
        self.home = self.folder / "home"
        self.venue_stack, self.system_stack = ExitStack(), ExitStack()
        self.port = free_port()
        (self.folder / "config.toml").write_text(CONFIG)

    def run(self) -> str:
        """The summary; an assertion where anything is not in step at the end."""
        began = time.monotonic()
        with self.venue_stack, self.system_stack:
            self.open_exchange()
            self.start()
            until(self.system.is_ready, 120, "readiness")
            while (left := self.seconds - (time.monotonic() - began)) > 0:
                self.go_on(min(left, self.chance.expovariate(1 / self.every)))
                if time.monotonic() - began < self.seconds:
                    self.strike(time.monotonic() - began)
            self.settle()
            assert self.system.stop() == 0, self.system.said()
            books = assert_in_step(self.home, self.venue.rest(), SYMBOLS)
        gain = books.balances["USDT"] - (books.opening or books.balances)["USDT"]
        return self.summary(time.monotonic() - began) + f"\nin step at the end; the account changed by {gain} USDT"

    def open_exchange(self) -> None:
        flags = ("--port", str(self.port), "--seed", str(self.seed), "--speed", str(SPEED), "--control-port", "0")
        self.venue: Exchange = self.venue_stack.enter_context(exchange(self.folder / "exchange", *flags))
        self.control = Control(self.venue.ready["control"])

    def start(self) -> None:
        ready = self.venue.ready
        env = clean_environment(
            THUNES_API_KEY=ready["api_key"],
            THUNES_API_SECRET=ready["api_secret"],
            THUNES_EXCHANGE__REST_URL=ready["rest"],
            THUNES_EXCHANGE__STREAM_URL=ready["stream"],
            THUNES_EXCHANGE__WS_API_URL=ready["ws_api"],
        )
        strategy, config = str(Path(__file__).with_name("lively.py")), str(self.folder / "config.toml")
        flags = ("--venue", "testnet", "--config", config, "--strategy", strategy)
        self.system: Thunes = self.system_stack.enter_context(thunes(self.home, *flags, env=env))

    def go_on(self, seconds: float) -> None:
        """Let it trade for so long, and see that it does not give up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            assert self.system.process.poll() is None, self.system.said()
            threading.Event().wait(min(left, 1.0))

    def strike(self, after: float) -> None:
        name, details = drawn(self.chance, SYMBOLS)
        self.seen[name] += 1
        self.say(f"{after:7.1f} s  {name} {' '.join(f'{key}={value}' for key, value in details.items())}")
        if name == KILL_THUNES:
            self.system.kill()
            self.system_stack.close()
            self.start()
        elif name == KILL_EXCHANGE:
            self.venue.process.kill()
            self.venue_stack.close()
            self.open_exchange()
        else:
            self.control.add(name, **details)

    def settle(self) -> None:
        """No more faults; what is held is sold, and every order ends."""
        self.control.clear()
        self.control.add("clock", offset_ms=0)
        until(self.system.is_ready, 120, "readiness after the faults")
        RunningSystem(Home(self.home)).post("/api/kill", {"reason": "the end of the soak", "flatten": True})
        journal = Follower(self.home / "logs")
        until(lambda: all(map(journal.is_flat, SYMBOLS)), 120, "an end of all orders and positions")

    def summary(self, seconds: float) -> str:
        lines = Follower(self.home / "logs").events()
        counts = Counter(line.event for line in lines)
        fills = sum(count for name, count in counts.items() if name in FILLS)
        found = Counter(e.metadata["found"] for e in lines if e.event == "ORDER_RESOLVED")
        told = [f"seed {self.seed}: {seconds:.0f} s, {sum(self.seen.values())} faults, {len(lines)} journal lines"]
        told.append("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(self.seen.items())))
        told.append("events: " + ", ".join(f"{name} {counts[name]}" for name in COUNTED) + f", fills {fills}")
        told.append(f"unknown orders that were there: {found[True]}, that were not: {found[False]}")
        return "\n".join(told)

    def say(self, line: str) -> None:
        if not self.quiet:
            print(line, flush=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40.0, metavar="N", help="wall time under faults")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the market and of the faults")
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="mean seconds between two faults")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave everything there that the run wrote")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        print(Soak(place, given.minutes * 60, given.seed, given.every).run())


if __name__ == "__main__":
    main()
