"""An embedded exchange under fire: what it is like before and after, and the shape of its refusals."""

from __future__ import annotations

import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.conftest import QUICK, START_MS, Exchange, ScriptedSource, book, exchange_over, trade
from thunes.exchange.simulator.limits import LimitSettings

TIMEOUT_S = 10.0
ENDLESS = 10**9
UNLIMITED = LimitSettings(ENDLESS, ENDLESS, ENDLESS, ENDLESS, ENDLESS, ENDLESS)
DOCUMENTED = (
    {
        1000,
        1002,
        1003,
        1013,
        1014,
        1015,
        1020,
        1021,
        1022,
        1034,
        1152,
        1153,
        1155,
        1158,
        1160,
        1161,
        1165,
        1166,
        1168,
        1194,
    }
    | {*range(1099, 1109), 1111, 1112, *range(1114, 1123), 1125, 1127, 1128, 1130, 1134, 1135, 1139, 1145, 1151, 1182}
    | {
        *range(1196, 1200),
        1210,
        1211,
        1220,
        2010,
        2011,
        *range(2013, 2017),
        2021,
        2022,
        2026,
        2035,
        2036,
        2038,
        2039,
        2042,
    }
)
"""The codes of errors.md that a request may be refused with, without their sign."""
REMEMBERED = ("account", "balance", "order", "fill")
"""Tables that a refusal must leave alone; the others follow the market."""


@dataclass
class Target:
    """A running exchange under fire, what it is like, and how often it was hit."""

    exchange: Exchange
    database: sqlite3.Connection
    hits: Counter[str] = field(default_factory=Counter)
    connection: socket.socket | None = None

    @property
    def port(self) -> int:
        return int(self.exchange.running.rest.rpartition(":")[2])

    def state(self) -> Any:
        """Accounts, open orders and the sequences of ids, as they are in memory."""
        return self.exchange.do(self.exchange.running.exchange.parts.engine.dump)

    def written(self) -> int:
        """Changes whenever something was written to the database."""
        return int(self.database.execute("PRAGMA data_version").fetchone()[0])

    def rows(self) -> list[list[Any]]:
        return [self.database.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in REMEMBERED]

    @contextmanager
    def unharmed(self) -> Iterator[Verdict]:
        """Whatever is refused inside has left nothing behind, in memory or on disk."""
        verdict, before, rows = Verdict(), self.state(), self.rows() if self.written() != self._seen else self._rows
        yield verdict
        if verdict.refused:
            assert self.state() == before
            if self.written() != self._seen:
                self._seen, self._rows = self.written(), self.rows()
                assert self._rows == rows

    _seen: int = -1
    _rows: list[list[Any]] = field(default_factory=list)

    def http(self, data: bytes, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """The answer to these bytes on a connection that is kept; status 0 where it was closed without one."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        try:
            self.connection.sendall(data)
            status, headers, body = answer_of(self.connection, method)
        except (ConnectionError, EOFError):
            status, headers, body = 0, {}, b""
        if not status or headers.get("connection", "").lower() == "close" or "json" not in headers["content-type"]:
            self.connection.close()
            self.connection = None
        return status, headers, body


@dataclass
class Verdict:
    refused: bool = True


def answer_of(connection: socket.socket, method: str) -> tuple[int, dict[str, str], bytes]:
    """One HTTP answer; EOFError where the connection ends before it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    while len(body) < length:
        body += more(connection)
    return int(first.split()[1]), headers, body


def more(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise EOFError
    return piece


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A quiet BTCUSDT market with something in the account, something resting and something waiting."""
    home = tmp_path_factory.mktemp("home")
    options = replace(QUICK, home=home, symbols=("BTCUSDT",), limits=UNLIMITED)
    with exchange_over(ScriptedSource([book()]), options) as exchange:
        exchange.play(trade(1, "30000", "0.5", START_MS + 5))
        exchange.order("BUY", "0.01")
        exchange.order("BUY", "0.002", "29000", newClientOrderId="standing")
        with closing(opened(home)) as database:
            aimed_at = Target(exchange, database)
            yield aimed_at
            if aimed_at.connection is not None:
                aimed_at.connection.close()


def opened(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{home}/data/exchange.db?mode=ro", uri=True, check_same_thread=False)


def check_refusal(body: Any) -> None:
    """The documented shape: a code of errors.md and a message, and no more except for cancelReplace's two halves."""
    assert isinstance(body, dict), body
    assert set(body) - {"data"} == {"code", "msg"}, body
    assert type(body["code"]) is int
    assert -body["code"] in DOCUMENTED, body
    assert isinstance(body["msg"], str)
    assert body["msg"]
