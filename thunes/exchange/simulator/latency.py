"""How long things are under way: a draw from a log-normal distribution, and a line in which nothing overtakes."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from random import Random


class Latency:
    """Wall seconds there and back: a median of `median_s`, with `spread` as the standard deviation of the logarithm."""

    def __init__(self, median_s: float, spread: float, rng: Random) -> None:
        self._median_s = median_s
        self._spread = spread
        self._rng = rng

    def half(self) -> float:
        """One way of a request, to be gone there and back; nothing is drawn where there is no latency."""
        if not self._median_s:
            return 0.0
        return self._median_s * math.exp(self._rng.gauss(0.0, self._spread)) / 2


class Line:
    """What one side of a connection sends: it takes its time, and arrives in the order in which it was sent."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, seconds: float, arrive: Callable[[], None]) -> None:
        """Call `arrive` in so many seconds, and not before what was sent earlier; at once where that is now."""
        if seconds <= 0 and not self._under_way:
            arrive()
            return
        due = self._loop.time() + seconds
        self._under_way.append((due, arrive))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrived)

    def _arrived(self) -> None:
        # Timers may be early by less than the clock can tell.
        now = max(self._loop.time(), self._under_way[0][0])
        try:
            while self._under_way and self._under_way[0][0] <= now:
                self._under_way.popleft()[1]()
        finally:
            due = self._under_way[0][0] if self._under_way else None
            self._timer = None if due is None else self._loop.call_at(due, self._arrived)
