"""The exchange's names for a candle's length."""

from __future__ import annotations

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def interval_ms(interval: str) -> int:
    """`1m` is 60,000. ValueError for what the exchange does not name so (a month has no fixed length)."""
    count, unit = interval[:-1], interval[-1:]
    if unit not in UNITS_MS or not count.isdecimal() or int(count) < 1:
        raise ValueError(f"{interval!r} is not an interval such as 1m, 15m or 4h")
    return int(count) * UNITS_MS[unit]
