"""The streams and the account's events, through clients that others wrote, unmodified but for URLs and options."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import ccxt.pro
import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.ws.reconnecting_websocket import ReconnectingWebsocket
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot

from tests.exchange.conftest import START_MS, Exchange, book, levels, trade

ROUNDS = 100
ROUND_S = 0.1


def happen(exchange: Exchange, number: int) -> None:
    """A trade, a change of the book, and an order of the account that fills."""
    time_ms = START_MS + 10 * number
    bids = levels(("29999.99", f"{2 + number % 5}"))
    exchange.play(
        trade(10 + number, "30000", "0.25", time_ms), book(time_ms=time_ms + 1, bids=bids, asks=(), snapshot=False)
    )
    exchange.order("BUY", "0.001")


async def all_of(exchange: Exchange, wanted: dict[str, Coroutine[Any, Any, Any]]) -> dict[str, Any]:
    """Let things happen until everything that is waited for has come."""
    tasks = {name: asyncio.create_task(each) for name, each in wanted.items()}
    for number in range(ROUNDS):
        await asyncio.to_thread(happen, exchange, number)
        _, pending = await asyncio.wait(tasks.values(), timeout=ROUND_S)
        if not pending:
            return {name: task.result() for name, task in tasks.items()}
    missing = [name for name, task in tasks.items() if not task.done()]
    for task in tasks.values():
        task.cancel()
    raise AssertionError(f"never came: {missing}")


async def first(receive: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    while not wanted(frame := await receive()):
        pass
    return frame


def fits(name: str) -> Callable[[Any], bool]:
    """Of the book's changes one that has a bid; of anything else the first that comes."""
    return (lambda frame: bool(frame["b"])) if name == "depth" else (lambda _frame: True)


def is_report(event: Any) -> bool:
    """Of a trade; the official package keeps the event's type to itself."""
    return bool(event.get("x") == "TRADE")


def check(seen: dict[str, Any]) -> None:
    """What each stream documents, by the exchange's own letters."""
    assert (seen["ticker"]["s"], seen["ticker"]["b"], seen["ticker"]["a"]) == (
        "BTCUSDT",
        "29999.99000000",
        "30000.00000000",
    )
    assert (seen["trade"]["p"], seen["trade"]["q"], seen["trade"]["m"]) == ("30000.00000000", "0.25000000", False)
    assert (seen["kline"]["k"]["i"], seen["kline"]["k"]["t"], seen["kline"]["k"]["x"]) == ("1m", START_MS, False)
    assert seen["depth"]["U"] <= seen["depth"]["u"]
    assert seen["depth"]["b"][0][0] == "29999.99000000"
    report = seen["report"]
    assert (report["X"], report["L"], report["l"], report["N"]) == ("FILLED", "30000.00000000", "0.00100000", "BTC")
    assert {each["a"] for each in seen["position"]["B"]} == {"BTC", "USDT"}


async def by_python_binance(exchange: Exchange) -> dict[str, Any]:
    client = AsyncClient(exchange.key, exchange.secret)
    client.API_URL = f"{exchange.running.rest}/api"
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = f"{exchange.running.stream}/"
    sockets = {
        "ticker": manager.symbol_book_ticker_socket("BTCUSDT"),
        "trade": manager.trade_socket("BTCUSDT"),
        "kline": manager.kline_socket("BTCUSDT"),
        "depth": manager.depth_socket("BTCUSDT", interval=100),
        "combined": manager.multiplex_socket(["btcusdt@trade", "btcusdt@bookTicker"]),
        "account": manager.user_socket(),
    }
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close_connection)
        received = {name: (await stack.enter_async_context(each)).recv for name, each in sockets.items()}
        account = received.pop("account")

        async def of_account() -> dict[str, Any]:
            report = await first(account, is_report)
            return {"report": report, "position": await first(account, lambda event: "B" in event)}

        seen = await all_of(
            exchange, {name: first(each, fits(name)) for name, each in received.items()} | {"account": of_account()}
        )
    assert seen["combined"]["stream"] in ("btcusdt@trade", "btcusdt@bookTicker")
    return seen | seen["account"]


