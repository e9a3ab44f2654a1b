"""The least that can be sold, as the books are told it, and what can be sold, as the strategy asks it, agree."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.domain.filters import market_step, sellable
from thunes.domain.orders import smallest_sellable
from thunes.domain.symbol_rules import SymbolRules

D = Decimal


def rules(step: str, least: str = "0", market: str = "0", market_min: str = "0", notional: str = "0") -> SymbolRules:
    return SymbolRules(
        "BTCUSDT",
        "BTC",
        "USDT",
        step_size=D(step),
        min_quantity=D(least),
        market_step=D(market),
        market_min=D(market_min),
        min_notional=D(notional),
        apply_min_to_market=True,
    )


@pytest.mark.parametrize(
    ("symbol", "price", "least"),
    [
        (rules("0.001"), "100", "0.001"),
        (rules("0.001", least="0.01"), "100", "0.01"),
        (rules("0.001", market_min="0.02"), "100", "0.02"),
        (rules("0.001", notional="5"), "100", "0.05"),
        (rules("0.001", notional="5"), "99", "0.051"),
        (rules("0.02", market="0.03"), "100", "0.06"),
        (rules("0", market="0.5"), "100", "0.5"),
    ],
)
def test_the_least_that_sells_is_what_every_filter_allows(symbol: SymbolRules, price: str, least: str) -> None:
    assert smallest_sellable(symbol, D(price)) == D(least)


def test_a_notional_that_does_not_bind_market_orders_makes_no_dust() -> None:
    symbol = SymbolRules("BTCUSDT", "BTC", "USDT", step_size=D("0.1"), min_notional=D(100))
    assert smallest_sellable(symbol, D(1)) == D("0.1")


def test_what_is_left_below_the_least_is_dust_and_the_least_itself_sells() -> None:
    symbol, price = rules("0.00001", least="0.00001", notional="5"), D(60_000)
    least = smallest_sellable(symbol, price)
    assert least == D("0.00009")
    assert sellable(symbol, least, price) == least
    assert sellable(symbol, least - D("0.00000001"), price) == 0


def amounts(most: int, places: int, least: int = 0) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda units: D(units).scaleb(-places))


@given(
    step=amounts(30, 3, least=1),
    market=amounts(30, 3),
    least=amounts(500, 3),
    market_min=amounts(500, 3),
    notional=amounts(5_000, 2),
    price=amounts(1_000_000, 2, least=1),
    held=amounts(10_000_000, 4),
)
def test_a_holding_is_dust_for_the_books_exactly_when_the_filters_let_nothing_of_it_be_sold(
    step: Decimal,
    market: Decimal,
    least: Decimal,
    market_min: Decimal,
    notional: Decimal,
    price: Decimal,
    held: Decimal,
) -> None:
    symbol = rules(str(step), str(least), str(market), str(market_min), str(notional))
    smallest = smallest_sellable(symbol, price)
    for quantity in (held, smallest, smallest - D("0.0001"), smallest + market_step(step, market)):
        assert (sellable(symbol, quantity, price) > 0) == (quantity >= smallest)
