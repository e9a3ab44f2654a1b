"""A market made from a seed: a latent price, an order book around it, and trades that hit the book's best prices.

Each symbol's minute has random numbers of its own, drawn from the seed, the symbol and the minute. So any place in the
market is a few figures a symbol, the state at the minute's start, and the number of events since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from decimal import Decimal
from heapq import merge
from itertools import islice
from math import exp
from operator import attrgetter
from random import Random

from thunes.domain.orderbook import OrderBook
from thunes.errors import SourceError
from thunes.exchange.simulator.book_shape import CHOICES, BookShape, Top, dollars
from thunes.exchange.simulator.price_path import PathState, beginning, minute
from thunes.exchange.simulator.source_protocol import SYNTHETIC, Grid
from thunes.messages import BookChanged, Candle, MarketEvent, PublicTrade

START_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z: fixed, so that equal seeds make equal runs."""
MINUTE_MS, SECOND_MS = 60_000, 1_000
HISTORY_MINUTES = 1_440
PULL_MINUTES = 14_400
"""The price is drawn to where it came from as slowly as this: a long run stays in its order of magnitude."""
DOLLARS = {
    "BTC": 60_000.0,
    "ETH": 2_600.0,
    "BNB": 550.0,
    "SOL": 145.0,
    "LTC": 68.0,
    "RUNE": 4.2,
    "XRP": 0.58,
    "ADA": 0.38,
    "BLZ": 0.17,
    "TRX": 0.15,
    "LRC": 0.14,
    "DOGE": 0.12,
    "NKN": 0.08,
    "SHIB": 0.000018,
    "PEPE": 0.0000095,
}
"""What a unit of a base asset is worth when the history begins."""
FEWEST_TICKS = 1_000
"""The least price, in ticks, of a base asset that the table lacks."""
ONE_TICK_SHARE, WIDER_TICKS, WIDEST = 0.9, 8.0, 0.0003
"""How often the spread is a tick; else the mean of what it has more, and the most, as a share of the price."""
TRADES_A_SECOND, MOST_TRADES, ROUNDING = 1.2, 12, 0.7
LEANING = 0.25
"""How much likelier than a half a trade is on the side that the price just moved to."""
REFILL_SHARE = 0.4
"""How often the best quantities change once more in a second."""


def opening_price(grid: Grid) -> float:
    """What the symbol costs when its history begins: by the table, else by its name's hash."""
    for base, worth in DOLLARS.items():
        if grid.symbol.startswith(base):
            return worth / dollars(grid.symbol)
    share = int.from_bytes(hashlib.sha256(grid.symbol.encode()).digest()[:8]) / 2**64
    return max(exp(9 * share - 2), FEWEST_TICKS * float(grid.tick_size))


@dataclass(frozen=True, slots=True)
class MinuteStart:
    """Where one symbol stands when a minute begins."""

    path: PathState
    top: Top
    trade_id: int


