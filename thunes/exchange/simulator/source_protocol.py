"""What a market source is, and what it needs to know."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from thunes.messages import Candle, MarketEvent

SYNTHETIC = "synthetic"
LIVE = "live"


class Grid(Protocol):
    """What a source needs to know of a symbol's rules."""

    @property
    def symbol(self) -> str: ...

    @property
    def tick_size(self) -> Decimal: ...

    @property
    def step_size(self) -> Decimal: ...


class Source(Protocol):
    """A market that can be played, and played on from where it was."""

    symbols: tuple[str, ...]
    start_ms: int
    """Market time of the first event."""

    def history(self, symbol: str, before_ms: int, limit: int) -> tuple[Candle, ...]:
        """The newest `limit` closed 1m candles that open before `before_ms` and end before the start, oldest first.

        Empty where the source knows nothing of the time before it began.
        """

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        """Events in order of market time, the first of each symbol a snapshot of its book.

        With a checkpoint: one snapshot a symbol of the book as it stood there, then exactly the events that came after.
        Raises SourceError where the file goes bad, or the checkpoint is another source's.
        """

    def checkpoint(self) -> str:
        """The place after the last event that `play` yielded, as small JSON."""
