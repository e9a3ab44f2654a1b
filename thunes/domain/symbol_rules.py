"""The exchange's trading rules of one symbol, read off `exchangeInfo`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """One symbol's rules, typed: a 0 means that the rule is off, exactly as the exchange writes it."""

    symbol: str
    base: str
    quote: str
    status: str = "TRADING"
    base_precision: int = 8
    quote_precision: int = 8
    order_types: frozenset[str] = frozenset({"LIMIT", "LIMIT_MAKER", "MARKET"})
    quote_order_qty_allowed: bool = True
    oco_allowed: bool = False
    tick_size: Decimal = ZERO
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    step_size: Decimal = ZERO
    min_quantity: Decimal = ZERO
    max_quantity: Decimal = ZERO
    market_step: Decimal = ZERO
    market_min: Decimal = ZERO
    market_max: Decimal = ZERO
    min_notional: Decimal = ZERO
    apply_min_to_market: bool = False
    max_notional: Decimal = ZERO
    apply_max_to_market: bool = False
    notional_filter: str = "NOTIONAL"
    """The name under which a notional is refused: MIN_NOTIONAL in exchangeInfo up to 2022, NOTIONAL since."""
    avg_price_minutes: int = 0
    """The average that stands for a price where there is none is over so many minutes; 0: the last price."""
    percent_filter: str = "PERCENT_PRICE"
    buy_percent: tuple[Decimal, Decimal] = (ZERO, ZERO)
    """A BUY's price over the average, at least and at most."""
    sell_percent: tuple[Decimal, Decimal] = (ZERO, ZERO)
    percent_price_minutes: int = 0
    max_num_orders: int = 0
    max_num_algo_orders: int = 0
    """Open orders that wait for a stop price, at most."""
    max_num_order_lists: int = 0
    max_position: Decimal = ZERO
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The entry as the exchange answered it."""

    @property
    def lot(self) -> Decimal:
        """The least quantity that trades: the step, or where that is off what the base asset's precision allows."""
        return self.step_size or Decimal(1).scaleb(-self.base_precision)

    @classmethod
    def from_exchange_info(cls, entry: Mapping[str, Any]) -> SymbolRules:
        """Reads one element of exchangeInfo's `symbols`, of any year since 2021; unknown filters are ignored.

        Raises KeyError for an entry that lacks its symbol, its assets or a member of a filter that it has.
        """
        read: dict[str, Any] = {}
        filters = {f["filterType"]: f for f in entry.get("filters", ())}
        for name, reader in READERS.items():
            if name in filters:
                read |= reader(filters[name])
        return cls(
            symbol=entry["symbol"],
            base=entry["baseAsset"],
            quote=entry["quoteAsset"],
            status=entry.get("status", "TRADING"),
            base_precision=int(entry.get("baseAssetPrecision", 8)),
            quote_precision=int(entry.get("quoteAssetPrecision", entry.get("quotePrecision", 8))),
            order_types=frozenset(entry.get("orderTypes", ("LIMIT", "LIMIT_MAKER", "MARKET"))),
            quote_order_qty_allowed=bool(entry.get("quoteOrderQtyMarketAllowed", True)),
            oco_allowed=bool(entry.get("ocoAllowed", False)),
            raw=entry,
            **read,
        )


def _price(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tick_size": Decimal(f["tickSize"]),
        "min_price": Decimal(f["minPrice"]),
        "max_price": Decimal(f["maxPrice"]),
    }


def _percent(f: Mapping[str, Any]) -> dict[str, Any]:
    band = (Decimal(f["multiplierDown"]), Decimal(f["multiplierUp"]))
    minutes = int(f.get("avgPriceMins", 0))
    return {"buy_percent": band, "sell_percent": band, "percent_price_minutes": minutes}


def _percent_by_side(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "percent_filter": "PERCENT_PRICE_BY_SIDE",
        "buy_percent": (Decimal(f["bidMultiplierDown"]), Decimal(f["bidMultiplierUp"])),
        "sell_percent": (Decimal(f["askMultiplierDown"]), Decimal(f["askMultiplierUp"])),
        "percent_price_minutes": int(f.get("avgPriceMins", 0)),
    }


def _lot(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step_size": Decimal(f["stepSize"]),
        "min_quantity": Decimal(f["minQty"]),
        "max_quantity": Decimal(f["maxQty"]),
    }


def _market_lot(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "market_step": Decimal(f["stepSize"]),
        "market_min": Decimal(f["minQty"]),
        "market_max": Decimal(f["maxQty"]),
    }


def _min_notional(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "notional_filter": "MIN_NOTIONAL",
        "min_notional": Decimal(f["minNotional"]),
        "apply_min_to_market": bool(f.get("applyToMarket", False)),
        "avg_price_minutes": int(f.get("avgPriceMins", 0)),
    }


def _notional(f: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "notional_filter": "NOTIONAL",
        "min_notional": Decimal(f["minNotional"]),
        "apply_min_to_market": bool(f.get("applyMinToMarket", False)),
        "max_notional": Decimal(f.get("maxNotional", 0)),
        "apply_max_to_market": bool(f.get("applyMaxToMarket", False)),
        "avg_price_minutes": int(f.get("avgPriceMins", 0)),
    }


READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "PRICE_FILTER": _price,
    "PERCENT_PRICE": _percent,
    "PERCENT_PRICE_BY_SIDE": _percent_by_side,
    "LOT_SIZE": _lot,
    "MARKET_LOT_SIZE": _market_lot,
    "MIN_NOTIONAL": _min_notional,
    "NOTIONAL": _notional,
    "MAX_NUM_ORDERS": lambda f: {"max_num_orders": int(f["maxNumOrders"])},
    "MAX_NUM_ALGO_ORDERS": lambda f: {"max_num_algo_orders": int(f["maxNumAlgoOrders"])},
    "MAX_NUM_ORDER_LISTS": lambda f: {"max_num_order_lists": int(f["maxNumOrderLists"])},
    "MAX_POSITION": lambda f: {"max_position": Decimal(f["maxPosition"])},
}
"""In this order, so that a later reader wins where an entry has both eras' filters."""
