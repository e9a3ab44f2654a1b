"""An embedded exchange for tests: it runs in a loop of its own, over a market that the test writes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
import pytest
import requests
import websocket

from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator.embedded import Embedded, Options
from thunes.exchange.simulator.options import Delay
from thunes.messages import BookChanged, Candle, Levels, MarketEvent, PublicTrade

T = TypeVar("T")

START_MS = 1_700_000_040_000
"""A whole minute."""
TIMEOUT_S = 10.0
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


QUICK = Options(home=Path(), source="script", speed=1.0, delay=Delay(median_s=0.0))
"""Requests and reports take no time, so that a test can say what comes when."""


def levels(*pairs: tuple[str, str]) -> Levels:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


BIDS = levels(("29999.99", "2"), ("29999.98", "3"))
ASKS = levels(("30000.00", "1"), ("30000.01", "4"), ("30010.00", "50"))


def book(
    symbol: str = "BTCUSDT",
    time_ms: int = START_MS,
    bids: Levels = BIDS,
    asks: Levels = ASKS,
    snapshot: bool = True,
) -> BookChanged:
    return BookChanged(symbol, time_ms, bids, asks, snapshot)


def trade(
    number: int, price: str, quantity: str, time_ms: int, symbol: str = "BTCUSDT", maker: bool = False
) -> PublicTrade:
    return PublicTrade(symbol, number, Decimal(price), Decimal(quantity), time_ms, maker)


class ScriptedSource:
    """Events from a list, by the rules of a Source; a checkpoint is how many of them were yielded."""

    def __init__(self, events: Sequence[MarketEvent], history: Sequence[Candle] = ()) -> None:
        self.symbols = tuple(dict.fromkeys(event.symbol for event in events))
        self.start_ms = events[0].time_ms
        self._events = events
        self._history = tuple(history)
        self._yielded = 0

    def history(self, symbol: str, before_ms: int, limit: int) -> tuple[Candle, ...]:
        found = [candle for candle in self._history if candle.symbol == symbol and candle.open_ms < before_ms]
        return tuple(found[-limit:])

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        self._yielded = int(checkpoint or 0)
        books = {symbol: OrderBook() for symbol in self.symbols}
        for event in self._events[: self._yielded]:
            if not isinstance(event, PublicTrade):
                books[event.symbol].apply(event)
        for symbol, known in books.items() if self._yielded else ():
            yield BookChanged(symbol, self._events[self._yielded - 1].time_ms, *known.levels(), snapshot=True)
        for event in self._events[self._yielded :]:
            self._yielded += 1
            yield event

    def checkpoint(self) -> str:
        return str(self._yielded)


@dataclass(frozen=True)
class Exchange:
    """A running exchange and a client of it."""

    running: Embedded
    loop: asyncio.AbstractEventLoop

    @property
    def key(self) -> str:
        return self.running.account.api_key

    @property
    def secret(self) -> str:
        return self.running.account.api_secret

    def do(self, function: Callable[[], T]) -> T:
        """Call a function where the exchange runs."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(TIMEOUT_S)

    def play(self, *events: MarketEvent) -> None:
        """Let these happen now, one after the other."""
        for event in events:
            self.do(lambda event=event: self._play(event))  # type: ignore[misc]

    def _play(self, event: MarketEvent) -> None:
        self.running.exchange.parts.clock.reach(event.time_ms)
        self.running.exchange.apply(event)

    def source_ended(self) -> None:
        """Return once the source has been played to its end."""

        async def wait() -> None:
            await asyncio.wait([self.running.playing])

        asyncio.run_coroutine_threadsafe(wait(), self.loop).result(TIMEOUT_S)

    def query(self, **params: Any) -> str:
        """Parameters with a timestamp, signed."""
        text = urlencode({"timestamp": int(time.time() * 1000), **params})
        return f"{text}&signature={self.sign(text)}"

    def sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def raw(self, method: str, path: str, query: str = "", key: str | None = None, **options: Any) -> requests.Response:
        headers = options.pop("headers", {}) | ({} if key is None else {"X-MBX-APIKEY": key})
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self.running.rest}{path}?{query}"
            return session.request(method, url, headers=headers, timeout=TIMEOUT_S, **options)

    def public(self, path: str, **params: Any) -> Any:
        return self.raw("GET", path, urlencode(params)).json()

    def signed(self, method: str, path: str, **params: Any) -> requests.Response:
        return self.raw(method, path, self.query(**params), self.key)

    def order(self, side: str, quantity: str, price: str | None = None, **params: Any) -> dict[str, Any]:
        """Place a BTCUSDT order that has to be accepted: LIMIT with a price, else MARKET."""
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "price": price, "timeInForce": "GTC"}
        sent = {"symbol": "BTCUSDT", "side": side, "quantity": quantity, **kind, **params}
        answer = self.signed("POST", "/api/v3/order", **sent)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def balance(self, asset: str) -> tuple[Decimal, Decimal]:
        account = self.signed("GET", "/api/v3/account").json()
        found = next(row for row in account["balances"] if row["asset"] == asset)
        return Decimal(found["free"]), Decimal(found["locked"])

    @contextmanager
    def listen(self, path: str) -> Iterator[Listener]:
        """A WebSocket connection to this path of the stream's port."""
        url = f"{self.running.stream}{path}"
        connection = websocket.create_connection(url, timeout=TIMEOUT_S, http_no_proxy=["127.0.0.1"])
        try:
            yield Listener(connection)
        finally:
            connection.close()
            connection.shutdown()


@dataclass(frozen=True)
class Listener:
    """A client's end of a WebSocket connection."""

    connection: websocket.WebSocket

    def next(self) -> Any:
        return orjson.loads(self.connection.recv())

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The next frame that is wanted; others are passed over."""
        while not wanted(frame := self.next()):
            pass
        return frame

    def ask(self, **request: Any) -> Any:
        """Send a request and return its answer; events on the way are passed over."""
        self.connection.send(orjson.dumps(request).decode())
        return self.until(lambda frame: "event" not in frame and "data" not in frame and "e" not in frame)


def within_a_minute(measure: Callable[[], T]) -> T:
    """What was measured without the exchange's minute, over which it counts weight, ending meanwhile."""
    while True:
        minute = time.time() // 60
        measured = measure()
        if time.time() // 60 == minute:
            return measured


Start = Callable[..., AbstractContextManager[Exchange]]


@contextmanager
def exchange_over(source: ScriptedSource, options: Options) -> Iterator[Exchange]:
    """An exchange that plays `source` until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(Embedded.play(options, source, time.time), loop)
        running = starting.result(TIMEOUT_S)
        try:
            yield Exchange(running, loop)
        finally:
            asyncio.run_coroutine_threadsafe(running.stop(), loop).result(TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an exchange in this test's home: over a quiet BTCUSDT market, or over the events given."""

    def start_exchange(
        events: Sequence[MarketEvent] | None = None, history: Sequence[Candle] = (), **options: Any
    ) -> AbstractContextManager[Exchange]:
        source = ScriptedSource([book()] if events is None else events, history)
        chosen = replace(QUICK, **{"home": tmp_path, "symbols": source.symbols, **options})
        return exchange_over(source, chosen)

    return start_exchange


@pytest.fixture
def exchange(start: Start) -> Iterator[Exchange]:
    """A quiet BTCUSDT market: bid 29999.99, ask 30000.00, nothing happens unless the test plays it."""
    with start() as running:
        yield running
