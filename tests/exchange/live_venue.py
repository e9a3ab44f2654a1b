"""A venue of live public market data that does what a test writes, and an embedded exchange that follows it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.exchange.conftest import START_MS, TIMEOUT_S, Exchange, levels
from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator import rules
from thunes.exchange.simulator.embedded import Embedded, Options
from thunes.exchange.simulator.live_source import LiveSettings
from thunes.messages import BookChanged, Levels

SYMBOL = "BTCUSDT"
MINUTE_MS = 60_000
FIRST_ID = 100
QUICK = LiveSettings(answer_s=2.0, heartbeat_s=2.0, silence_s=10.0, first_pause_s=0.01, longest_pause_s=0.05)
BIDS = levels(("29999.99", "2"), ("29999.98", "3"))
ASKS = levels(("30000.00", "1"), ("30000.01", "4"))


def written(side: Levels) -> list[list[str]]:
    return [[str(price), str(quantity)] for price, quantity in side]


@dataclass
class Venue:
    """One symbol of a venue. Everything but `url` is used in its loop."""

    book: OrderBook = field(default_factory=OrderBook)
    update_id: int = FIRST_ID
    now_ms: int = START_MS + 5_000
    minutes: list[list[Any]] = field(default_factory=list)
    entry: dict[str, Any] = field(default_factory=lambda: dict(rules.entries([SYMBOL])[SYMBOL]))
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    """Statuses and bodies that the next requests for the book get instead of it."""
    refusal: tuple[int, Any] | None = None
    """Status and body that every request for anything else gets."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""
    trade_id: int = 0
    port: int = 0
    mute: bool = False
    """Whether pings to its new connections are not answered."""
    refuses: int = 0
    """The status that new connections to the streams are turned away with, if they are."""

    def __post_init__(self) -> None:
        self.book.apply(BookChanged(SYMBOL, START_MS, BIDS, ASKS, snapshot=True))
        self.minutes = [kline(START_MS - n * MINUTE_MS, 30_000 - n) for n in range(60, -1, -1)]

    # what it does

    def depth(self) -> dict[str, Any]:
        bids, asks = self.book.levels()
        return {"lastUpdateId": self.update_id, "bids": written(bids), "asks": written(asks)}

    async def change(self, bids: Levels = (), asks: Levels = (), *, lost: bool = False) -> None:
        """Change levels by one update, which its listeners hear of unless it is lost on the way."""
        self.update_id += 1
        self.now_ms += 100
        self.book.apply(BookChanged(SYMBOL, self.now_ms, bids, asks))
        if not lost:
            ids = {"U": self.update_id, "u": self.update_id}
            await self.say("depth@100ms", e="depthUpdate", **ids, b=written(bids), a=written(asks))

    async def trade(self, price: str, quantity: str, *, maker: bool = False, lost: bool = False) -> None:
        self.trade_id += 1
        self.now_ms += 10
        if not lost:
            event = {"t": self.trade_id, "p": price, "q": quantity, "T": self.now_ms, "m": maker}
            await self.say("trade", e="trade", **event)

    async def candle(self, open_ms: int, close: int, *, closed: bool = False) -> None:
        """The minute that opens then is like this now; REST tells it from now on."""
        row = kline(open_ms, close)
        self.minutes = [each for each in self.minutes if each[0] != open_ms] + [row]
        self.now_ms = max(self.now_ms, open_ms + (MINUTE_MS if closed else 1))
        names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
        k = dict(zip(names, row, strict=False)) | {"i": "1m", "f": 1, "L": 2, "x": closed}
        await self.say("kline_1m", e="kline", k=k)

    async def say(self, stream: str, **event: Any) -> None:
        body = {"E": self.now_ms, "s": SYMBOL, **event}
        await self.raw(orjson.dumps({"stream": f"{SYMBOL.lower()}@{stream}", "data": body}).decode())

    async def raw(self, text: str) -> None:
        for socket in self.sockets:
            await socket.send_str(text)

    async def hang_up(self) -> None:
        gone, self.sockets = self.sockets, []
        for socket in gone:
            await socket.close()

    # how it answers

    async def serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/api/v3/{name}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            return web.Response(status=self.refuses)
        socket = web.WebSocketResponse(autoping=not self.mute)
        await socket.prepare(request)
        self.asked.append(("stream", dict(request.query)))
        self.sockets.append(socket)
        async for _ in socket:
            pass
        self.sockets = [each for each in self.sockets if each is not socket]
        return socket

    async def _answer(self, request: web.Request) -> web.Response:
        name, params = request.match_info["name"], dict(request.query)
        self.asked.append((name, params))
        status, body = (
            200,
            {"depth": self.depth, "klines": lambda: self._klines(params), "exchangeInfo": self._info}[name](),
        )
        if name == "depth" and self.answers:
            status, body = self.answers.pop(0)
        if name != "depth" and self.refusal:
            status, body = self.refusal
        return web.Response(
            status=status, body=orjson.dumps(body), headers=self.headers, content_type="application/json"
        )

    def _info(self) -> Any:
        return {"symbols": [self.entry]}

    def _klines(self, params: dict[str, str]) -> list[list[Any]]:
        start, end = int(params.get("startTime", 0)), int(params.get("endTime", 10**15))
        found = [row for row in self.minutes if start <= row[0] <= end]
        limit = int(params["limit"])
        return found[:limit] if "startTime" in params else found[-limit:]


