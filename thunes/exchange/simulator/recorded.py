"""A recorded market: files of captured frames, played in the order of the venue's time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import orjson

from thunes.domain.orderbook import OrderBook
from thunes.errors import SourceError
from thunes.exchange.simulator.capture import Capture, symbol_of
from thunes.exchange.simulator.source_files import require
from thunes.messages import BookChanged, Candle, MarketEvent, PublicTrade

SUFFIXES = (".jsonl", ".jsonl.gz")
CHECKED_EVENTS = 100_000
"""Events of a file that are read when it is opened; what is wrong further on ends the market when it gets there."""

Books: TypeAlias = dict[str, OrderBook]


def recorded_files(path: Path) -> tuple[Path, ...]:
    """The files of captured frames that a path names, by name."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple(file for file in files if file.name.endswith(SUFFIXES))


class RecordedSource:
    """Plays some symbols of some files; those of one symbol follow each other in the order of their names.

    The market starts where every symbol has a book. Raises SourceError at once for a symbol that no file has, and for
    what is wrong near the beginning of a file.
    """

    def __init__(self, path: Path, files: Sequence[Path], symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        found = [(symbol_of(file), file) for file in files]
        require(path, {symbol for symbol, _ in found}, self.symbols)
        self._captures = {name: [Capture(file, name) for symbol, file in found if symbol == name] for name in symbols}
        for capture in (each for captures in self._captures.values() for each in captures):
            for _ in islice(capture, CHECKED_EVENTS):
                pass
        names = [capture.path.name for captures in self._captures.values() for capture in captures]
        self._identity = {"source": "recorded", "files": names}
        self._done = 0
        self.start_ms = self._begin(self._events())

    def history(self, _symbol: str, _before_ms: int, _limit: int) -> tuple[Candle, ...]:
        return ()

    def checkpoint(self) -> str:
        return orjson.dumps(self._identity | {"done": self._done}).decode()

    def play(self, checkpoint: str | None = None) -> Iterator[MarketEvent]:
        done = self._place(checkpoint) if checkpoint else 0
        events = self._events()
        books: Books = {}
        now_ms = self._begin(events, books)
        for event in islice(events, done):
            now_ms = event.time_ms
            if not isinstance(event, PublicTrade):
                books[event.symbol].apply(event)
        self._done = done
        for symbol in self.symbols:
            yield BookChanged(symbol, now_ms, *books[symbol].levels(), snapshot=True)
        for event in events:
            self._done += 1
            yield event

    def _events(self) -> Iterator[MarketEvent]:
        """All symbols' events in order of time; at equal times in the order of the symbols."""
        return merge(*(in_turn(captures) for captures in self._captures.values()), key=lambda event: event.time_ms)

    def _begin(self, events: Iterator[MarketEvent], books: Books | None = None) -> int:
        """Move on to where every symbol has a book, and fill `books`; returns the time."""
        books = {} if books is None else books
        for event in events:
            if isinstance(event, BookChanged) and event.snapshot:
                books.setdefault(event.symbol, OrderBook())
            if not isinstance(event, PublicTrade):
                books[event.symbol].apply(event)
            if len(books) == len(self.symbols):
                return event.time_ms
        missing = ", ".join(symbol for symbol in self.symbols if symbol not in books)
        raise SourceError(f"There are no frames of {missing}; leave it out of --symbols.")

    def _place(self, checkpoint: str) -> int:
        try:
            place = orjson.loads(checkpoint)
            if {key: place[key] for key in self._identity} == self._identity:
                return int(place["done"])
        except (ValueError, KeyError, TypeError):
            pass
        raise SourceError("The place to go on from is not one in these files; use a new --home.")


def in_turn(captures: Iterable[Capture]) -> Iterator[MarketEvent]:
    """One symbol's files, one after another."""
    now_ms = 0
    for capture in captures:
        for event in capture:
            if event.time_ms < now_ms:
                raise SourceError(f"{capture.path}: it begins before the file before it ends; leave one of them out.")
            now_ms = event.time_ms
            yield event
