"""A script of calls as data, for any client: what is called with what, and the answer that is documented for it.

An expected mapping holds at least these members, an expected list as many rows; text is compared by how it reads, so
that clients may give numbers as they like. `Kept("name")` stands for an id of an earlier answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.exchange.conftest import START_MS


@dataclass(frozen=True)
class Kept:
    """What an earlier call kept under this name."""

    name: str


@dataclass(frozen=True)
class Refused:
    """A refusal by its code, and by its message where the documents give one."""

    code: int
    message: str = ""


@dataclass(frozen=True)
class Some:
    """Anything, so long as it is there."""


@dataclass(frozen=True)
class Having:
    """A list with these rows somewhere in it."""

    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Call:
    """A request as rest-api.md names it. `keep` takes members of the answer over for later calls."""

    request: str
    params: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)


SYMBOL = {"symbol": "BTCUSDT"}
TAPE = {"price": "30000.00000000", "qty": "0.50000000", "isBuyerMaker": False, "isBestMatch": True}
CANDLE = [
    START_MS,
    *["30000.00000000"] * 4,
    "0.50000000",
    START_MS + 59_999,
    "15000.00000000",
    1,
    Some(),
    Some(),
    Some(),
]
ORDER = "/api/v3/order"

MARKET_DATA = (
    Call("GET /api/v3/ping"),
    Call("GET /api/v3/time", answer={"serverTime": Some()}),
    Call(
        "GET /api/v3/exchangeInfo",
        SYMBOL,
        {
            "symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "filters": Some()}],
            "rateLimits": Some(),
        },
    ),
    Call(
        "GET /api/v3/depth",
        SYMBOL | {"limit": 2},
        {
            "bids": [["29999.99000000", "2.00000000"], ["29999.98000000", "3.00000000"]],
            "asks": [["30000.00000000", "1.00000000"], ["30000.01000000", "4.00000000"]],
        },
    ),
    Call("GET /api/v3/trades", SYMBOL | {"limit": 5}, [TAPE | {"id": 1}]),
    Call("GET /api/v3/historicalTrades", SYMBOL | {"fromId": 1}, [TAPE | {"id": 1}]),
    Call(
        "GET /api/v3/aggTrades",
        SYMBOL,
        [{"a": 1, "p": "30000.00000000", "q": "0.50000000", "f": 1, "l": 1, "T": START_MS + 5, "m": False, "M": True}],
    ),
    Call("GET /api/v3/klines", SYMBOL | {"interval": "1m", "limit": 1}, [CANDLE]),
    Call("GET /api/v3/uiKlines", SYMBOL | {"interval": "1m", "limit": 1}, [CANDLE]),
    Call("GET /api/v3/avgPrice", SYMBOL, {"mins": 5, "price": "30000.00000000", "closeTime": START_MS + 5}),
    Call(
        "GET /api/v3/ticker/24hr",
        SYMBOL,
        {"lastPrice": "30000.00000000", "volume": "0.50000000", "count": 1, "bidPrice": "29999.99000000", "firstId": 1},
    ),
    Call("GET /api/v3/ticker/price", SYMBOL, SYMBOL | {"price": "30000.00000000"}),
    Call(
        "GET /api/v3/ticker/bookTicker",
        SYMBOL,
        SYMBOL
        | {"bidPrice": "29999.99000000", "bidQty": "2.00000000", "askPrice": "30000.00000000", "askQty": "1.00000000"},
    ),
)


def asked(side: str, kind: str, quantity: float | None, **more: Any) -> dict[str, Any]:
    """An order's parameters, numbers as a client's user writes them."""
    return SYMBOL | {"side": side, "type": kind} | ({} if quantity is None else {"quantity": quantity}) | more


def limit(side: str, quantity: float, price: float, time_in_force: str = "GTC", **more: Any) -> dict[str, Any]:
    return asked(side, "LIMIT", quantity, price=price, timeInForce=time_in_force, **more)


def filled(quantity: str, quote: str, price: str, fee: str, asset: str) -> dict[str, Any]:
    row = {"price": price, "qty": quantity, "commission": fee, "commissionAsset": asset, "tradeId": Some()}
    return {"status": "FILLED", "executedQty": quantity, "cummulativeQuoteQty": quote, "fills": [row]}


PLACED = (
    Call(f"POST {ORDER}/test", limit("BUY", 0.01, 29000)),
    Call(
        f"POST {ORDER}",
        asked("BUY", "MARKET", 0.1),
        filled("0.10000000", "3000.00000000", "30000.00000000", "0.00010000", "BTC") | {"price": "0.00000000"},
    ),
    Call(
        f"POST {ORDER}",
        asked("BUY", "MARKET", None, quoteOrderQty=600),
        filled("0.02000000", "600.00000000", "30000.00000000", "0.00002000", "BTC")
        | {"origQuoteOrderQty": "600.00000000"},
    ),
    Call(
        f"POST {ORDER}",
        asked("SELL", "MARKET", 0.02, newOrderRespType="FULL"),
        filled("0.02000000", "599.99980000", "29999.99000000", "0.59999980", "USDT"),
    ),
    Call(
        f"POST {ORDER}",
        limit("BUY", 0.01, 29000, newClientOrderId="gtc-1"),
        {
            "status": "NEW",
            "clientOrderId": "gtc-1",
            "price": "29000.00000000",
            "executedQty": "0.00000000",
            "fills": [],
        },
        keep={"gtc": "orderId"},
    ),
    Call(
        f"POST {ORDER}",
        limit("BUY", 0.01, 29000.5, "IOC"),
        {"status": "EXPIRED", "executedQty": "0.00000000", "expiryReason": "UNFILLED_IOC_QUANTITY_EXPIRED"},
    ),
    Call(
        f"POST {ORDER}",
        limit("SELL", 0.05, 30005, "FOK"),
        {"status": "EXPIRED", "executedQty": "0.00000000", "expiryReason": "UNFILLED_FOK_ORDER_EXPIRED"},
    ),
    Call(
        f"POST {ORDER}",
        limit("BUY", 0.05, 30000, "FOK"),
        filled("0.05000000", "1500.00000000", "30000.00000000", "0.00005000", "BTC"),
    ),
    Call(
        f"POST {ORDER}",
        asked("SELL", "LIMIT_MAKER", 0.01, price=31000, newOrderRespType="RESULT"),
        {"status": "NEW", "type": "LIMIT_MAKER", "workingTime": Some()},
        keep={"maker": "orderId"},
    ),
    Call(
        f"POST {ORDER}",
        asked("SELL", "STOP_LOSS", 0.01, stopPrice=29000),
        {"orderId": Some(), "orderListId": -1, "clientOrderId": Some(), "transactTime": Some()},
        keep={"stop": "orderId"},
    ),
    Call(
        f"POST {ORDER}",
        asked(
            "SELL", "STOP_LOSS_LIMIT", 0.01, stopPrice=28500, price=28400, timeInForce="GTC", newOrderRespType="RESULT"
        ),
        {"status": "NEW", "stopPrice": "28500.00000000", "price": "28400.00000000"},
    ),
    Call(f"POST {ORDER}", asked("SELL", "TAKE_PROFIT", 0.01, stopPrice=31500), {"orderId": Some()}),
    Call(
        f"POST {ORDER}",
        asked("BUY", "TAKE_PROFIT_LIMIT", 0.01, stopPrice=28600, price=28600, timeInForce="GTC"),
        {"orderId": Some()},
    ),
)
ASKED_AFTER = (
    Call(
        f"GET {ORDER}",
        SYMBOL | {"orderId": Kept("stop")},
        {"type": "STOP_LOSS", "status": "NEW", "stopPrice": "29000.00000000", "isWorking": False, "workingTime": -1},
    ),
    Call(f"GET {ORDER}", SYMBOL | {"origClientOrderId": "gtc-1"}, {"orderId": Kept("gtc"), "isWorking": True}),
    Call(
        "GET /api/v3/openOrders",
        SYMBOL,
        Having(({"orderId": Kept("gtc")}, {"orderId": Kept("maker")}, {"orderId": Kept("stop")})),
    ),
)
REPLACED = (
    Call(
        f"POST {ORDER}/cancelReplace",
        limit("BUY", 0.01, 29100, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=Kept("gtc")),
        {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": {"orderId": Kept("gtc"), "status": "CANCELED", "origClientOrderId": "gtc-1"},
            "newOrderResponse": {"status": "NEW", "price": "29100.00000000", "fills": []},
        },
    ),
    Call(
        f"POST {ORDER}/cancelReplace",
        limit("BUY", 0.01, 29100, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=Kept("gtc")),
        Refused(-2022, "Order cancel-replace failed."),
    ),
)
OCO = {"contingencyType": "OCO", "symbol": "BTCUSDT", "listClientOrderId": "list-1", "orderListId": Kept("list")}
LISTS = (
    Call(
        "POST /api/v3/orderList/oco",
        {
            **SYMBOL,
            "side": "SELL",
            "quantity": 0.01,
            "listClientOrderId": "list-1",
            "newOrderRespType": "RESULT",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": 31800,
            "belowType": "STOP_LOSS_LIMIT",
            "belowStopPrice": 28800,
            "belowPrice": 28700,
            "belowTimeInForce": "GTC",
        },
        {
            "contingencyType": "OCO",
            "listStatusType": "EXEC_STARTED",
            "listOrderStatus": "EXECUTING",
            "listClientOrderId": "list-1",
            "orders": [SYMBOL, SYMBOL],
            "orderReports": Having(
                ({"type": "LIMIT_MAKER", "status": "NEW"}, {"type": "STOP_LOSS_LIMIT", "workingTime": -1})
            ),
        },
        keep={"list": "orderListId"},
    ),
    Call("GET /api/v3/orderList", {"orderListId": Kept("list")}, OCO | {"listStatusType": "EXEC_STARTED"}),
    Call("GET /api/v3/openOrderList", answer=[OCO | {"listOrderStatus": "EXECUTING"}]),
    Call("GET /api/v3/allOrderList", answer=[OCO]),
    Call(
        "DELETE /api/v3/orderList",
        SYMBOL | {"orderListId": Kept("list")},
        OCO
        | {"listStatusType": "ALL_DONE", "listOrderStatus": "ALL_DONE", "orderReports": [{"status": "CANCELED"}] * 2},
    ),
)
REFUSALS = (
    Call(f"POST {ORDER}", limit("BUY", 0.010001, 29000), Refused(-1013, "Filter failure: LOT_SIZE")),
    Call(f"POST {ORDER}", limit("BUY", 0.0001, 29000), Refused(-1013, "Filter failure: NOTIONAL")),
    Call(f"POST {ORDER}", limit("BUY", 0.01, 29000) | {"symbol": "NOPE"}, Refused(-1121, "Invalid symbol.")),
    Call(
        f"POST {ORDER}",
        asked("BUY", "MARKET", 5),
        Refused(-2010, "Account has insufficient balance for requested action."),
    ),
    Call(
        f"POST {ORDER}",
        asked("BUY", "LIMIT_MAKER", 0.01, price=30000),
        Refused(-2010, "Order would immediately match and take."),
    ),
    Call(
        f"POST {ORDER}",
        asked("SELL", "STOP_LOSS", 0.01, stopPrice=31000),
        Refused(-2010, "Order would trigger immediately."),
    ),
    Call(f"POST {ORDER}", limit("BUY", 0.01, 29000, newClientOrderId="twice"), {"status": "NEW"}),
    Call(f"POST {ORDER}", limit("BUY", 0.01, 29000, newClientOrderId="twice"), Refused(-2010, "Duplicate order sent.")),
    Call(
        f"POST {ORDER}",
        asked("BUY", "LIMIT", 0.01, price=29000),
        Refused(-1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
    ),
    Call(
        f"POST {ORDER}",
        limit("BUY", 0.01, 29000.123456789),
        Refused(-1111, "Parameter 'price' has too much precision."),
    ),
    Call(f"DELETE {ORDER}", SYMBOL | {"orderId": 999}, Refused(-2011, "Unknown order sent.")),
    Call(f"GET {ORDER}", SYMBOL | {"orderId": 999}, Refused(-2013, "Order does not exist.")),
)
ENDED = (
    Call(
        f"DELETE {ORDER}",
        SYMBOL | {"orderId": Kept("maker")},
        {"orderId": Kept("maker"), "status": "CANCELED", "origClientOrderId": Some(), "type": "LIMIT_MAKER"},
    ),
    Call(
        "GET /api/v3/allOrders", SYMBOL, Having(({"orderId": Kept("gtc"), "status": "CANCELED"}, {"status": "FILLED"}))
    ),
    Call(
        "GET /api/v3/myTrades",
        SYMBOL,
        [
            {"id": number, "price": price, "qty": quantity, "isBuyer": buyer, "isMaker": False, "orderId": Some()}
            for number, price, quantity, buyer in (
                (1, "30000.00000000", "0.10000000", True),
                (2, "30000.00000000", "0.02000000", True),
                (3, "29999.99000000", "0.02000000", False),
                (4, "30000.00000000", "0.05000000", True),
            )
        ],
    ),
    Call("DELETE /api/v3/openOrders", SYMBOL, Having(({"orderId": Kept("stop"), "status": "CANCELED"},))),
    Call("GET /api/v3/openOrders", SYMBOL, []),
    Call(
        "GET /api/v3/account",
        {},
        {
            "accountType": "SPOT",
            "canTrade": True,
            "balances": Having(({"asset": "BTC", "free": "0.14983000"}, {"asset": "USDT", "locked": "0.00000000"})),
        },
    ),
    Call(
        "GET /api/v3/rateLimit/order",
        {},
        [
            {"rateLimitType": "ORDERS", "interval": "SECOND"},
            {"rateLimitType": "ORDERS", "interval": "DAY", "count": Some()},
        ],
    ),
)
BEFORE_LISTS = MARKET_DATA + PLACED + ASKED_AFTER
SCRIPT = BEFORE_LISTS + REPLACED + LISTS + REFUSALS + ENDED


def resolved(value: Any, kept: Mapping[str, Any]) -> Any:
    return kept.get(value.name, 0) if isinstance(value, Kept) else value


def disagreement(expected: Any, got: Any, kept: Mapping[str, Any], path: str = "answer") -> str:
    """Where the answer is not what was expected; empty where it is."""
    expected = resolved(expected, kept)
    match expected:
        case Some():
            return "" if got is not None else f"{path} is missing"
        case Having(rows):
            missing = [row for row in rows if not any(not disagreement(row, each, kept) for each in got)]
            return f"{path} lacks {missing}: {got}" if missing else ""
        case Mapping():
            wrong = (disagreement(value, got.get(name), kept, f"{path}.{name}") for name, value in expected.items())
        case list():
            if len(got) != len(expected):
                return f"{path} has {len(got)} rows, not {len(expected)}: {got}"
            wrong = (
                disagreement(value, each, kept, f"{path}[{n}]")
                for n, (value, each) in enumerate(zip(expected, got, strict=True))
            )
        case bool():
            return "" if str(got).lower() == str(expected).lower() else f"{path} is {got!r}, not {expected!r}"
        case _:
            return "" if str(got) == str(expected) else f"{path} is {got!r}, not {expected!r}"
    return next((each for each in wrong if each), "")
