"""How much may be asked of a live venue's REST, so that it never has a reason to ban the address.

Pure; times are monotonic wall seconds. The venue counts by aligned minutes and by address (rest-api.md, LIMITS); here
any sixty seconds count, which is never more than its own count of what was asked from here.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
MOST_WEIGHT = 3_000
"""A minute: half of the 6,000 that an address has, so that others at the same address find room."""


class Allowance:
    """The weight spent lately, and the pause that the venue asked for."""

    def __init__(self, most: int = MOST_WEIGHT) -> None:
        self._most = most
        self._spent: deque[tuple[float, int]] = deque()
        self._again_s = 0.0

    def wait_s(self, weight: int, now_s: float) -> float:
        """Seconds until a request of this weight may be sent; 0 for now. One above the whole allowance goes alone."""
        over = self._sum(now_s) + weight - self._most
        until_s = self._again_s
        for sent_s, each in self._spent:
            if over <= 0:
                break
            over -= each
            until_s = max(until_s, sent_s + WINDOW_S)
        return max(0.0, until_s - now_s)

    def sent(self, weight: int, now_s: float) -> None:
        self._spent.append((now_s, weight))

    def told(self, used: int, now_s: float) -> None:
        """The venue's own count of this minute; what is more than ours was asked by others at the same address."""
        others = used - self._sum(now_s)
        if others > 0:
            self._spent.append((now_s, others))

    def refused(self, seconds: float, now_s: float) -> None:
        """The venue wants to hear nothing for so long."""
        self._again_s = max(self._again_s, now_s + seconds)

    def _sum(self, now_s: float) -> int:
        while self._spent and self._spent[0][0] <= now_s - WINDOW_S:
            self._spent.popleft()
        return sum(weight for _, weight in self._spent)
