"""Comparing what the books say with what the exchange says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

TOLERANCE = Decimal("0.00001")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing on which the two sides differ, both sides in words."""

    what: str
    books: str
    exchange: str


def compare(
    books: Mapping[str, Decimal],
    exchange: Mapping[str, Decimal],
    *,
    assets: Iterable[str],
    books_orders: Iterable[str] = (),
    exchange_orders: Iterable[str] = (),
    tolerance: Decimal = TOLERANCE,
) -> tuple[Mismatch, ...]:
    """Differences in the totals (free and locked) of `assets` beyond `tolerance`, and in the open orders."""
    found = [
        Mismatch(asset, str(books.get(asset, ZERO)), str(exchange.get(asset, ZERO)))
        for asset in sorted(set(assets))
        if abs(books.get(asset, ZERO) - exchange.get(asset, ZERO)) > tolerance
    ]
    ours, theirs = set(books_orders), set(exchange_orders)
    found += [Mismatch(f"order {order}", "open", "not open") for order in sorted(ours - theirs)]
    found += [Mismatch(f"order {order}", "unknown", "open") for order in sorted(theirs - ours)]
    return tuple(found)
