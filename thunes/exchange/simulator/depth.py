"""Depth streams of one symbol: what changed in the book since the last push, at each stream's own pace.

`U..u` of one stream's events follow on one another without a gap. A REST snapshot first pushes what is pending, so that
its `lastUpdateId` always is the `u` of the event before the next one (web-socket-streams.md, "How to manage a local
order book correctly").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from thunes.domain.orderbook import Ladder, OrderBook
from thunes.exchange.simulator import feeds
from thunes.exchange.simulator.hub import Hub
from thunes.messages import Levels

Side: TypeAlias = dict[Decimal, Decimal]

FAST_S = 0.1
SLOW_S = 1.0
PARTIAL = (5, 10, 20)
GONE = Decimal(0)


@dataclass(slots=True)
class Feed:
    """One diff stream: the book as its listeners know it."""

    name: str
    every_s: float
    known_id: int = 0
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    pushed_s: float = 0.0


@dataclass(slots=True)
class Partial:
    """One stream of the best levels."""

    name: str
    every_s: float
    size: int
    pushed_s: float = 0.0
    pushed: tuple[Levels, Levels] = ((), ())


class Depth:
    """All depth streams of a symbol."""

    def __init__(self, symbol: str, book: OrderBook, hub: Hub) -> None:
        self._symbol = symbol
        self._book = book
        self._hub = hub
        lower = symbol.lower()
        self._feeds = {
            name: Feed(name, every) for name, every in ((f"{lower}@depth", SLOW_S), (f"{lower}@depth@100ms", FAST_S))
        }
        self._partials = [
            Partial(f"{lower}@depth{size}{suffix}", every, size)
            for size in PARTIAL
            for suffix, every in (("", SLOW_S), ("@100ms", FAST_S))
        ]
        self._wanted: dict[str, Feed] = {}

    def opened(self, name: str, update_id: int) -> None:
        """A stream has its first listener, who will hear of changes from now on."""
        feed = self._feeds.get(name)
        if feed is not None:
            self._wanted[name] = feed
            feed.known_id = update_id
            feed.bids, feed.asks = dict(self._book.bids), dict(self._book.asks)

    def flush(self, update_id: int, now_ms: int, now_s: float, everything: bool = False) -> None:
        """Push what is due at `now_s`, or all that is pending."""
        for feed in list(self._wanted.values()):
            if not self._hub.wanted(feed.name):
                del self._wanted[feed.name]
            elif everything or now_s - feed.pushed_s >= feed.every_s:
                self._push(feed, update_id, now_ms, now_s)
        for partial in self._partials:
            if self._hub.wanted(partial.name) and now_s - partial.pushed_s >= partial.every_s:
                self._push_partial(partial, update_id, now_s)

    def _push(self, feed: Feed, update_id: int, now_ms: int, now_s: float) -> None:
        if update_id <= feed.known_id:
            return
        bids, asks = dict(self._book.bids), dict(self._book.asks)
        changed = changes(feed.bids, bids), changes(feed.asks, asks)
        ids = (feed.known_id + 1, update_id)
        feed.bids, feed.asks, feed.known_id, feed.pushed_s = bids, asks, update_id, now_s
        self._hub.publish(feed.name, feeds.depth_update(self._symbol, now_ms, ids, *changed))

    def _push_partial(self, partial: Partial, update_id: int, now_s: float) -> None:
        best = top(self._book.bids, partial.size), top(self._book.asks, partial.size)
        if best == partial.pushed:
            return
        partial.pushed, partial.pushed_s = best, now_s
        self._hub.publish(partial.name, feeds.partial_depth(update_id, *best))


def changes(known: Side, now: Side) -> Levels:
    """New and changed levels, and 0 for those that are gone."""
    changed = tuple((price, quantity) for price, quantity in now.items() if known.get(price) != quantity)
    return changed + tuple((price, GONE) for price in known if price not in now)


def top(ladder: Ladder, size: int) -> Levels:
    return tuple(level for level, _ in zip(ladder, range(size), strict=False))
