"""The venue a system trades on: its addresses and keys, and, for `sim` and `paper`, the embedded exchange's process."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thunes.errors import OperatorError, SettingsError, ThunesError
from thunes.sections import Exchange
from thunes.settings import Keys, Settings, load_keys
from thunes.storage.home import Home

log = logging.getLogger(__name__)

Spawn = Callable[[str, Callable[[], None]], None]

READY_SECONDS = 30.0
EMBEDDED = ("sim", "paper")
"""Venues whose orders go to the embedded exchange."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a venue is, and as whom to call it. The keys are kept out of every text."""

    rest: str
    stream: str
    ws_api: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)


PUBLIC: dict[str, tuple[str, str, str]] = {
    "testnet": (
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
    ),
    "demo": (
        "https://demo-api.binance.com",
        "wss://demo-stream.binance.com",
        "wss://demo-ws-api.binance.com/ws-api/v3",
    ),
    "live": (
        "https://api.binance.com",
        "wss://stream.binance.com:9443",
        "wss://ws-api.binance.com/ws-api/v3",
    ),
}


class ReadySignal(Protocol):
    """Set once, waited for (`actors.runtime.threads.Signal`)."""

    @property
    def value(self) -> object: ...
    def set(self, value: object = None) -> None: ...
    def wait(self, seconds: float | None = None) -> bool: ...


class EmbeddedExchange:
    """The embedded exchange as a process of its own: started, watched, started again where it was.

    It ends when its standard input does, so it never outlives us, however we end. `on_event` is called from the reading
    thread with `source_ended` and `source_failed`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        spawn: Spawn,
        make_signal: Callable[[], ReadySignal],
        on_event: Callable[[str, str], None],
    ) -> None:
        self._arguments = list(arguments)
        self._spawn = spawn
        self._make_signal = make_signal
        self._on_event = on_event
        self._words: list[str] = []
        """What it said on standard error before it listened."""
        self._listening = False
        self._process: subprocess.Popen[bytes] | None = None
        self._port = "0"
        self._stopping = False
        self.restarts = 0

    def start(self) -> Endpoints:
        """Start the process and wait until it listens. Raises OperatorError in the exchange's own words."""
        command = [sys.executable, "-m", "thunes.exchange.simulator", *self._arguments]
        command += ["--parent", "--ready-json", "--port", self._port]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self._process = process
        ready = self._make_signal()
        self._spawn("exchange.errors", lambda: self._listen(process))
        self._spawn("exchange.output", lambda: self._read(process, ready))
        if not ready.wait(READY_SECONDS):
            self.stop()
            raise ThunesError("The embedded exchange did not come up in time; see logs/paper_trader.log.")
        endpoints = ready.value
        if not isinstance(endpoints, Endpoints):
            status = process.wait(5)
            error = OperatorError if status == 2 else ThunesError
            *before, last = self._words or [f"The embedded exchange ended with status {status} before it listened."]
            for line in before:
                log.error("exchange: %s", line)
            raise error(last)
        self._listening = True
        self._port = endpoints.rest.rsplit(":", 1)[1]
        return endpoints

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def revive(self) -> None:
        """Start it again on the same port if it died; its database has its place in the market."""
        if self._stopping or self.alive():
            return
        self.restarts += 1
        log.error("The embedded exchange ended by itself; starting it again where it was.")
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def stop(self, seconds: float = 3.0) -> None:
        """Close its standard input, which ends it; kill it when that takes too long."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(seconds)
        except (subprocess.TimeoutExpired, OSError):
            process.kill()
            process.wait(seconds)

    def _read(self, process: subprocess.Popen[bytes], ready: ReadySignal) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                try:
                    said = json.loads(line)
                except ValueError:
                    log.info("exchange: %s", line.decode(errors="replace").rstrip())
                    continue
                if said.get("event") == "ready":
                    if "control" in said:
                        log.info("exchange: faults can be armed at %s", said["control"])
                    if "metrics" in said:
                        log.info("exchange: its metrics are at %s", said["metrics"])
                    names = ("rest", "stream", "ws_api", "api_key", "api_secret")
                    ready.set(Endpoints(*(said[name] for name in names)))
                else:
                    self._on_event(str(said.get("event")), str(said.get("error", "")))
        ready.set()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                said = line.decode(errors="replace").rstrip()
                if self._listening:
                    log.warning("exchange: %s", said)
                else:
                    self._words.append(said)


def market_arguments(settings: Settings) -> dict[str, object]:
    """The flags by which the embedded exchange is told its market: a played one of `sim`, the live one of `paper`."""
    run, other = settings.run, settings.exchange
    if run.venue == "paper":
        addresses = {"--live-rest": other.rest_url, "--live-stream": other.stream_url}
        return {"--source": "live", **{flag: url for flag, url in addresses.items() if url}}
    trend = settings.simulator.trend
    return {"--source": run.source, "--seed": run.seed, "--speed": settings.speed, "--trend": trend}


def exchange_arguments(settings: Settings) -> list[str]:
    """All that the embedded exchange is told of the settings, as flags."""
    simulator = settings.simulator
    given = {
        "--symbols": ",".join(settings.run.symbols),
        "--balance": simulator.balance,
        "--fee": simulator.fee,
        "--maker-fee": simulator.maker_fee,
        "--taker-fee": simulator.taker_fee,
        "--queue-ahead": simulator.queue_ahead,
        "--order-limit": simulator.order_limit,
        "--latency": simulator.latency,
        "--latency-spread": simulator.latency_spread,
        "--fault-rate": simulator.fault_rate,
        "--fault-seed": simulator.fault_seed,
        "--control-port": simulator.control_port,
        "--metrics-port": simulator.metrics_port,
        **market_arguments(settings),
    }
    said = [(flag, value) for flag, value in given.items() if value is not None]
    said += [("--fault", each) for each in simulator.faults]
    return [str(word) for pair in said for word in pair]


def public_endpoints(venue: str, other: Exchange, keys: Keys) -> Endpoints:
    """The exchange's own addresses of `testnet` and `demo`, or those that the settings give instead."""
    rest, stream, ws_api = PUBLIC[venue]
    key, secret = keys.api_key.get_secret_value(), keys.api_secret.get_secret_value()
    return Endpoints(other.rest_url or rest, other.stream_url or stream, other.ws_api_url or ws_api, key, secret)


def credentials(home: Home, environ: Mapping[str, str]) -> Endpoints | None:
    """Venue and keys of a home whose system may not answer; None where they are not known.

    The embedded exchange's keys are in its database, the others' in the environment.
    """
    run = home.read_run() or {}
    venue = str(run.get("venue", ""))
    if venue in PUBLIC:
        try:
            keys = load_keys(environ)
        except SettingsError:
            return None
        rest = str(run.get("exchange", "")) or PUBLIC[venue][0]
        return Endpoints(rest, "", "", keys.api_key.get_secret_value(), keys.api_secret.get_secret_value())
    if venue not in EMBEDDED or not home.exchange_database.exists():
        return None
    database = sqlite3.connect(f"file:{home.exchange_database}?mode=ro", uri=True, timeout=1.0)
    try:
        row = database.execute("SELECT api_key, api_secret FROM account LIMIT 1").fetchone()
    except sqlite3.Error:
        return None
    finally:
        database.close()
    return Endpoints(str(run.get("exchange", "")), "", "", *row) if row else None
