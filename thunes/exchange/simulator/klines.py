"""A market made of kline files: each candle played as a path of trades that adds up to exactly that candle.

Open, high, low, close and base volume come out to the last digit; which way the price went inside a candle, how many
traded and who took is drawn from the seed. The book around it is one tick wide.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import merge
from pathlib import Path
from random import Random
from typing import NamedTuple

import orjson

from thunes.errors import SourceError
from thunes.exchange.simulator.book_shape import CHOICES, BookShape, Top, plain
from thunes.exchange.simulator.kline_files import Row, Table, finest, kline_files, read_table, symbol_of
from thunes.exchange.simulator.source_files import require
from thunes.exchange.simulator.source_protocol import Grid
from thunes.messages import Candle, MarketEvent, PublicTrade

__all__ = ["KlineSource", "kline_files"]

MINUTE_MS = 60_000
FEWEST_TRADES, MOST_TRADES = 8, 12
"""In a candle of up to a minute that somebody traded in."""
TRADES_A_MINUTE, LONGEST_PATH = 5, 400
"""In longer candles, and the most in one."""
SMALLEST_UNIT = Decimal("0.00000001")
SPLITTING = Decimal("0.001")
"""What the last digit of a volume is divided by where there are fewer of it than trades."""


LEAST_TICKS = 1
"""At this price nobody can bid less, so all who trade sell."""


class Step(NamedTuple):
    """The book moves to `top`; then, where there is a quantity, somebody trades at `ticks`."""

    book_ms: int
    trade_ms: int
    top: Top
    ticks: int
    quantity: Decimal | None
    sells: bool


class Place(NamedTuple):
    """So many events into a candle, whose first trade has this id."""

    candle: int
    done: int
    trade_id: int


class Played(NamedTuple):
    """An event, and the best prices and the place after it."""

    event: MarketEvent
    top: Top
    place: Place


class SymbolPath:
    """One symbol's candles as events. A candle's steps depend on the seed, on it and on the close before it alone."""

    def __init__(self, table: Table, rules: Grid, *, seed: int) -> None:
        self.table = table
        self._rows = table.rows
        self._key = f"{seed}/{table.symbol}"
        self._tick = plain(finest(table.rows, rules.tick_size))
        self._step = plain(rules.step_size) if rules.step_size else SMALLEST_UNIT
        self.shape = BookShape(table.symbol, self._tick, rules.step_size, table.rows[0].open, seed)

    def opening(self, index: int) -> Top:
        """The best prices before anything happened, for a market that begins with this candle."""
        row = self._rows[index]
        return self._top(self._ticks(row.open), True, (0, 0), row.open_ms)

    def events(self, place: Place, top: Top) -> Iterator[Played]:
        """What is played from the beginning of a place's candle on, `top` being the best prices there."""
        start, _, trade_id = place
        for index in range(start, len(self._rows)):
            done, first_id = 0, trade_id
            for step in self.steps(index):
                done += 1
                yield Played(self.shape.change(top, step.top, step.book_ms), step.top, Place(index, done, first_id))
                top = step.top
                if step.quantity is not None:
                    done += 1
                    price = self.shape.price(step.ticks)
                    trade = PublicTrade(
                        self.table.symbol, trade_id, price, step.quantity, step.trade_ms, buyer_is_maker=step.sells
                    )
                    trade_id += 1
                    yield Played(trade, top, Place(index, done, first_id))

    def steps(self, index: int) -> list[Step]:
        """One candle; where nobody traded in it, a single move of the book."""
        row = self._rows[index]
        rng = Random(f"{self._key}/{row.open_ms}")
        path = self._path(row, rng, self._rows[index - 1].close if index else None)
        quantities: Sequence[Decimal | None] = self._split(row.volume, len(path), rng) if path else (None,)
        path = path or [self._ticks(row.close)]
        slot = self.table.interval_ms / len(path)
        steps, before = [], path[0]
        for number, (ticks, quantity) in enumerate(zip(path, quantities, strict=True)):
            trade_ms = row.open_ms + int((number + 0.15 + 0.8 * rng.random()) * slot)
            book_ms = trade_ms - int(0.1 * slot * rng.random())
            sells = ticks == LEAST_TICKS or (rng.random() < 0.5 if ticks == before else ticks < before)
            before = ticks
            choices = rng.randrange(CHOICES), rng.randrange(CHOICES)
            steps.append(Step(book_ms, trade_ms, self._top(ticks, sells, choices, book_ms), ticks, quantity, sells))
        return steps

    def _ticks(self, price: Decimal) -> int:
        return int(price / self._tick)

    def _top(self, ticks: int, sells: bool, choices: tuple[int, int], time_ms: int) -> Top:
        """Best prices a tick apart, of which a seller meets the bid and a buyer the ask."""
        bid = ticks if sells else ticks - 1
        return Top(bid, bid + 1, *choices, time_ms // 1000)

    def _path(self, row: Row, rng: Random, last: Decimal | None) -> list[int]:
        """Prices in ticks; none for a candle that is flat at the last close because nobody traded."""
        opened, high, low, close = (self._ticks(price) for price in row[1:5])
        corners = [opened, low, high, close] if close >= opened else [opened, high, low, close]
        if not row.volume:
            return [] if last is not None and {*row[1:5]} == {last} else corners
        minutes = self.table.interval_ms // MINUTE_MS
        count = rng.randint(FEWEST_TRADES, MOST_TRADES)
        if minutes > 1:
            count = min(LONGEST_PATH, minutes * TRADES_A_MINUTE)
        turns = [0, *sorted(rng.sample(range(1, count - 1), 2)), count - 1]
        path = [opened]
        for leg in range(3):
            path += _leg(corners[leg], corners[leg + 1], turns[leg + 1] - turns[leg], (low, high), rng)
        return path

    def _split(self, volume: Decimal, count: int, rng: Random) -> list[Decimal]:
        """Quantities that add up to the volume, each above 0 where it is."""
        own = Decimal(1).scaleb(int(volume.as_tuple().exponent))
        units = (self._step, own, SMALLEST_UNIT)
        fitting = (unit for unit in units if not volume % unit and volume >= count * unit)
        unit = next(fitting, own * SPLITTING)
        total, weights = int(volume / unit), [rng.randint(20, 1000) for _ in range(count)]
        if not total:
            return [Decimal(0)] * count
        shared, whole = total - count, sum(weights)
        parts = [1 + shared * weight // whole for weight in weights]
        parts[rng.randrange(count)] += total - sum(parts)
        return [part * unit for part in parts]


def _leg(start: int, end: int, count: int, bounds: tuple[int, int], rng: Random) -> list[int]:
    """`count` prices after `start`, the last of which is `end`, with some noise that stays within bounds."""
    low, high = bounds
    noise = 0.25 * (high - low)
    between = [
        start + (end - start) * number / count + noise * (rng.random() - rng.random()) for number in range(1, count)
    ]
    return [*(min(high, max(low, round(price))) for price in between), end]


class KlineSource:
    """Plays some symbols of some kline files, from when all of them have begun. Raises SourceError for a bad row."""

    def __init__(
        self, path: Path, files: Sequence[Path], symbols: Sequence[str], *, seed: int, rules: Mapping[str, Grid]
    ) -> None:
        self.symbols = tuple(symbols)
        found = [(symbol_of(file), file) for file in files]
        require(path, {symbol for symbol, _ in found}, self.symbols)
        chosen = {name: [file for symbol, file in found if symbol == name] for name in self.symbols}
        tables = {name: read_table(name, paths) for name, paths in chosen.items()}
        self._paths = {name: SymbolPath(table, rules[name], seed=seed) for name, table in tables.items()}
        self.start_ms = max(table.rows[0].open_ms for table in tables.values())
        self._first = {name: _from(table, self.start_ms) for name, table in tables.items()}
        names = [file.name for paths in chosen.values() for file in paths]
        self._identity = {"source": "klines", "files": names, "seed": seed}
        self._now_ms = self.start_ms
        self._places = self._beginning()

    def history(self, _symbol: str, _before_ms: int, _limit: int) -> tuple[Candle, ...]:
        return ()

    def checkpoint(self) -> str:
        places = {symbol: tuple(place) for symbol, place in self._places.items()}
        return orjson.dumps(self._identity | {"market_ms": self._now_ms, "places": places}).decode()

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        self._now_ms, self._places = self._place(checkpoint) if checkpoint else (self.start_ms, self._beginning())
        runs = []
        for symbol, path in self._paths.items():
            place = self._places[symbol]
            # Only the first candle is ever taken up before its first event, so this top is replaced in all others.
            top = path.opening(place.candle)
            run = path.events(place, top)
            for _ in range(place.done):
                top = next(run).top
            runs.append(run)
            yield path.shape.snapshot(top, self._now_ms)
        for played in merge(*runs, key=lambda each: each.event.time_ms):
            self._places[played.event.symbol] = played.place
            self._now_ms = played.event.time_ms
            yield played.event

    def _beginning(self) -> dict[str, Place]:
        return {symbol: Place(first, 0, 1) for symbol, first in self._first.items()}

    def _place(self, checkpoint: str) -> tuple[int, dict[str, Place]]:
        try:
            place = orjson.loads(checkpoint)
            if {key: place[key] for key in self._identity} == self._identity:
                places = {symbol: Place(*map(int, place["places"][symbol])) for symbol in self.symbols}
                return int(place["market_ms"]), places
        except (ValueError, KeyError, TypeError):
            pass
        raise SourceError("The place to go on from is not one in these files; use a new --home.")


def _from(table: Table, start_ms: int) -> int:
    """The first candle that opens at or after a time. Raises SourceError where none does."""
    index = bisect_left(table.rows, start_ms, key=lambda row: row.open_ms)
    if index == len(table.rows):
        raise SourceError(f"The candles of {table.symbol} end before the others begin; leave it out of --symbols.")
    return index
