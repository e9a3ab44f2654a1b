"""Indicators that take one value at a time in constant time."""

from __future__ import annotations

from collections import deque
from decimal import Decimal


class Sma:
    """The mean of the last `period` values; None before there are that many. Exact: the sum is kept in Decimal."""

    def __init__(self, period: int) -> None:
        self._window: deque[Decimal] = deque(maxlen=period)
        self._sum = Decimal(0)
        self.value: Decimal | None = None

    def update(self, value: Decimal) -> Decimal | None:
        window = self._window
        if len(window) == window.maxlen:
            self._sum -= window[0]
        window.append(value)
        self._sum += value
        self.value = self._sum / len(window) if len(window) == window.maxlen else None
        return self.value


class Rsi:
    """Wilder's relative strength index of `period` changes, 0 to 100; None before there are that many.

    The first averages are plain means, then each is `(before * (period - 1) + now) / period` (J. Welles Wilder, New
    Concepts in Technical Trading Systems, 1978). Without a change either way it is 50.
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self._last: Decimal | None = None
        self._seen = 0
        self._gain = self._loss = 0.0
        self.value: float | None = None

    def update(self, value: Decimal) -> float | None:
        last, self._last = self._last, value
        if last is None:
            return None
        change = float(value - last)
        gain, loss = max(change, 0.0), max(-change, 0.0)
        self._seen += 1
        period = self._period
        if self._seen <= period:
            self._gain += gain / period
            self._loss += loss / period
        else:
            self._gain = (self._gain * (period - 1) + gain) / period
            self._loss = (self._loss * (period - 1) + loss) / period
        if self._seen >= period:
            moved = self._gain + self._loss
            self.value = 100.0 * self._gain / moved if moved else 50.0
        return self.value
