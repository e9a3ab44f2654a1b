"""A symbol, a book, an engine and requests for tests of filters and matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from thunes.domain.executions import Execution, OrderRequest
from thunes.domain.filters import SymbolRules
from thunes.domain.matching import MatchingEngine
from thunes.errors import ExchangeError
from thunes.messages import BookChanged, Levels, OrderType, PublicTrade, Side, TimeInForce

SYMBOL = "ABCXYZ"
OPENING: Mapping[str, Decimal] = {"XYZ": Decimal(10_000), "ABC": Decimal(20)}
FILTERS: dict[str, dict[str, Any]] = {
    "PRICE_FILTER": {"minPrice": "0.10", "maxPrice": "1000", "tickSize": "0.10"},
    "PERCENT_PRICE_BY_SIDE": {
        "bidMultiplierUp": "2",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.5",
        "avgPriceMins": 5,
    },
    "LOT_SIZE": {"minQty": "0.01", "maxQty": "100", "stepSize": "0.01"},
    "NOTIONAL": {
        "minNotional": "5",
        "applyMinToMarket": True,
        "maxNotional": "5000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
    "MARKET_LOT_SIZE": {"minQty": "0", "maxQty": "50", "stepSize": "0"},
    "MAX_NUM_ORDERS": {"maxNumOrders": 5},
}


def entry(symbol: str = "ABCXYZ", *, without: tuple[str, ...] = (), **filters: dict[str, Any]) -> dict[str, Any]:
    """One element of exchangeInfo's `symbols`: base ABC, quote XYZ; keywords replace members of its filters."""
    named = {name: members for name, members in FILTERS.items() if name not in without}
    for name, members in filters.items():
        named[name] = named.get(name, {}) | members
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol[:3],
        "quoteAsset": symbol[3:],
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": [kind.value for kind in OrderType],
        "quoteOrderQtyMarketAllowed": True,
        "filters": [{"filterType": name, **members} for name, members in named.items()],
    }


def rules(symbol: str = "ABCXYZ", *, without: tuple[str, ...] = (), **filters: dict[str, Any]) -> SymbolRules:
    return SymbolRules.from_exchange_info(entry(symbol, without=without, **filters))


def decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def market_order(side: Side, quantity: str | None = None, quote: str | None = None, name: str = "m1") -> OrderRequest:
    return OrderRequest("ABCXYZ", side, OrderType.MARKET, decimal(quantity), decimal(quote), None, client_order_id=name)


def limit_order(
    side: Side,
    quantity: str,
    price: str,
    *,
    time_in_force: TimeInForce = TimeInForce.GTC,
    order_type: OrderType = OrderType.LIMIT,
    name: str = "l1",
) -> OrderRequest:
    return OrderRequest(
        "ABCXYZ", side, order_type, Decimal(quantity), None, Decimal(price), time_in_force, client_order_id=name
    )


def stop_order(
    side: Side,
    stop_price: str,
    price: str | None = None,
    *,
    quantity: str = "3",
    order_type: OrderType = OrderType.STOP_LOSS_LIMIT,
    name: str = "s1",
) -> OrderRequest:
    return OrderRequest(
        "ABCXYZ", side, order_type, Decimal(quantity), None, decimal(price), client_order_id=name,
        stop_price=Decimal(stop_price),
    )  # fmt: skip


def levels(*pairs: tuple[str, str]) -> Levels:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


def book(
    bids: tuple[tuple[str, str], ...] = (), asks: tuple[tuple[str, str], ...] = (), *, snapshot: bool = False
) -> BookChanged:
    return BookChanged("ABCXYZ", 1_000, levels(*bids), levels(*asks), snapshot)


def printed(price: str, quantity: str, *, seller_took: bool = True, time_ms: int = 1_000) -> PublicTrade:
    return PublicTrade("ABCXYZ", 1, Decimal(price), Decimal(quantity), time_ms, seller_took)


def engine(closed_limit: int = 100, **filters: Any) -> MatchingEngine:
    """Bids 100x2, 99x3; asks 101x4, 102x5; maker fee 0.1 %, taker fee 0.2 %; accounts ann and bob."""
    result = MatchingEngine(
        {SYMBOL: rules(**filters)}, maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"), closed_limit=closed_limit
    )
    result.open_account("ann", OPENING)
    result.open_account("bob", OPENING)
    result.market(book((("100", "2"), ("99", "3")), (("101", "4"), ("102", "5"))))
    return result


def state(of: MatchingEngine) -> tuple[object, ...]:
    return of.dump(), of.book(SYMBOL).levels(), of.flows()


def kinds(executions: Sequence[Execution]) -> list[str]:
    return [each.kind for each in executions]


def fills(executions: Sequence[Execution]) -> list[tuple[Decimal, Decimal]]:
    return [(each.fill.price, each.fill.quantity) for each in executions if each.fill is not None]


def refused(of: MatchingEngine, request: OrderRequest, account: str = "ann") -> tuple[int, str]:
    """Code and message of the refusal, having seen that it changed nothing."""
    before = state(of)
    with pytest.raises(ExchangeError) as refusal:
        of.place(account, request, 5)
    assert state(of) == before
    return refusal.value.code, refusal.value.message
