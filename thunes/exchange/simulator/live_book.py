"""When a local copy of a venue's order book may be trusted, by the ids of its updates.

The rules are those of web-socket-streams.md, "How to manage a local order book correctly": a snapshot older than the
first update at hand is asked for again, updates that it already has are dropped, and an update that does not follow on
the one before means that something was lost. Nothing here waits or asks: the caller brings updates and snapshots.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from thunes.messages import BookChanged, Levels

MOST_WAITING = 10_000
"""Updates kept while there is no snapshot; of more, the oldest are let go."""


@dataclass(frozen=True, slots=True)
class Diff:
    """The levels that updates `first_id` to `last_id` changed, with their quantities after the last; 0 is gone."""

    symbol: str
    first_id: int
    last_id: int
    time_ms: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole book after update `last_id`. It carries no time."""

    last_id: int
    bids: Levels
    asks: Levels


class LiveBook:
    """One symbol: out of sync at first, after `lose` and after a gap; in sync once a snapshot and updates meet.

    What it returns is the book's changes to apply in order, the first after being out of sync a snapshot. While it is
    in sync, the book made of them is the venue's as it was after update `last_id`.
    """

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._waiting: deque[Diff] = deque(maxlen=MOST_WAITING)
        self._snapshot: Snapshot | None = None
        self.last_id = 0
        self.in_sync = False

    @property
    def wants_snapshot(self) -> bool:
        """Whether only a snapshot is missing; before the first update nothing says how new it has to be."""
        return not self.in_sync and bool(self._waiting) and self._snapshot is None

    def lose(self) -> None:
        """Forget all: updates may have been missed."""
        self.in_sync = False
        self._snapshot = None
        self._waiting.clear()

    def change(self, diff: Diff) -> tuple[BookChanged, ...]:
        """Take the next update of the stream."""
        if not self.in_sync:
            self._wait(diff)
            return self._join()
        if diff.last_id <= self.last_id:
            return ()
        if diff.first_id > self.last_id + 1:
            self.lose()
            self._waiting.append(diff)
            return ()
        self.last_id = diff.last_id
        return (self._changed(diff),)

    def take(self, snapshot: Snapshot) -> tuple[BookChanged, ...]:
        """Take an answer to a request for the book; one that comes when it is not wanted any more changes nothing."""
        if self.in_sync:
            return ()
        self._snapshot = snapshot
        return self._join()

    def _wait(self, diff: Diff) -> None:
        """Keep an update; what was kept before a gap cannot be built on."""
        if self._waiting and diff.last_id <= self._waiting[-1].last_id:
            return
        if self._waiting and diff.first_id > self._waiting[-1].last_id + 1:
            self._waiting.clear()
        self._waiting.append(diff)

    def _join(self) -> tuple[BookChanged, ...]:
        """The snapshot with the updates that it lacks, once the stream has come as far as the snapshot is."""
        snapshot = self._snapshot
        if snapshot is None or not self._waiting:
            return ()
        if snapshot.last_id < self._waiting[0].first_id:
            self._snapshot = None
            return ()
        newest = self._waiting[-1]
        if newest.last_id < snapshot.last_id:
            return ()
        whole = BookChanged(self._symbol, newest.time_ms, snapshot.bids, snapshot.asks, snapshot=True)
        later = tuple(self._changed(diff) for diff in self._waiting if diff.last_id > snapshot.last_id)
        self.lose()
        self.in_sync, self.last_id = True, newest.last_id
        return (whole, *later)

    def _changed(self, diff: Diff) -> BookChanged:
        return BookChanged(self._symbol, diff.time_ms, diff.bids, diff.asks)
