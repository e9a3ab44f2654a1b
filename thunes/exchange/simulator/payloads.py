"""Our types as the exchange's JSON in answers to requests (rest-api.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from thunes.domain.executions import WAITING, Balance, Fill, Order
from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator.tables import Bar
from thunes.messages import Levels, PublicTrade

NO_ID = -1
NOBODY = (Decimal(0), Decimal(0))
"""The best of a side on which nobody is: price and quantity."""
ZERO = "0.00000000"
TIME_FIELDS = frozenset(
    {"serverTime", "transactTime", "time", "updateTime", "transactionTime", "workingTime", "closeTime", "openTime", "T"}
)
KLINE_TIMES = (0, 6)


def figure(value: Decimal) -> str:
    """A price or an amount as the exchange writes it: eight decimals."""
    return f"{value:.8f}"


# market data over REST


def levels(side: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[figure(price), figure(quantity)] for price, quantity in side]


def depth(update_id: int, bids: Levels, asks: Levels) -> dict[str, Any]:
    return {"lastUpdateId": update_id, "bids": levels(bids), "asks": levels(asks)}


def public_trade(trade: PublicTrade) -> dict[str, Any]:
    return {
        "id": trade.trade_id,
        "price": figure(trade.price),
        "qty": figure(trade.quantity),
        "quoteQty": figure(trade.price * trade.quantity),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_trade(trade: PublicTrade) -> dict[str, Any]:
    """Each public trade stands for one taker order, so that its aggregate is itself."""
    return {
        "a": trade.trade_id,
        "p": figure(trade.price),
        "q": figure(trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ms,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def kline(bar: Bar) -> list[Any]:
    candle = bar.candle
    return [
        candle.open_ms,
        figure(candle.open),
        figure(candle.high),
        figure(candle.low),
        figure(candle.close),
        figure(candle.volume),
        candle.close_ms,
        figure(candle.quote_volume),
        candle.trades,
        figure(candle.taker_base),
        figure(candle.taker_quote),
        "0",
    ]


def price_ticker(symbol: str, price: Decimal) -> dict[str, Any]:
    return {"symbol": symbol, "price": figure(price)}


def book_ticker(symbol: str, book: OrderBook) -> dict[str, Any]:
    bid, ask = book.best_bid or NOBODY, book.best_ask or NOBODY
    return {
        "symbol": symbol,
        "bidPrice": figure(bid[0]),
        "bidQty": figure(bid[1]),
        "askPrice": figure(ask[0]),
        "askQty": figure(ask[1]),
    }


def day_ticker(
    symbol: str, bars: Sequence[Bar], last: tuple[Decimal, Decimal], book: OrderBook, now_ms: int, mini: bool
) -> dict[str, Any]:
    """`ticker/24hr` over these minutes; `last` is the newest trade's price and quantity."""
    candles = [bar.candle for bar in bars]
    volume = sum((candle.volume for candle in candles), Decimal(0))
    quote = sum((candle.quote_volume for candle in candles), Decimal(0))
    opened = candles[0].open if candles else last[0]
    ids = [number for bar in bars for number in (bar.first_id, bar.last_id) if number != NO_ID]
    ticker = {
        "symbol": symbol,
        "openPrice": figure(opened),
        "highPrice": figure(max((candle.high for candle in candles), default=last[0])),
        "lowPrice": figure(min((candle.low for candle in candles), default=last[0])),
        "lastPrice": figure(last[0]),
        "volume": figure(volume),
        "quoteVolume": figure(quote),
        "openTime": candles[0].open_ms if candles else now_ms,
        "closeTime": now_ms,
        "firstId": ids[0] if ids else NO_ID,
        "lastId": ids[-1] if ids else NO_ID,
        "count": sum(candle.trades for candle in candles),
    }
    if mini:
        return ticker
    change = last[0] - opened
    best = book_ticker(symbol, book)
    return (
        ticker
        | best
        | {
            "priceChange": figure(change),
            "priceChangePercent": f"{change / opened * 100 if opened else Decimal(0):.3f}",
            "weightedAvgPrice": figure(quote / volume if volume else last[0]),
            "prevClosePrice": figure(opened),
            "lastQty": figure(last[1]),
        }
    )


def in_microseconds(answer: Any) -> Any:
    """A REST answer with its times multiplied by 1000 (header `X-MBX-TIME-UNIT`)."""
    if isinstance(answer, Mapping):
        return {
            name: value * 1000 if name in TIME_FIELDS and isinstance(value, int) else in_microseconds(value)
            for name, value in answer.items()
        }
    if not isinstance(answer, list):
        return answer
    if len(answer) == 12 and isinstance(answer[0], int):
        return [value * 1000 if place in KLINE_TIMES else value for place, value in enumerate(answer)]
    return [in_microseconds(item) for item in answer]


# orders over REST


def order_core(order: Order) -> dict[str, Any]:
    """What every answer about an order has."""
    core = {
        "price": figure(order.price),
        "origQty": figure(order.quantity),
        "executedQty": figure(order.executed),
        "origQuoteOrderQty": figure(order.quote_quantity),
        "cummulativeQuoteQty": figure(order.cumulative_quote),
        "status": order.status.value,
        "timeInForce": order.time_in_force.value,
        "type": order.order_type.value,
        "side": order.side.value,
        "selfTradePreventionMode": "NONE",
    }
    if order.stop_price:
        core["stopPrice"] = figure(order.stop_price)
    return core | {"expiryReason": order.expiry_reason} if order.expiry_reason else core


def acknowledged(order: Order, now_ms: int) -> dict[str, Any]:
    """Response type ACK."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "transactTime": now_ms,
    }


def placed(order: Order, fills: Sequence[Fill], now_ms: int, response: str) -> dict[str, Any]:
    """Response type ACK, RESULT or FULL."""
    answer = acknowledged(order, now_ms)
    if response == "ACK":
        return answer
    answer |= order_core(order)
    if order.working_ms != WAITING:
        answer["workingTime"] = order.working_ms
    if response == "RESULT":
        return answer
    return answer | {"fills": [fill_of_order(fill) for fill in fills]}


def fill_of_order(fill: Fill) -> dict[str, Any]:
    return {
        "price": figure(fill.price),
        "qty": figure(fill.quantity),
        "commission": figure(fill.commission),
        "commissionAsset": fill.commission_asset,
        "tradeId": fill.trade_id,
    }


def canceled(order: Order, cancel_id: str, now_ms: int) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": cancel_id,
        "transactTime": now_ms,
    } | order_core(order)


def order_status(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "stopPrice": ZERO,
        "icebergQty": ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms != WAITING,
        "workingTime": order.working_ms,
    } | order_core(order)


def own_trade(fill: Fill) -> dict[str, Any]:
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": figure(fill.price),
        "qty": figure(fill.quantity),
        "quoteQty": figure(fill.quote_quantity),
        "commission": figure(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account(
    balances: Mapping[str, Balance], maker_fee: Decimal, taker_fee: Decimal, updated_ms: int, uid: int
) -> dict[str, Any]:
    return {
        "makerCommission": int(maker_fee * 10_000),
        "takerCommission": int(taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": figure(maker_fee),
            "taker": figure(taker_fee),
            "buyer": ZERO,
            "seller": ZERO,
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": updated_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": figure(balance.free), "locked": figure(balance.locked)}
            for asset, balance in balances.items()
        ],
        "permissions": ["SPOT"],
        "uid": uid,
    }
