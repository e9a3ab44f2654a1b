"""Kline files that tests write, and what comes of playing them."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from tests.candles import CandleBuilder
from thunes.exchange.simulator.rules import entries, symbol_rules
from thunes.exchange.simulator.sources import Source, open_source
from thunes.messages import Candle, MarketEvent, PublicTrade

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BASE_MS = 1_623_340_800_000
RULES = symbol_rules(entries(("BTCUSDT", "ETHUSDT", "DOGEUSDT")))

Figures = tuple[str, str, str, str, str]
"""Open, high, low, close and volume."""


def line(opens: int, figures: Sequence[str], length: int = MINUTE_MS, scale: int = 1) -> str:
    closes = (opens + length) * scale - 1
    return ",".join((str(opens * scale), *figures, str(closes), "0", "0", "0", "0", "0"))


def table(*figures: Sequence[str], length: int = MINUTE_MS, base: int = BASE_MS) -> list[str]:
    return [line(base + index * length, each, length) for index, each in enumerate(figures)]


FLAT: Figures = ("100", "100", "100", "100", "0")
UP: Figures = ("100.00", "100.90", "99.50", "100.40", "12.34567")
DOWN: Figures = ("100.40", "101.00", "98.00", "99.00", "3.2")


def write(folder: Path, rows: Sequence[str], name: str = "BTCUSDT-1m-2021-06.csv") -> Path:
    path, text = folder / name, "\n".join(rows) + "\n"
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name.replace(".zip", ".csv"), text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def opened(path: Path, *symbols: str, seed: int = 1) -> Source:
    return open_source(str(path), symbols=symbols or ("BTCUSDT",), seed=seed, trend=1.0, rules=RULES)


def candles_of(events: Sequence[MarketEvent], symbol: str = "BTCUSDT", length: int = MINUTE_MS) -> list[Candle]:
    """The candles that closed until the last event, and the one being formed then."""
    builder, closed = CandleBuilder(symbol, length), list[Candle]()
    for event in events:
        closed += builder.advance(event.time_ms)
        if isinstance(event, PublicTrade) and event.symbol == symbol:
            builder.add(event)
    return [*closed, builder.current] if builder.current else closed


def figures_of(candle: Candle) -> tuple[Decimal, ...]:
    return candle.open, candle.high, candle.low, candle.close, candle.volume


def decimals(figures: Sequence[str]) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, figures))


def replayed(path: Path, length: int = MINUTE_MS, seed: int = 1) -> list[tuple[Decimal, ...]]:
    return [figures_of(candle) for candle in candles_of(list(opened(path, seed=seed).play()), length=length)]