class Tape:
    """One symbol's history and minutes. `start` is of the minute to come: it moves on when a minute is through."""

    def __init__(self, grid: Grid, seed: int, trend: float) -> None:
        self.symbol = grid.symbol
        self._seed = seed
        self._trend = trend
        self._unit = opening_price(grid)
        self._ticks = self._unit / float(grid.tick_size)
        self.shape = BookShape(grid.symbol, grid.tick_size, grid.step_size, Decimal(self._unit), seed)
        self.history: list[Candle] = []
        path = beginning(self._rng(-HISTORY_MINUTES, "beginning"))
        for number in range(-HISTORY_MINUTES, 0):
            path, candle = self._past_minute(path, number)
            self.history.append(candle)
        top = self._top(path.value + path.pressure, START_MS // SECOND_MS, self._rng(0, "top"))
        self.start = MinuteStart(path, top, 1)

    def _rng(self, number: int, part: str) -> Random:
        return Random(f"{self._seed}/{self.symbol}/{number}/{part}")

    def _path(self, before: PathState, number: int) -> tuple[PathState, list[float]]:
        """The price's minute, as logarithms of the price over the opening one."""
        after, prices = minute(before, self._rng(number, "path"), self._trend)
        return replace(after, value=after.value * (1 - 1 / PULL_MINUTES)), prices

    def _past_minute(self, before: PathState, number: int) -> tuple[PathState, Candle]:
        """A minute of history: its price goes the market's own way, its volume is drawn."""
        rng = self._rng(number, "volume")
        after, path = self._path(before, number)
        marks = (path[0], max(path), min(path), path[-1])
        first, high, low, last = (self.shape.price(int(self._ticks * exp(mark))) for mark in marks)
        trades = int(60 * self._trade_rate(after) * rng.uniform(0.9, 1.2)) + 1
        buys = int(trades * rng.uniform(0.35, 0.65))
        bought, sold = self._traded(buys, rng), self._traded(trades - buys, rng)
        typical = (high + low) / 2
        open_ms = START_MS + number * MINUTE_MS
        return after, Candle(
            symbol=self.symbol,
            interval="1m",
            open_ms=open_ms,
            close_ms=open_ms + MINUTE_MS - 1,
            open=first,
            high=high,
            low=low,
            close=last,
            volume=bought + sold,
            quote_volume=(bought + sold) * typical,
            trades=trades,
            taker_base=bought,
            taker_quote=bought * typical,
        )

    def _traded(self, trades: int, rng: Random) -> Decimal:
        """What so many trades add up to, few of them drawn."""
        eighth, rest = divmod(trades, 8)
        drawn = rng.choices(self.shape.trades, k=8)
        return sum(drawn, Decimal(0)) * eighth + sum(drawn[:rest], Decimal(0))

    @staticmethod
    def _trade_rate(path: PathState) -> float:
        """Trades a second on average: more where the price moves more."""
        return TRADES_A_SECOND * exp(0.5 * path.volatility)

    def _top(self, log_price: float, second: int, rng: Random, before: Top | None = None) -> Top:
        """Best prices around the latent price, mostly a tick apart, with quantities other than `before`."""
        ticks = self._ticks * exp(log_price)
        wider = 0
        if rng.random() >= ONE_TICK_SHARE:
            wider = min(1 + int(rng.expovariate(1 / WIDER_TICKS)), int(WIDEST * ticks))
        bid = int(ticks - wider / 2)
        bid_choice, ask_choice = (0, 0) if before is None else (before.bid_choice, before.ask_choice)
        return Top(bid, bid + 1 + wider, other_choice(bid_choice, rng), other_choice(ask_choice, rng), second)

    def play_minute(self, number: int) -> Iterator[MarketEvent]:
        """The minute's events in order of time."""
        start, shape, rng = self.start, self.shape, self._rng(number, "flow")
        path, prices = self._path(start.path, number)
        top, trade_id = start.top, start.trade_id
        mean = self._trade_rate(path)
        for second, price in enumerate(prices, start=START_MS // SECOND_MS + number * 60):
            time_ms = second * SECOND_MS + int(rng.random() * 250)
            before, top = top, self._top(price, second, rng, top)
            yield shape.change(before, top, time_ms)
            count = min(MOST_TRADES, int(rng.expovariate(1 / mean) + ROUNDING)) or int(second % 60 == 0)
            buys = 0.5 + LEANING * ((top.bid > before.bid) - (top.bid < before.bid))
            for _ in range(count):
                time_ms += 1 + int(rng.random() * 600 / count)
                yield self._trade(trade_id, top, time_ms, rng.random() >= buys, rng)
                trade_id += 1
            if rng.random() < REFILL_SHARE:
                top = top._replace(
                    bid_choice=other_choice(top.bid_choice, rng), ask_choice=other_choice(top.ask_choice, rng)
                )
                yield shape.refill(top, time_ms + 1 + int(rng.random() * 100))
        self.start = MinuteStart(path, top, trade_id)

    def _trade(self, trade_id: int, top: Top, time_ms: int, sold: bool, rng: Random) -> PublicTrade:
        price = self.shape.price(top.bid if sold else top.ask)
        return PublicTrade(self.symbol, trade_id, price, rng.choice(self.shape.trades), time_ms, sold)


def other_choice(choice: int, rng: Random) -> int:
    """A choice of quantity that is not this one."""
    return (choice + 1 + int(rng.random() * (CHOICES - 1))) % CHOICES


class SyntheticSource:
    """A market without an end, the same for the same seed, trend and symbols."""

    start_ms = START_MS

    def __init__(self, symbols: Sequence[str], *, seed: int, trend: float, rules: Mapping[str, Grid]) -> None:
        self.symbols = tuple(symbols)
        self._identity = {"source": SYNTHETIC, "seed": seed, "trend": trend, "symbols": sorted(symbols)}
        self._tapes = [Tape(rules[symbol], seed, trend) for symbol in sorted(symbols)]
        self._openings = [tape.start for tape in self._tapes]
        self._begin(0, self._openings, 0)

    def _begin(self, number: int, starts: Sequence[MinuteStart], events: int) -> None:
        """Stand in minute `number`, behind so many of its events."""
        for tape, start in zip(self._tapes, starts, strict=True):
            tape.start = start
        self._minute, self._count = number, events
        place = self._identity | {"minute": number, "starts": [astuple(start) for start in starts]}
        self._minute_json = json.dumps(place)[:-1]

    def checkpoint(self) -> str:
        """The place after the last event that `play` yielded, as JSON."""
        return f'{self._minute_json}, "events": {self._count}}}'

    def history(self, symbol: str, before_ms: int, limit: int) -> tuple[Candle, ...]:
        """The newest `limit` minutes of the day before the start that open before `before_ms`, oldest first."""
        history = next(tape.history for tape in self._tapes if tape.symbol == symbol)
        after = max(0, (START_MS - before_ms) // MINUTE_MS)
        end = max(0, HISTORY_MINUTES - after)
        return tuple(history[max(0, end - limit) : end])

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        """A snapshot a symbol, then the events from the start or from behind the checkpoint on, without end.

        Raises SourceError where the checkpoint is not this market's.
        """
        if checkpoint:
            self._go_to(checkpoint)
        else:
            self._begin(0, self._openings, 0)
        return self._events()

    def _go_to(self, checkpoint: str) -> None:
        try:
            place = json.loads(checkpoint)
            if any(place[name] != value for name, value in self._identity.items()):
                raise ValueError("it is another market's")
            starts = [MinuteStart(PathState(*path), Top(*top), trade_id) for path, top, trade_id in place["starts"]]
            self._begin(place["minute"], starts, place["events"])
        except (ValueError, TypeError, KeyError) as error:
            raise SourceError(
                f"The place to go on from is not of the market {self._identity} ({error}); "
                "start with the settings that it was made with, or in a new home."
            ) from error

    def _events(self) -> Iterator[MarketEvent]:
        yield from self._resumed()
        while True:
            self._begin(self._minute + 1, [tape.start for tape in self._tapes], 0)
            yield from self._counted(self._merged())

    def _merged(self) -> Iterator[MarketEvent]:
        """All symbols' minute at hand, in order of time."""
        return merge(*(tape.play_minute(self._minute) for tape in self._tapes), key=attrgetter("time_ms"))

    def _counted(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        for event in events:
            self._count += 1
            yield event

    def _resumed(self) -> Iterator[MarketEvent]:
        """The books where the source stands, and the rest of that minute."""
        time_ms = START_MS + self._minute * MINUTE_MS
        books = {tape.symbol: OrderBook() for tape in self._tapes}
        for tape in self._tapes:
            books[tape.symbol].apply(tape.shape.snapshot(tape.start.top, time_ms))
        events = self._merged()
        for event in islice(events, self._count):
            time_ms = event.time_ms
            if isinstance(event, BookChanged):
                books[event.symbol].apply(event)
        for symbol, book in books.items():
            yield BookChanged(symbol, time_ms, *book.levels(), snapshot=True)
        yield from self._counted(events)
