"""A histogram that one owner fills and anybody reads as an immutable value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from thunes.domain.figures import Histogram, Observation

ORDER_LATENCY_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
TICK_TO_ORDER_MS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
GAP_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Recorder:
    """Counts observations into buckets whose upper bounds are inclusive."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._first = self._bounds[0]
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._newest: list[Observation | None] = [None] * (len(bounds) + 1)
        self._shown: Histogram | None = None

    def observe(self, value: float, correlation_id: str = "", wall_ms: int = 0) -> None:
        """Count it; with the decision that it belongs to, it is remembered as its bucket's newest."""
        bucket = 0 if value <= self._first else bisect_left(self._bounds, value)  # mostly the first
        self._counts[bucket] += 1
        self._total += value
        if correlation_id:
            self._newest[bucket] = Observation(value, correlation_id, wall_ms)
        self._shown = None

    def histogram(self) -> Histogram:
        """The counts as a value; the same one until the next observation, because actors publish at each message."""
        if self._shown is None:
            newest = tuple(self._newest) if any(self._newest) else ()
            self._shown = Histogram(self._bounds, tuple(self._counts), self._total, newest)
        return self._shown