def kline(open_ms: int, close: int) -> list[Any]:
    price = f"{close}.00"
    return [open_ms, price, price, price, price, "1.5", open_ms + MINUTE_MS - 1, "45000", 7, "0.5", "15000", "0"]


@dataclass(frozen=True)
class Paper(Exchange):
    """An embedded exchange that follows a venue, and the venue."""

    venue: Venue

    def at_venue(self, act: Callable[[Venue], Any]) -> Any:
        """Let the venue do something."""

        async def call() -> Any:
            result = act(self.venue)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(TIMEOUT_S)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The first true value that the condition has where the exchange runs."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if value := self.do(condition):
                return value
            threading.Event().wait(0.002)
        raise AssertionError(f"{what} did not come in time")

    @property
    def live(self) -> Any:
        return self.running._player._symbols[SYMBOL]  # type: ignore[union-attr]

    def synced(self) -> None:
        """Return once the exchange's book is the venue's; the venue's next update is what brings them together."""
        self.until(lambda: self.venue.sockets, "a connection")
        self.at_venue(lambda venue: venue.change())
        self.until(lambda: self.live.book.last_id == self.venue.update_id and self.live.book.in_sync, "the book")

    def caught_up(self) -> None:
        """Return once all that the venue said has been taken."""
        self.at_venue(lambda venue: venue.trade("1.00", "0.00001"))
        self.until(lambda: self.live._last_trade.trade_id == self.venue.trade_id, "the venue's last word")

    def refusal(self, **order: Any) -> dict[str, Any]:
        """What an order is refused with."""
        answer = self.signed("POST", "/api/v3/order", symbol=SYMBOL, **order)
        assert answer.status_code == 400, answer.text
        body: dict[str, Any] = answer.json()
        return body


@contextmanager
def paper(
    home: Path, venue: Venue | None = None, settings: LiveSettings = QUICK, options: Options | None = None
) -> Iterator[Paper]:
    """An exchange that follows this venue until the block ends; its first book is not there yet."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    followed = Venue() if venue is None else venue

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(TIMEOUT_S)

    async def stop(running: Embedded | None, runner: web.AppRunner) -> None:
        if running is not None:
            await running.stop()
        await runner.cleanup()

    runner, running = do(followed.serve()), None
    try:
        address = f"127.0.0.1:{followed.port}"
        where = replace(settings, rest=f"http://{address}", stream=f"ws://{address}")
        chosen = options or Options(home=home, source="live", symbols=(SYMBOL,), balance=Decimal(1_000_000))
        running = do(Embedded.start(replace(chosen, live=where), time.time))
        yield Paper(running, loop, followed)
    finally:
        do(stop(running, runner))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()


def amounts(*pairs: tuple[str, str]) -> Levels:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)
