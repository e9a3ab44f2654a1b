"""Binance's public kline files (data.binance.vision): 12 columns, no header until some tool added one.

Open time, open, high, low, close, base volume, close time, quote volume, trade count, taker buy base volume, taker buy
quote volume, ignore. Times are in milliseconds, since 2025 in microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from thunes.domain.intervals import interval_ms
from thunes.errors import SourceError
from thunes.exchange.simulator.source_files import broken, lines

SUFFIXES = (".csv", ".csv.gz", ".zip")
COLUMNS = 12
MICROSECONDS_FROM = 10**14
"""A time at or above it is in microseconds."""
NAME = re.compile(r"(?P<symbol>[A-Z0-9]+)(?:-(?P<interval>[0-9]+[smhdw])(?=[-.]))?")


class Row(NamedTuple):
    """A candle of a file; `open_ms` in milliseconds whatever the file has."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Table(NamedTuple):
    """One symbol's candles in order of time; a time that has none is a gap."""

    symbol: str
    interval_ms: int
    rows: Sequence[Row]


def kline_files(path: Path) -> tuple[Path, ...]:
    """The kline files that a path names, by name."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple(file for file in files if file.name.endswith(SUFFIXES))


def symbol_of(path: Path) -> str:
    """The symbol that the file's name begins with. Raises SourceError where it begins with none."""
    match = NAME.match(path.name)
    if match is None:
        raise SourceError(f"{path}: its name does not begin with a symbol; call it like BTCUSDT-1m-2021-06.csv.")
    return match["symbol"]


def read_table(symbol: str, paths: Sequence[Path]) -> Table:
    """All candles of one symbol's files. Raises SourceError, naming file and row, for what is no candle or no order."""
    named_ms = _named_interval(paths)
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    closes_ms = 0
    for path in paths:
        for number, line in lines(path):
            if number == 1 and line[:1].isalpha():
                continue
            try:
                row, closes_ms = _row(line)
            except ValueError as error:
                raise broken(path, number, str(error)) from error
            if rows and row.open_ms <= rows[-1].open_ms:
                fault = "the same open time again" if row.open_ms == rows[-1].open_ms else "out of order"
                raise broken(path, number, f"{fault}, {row.open_ms} after {rows[-1].open_ms}")
            rows.append(row)
            places.append((path, number))
    if not rows:
        raise SourceError(f"{paths[0]}: it has no candles; give a file with some.")
    length = named_ms or _spacing(rows, closes_ms + 1 - rows[-1].open_ms)
    for row, place in zip(rows, places, strict=True):
        if (row.open_ms - rows[0].open_ms) % length:
            raise broken(*place, f"it does not open a whole number of intervals of {length // 1000} s after the first")
    return Table(symbol, length, rows)


def finest(rows: Iterable[Row], tick: Decimal) -> Decimal:
    """`tick`, or the power of ten that all prices are multiples of where they are not multiples of it."""
    prices = [price for row in rows for price in row[1:5]]
    if not any(price % tick for price in prices):
        return tick
    return Decimal(1).scaleb(min(int(price.normalize().as_tuple().exponent) for price in prices))


def _named_interval(paths: Sequence[Path]) -> int | None:
    """What the files' names say. Raises SourceError where they do not agree."""
    names = {match["interval"] for path in paths if (match := NAME.match(path.name)) and match["interval"]}
    if len(names) > 1:
        raise SourceError(f"{paths[0].parent}: candles of {', '.join(sorted(names))} are mixed; leave one kind there.")
    return interval_ms(names.pop()) if names else None


def _spacing(rows: Sequence[Row], length_ms: int) -> int:
    """The smallest distance between candles, or a single one's length."""
    return min((later.open_ms - row.open_ms for row, later in pairwise(rows)), default=length_ms)


def _row(line: bytes) -> tuple[Row, int]:
    """A line's candle and its close time; ValueError says what is wrong with it."""
    cells = line.decode("ascii", "replace").strip().split(",")
    if len(cells) != COLUMNS:
        raise ValueError(f"{len(cells)} columns instead of {COLUMNS}")
    try:
        opens, closes = int(cells[0]), int(cells[6])
        price, high, low, close, volume = map(Decimal, cells[1:6])
        rest = [float(cell) for cell in cells[7:]]
    except (ValueError, ArithmeticError):
        raise ValueError("a cell that is not a number") from None
    figures = (price, high, low, close, volume)
    if not all(figure.is_finite() for figure in figures) or not all(0 <= each < float("inf") for each in rest):
        raise ValueError("a negative figure, or one that is not a number")
    if min(figures[:4]) <= 0 or volume < 0:
        raise ValueError("a price that is not above 0, or a negative volume")
    if not (low <= price <= high and low <= close <= high):
        raise ValueError("open, high, low and close contradict each other")
    if closes <= opens or opens < 0:
        raise ValueError("it closes before it opens")
    divisor = 1000 if opens >= MICROSECONDS_FROM else 1
    return Row(opens // divisor, price, high, low, close, volume), closes // divisor
