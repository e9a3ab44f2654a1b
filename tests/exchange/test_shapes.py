"""Answers and events have the fields and the JSON types of those that the exchange documents."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.exchange.conftest import SHARED, START_MS, Exchange, book, levels, trade
from thunes.messages import TopChanged

PAYLOADS = SHARED / "binance-spot-payloads"

NEWER = {
    "expiryReason",  # since 2026-03, on an order that expired
    "F",
    "g",
    "I",
    "M",
    "Y",
    "Q",
    "W",
    "V",  # documented in executionReport, and absent from the shorter samples
}
"""Documented members that a sample may lack."""
LISTS_OF_ORDERS = {"contingencyType"}
"""What tells an order list, which is not served here, from an order in the sample of canceled orders."""


def shape(value: Any) -> Any:
    """A value with each leaf as its JSON type; a list as what its elements have in common."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}[type(value)]


def differences(documented: Any, ours: Any, path: str = "") -> list[str]:
    """Where the two shapes differ, in both directions."""
    if isinstance(documented, dict) and isinstance(ours, dict):
        found = [f"{path}.{name} is missing" for name in documented if name not in ours]
        found += [f"{path}.{name} is not documented" for name in ours if name not in documented and name not in NEWER]
        for name in documented.keys() & ours.keys():
            found += differences(documented[name], ours[name], f"{path}.{name}")
        return found
    if isinstance(documented, list) and isinstance(ours, list):
        if not documented or not ours:
            return []
        if len(documented) == 1 or len(ours) == 1:
            return differences(documented[0], ours[0], f"{path}[]")
    return [] if documented == ours else [f"{path}: documented {documented}, ours {ours}"]


def sample(name: str) -> Any:
    path = PAYLOADS / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return orjson.loads(path.read_bytes())


def public(path: str, **params: Any) -> Callable[[Exchange], Any]:
    return lambda exchange: exchange.public(path, **params)


def signed(path: str, **params: Any) -> Callable[[Exchange], Any]:
    return lambda exchange: exchange.signed("GET", path, **params).json()


def canceled(exchange: Exchange) -> Any:
    exchange.order("BUY", "0.01", "28000", newClientOrderId="gone")
    return exchange.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="gone").json()


SYMBOL = {"symbol": "BTCUSDT"}
ANSWERS: dict[str, Callable[[Exchange], Any]] = {
    "account_response": signed("/api/v3/account"),
    "account_trades_response": signed("/api/v3/myTrades", **SYMBOL),
    "all_orders_response": signed("/api/v3/allOrders", **SYMBOL),
    "avg_price_response": public("/api/v3/avgPrice", **SYMBOL),
    "book_ticker_response": public("/api/v3/ticker/bookTicker", **SYMBOL),
    "cancel_open_orders_response": lambda e: e.signed("DELETE", "/api/v3/openOrders", **SYMBOL).json(),
    "cancel_order_response": canceled,
    "depth_response": public("/api/v3/depth", **SYMBOL),
    "exchange_info_response": public("/api/v3/exchangeInfo"),
    "klines_response": public("/api/v3/klines", interval="1m", **SYMBOL),
    "new_order_full_response": lambda e: e.order("BUY", "0.01"),
    "open_orders_response": signed("/api/v3/openOrders", **SYMBOL),
    "order_response": signed("/api/v3/order", orderId=1, **SYMBOL),
    "ping_response": public("/api/v3/ping"),
    "server_time_response": public("/api/v3/time"),
    "ticker_24hr_response": public("/api/v3/ticker/24hr", **SYMBOL),
    "ticker_price_response": public("/api/v3/ticker/price", **SYMBOL),
    "trades_response": public("/api/v3/trades", **SYMBOL),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_the_documented_fields_and_types(exchange: Exchange, name: str) -> None:
    documented = sample(f"http_json/{name}.json")
    if isinstance(documented, list):
        documented = [row for row in documented if not (isinstance(row, dict) and LISTS_OF_ORDERS & row.keys())][:1]
    exchange.play(trade(1, "30000", "0.5", START_MS + 5))
    exchange.order("BUY", "0.01")
    exchange.order("BUY", "0.01", "29000")
    ours = ANSWERS[name](exchange)
    if name == "exchange_info_response":
        # The sample is of another symbol and leaves these lists empty.
        documented["sors"] = []
    assert differences(shape(documented), shape(ours)) == []


def test_every_answer_in_the_folder_is_compared() -> None:
    folder = PAYLOADS / "http_json"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    assert {path.stem for path in folder.iterdir()} == set(ANSWERS)


def subscribed_events(exchange: Exchange, act: Callable[[], object], count: int) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    text = f"apiKey={exchange.key}&timestamp={now}"
    params = {"apiKey": exchange.key, "timestamp": now, "signature": exchange.sign(text)}
    with exchange.listen("/ws-api/v3") as api:
        api.ask(id=1, method="userDataStream.subscribe.signature", params=params)
        act()
        return [api.next() for _ in range(count)]


def cancel_of(exchange: Exchange) -> Callable[[], object]:
    exchange.order("BUY", "0.01", "28000", newClientOrderId="gone")
    return lambda: exchange.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="gone")