def test_python_binance_reads_every_stream_and_the_accounts_events(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AsyncClient, "WS_API_URL", exchange.running.ws_api)
    # How long it takes to notice that it is to end.
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.1)
    check(asyncio.run(by_python_binance(exchange)))


class Mailbox:
    """A callback and what it was called with."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, message: Any) -> None:
        self.queue.put_nowait(message.to_dict() if hasattr(message, "to_dict") else message)

    async def receive(self) -> Any:
        return await self.queue.get()


async def by_the_official_package(exchange: Exchange) -> dict[str, Any]:
    client = Spot(
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=f"{exchange.running.stream}/stream"),
        config_ws_api=ConfigurationWebSocketAPI(exchange.key, exchange.secret, stream_url=exchange.running.ws_api),
    )
    streams = await client.websocket_streams.create_connection()
    api = await client.websocket_api.create_connection()
    handles = {
        "ticker": await streams.book_ticker("btcusdt"),
        "trade": await streams.trade("btcusdt"),
        "kline": await streams.kline("btcusdt", "1m"),
        "depth": await streams.diff_book_depth("btcusdt", update_speed="100ms"),
        "account": (await api.user_data_stream_subscribe_signature()).stream,
    }
    boxes = {name: Mailbox() for name in handles}
    for name, handle in handles.items():
        handle.on("message", boxes[name])
    account = boxes.pop("account").receive

    async def of_account() -> dict[str, Any]:
        report = await first(account, is_report)
        return {"report": report, "position": await first(account, lambda event: "B" in event)}

    try:
        wanted = {name: first(box.receive, fits(name)) for name, box in boxes.items()} | {"account": of_account()}
        seen = await all_of(exchange, wanted)
        status = (await api.order_status(symbol="BTCUSDT", order_id=seen["account"]["report"]["i"])).data()
        assert status.result.status == "FILLED"
    finally:
        await streams.close_connection(close_session=True)
        await api.close_connection(close_session=True)
    return seen | seen["account"]


def test_the_official_package_reads_every_stream_and_the_accounts_events(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check(asyncio.run(by_the_official_package(exchange)))
    assert not [record for record in caplog.records if "did not match" in record.getMessage()]


async def by_ccxt(exchange: Exchange) -> dict[str, Any]:
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
    client = ccxt.pro.binance(
        {"apiKey": exchange.key, "secret": exchange.secret, "enableRateLimit": False, "options": options}
    )
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{exchange.running.rest}/api/v3"
    client.urls["api"]["ws"]["spot"] = f"{exchange.running.stream}/ws"
    client.urls["api"]["ws"]["ws-api"]["spot"] = exchange.running.ws_api
    try:
        await client.load_markets()
        wanted = {
            "best": client.watch_bids_asks(["BTC/USDT"]),
            "trades": client.watch_trades("BTC/USDT"),
            "candles": client.watch_ohlcv("BTC/USDT", "1m"),
            "book": client.watch_order_book("BTC/USDT"),
            "fills": client.watch_my_trades("BTC/USDT"),
            "balance": client.watch_balance(),
        }
        return await all_of(exchange, wanted)
    finally:
        await client.close()


def test_ccxt_reads_every_stream_and_the_accounts_events(exchange: Exchange) -> None:
    seen = asyncio.run(by_ccxt(exchange))
    assert (seen["best"]["BTC/USDT"]["bid"], seen["best"]["BTC/USDT"]["ask"]) == (29999.99, 30000.0)
    assert (seen["trades"][-1]["price"], seen["trades"][-1]["amount"]) == (30000.0, 0.25)
    assert seen["candles"][-1][0] == START_MS
    assert (seen["book"]["bids"][0][0], seen["book"]["asks"][0][0]) == (29999.99, 30000.0)
    assert (seen["fills"][-1]["price"], seen["fills"][-1]["takerOrMaker"]) == (30000.0, "taker")
    assert seen["balance"]["BTC"]["free"] > 0
