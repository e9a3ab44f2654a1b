"""The machine's clocks and its source of ids, as values that are handed in."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for people and signatures, monotonic time for ages; virtual in the simulation."""

    def wall(self) -> datetime: ...
    def wall_ms(self) -> int: ...
    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def thread_cpu_ns(self) -> int:
        """What the calling thread has had of the processor."""
        return time.thread_time_ns()


def chance() -> float:
    """A number in [0, 1) that no two processes share: for waits that must not fall together."""
    return secrets.SystemRandom().random()


class Ids(Protocol):
    """A source of ids that no two signals share."""

    def new(self) -> str: ...


class RandomIds:
    """20 hexadecimal digits from the operating system: 80 bits, so that no journal ever sees one twice."""

    def new(self) -> str:
        return secrets.token_hex(10)
