"""The embedded exchange's symbols and their trading rules, in the shape of `GET /api/v3/exchangeInfo`.

The table `exchange_info.json` beside this module holds one row a symbol; everything that is the same for all symbols is
written here once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

import orjson

from thunes.domain.filters import SymbolRules
from thunes.errors import SettingsError
from thunes.messages import OrderType

Entry: TypeAlias = Mapping[str, Any]
"""One element of exchangeInfo's `symbols`."""

EIGHT_PLACES = Decimal("0.00000001")
ORDER_TYPES = tuple(kind.value for kind in OrderType)


def padded(number: str) -> str:
    """A number with the eight decimals that the exchange writes."""
    return f"{Decimal(number):.8f}"


@cache
def table() -> dict[str, dict[str, str]]:
    """The table's rows by symbol, in its order."""
    raw = orjson.loads(resources.files(__package__).joinpath("exchange_info.json").read_bytes())
    rows = (dict(zip(raw["columns"], row, strict=True)) for row in raw["symbols"])
    return {row["symbol"]: row for row in rows}


def price_filters(row: Mapping[str, str]) -> list[dict[str, Any]]:
    """What binds a price: its grid, and its distance from the average of five minutes."""
    tick = padded(row["tick"])
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": padded(row["max_price"]), "tickSize": tick},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
    ]


def quantity_filters(row: Mapping[str, str]) -> list[dict[str, Any]]:
    """What binds a quantity and its value."""
    step, zero = padded(row["step"]), padded("0")
    return [
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": padded(row["max_quantity"]), "stepSize": step},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": zero,
            "maxQty": padded(row["market_max_quantity"]),
            "stepSize": zero,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": padded(row["min_notional"]),
            "applyMinToMarket": True,
            "maxNotional": padded("9000000"),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
    ]


def entry(row: Mapping[str, str]) -> dict[str, Any]:
    """A row of the table as an element of exchangeInfo's `symbols`."""
    return {
        "symbol": row["symbol"],
        "status": "TRADING",
        "baseAsset": row["base"],
        "baseAssetPrecision": 8,
        "quoteAsset": row["quote"],
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": price_filters(row) + quantity_filters(row),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def entries(symbols: Iterable[str]) -> dict[str, Entry]:
    """The exchangeInfo entries of these symbols.

    Raises SettingsError with a line for each symbol that the table lacks.
    """
    wanted = tuple(symbols)
    unknown = [symbol for symbol in wanted if symbol not in table()]
    if unknown:
        known = ", ".join(table())
        raise SettingsError([f"symbols: {name} is not traded here; use some of {known}" for name in unknown])
    return {symbol: entry(table()[symbol]) for symbol in wanted}


def symbol_rules(served: Mapping[str, Entry]) -> dict[str, SymbolRules]:
    """The rules that filters and matching work with, by symbol."""
    return {symbol: SymbolRules.from_exchange_info(raw) for symbol, raw in served.items()}


def assets(served: Mapping[str, Entry]) -> tuple[str, ...]:
    """Every asset that a served symbol is made of, each once, in order of appearance."""
    found: dict[str, None] = {}
    for raw in served.values():
        found[raw["baseAsset"]] = None
        found[raw["quoteAsset"]] = None
    return tuple(found)


def exchange_info(served: Sequence[Entry], rate_limits: Sequence[Mapping[str, Any]], now_ms: int) -> dict[str, Any]:
    """The body of `GET /api/v3/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": list(rate_limits),
        "exchangeFilters": [],
        "symbols": list(served),
        "sors": [],
    }
