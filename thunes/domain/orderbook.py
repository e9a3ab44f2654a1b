"""The public order book of one symbol, in price order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from decimal import Decimal

from thunes.domain.filters import ZERO, round_down
from thunes.messages import BookChanged, Levels, Side, TopChanged


class Ladder:
    """One side's levels: absolute quantities by price, best first for whoever takes from it."""

    __slots__ = ("_is_bid", "_prices", "_quantities")

    def __init__(self, side: Side) -> None:
        self._is_bid = side is Side.BUY
        self._prices: list[Decimal] = []
        self._quantities: dict[Decimal, Decimal] = {}

    def __len__(self) -> int:
        return len(self._prices)

    def __iter__(self) -> Iterator[tuple[Decimal, Decimal]]:
        """Levels, best first."""
        prices = reversed(self._prices) if self._is_bid else iter(self._prices)
        return ((price, self._quantities[price]) for price in prices)

    @property
    def best(self) -> Decimal | None:
        if not self._prices:
            return None
        return self._prices[-1] if self._is_bid else self._prices[0]

    def quantity(self, price: Decimal) -> Decimal:
        """What is displayed at `price`, 0 when nothing is."""
        return self._quantities.get(price, ZERO)

    def set(self, price: Decimal, quantity: Decimal) -> None:
        """Gives the level this absolute quantity; 0 or less removes it."""
        if quantity > 0:
            if price not in self._quantities:
                insort(self._prices, price)
            self._quantities[price] = quantity
        elif self._quantities.pop(price, None) is not None:
            del self._prices[bisect_left(self._prices, price)]

    def clear(self) -> None:
        self._prices.clear()
        self._quantities.clear()

    def drop_better_than(self, price: Decimal) -> None:
        """Removes the levels that beat `price`."""
        if self._is_bid:
            self._drop(bisect_right(self._prices, price), len(self._prices))
        else:
            self._drop(0, bisect_left(self._prices, price))

    def drop_crossing(self, price: Decimal | None) -> None:
        """Removes the levels that an opposite `price` would trade with."""
        if price is None or self.best is None or not self.reaches(price):
            return
        if self._is_bid:
            self._drop(bisect_left(self._prices, price), len(self._prices))
        else:
            self._drop(0, bisect_right(self._prices, price))

    def reaches(self, price: Decimal) -> bool:
        """Whether the best level would trade with an order of the other side at `price`."""
        best = self.best
        return best is not None and (best >= price if self._is_bid else best <= price)

    def _drop(self, start: int, end: int) -> None:
        for price in self._prices[start:end]:
            del self._quantities[price]
        del self._prices[start:end]


class OrderBook:
    """The displayed book: never crossed, because an update that crosses trims the side that it did not touch.

    Where one update crosses itself, its asks stand.
    """

    __slots__ = ("asks", "bids", "time_ms")

    def __init__(self) -> None:
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.time_ms = 0

    @property
    def best_bid(self) -> tuple[Decimal, Decimal] | None:
        """Price and quantity, or None when nobody bids."""
        price = self.bids.best
        return None if price is None else (price, self.bids.quantity(price))

    @property
    def best_ask(self) -> tuple[Decimal, Decimal] | None:
        """Price and quantity, or None when nobody asks."""
        price = self.asks.best
        return None if price is None else (price, self.asks.quantity(price))

    def facing(self, side: Side) -> Ladder:
        """The levels that an order of `side` would take from."""
        return self.asks if side is Side.BUY else self.bids

    def beside(self, side: Side) -> Ladder:
        """The levels that an order of `side` would rest among."""
        return self.bids if side is Side.BUY else self.asks

    def levels(self, limit: int | None = None) -> tuple[Levels, Levels]:
        """Bids and asks, best first, at most `limit` of each."""
        bids, asks = tuple(self.bids), tuple(self.asks)
        return bids[:limit], asks[:limit]

    def apply(self, event: BookChanged | TopChanged) -> None:
        """Takes over what the public book says now; what was taken from the levels it names is forgotten."""
        self.time_ms = event.time_ms
        if isinstance(event, TopChanged):
            self._apply_top(event)
            return
        if event.snapshot:
            self.bids.clear()
            self.asks.clear()
        for price, quantity in event.bids:
            self.bids.set(price, quantity)
        if event.bids:
            self.asks.drop_crossing(self.bids.best)
        for price, quantity in event.asks:
            self.asks.set(price, quantity)
        if event.asks:
            self.bids.drop_crossing(self.asks.best)

    def _apply_top(self, event: TopChanged) -> None:
        self.bids.drop_better_than(event.bid)
        self.bids.set(event.bid, event.bid_quantity)
        self.asks.drop_better_than(event.ask)
        self.asks.set(event.ask, event.ask_quantity)
        self.bids.drop_crossing(self.asks.best)

    def walk(
        self, side: Side, quantity: Decimal, *, limit: Decimal | None = None, step: Decimal = ZERO
    ) -> tuple[tuple[Decimal, Decimal], ...]:
        """What an order of `side` for `quantity` would take, as (price, quantity) a level, best first.

        Stops at `limit`; takes whole multiples of `step` from each level. Changes nothing.
        """
        takes = []
        left = quantity
        for price, displayed in self.facing(side):
            if left <= 0 or (limit is not None and (price > limit if side is Side.BUY else price < limit)):
                break
            lots = round_down(min(displayed, left), step)
            if lots > 0:
                takes.append((price, lots))
                left -= lots
        return tuple(takes)

    def consume(self, side: Side, takes: Levels) -> None:
        """Takes these quantities off the levels facing `side`, until the next update of each level."""
        ladder = self.facing(side)
        for price, quantity in takes:
            ladder.set(price, ladder.quantity(price) - quantity)
