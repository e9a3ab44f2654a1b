"""What tests of the REST adapter call, and with what."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from thunes.domain.market import OrderAnswer
from thunes.errors import ExchangeError
from thunes.exchange.binance import BinanceRest
from thunes.messages import OrderType, Side

D = Decimal
KEY, SECRET = "the-api-key", "the-api-secret"
ORDER = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "clientOrderId": "home-1",
    "transactTime": 1_507_725_176_595,
    "price": "0.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "cummulativeQuoteQty": "10.00000000",
    "status": "FILLED",
    "type": "MARKET",
    "side": "SELL",
}


def wall_ms() -> int:
    return int(time.time() * 1000)


def adapter(url: str, key: str = KEY, secret: str = SECRET, timeout: float = 10.0, **options: Any) -> BinanceRest:
    return BinanceRest(url, key, secret, timeout=timeout, wall_ms=wall_ms, **options)


def buy(rest: BinanceRest, quantity: str = "0.05", client_order_id: str = "home-1", **options: Any) -> OrderAnswer:
    """A MARKET order, or a LIMIT one with a price."""
    order_type = OrderType.LIMIT if "price" in options else OrderType.MARKET
    return rest.place(
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=order_type,
        quantity=D(quantity),
        client_order_id=client_order_id,
        **options,
    )


def refusal(call: Callable[[], object]) -> ExchangeError:
    with pytest.raises(ExchangeError) as refused:
        call()
    return refused.value
