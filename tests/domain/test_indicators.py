"""Indicators in constant time say what the definitions say over the whole window."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.domain.indicators import Rsi, Sma

PRICES = st.lists(st.decimals("0.00000001", "100000", places=8), max_size=60)


def mean(values: list[Decimal], period: int) -> Fraction | None:
    """The definition, over the newest `period` values."""
    window = [Fraction(value) for value in values[-period:]]
    return sum(window, Fraction(0)) / period if len(window) == period else None


def wilder(values: list[Decimal], period: int) -> Fraction | None:
    """Wilder's definition, from the first value each time, in exact fractions: 100 - 100 / (1 + gains / losses)."""
    changes = [Fraction(b) - Fraction(a) for a, b in pairwise(values)]
    if len(changes) < period:
        return None
    gains = [max(change, Fraction(0)) for change in changes]
    losses = [max(-change, Fraction(0)) for change in changes]
    gain, loss = sum(gains[:period]) / Fraction(period), sum(losses[:period]) / Fraction(period)
    for up, down in zip(gains[period:], losses[period:], strict=True):
        gain, loss = (gain * (period - 1) + up) / period, (loss * (period - 1) + down) / period
    if not loss:
        return Fraction(100) if gain else Fraction(50)
    return 100 - 100 / (1 + gain / loss)


@given(PRICES, st.integers(1, 12))
def test_an_sma_is_the_mean_of_its_window(values: list[Decimal], period: int) -> None:
    sma = Sma(period)
    for seen in range(1, len(values) + 1):
        value = sma.update(values[seen - 1])
        expected = mean(values[:seen], period)
        assert (value is None) == (expected is None)
        if value is not None and expected is not None:
            assert abs(Fraction(value) - expected) <= Fraction(value) / 10**26


def test_an_sma_does_not_drift_over_a_hundred_thousand_values() -> None:
    sma = Sma(7)
    for n in range(100_000):
        sma.update(Decimal(n % 1009) / 1000 + Decimal("0.00000001"))
    for _ in range(7):
        sma.update(Decimal("0.3"))
    assert sma.value == Decimal("0.3")


@given(PRICES, st.integers(1, 12))
def test_an_rsi_is_wilders(values: list[Decimal], period: int) -> None:
    rsi = Rsi(period)
    for seen in range(1, len(values) + 1):
        value = rsi.update(values[seen - 1])
        expected = wilder(values[:seen], period)
        assert (value is None) == (expected is None)
        if value is not None and expected is not None:
            assert value == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ((1, 2, 3, 4), 100.0),
        ((4, 3, 2, 1), 0.0),
        ((5, 5, 5, 5), 50.0),
        ((10, 12, 11, 12), 75.0),
    ],
    ids=["only gains", "only losses", "no change", "three up for one down"],
)
def test_the_ends_and_the_middle_of_an_rsi(prices: tuple[int, ...], expected: float) -> None:
    rsi = Rsi(3)
    assert [rsi.update(Decimal(price)) for price in prices] == [None, None, None, pytest.approx(expected)]


def test_the_same_values_give_the_same_bits() -> None:
    first, second = Rsi(14), Rsi(14)
    values = [Decimal(n * 7919 % 1013) / 7 for n in range(500)]
    assert [first.update(value) for value in values] == [second.update(value) for value in values]
