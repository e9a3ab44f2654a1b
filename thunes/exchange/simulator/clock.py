"""Market time: how far the played market is, and when its next event is due."""

from __future__ import annotations

from collections.abc import Callable

MOST_LAG_S = 1.0
"""Wall seconds that playing may fall behind before it goes on from where it is instead of hurrying."""


class MarketClock:
    """Plays `speed` seconds of market time in one second of `monotonic`; 0 stands for as fast as events are taken."""

    def __init__(self, monotonic: Callable[[], float], speed: float, start_ms: int) -> None:
        self._monotonic = monotonic
        self.speed = speed
        self._anchor = monotonic()
        self._anchor_ms = start_ms
        self._reached_ms = start_ms
        self._next_ms = start_ms

    def wait_s(self, event_ms: int) -> float:
        """Wall seconds until `event_ms`, the next thing that will happen; 0 when it is due."""
        self._next_ms = max(event_ms, self._reached_ms)
        if self.speed == 0:
            return 0.0
        now = self._monotonic()
        left = self._anchor + (event_ms - self._anchor_ms) / 1000 / self.speed - now
        if left < -MOST_LAG_S:
            self._anchor, self._anchor_ms = now, event_ms
        return max(0.0, left)

    def reach(self, event_ms: int) -> None:
        """The market is at `event_ms` now; it never goes back."""
        self._reached_ms = max(self._reached_ms, event_ms)

    def now_ms(self) -> int:
        """Market time in milliseconds: never before the last event, never after the next."""
        if self.speed == 0:
            return self._reached_ms
        played = self._anchor_ms + int((self._monotonic() - self._anchor) * 1000 * self.speed)
        return max(self._reached_ms, min(played, self._next_ms))

    def restart(self) -> None:
        """Go on from here, however long nothing was played."""
        self._anchor, self._anchor_ms = self._monotonic(), self._reached_ms
