"""Clients that others wrote, unmodified but for URLs and their own options, each driven by the script's names."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import ccxt
from binance.client import Client
from binance.exceptions import BinanceAPIException
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import Error
from binance_sdk_spot.spot import Spot

from tests.exchange.client_script import Refused
from tests.exchange.conftest import Exchange

Driver = Callable[[str, Mapping[str, Any]], Any]
"""Makes one call: its request, as rest-api.md names it, and its parameters. A refusal comes back as Refused."""


def python_binance(exchange: Exchange) -> Driver:
    """Its functions that take parameters as they are. It asks for exchangeInfo without any."""
    client = Client(exchange.key, exchange.secret, ping=False, requests_params={"timeout": 5})
    # It makes an event loop for coroutines that nobody here asks for, and leaves it open.
    client.loop.close()
    asyncio.set_event_loop(None)
    client.API_URL = f"{exchange.running.rest}/api"
    client.session.trust_env = False
    functions: dict[str, Callable[..., Any]] = {
        "GET ping": client.ping,
        "GET time": client.get_server_time,
        "GET exchangeInfo": lambda **_: client.get_exchange_info(),
        "GET depth": client.get_order_book,
        "GET trades": client.get_recent_trades,
        "GET historicalTrades": client.get_historical_trades,
        "GET aggTrades": client.get_aggregate_trades,
        "GET klines": client.get_klines,
        "GET uiKlines": client.get_ui_klines,
        "GET avgPrice": client.get_avg_price,
        "GET ticker/24hr": client.get_ticker,
        "GET ticker/price": client.get_symbol_ticker,
        "GET ticker/bookTicker": client.get_orderbook_ticker,
        "POST order": client.create_order,
        "POST order/test": client.create_test_order,
        "GET order": client.get_order,
        "DELETE order": client.cancel_order,
        "POST order/cancelReplace": client.cancel_replace_order,
        "GET openOrders": client.get_open_orders,
        "DELETE openOrders": client.cancel_all_open_orders,
        "GET allOrders": client.get_all_orders,
        "POST orderList/oco": client.create_oco_order,
        "GET orderList": client.v3_get_order_list,
        "GET openOrderList": client.get_open_oco_orders,
        "GET allOrderList": client.v3_get_all_order_list,
        "DELETE orderList": client.v3_delete_order_list,
        "GET myTrades": client.get_my_trades,
        "GET account": client.get_account,
        "GET rateLimit/order": client.get_current_order_count,
    }

    def drive(request: str, params: Mapping[str, Any]) -> Any:
        try:
            return functions[request.replace("/api/v3/", "")](**params)
        except BinanceAPIException as error:
            return Refused(error.code, error.message)

    return drive


def unified(exchange: Exchange, **options: Any) -> Any:
    """A ccxt client that asks this exchange and no other."""
    chosen = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False, **options}
    client = ccxt.binance(
        {"apiKey": exchange.key, "secret": exchange.secret, "enableRateLimit": False, "options": chosen}
    )
    client.session.trust_env = False
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{exchange.running.rest}/api/v3"
    return client


UNSIGNED = ("ping", "time", "exchangeInfo", "depth", "trades", "historicalTrades", "aggTrades", "klines", "uiKlines")


def ccxt_by_name(exchange: Exchange) -> Driver:
    """Its functions named after the exchange's requests, such as `private_post_orderlist_oco`."""
    client = unified(exchange)

    def drive(request: str, params: Mapping[str, Any]) -> Any:
        method, _, path = request.replace("/api/v3/", "").partition(" ")
        access = "public" if path in UNSIGNED or path.startswith(("ticker", "avgPrice")) else "private"
        function = getattr(client, f"{access}_{method.lower()}_{path.lower().replace('/', '_')}")
        try:
            return function(dict(params))
        except ccxt.ExchangeError:
            # It words some refusals itself.
            body = json.loads(client.last_http_response)
            return Refused(body["code"], body["msg"])

    return drive


NAMES = {
    "GET /api/v3/ticker/24hr": "ticker24hr",
    "GET /api/v3/trades": "get_trades",
    "POST /api/v3/order": "new_order",
    "GET /api/v3/order": "get_order",
    "GET /api/v3/openOrders": "get_open_orders",
    "GET /api/v3/orderList": "get_order_list",
    "GET /api/v3/openOrderList": "open_order_list",
    "GET /api/v3/account": "get_account",
}
"""What the official package calls otherwise than by its path."""


def snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower().replace("/", "_")


def official(exchange: Exchange) -> Driver:
    """binance-sdk-spot: typed functions and answers. It takes no proxy unless told to, but the environment's."""
    configuration = ConfigurationRestAPI(exchange.key, exchange.secret, base_path=exchange.running.rest, timeout=5000)
    client = Spot(config_rest_api=configuration).rest_api
    client._session.trust_env = False

    def drive(request: str, params: Mapping[str, Any]) -> Any:
        method, _, path = request.partition(" /api/v3/")
        name = NAMES.get(request) or ("delete_" if method == "DELETE" else "") + snake(path)
        try:
            answer = getattr(client, name)(**{snake(key): value for key, value in params.items()}).data()
        except Error as error:
            return Refused(error.status_code, error.error_message)  # type: ignore[attr-defined]
        return plain(answer)

    return drive


def plain(answer: Any) -> Any:
    """A typed answer as JSON says it."""
    if isinstance(answer, list):
        return [plain(each) for each in answer]
    return answer.to_dict() if hasattr(answer, "to_dict") else answer
