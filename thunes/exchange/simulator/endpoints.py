"""Every request that the embedded exchange knows: its path, its name on the WebSocket API, its weight.

Weights are those of rest-api.md; a successful order or cancel costs nothing since 2026-04-02, a failed one 1.
"""

from __future__ import annotations

from collections.abc import Callable

from thunes.exchange.simulator import api_keys
from thunes.exchange.simulator.api_keys import ApiKeys
from thunes.exchange.simulator.dispatch import Endpoint
from thunes.exchange.simulator.list_trading import UNSUPPORTED, ListTrading
from thunes.exchange.simulator.market_data import MarketData
from thunes.exchange.simulator.methods import METHODS
from thunes.exchange.simulator.params import Params
from thunes.exchange.simulator.trading import Trading

__all__ = ["METHODS", "by_method", "rest"]

Weight = Callable[[Params], int]

DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
DEEPEST_WEIGHT = 250
DAY_WEIGHTS = ((20, 2), (100, 40))
ALL_DAY_WEIGHT = 80


def fixed(weight: int) -> Weight:
    return lambda _params: weight


def depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return next((weight for most, weight in DEPTH_WEIGHTS if limit <= most), DEEPEST_WEIGHT)


def ticker_weight(params: Params) -> int:
    return 2 if params.has("symbol") else 4


def day_weight(params: Params) -> int:
    if params.has("symbol"):
        return DAY_WEIGHTS[0][1]
    names = params.names("symbols")
    if names is None:
        return ALL_DAY_WEIGHT
    return next((weight for most, weight in DAY_WEIGHTS if len(names) <= most), ALL_DAY_WEIGHT)


def open_orders_weight(params: Params) -> int:
    return 6 if params.has("symbol") else 80


def trades_weight(params: Params) -> int:
    return 5 if params.has("orderId") else 20


def order_test_weight(params: Params) -> int:
    return 20 if params.boolean("computeCommissionRates") else 1


def rest(data: MarketData, trading: Trading, lists: ListTrading, keys: ApiKeys) -> dict[tuple[str, str], Endpoint]:
    """Endpoints by method and path."""
    refused = {
        key: Endpoint(lists.unsupported(*why), fixed(1), signed=True, trades=True) for key, why in UNSUPPORTED.items()
    }
    return refused | {
        ("GET", "/api/v3/ping"): Endpoint(data.ping, fixed(1)),
        ("GET", "/api/v3/time"): Endpoint(data.time, fixed(1)),
        ("GET", "/api/v3/exchangeInfo"): Endpoint(data.info, fixed(20)),
        ("GET", "/api/v3/depth"): Endpoint(data.depth, depth_weight),
        ("GET", "/api/v3/trades"): Endpoint(data.trades, fixed(25)),
        ("GET", "/api/v3/historicalTrades"): Endpoint(data.old_trades, fixed(25)),
        ("GET", "/api/v3/aggTrades"): Endpoint(data.aggregates, fixed(4)),
        ("GET", "/api/v3/klines"): Endpoint(data.klines, fixed(2)),
        ("GET", "/api/v3/uiKlines"): Endpoint(data.klines, fixed(2)),
        ("GET", "/api/v3/avgPrice"): Endpoint(data.average, fixed(2)),
        ("GET", "/api/v3/ticker/24hr"): Endpoint(data.day, day_weight),
        ("GET", "/api/v3/ticker/price"): Endpoint(data.price, ticker_weight),
        ("GET", "/api/v3/ticker/bookTicker"): Endpoint(data.book, ticker_weight),
        ("POST", "/api/v3/order"): Endpoint(trading.place, fixed(1), signed=True, trades=True, places=True),
        ("POST", "/api/v3/order/test"): Endpoint(trading.test, order_test_weight, signed=True),
        ("GET", "/api/v3/order"): Endpoint(trading.status, fixed(4), signed=True),
        ("DELETE", "/api/v3/order"): Endpoint(trading.cancel, fixed(1), signed=True, trades=True),
        ("POST", "/api/v3/order/cancelReplace"): Endpoint(
            lists.replace, fixed(1), signed=True, trades=True, places=True
        ),
        ("POST", "/api/v3/order/oco"): Endpoint(lists.old_oco, fixed(1), signed=True, trades=True, places=True),
        ("POST", "/api/v3/orderList/oco"): Endpoint(lists.oco, fixed(1), signed=True, trades=True, places=True),
        ("GET", "/api/v3/orderList"): Endpoint(lists.status, fixed(4), signed=True),
        ("DELETE", "/api/v3/orderList"): Endpoint(lists.cancel_list, fixed(1), signed=True, trades=True),
        ("GET", "/api/v3/openOrderList"): Endpoint(lists.open_lists, fixed(6), signed=True),
        ("GET", "/api/v3/allOrderList"): Endpoint(lists.all_lists, fixed(20), signed=True),
        ("GET", "/api/v3/openOrders"): Endpoint(trading.open_orders, open_orders_weight, signed=True),
        ("DELETE", "/api/v3/openOrders"): Endpoint(trading.cancel_all, fixed(1), signed=True, trades=True),
        ("GET", "/api/v3/account"): Endpoint(trading.account, fixed(20), signed=True),
        ("GET", "/api/v3/allOrders"): Endpoint(trading.all_orders, fixed(20), signed=True),
        ("GET", "/api/v3/myTrades"): Endpoint(trading.trades, trades_weight, signed=True),
        ("GET", "/api/v3/rateLimit/order"): Endpoint(trading.order_counts, fixed(40), signed=True),
        ("GET", api_keys.PATH): Endpoint(keys.restrictions, fixed(1), signed=True),
    }


def by_method(endpoints: dict[tuple[str, str], Endpoint]) -> dict[str, Endpoint]:
    """The same endpoints by their WebSocket API names (web-socket-api.md)."""
    return {name: endpoints[key] for name, key in METHODS.items()}
