"""A plausible order book around a best bid and ask: what stands at each level is a pure function of price and time.

Behind the best level stand quantities on a grid of round prices, each of which is renewed once in a while, so a move
of the price changes few levels, and the whole book can be told from its best prices and the second alone.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import NamedTuple

from thunes.messages import BookChanged, Levels

ZERO = Decimal(0)
SMALLEST_STEP = Decimal("0.00000001")
GRID_LEVELS = 24
"""Levels on each side behind the best one."""
GRID_SHARE = 10_000
"""The grid's spacing is the price divided by this, but at least a tick."""
RENEWAL_S = 64
"""How long a level on the grid keeps its quantity."""
CHOICES = 256
"""Quantities to choose from; the choice is a number below this."""
LEAST_TOP, TYPICAL_TOP, TYPICAL_GRID, TYPICAL_TRADE = 4_000, 20_000, 60_000, 500
"""Notionals in dollars."""
MULTIPLIER, SHIFT, MASK = 0x9E3779B97F4A7C15, 40, 0xFFFFFFFFFFFFFFFF


class Top(NamedTuple):
    """The best prices in ticks, the choices of what stands there, and the second since the epoch that it is of."""

    bid: int
    ask: int
    bid_choice: int
    ask_choice: int
    second: int


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent above 0."""
    return Decimal(f"{number.normalize():f}")


QUOTES = {"BTC": 60_000.0, "ETH": 2_600.0, "BNB": 550.0}
"""What a unit of a quote currency is worth in dollars, where it is not about one."""


def dollars(symbol: str) -> float:
    """What a unit of the symbol's quote currency is worth."""
    return next((worth for asset, worth in QUOTES.items() if symbol.endswith(asset)), 1.0)


def drawn(rng: Random, typical: float, least: float, most: float) -> float:
    """A log-normal notional within bounds."""
    return min(most, max(least, typical * rng.lognormvariate(0.0, 0.8)))


def outside(some: range, others: range) -> tuple[int, ...]:
    """Those of some indices that are not among the others."""
    below = range(some.start, min(some.stop, others.start))
    return (*below, *range(max(some.start, others.stop), some.stop))


class BookShape:
    """One symbol's book. `price` is about where it trades; `seed` makes its quantities its own."""

    def __init__(self, symbol: str, tick: Decimal, step: Decimal, price: Decimal, seed: int) -> None:
        self.symbol = symbol
        self.tick = plain(tick)
        self._step = plain(max(step, SMALLEST_STEP))
        self._spacing = max(1, int(price / self.tick) // GRID_SHARE)
        rng = Random(f"{seed}/{symbol}/quantities")
        self._salt = rng.getrandbits(62)
        unit = float(price) * float(self._step) * dollars(symbol)
        self.top = self._quantities(rng, unit, TYPICAL_TOP, LEAST_TOP, 50 * TYPICAL_TOP)
        self.trades = self._quantities(rng, unit, TYPICAL_TRADE, 10, LEAST_TOP)
        self._grid = self._quantities(rng, unit, TYPICAL_GRID, LEAST_TOP, 50 * TYPICAL_GRID)
        self._grid_prices: dict[int, Decimal] = {}

    def _quantities(self, rng: Random, unit: float, typical: float, least: float, most: float) -> tuple[Decimal, ...]:
        """Quantities of such notionals, `unit` being a step's, each at least a step."""
        return tuple(max(1, round(drawn(rng, typical, least, most) / unit)) * self._step for _ in range(CHOICES))

    def price(self, ticks: int) -> Decimal:
        return ticks * self.tick

    def snapshot(self, top: Top, time_ms: int) -> BookChanged:
        """The whole book."""
        bids = {index: self._renewed(index, top.second) for index in self._bid_window(top.bid)}
        asks = {index: self._renewed(index, top.second) for index in self._ask_window(top.ask)}
        return BookChanged(
            self.symbol,
            time_ms,
            ((self.price(top.bid), self.top[top.bid_choice]), *self._levels(bids)[::-1]),
            ((self.price(top.ask), self.top[top.ask_choice]), *self._levels(asks)),
            snapshot=True,
        )

    def change(self, before: Top, now: Top, time_ms: int) -> BookChanged:
        """What became different from one top to a later one."""
        bids = self._side(before.bid, now.bid, self._bid_window(before.bid), self._bid_window(now.bid), before, now)
        asks = self._side(before.ask, now.ask, self._ask_window(before.ask), self._ask_window(now.ask), before, now)
        return BookChanged(
            self.symbol,
            time_ms,
            (*bids, (self.price(now.bid), self.top[now.bid_choice])),
            (*asks, (self.price(now.ask), self.top[now.ask_choice])),
        )

    def refill(self, now: Top, time_ms: int) -> BookChanged:
        """The best levels alone, with the quantities that they have now."""
        return BookChanged(
            self.symbol,
            time_ms,
            ((self.price(now.bid), self.top[now.bid_choice]),),
            ((self.price(now.ask), self.top[now.ask_choice]),),
        )

    def _bid_window(self, bid: int) -> range:
        """Indices of the grid's levels strictly below the best bid."""
        index = (bid - 1) // self._spacing
        return range(max(1, index - GRID_LEVELS + 1), index + 1)

    def _ask_window(self, ask: int) -> range:
        index = ask // self._spacing + 1
        return range(index, index + GRID_LEVELS)

    def _renewed(self, index: int, second: int) -> Decimal:
        """What stands at a level of the grid."""
        epoch = (second + index) // RENEWAL_S
        mixed = ((index * 0x1F123BB5 + epoch) ^ self._salt) * MULTIPLIER & MASK
        return self._grid[mixed >> SHIFT & CHOICES - 1]

    def _side(self, was: int, best: int, old: range, new: range, before: Top, now: Top) -> Levels:
        """The changes of one side behind its best level; the best one's own comes after them and stands."""
        changes: dict[int, Decimal] = {}
        if old != new:
            for index in outside(old, new):
                changes[index] = ZERO
            for index in outside(new, old):
                changes[index] = self._renewed(index, now.second)
        for second in range(max(before.second, now.second - RENEWAL_S) + 1, now.second + 1):
            due = new.start + (-second - new.start) % RENEWAL_S
            if due in new:
                changes[due] = self._renewed(due, now.second)
        index, off_grid = divmod(was, self._spacing)
        gone = was != best and (off_grid or index not in new)
        return ((self.price(was), ZERO), *self._levels(changes)) if gone else self._levels(changes)

    def _levels(self, quantities: dict[int, Decimal]) -> Levels:
        prices = self._grid_prices
        levels = []
        for index, quantity in quantities.items():
            price = prices.get(index)
            if price is None:
                price = prices[index] = index * self._spacing * self.tick
            levels.append((price, quantity))
        return tuple(levels)
