"""Orders as parameters, and how a request is refused."""

from __future__ import annotations

from typing import Any

from tests.exchange.conftest import Exchange

ORDER = "/api/v3/order"
MARKET_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT_BUY = {**MARKET_BUY, "type": "LIMIT", "price": "29000", "timeInForce": "GTC"}


def refusal(exchange: Exchange, method: str, path: str, **params: Any) -> tuple[int, int, str]:
    answer = exchange.signed(method, path, **params)
    body = answer.json()
    return answer.status_code, body["code"], body["msg"]


def without(params: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}