def thin(exchange: Exchange) -> Callable[[], object]:
    exchange.play(book(time_ms=START_MS + 9, asks=levels(("30000", "0.001"))))
    return lambda: exchange.order("BUY", "0.01")


EVENTS: dict[str, tuple[Callable[[Exchange], Callable[[], object]], int, int]] = {
    "account_position": (lambda e: lambda: e.order("BUY", "0.01", "29000"), 2, 1),
    "account_position_wrapped": (lambda e: lambda: e.order("BUY", "0.01", "29000"), 2, 1),
    "execution_report_new": (lambda e: lambda: e.order("BUY", "0.01", "29000"), 2, 0),
    "execution_report_wrapped": (lambda e: lambda: e.order("BUY", "0.01", "29000"), 2, 0),
    "execution_report_trade": (lambda e: lambda: e.order("BUY", "0.01"), 3, 1),
    "execution_report_canceled": (cancel_of, 2, 0),
    "execution_report_expired": (thin, 4, 2),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_account_event_has_the_documented_fields_and_types(exchange: Exchange, name: str) -> None:
    documented = sample(f"user_data_json/{name}.json")
    prepare, count, which = EVENTS[name]
    frame = subscribed_events(exchange, prepare(exchange), count)[which]
    assert differences(shape(documented), shape(frame if "event" in documented else frame["event"])) == []


# As web-socket-streams.md prints them.
STREAMS: dict[str, dict[str, Any]] = {
    "trade": {"e": "", "E": 1, "s": "", "t": 1, "p": "", "q": "", "T": 1, "m": True, "M": True},
    "aggTrade": {"e": "", "E": 1, "s": "", "a": 1, "p": "", "q": "", "f": 1, "l": 1, "T": 1, "m": True, "M": True},
    "bookTicker": {"u": 1, "s": "", "b": "", "B": "", "a": "", "A": ""},
    "depth@100ms": {"e": "", "E": 1, "s": "", "U": 1, "u": 1, "b": [["", ""]], "a": [["", ""]]},
    "depth5@100ms": {"lastUpdateId": 1, "bids": [["", ""]], "asks": [["", ""]]},
    "kline_1m": {
        "e": "",
        "E": 1,
        "s": "",
        "k": {
            **dict.fromkeys(("t", "T", "f", "L", "n"), 1),
            **dict.fromkeys(("s", "i", "o", "c", "h", "l", "v", "q", "V", "Q", "B"), ""),
            "x": True,
        },
    },
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_has_the_documented_fields_and_types(exchange: Exchange, name: str) -> None:
    with exchange.listen(f"/ws/btcusdt@{name}") as listener:
        exchange.play(
            trade(1, "30000", "0.5", START_MS + 5),
            TopChanged("BTCUSDT", START_MS + 6, *levels(("29990", "1"))[0], *levels(("30001", "1"))[0]),
        )
        frame = listener.next()
    assert differences(shape(STREAMS[name]), shape(frame)) == []
