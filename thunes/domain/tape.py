"""The public tape of one symbol: the last price and the average that the exchange's filters use."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from thunes.domain.filters import ZERO
from thunes.messages import PublicTrade

MINUTE_MS = 60_000


class Tape:
    """Public trades of the last `minutes` of market time, summed up as they come and go."""

    __slots__ = ("_quantity", "_quote", "_trades", "_window_ms", "last_price", "now_ms")

    def __init__(self, minutes: int) -> None:
        self._window_ms = minutes * MINUTE_MS
        self._trades: deque[tuple[int, Decimal, Decimal]] = deque()
        self._quote = ZERO
        self._quantity = ZERO
        self.last_price = ZERO
        self.now_ms = 0

    def add(self, trade: PublicTrade) -> None:
        """Prints one trade."""
        quote = trade.price * trade.quantity
        self.last_price = trade.price
        self._trades.append((trade.time_ms, quote, trade.quantity))
        self._quote += quote
        self._quantity += trade.quantity
        self._advance(trade.time_ms)

    def average_price(self) -> Decimal:
        """The volume-weighted average of the window up to the newest print; 0 before the first."""
        return self._quote / self._quantity if self._quantity > 0 else self.last_price

    def _advance(self, now_ms: int) -> None:
        self.now_ms = max(self.now_ms, now_ms)
        trades = self._trades
        # The newest print stays, so that the window is never empty and rounding in the sums cannot outlive it.
        while len(trades) > 1 and trades[0][0] <= self.now_ms - self._window_ms:
            _, quote, quantity = trades.popleft()
            self._quote -= quote
            self._quantity -= quantity
