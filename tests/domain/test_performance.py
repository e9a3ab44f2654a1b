"""One equity a day, and what it says."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from thunes.domain.performance import is_decaying, sharpe, sharpe_by_window, sharpe_over


def marks(*equities: float) -> dict[str, Decimal]:
    first = date(2026, 1, 1)
    return {(first + timedelta(days=n)).isoformat(): Decimal(str(equity)) for n, equity in enumerate(equities)}


WORSE = (1000, 990, 985, 970, 968, 950, 949, 930, 925, 920, 900)
BETTER = (1000, 1010, 1011, 1025, 1030, 1041, 1044, 1060, 1062, 1070, 1081)


def test_it_is_mean_over_sample_deviation_times_the_root_of_365() -> None:
    returns = [(b - a) / a for a, b in pairwise(BETTER)]
    mean = math.fsum(returns) / 10
    variance = math.fsum((r - mean) ** 2 for r in returns) / 9
    assert sharpe([Decimal(e) for e in BETTER]) == pytest.approx(mean / math.sqrt(variance) * math.sqrt(365), rel=1e-12)


@pytest.mark.parametrize("equities", [(), (1000,), (1000, 1010), (1000, 1000, 1000), (1000, 0, 10), (1000, -5, 10)])
def test_what_says_nothing_is_none(equities: tuple[int, ...]) -> None:
    assert sharpe([Decimal(e) for e in equities]) is None


def test_a_window_is_known_once_it_has_passed() -> None:
    assert sharpe_over(marks(*BETTER[:7]), 7) is None
    assert sharpe_over(marks(*BETTER[:8]), 7) == sharpe([Decimal(e) for e in BETTER[:8]])
    assert set(sharpe_by_window(marks(*BETTER))) == {"7d"}
    assert set(sharpe_by_window(marks(*BETTER, *BETTER, *BETTER))) == {"7d", "30d"}


def test_only_the_windows_own_days_count() -> None:
    assert sharpe_over(marks(5, 5000, *BETTER[-8:]), 7) == sharpe_over(marks(*BETTER[-8:]), 7)


def test_decay_is_three_days_in_a_row_below_the_threshold() -> None:
    assert is_decaying(marks(*WORSE[:10]), 1.0, 3)
    assert not is_decaying(marks(*WORSE[:9]), 1.0, 3), "two days are known"
    assert not is_decaying(marks(*BETTER), 1.0, 3)


def test_one_good_day_ends_it() -> None:
    assert not is_decaying(marks(*WORSE[:10], 2000), 1.0, 3)


def test_a_ratio_at_the_threshold_is_not_below_it() -> None:
    ratio = sharpe_over(marks(*WORSE[:8]), 7)
    assert ratio is not None
    assert not is_decaying(marks(*WORSE[:8]), ratio, 1)
    assert is_decaying(marks(*WORSE[:8]), ratio + 1e-9, 1)
