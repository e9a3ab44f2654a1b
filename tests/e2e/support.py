"""Whole processes under test: starting them, waiting for them, and comparing all three sides of the books."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from thunes.domain.books import Books, let_go
from thunes.domain.journal import AuditEvent
from thunes.exchange.binance import BinanceRest
from thunes.storage.books import BooksStore
from thunes.storage.home import Home
from thunes.storage.segments import read_events, verify

SHARED = Path(__file__).parents[3] / "shared" / "data"


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, what: str = "a condition") -> Any:
    """The condition's first true value; an assertion that names it when it does not come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.002)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


def clean_environment(**extra: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("THUNES_")}, **extra}


@dataclass
class Thunes:
    """A system in a process of its own."""

    home: Path
    process: subprocess.Popen[str]
    output: Path

    @property
    def run(self) -> dict[str, Any] | None:
        found = Home(self.home).read_run()
        return found if found is not None and found["pid"] == self.process.pid else None

    def status(self) -> dict[str, Any] | None:
        run, token = self.run, Home(self.home).read_token()
        if run is None or token is None:
            return None
        request = urllib.request.Request(
            f"http://127.0.0.1:{run['console_port']}/api/status", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return dict(json.load(answer))
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def is_ready(self) -> bool:
        status = self.status()
        assert self.process.poll() is None, self.said()
        return bool(status and status["ready"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds: float = 15) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def said(self) -> str:
        return self.output.read_text()


@contextmanager
def thunes(home: Path, *flags: str, env: dict[str, str] | None = None, preexec: Any = None) -> Iterator[Thunes]:
    """`python -m thunes.supervisor` on free ports; killed at the end if it still runs."""
    home.mkdir(parents=True, exist_ok=True)
    output = home / "output.txt"
    command = [sys.executable, "-m", "thunes.supervisor", "--home", str(home)]
    command += ["--metrics-port", "0", "--console-port", "0", "--log", "plain", *flags]
    with output.open("w") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            env=env or clean_environment(),
            preexec_fn=preexec,
        )
    try:
        yield Thunes(home, process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


@dataclass
class Exchange:
    """The embedded exchange in a process of its own."""

    process: subprocess.Popen[str]
    ready: dict[str, str]

    def rest(self) -> BinanceRest:
        rest = BinanceRest(
            self.ready["rest"],
            self.ready["api_key"],
            self.ready["api_secret"],
            timeout=5,
            wall_ms=lambda: time.time_ns() // 1_000_000,
        )
        rest.sync_clock()
        return rest


@contextmanager
def exchange(home: Path, *flags: str) -> Iterator[Exchange]:
    command = [
        sys.executable,
        "-m",
        "thunes.exchange.simulator",
        "--home",
        str(home),
        "--ready-json",
        "--parent",
        *flags,
    ]
    home.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Exchange(process, json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.stdout.close()


@dataclass
class Proxy:
    """A TCP proxy in front of the exchange's REST that can hold the next order's answer, or the order itself."""

    upstream: tuple[str, int]
    hold: str = ""
    """`answer`, `request` or nothing; taken back once something is held."""
    held: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def start(self) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        self.port = server.getsockname()[1]
        self._server = server
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.upstream) as server, suppress(OSError):
            while request := client.recv(65536):
                is_order = request.startswith(b"POST /api/v3/order")
                if is_order and b"\r\n\r\n" in request:
                    request = self._whole(client, request)
                if is_order and self.hold == "request":
                    self._hold(client)
                    return
                server.sendall(request)
                answer = self._whole(server, server.recv(65536))
                if is_order and self.hold == "answer":
                    self._hold(client)
                    return
                client.sendall(answer)

    def _hold(self, client: socket.socket) -> None:
        self.hold = ""
        self.held.set()
        with suppress(OSError):
            client.recv(1)  # until the other side is gone

    def _whole(self, side: socket.socket, data: bytes) -> bytes:
        while b"\r\n\r\n" not in data:
            data += side.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length")), 0
        )
        while len(body) < length:
            more = side.recv(65536)
            body, data = body + more, data + more
        return data


def folded(home: Path) -> Books:
    books = Books()
    for event in read_events(home / "logs"):
        books.apply(event)
    return books


def events(home: Path) -> list[AuditEvent]:
    return list(read_events(home / "logs"))


def assert_books_agree(home: Path, rest: BinanceRest, symbols: tuple[str, ...]) -> Books:
    """Database, journal and exchange say the same to the last digit, and no order is there twice or unasked for."""
    verify(home / "logs")
    fold = folded(home)
    store = BooksStore.at(home / "data" / "thunes.db")
    stored = store.load()
    store.close()
    assert stored == fold
    assert not [order for order in fold.orders.values() if not order.leg], "an approval has no end"
    account = {asset: free + locked for asset, (free, locked) in rest.account().items()}
    for asset, amount in fold.balances.items():
        assert account.get(asset, Decimal(0)) == amount, asset
    assert fold.opening is not None
    for symbol, position in fold.positions.items():
        base = symbol.removesuffix("USDT")
        assert position.quantity == account[base] - fold.opening[base], symbol
    allowed = {order.client_order_id for event in events(home) for order in let_go(event)}
    for symbol in symbols:
        sent = Counter(row["clientOrderId"] for row in rest._client.get_all_orders(symbol=symbol, limit=1000))
        assert [order for order, times in sent.items() if times > 1] == []
        assert set(sent) <= allowed
    resting = {order.client_order_id for order in rest.open_orders()}
    assert resting == {order.client_order_id for order in fold.orders.values()}, "stops that only one side knows"
    return fold


def assert_one_decision_each(lines: list[AuditEvent]) -> None:
    decisions = Counter(e.correlation_id for e in lines if e.event in ("TRADE_APPROVED", "TRADE_REJECTED"))
    assert decisions
    assert set(decisions.values()) == {1}
