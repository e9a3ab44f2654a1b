"""Where the embedded exchange's market comes from: what a source is, and the one that a setting names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from thunes.errors import SourceError
from thunes.messages import Candle, MarketEvent

SYNTHETIC = "synthetic"


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


def open_source(spec: str, *, symbols: Sequence[str], seed: int, trend: float, rules: Mapping[str, Grid]) -> Source:
    """The source that `spec` names: `synthetic`, or a path to recorded frames or kline files.

    `seed` and `trend` shape the synthetic market; `seed` alone the path inside a kline file's candles. Raises
    SourceError, naming the file and the row where there is one.
    """
    from thunes.exchange.simulator.klines import KlineSource, kline_files
    from thunes.exchange.simulator.recorded import RecordedSource, recorded_files
    from thunes.exchange.simulator.synthetic import SyntheticSource

    if spec == SYNTHETIC:
        return SyntheticSource(symbols, seed=seed, trend=trend, rules=rules)
    path = Path(spec)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder; give `synthetic` or a path that exists.")
    if frames := recorded_files(path):
        return RecordedSource(path, frames, symbols)
    if tables := kline_files(path):
        return KlineSource(path, tables, symbols, seed=seed, rules=rules)
    raise SourceError(f"{path}: no *.jsonl, *.csv or *.zip file is there; give recorded frames or Binance's kline files.")
