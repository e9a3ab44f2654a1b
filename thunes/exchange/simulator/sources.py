"""The market source that a setting names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from thunes.errors import SourceError
from thunes.exchange.simulator.klines import KlineSource, kline_files
from thunes.exchange.simulator.recorded import RecordedSource, recorded_files
from thunes.exchange.simulator.source_protocol import SYNTHETIC, Grid, Source
from thunes.exchange.simulator.synthetic import SyntheticSource

__all__ = ["SYNTHETIC", "Grid", "Source", "open_source"]


def open_source(spec: str, *, symbols: Sequence[str], seed: int, trend: float, rules: Mapping[str, Grid]) -> Source:
    """The source that `spec` names: `synthetic`, or a path to recorded frames or kline files.

    `seed` and `trend` shape the synthetic market; `seed` alone the path inside a kline file's candles. Raises
    SourceError, naming the file and the row where there is one.
    """
    if spec == SYNTHETIC:
        return SyntheticSource(symbols, seed=seed, trend=trend, rules=rules)
    path = Path(spec)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder; give `synthetic` or a path that exists.")
    if frames := recorded_files(path):
        return RecordedSource(path, frames, symbols)
    if tables := kline_files(path):
        return KlineSource(path, tables, symbols, seed=seed, rules=rules)
    raise SourceError(f"{path}: it is or has no *.jsonl, *.csv or *.zip file; give recorded frames or kline files.")
