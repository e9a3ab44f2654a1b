"""How well it has gone: figures from one equity a day."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from math import sqrt

DAYS_A_YEAR = 365
"""The market never closes."""
WINDOWS: Mapping[str, int] = {"7d": 7, "30d": 30}


def sharpe(equities: Sequence[Decimal]) -> float | None:
    """The annualised Sharpe ratio of the returns from each equity to the next, against a riskless rate of 0.

    Mean over sample standard deviation, times the root of 365 (W. F. Sharpe, "The Sharpe Ratio", 1994). None for fewer
    than two returns, for returns that do not differ, and where an equity is not above 0: it says nothing then.
    """
    if len(equities) < 3 or any(equity <= 0 for equity in equities):
        return None
    returns = [float(after / before - 1) for before, after in pairwise(equities)]
    deviation = statistics.stdev(returns)
    return statistics.fmean(returns) / deviation * sqrt(DAYS_A_YEAR) if deviation else None


def sharpe_over(marks: Mapping[str, Decimal], days: int) -> float | None:
    """Of the last `days` daily returns between the marked days; None until there are as many."""
    equities = [marks[day] for day in sorted(marks)][-days - 1 :]
    return sharpe(equities) if len(equities) == days + 1 else None


def sharpe_by_window(marks: Mapping[str, Decimal]) -> dict[str, float]:
    """The windows that are known."""
    found = {window: sharpe_over(marks, days) for window, days in WINDOWS.items()}
    return {window: ratio for window, ratio in found.items() if ratio is not None}


def is_decaying(marks: Mapping[str, Decimal], threshold: float, days: int) -> bool:
    """Whether the 7-day ratio was below `threshold` at each of the last `days` marks; one not known is not below."""
    known = sorted(marks)
    for back in range(days):
        ratio = sharpe_over({day: marks[day] for day in known[: len(known) - back]}, WINDOWS["7d"])
        if ratio is None or ratio >= threshold:
            return False
    return True
