"""Captured frames of one symbol as market events: a line is `<local receive time, ns> <frame>`.

A frame is one of Binance's combined streams `depth`, `trade` and `bookTicker`, or the REST depth snapshot that the
book is built on, which has no `stream`. The book is kept as web-socket-streams.md, "How to manage a local order book
correctly", says. Other streams' frames are passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from thunes.errors import SourceError
from thunes.exchange.simulator.source_files import broken, lines
from thunes.messages import BookChanged, Levels, MarketEvent, PublicTrade, TopChanged

MICROSECONDS_FROM = 10**14
"""A time at or above it is in microseconds."""
MOST_DIGITS = 15
"""Before the point, of a price or a quantity that makes sense."""
MOST_EARLY = 10_000
"""Frames kept from before the snapshot; it is asked for when the streams are open, so some of them follow on it."""


class Data(msgspec.Struct):
    """What the three streams carry: `b` and `a` are prices in a bookTicker, levels in a depthUpdate."""

    s: str = ""
    e: str = ""
    E: int = 0
    T: int = 0
    U: int = 0
    u: int = 0
    t: int = 0
    p: Decimal = Decimal(0)
    q: Decimal = Decimal(0)
    m: bool = False
    b: Decimal | list[tuple[Decimal, Decimal]] | int = 0
    a: Decimal | list[tuple[Decimal, Decimal]] | int = 0
    B: Decimal | None = None
    A: Decimal | None = None


class Frame(msgspec.Struct, rename={"last_update_id": "lastUpdateId"}):
    """A combined stream's frame, or a depth snapshot."""

    stream: str = ""
    data: Data | None = None
    last_update_id: int | None = None
    bids: list[tuple[Decimal, Decimal]] = []
    asks: list[tuple[Decimal, Decimal]] = []


class Header(msgspec.Struct):
    """As much of a frame as tells its symbol."""

    stream: str = ""


def symbol_of(path: Path) -> str:
    """The symbol of the file's first frame. Raises SourceError where there is none."""
    decoder = msgspec.json.Decoder(Header)
    for row, line in lines(path):
        try:
            stream = decoder.decode(line.partition(b" ")[2]).stream
        except msgspec.MsgspecError as error:
            raise broken(path, row, str(error)) from error
        if stream:
            return stream.partition("@")[0].upper()
    raise SourceError(f"{path}: it has no frames; give a file of `<receive time, ns> <frame>` lines.")


def milliseconds(time: int) -> int:
    return time // 1000 if time >= MICROSECONDS_FROM else time


class Capture:
    """One file: iterate over it for its events, the first of which is a snapshot. Each iteration starts anew.

    Raises SourceError, naming file and row, for a line that is no frame and for a gap in the book's update ids.
    """

    def __init__(self, path: Path, symbol: str) -> None:
        self.path = path
        self.symbol = symbol

    def __iter__(self) -> Iterator[MarketEvent]:
        reader, decoder, started = _Reader(self.symbol), msgspec.json.Decoder(Frame), False
        for row, line in lines(self.path):
            try:
                events = reader.read(decoder.decode(line.partition(b" ")[2]))
            except (msgspec.MsgspecError, ValueError) as error:
                raise broken(self.path, row, str(error)) from error
            for event in events:
                started = True
                yield event
        if not started:
            raise SourceError(f"{self.path}: it has no depth snapshot followed by frames; capture one.")


class _Reader:
    """Where in one file's book its events stand."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._now_ms = 0
        self._depth_id = -1
        self._top: tuple[int, TopChanged] | None = None
        self._pending: Frame | None = None
        self._early: deque[Data] = deque(maxlen=MOST_EARLY)

    def read(self, frame: Frame) -> tuple[MarketEvent, ...]:
        """The events of one frame; ValueError says what is wrong with it."""
        if frame.data is None:
            if frame.last_update_id is None:
                raise ValueError("neither a stream's frame nor a depth snapshot")
            self._pending = frame
            return self._snapshot()
        data = frame.data
        if data.s != self._symbol:
            raise ValueError(f"a frame of {data.s or 'no symbol'} in a file of {self._symbol}")
        self._now_ms = max(self._now_ms, milliseconds(data.T if data.e == "trade" else data.E))
        first = self._snapshot()
        if self._depth_id < 0:
            self._early.append(data)
            return first
        return first + self._change(data)

    def _change(self, data: Data) -> tuple[MarketEvent, ...]:
        if data.e == "depthUpdate":
            return self._depth(data)
        if data.e == "trade":
            return (self._trade(data),)
        return self._ticker(data) if data.B is not None else ()

    def _snapshot(self) -> tuple[MarketEvent, ...]:
        """The snapshot that was read, once there is a venue's time to give it, and what earlier frames add to it."""
        frame = self._pending
        if frame is None or not self._now_ms:
            return ()
        self._pending = None
        if frame.last_update_id is None or frame.last_update_id <= self._depth_id:
            return ()
        self._depth_id, self._top = frame.last_update_id, None
        events: list[MarketEvent] = [
            BookChanged(self._symbol, self._now_ms, levels(frame.bids), levels(frame.asks), snapshot=True)
        ]
        for data in self._early:
            if data.e != "trade":
                events += self._change(data)
        self._early.clear()
        return tuple(events)

    def _depth(self, data: Data) -> tuple[MarketEvent, ...]:
        """A change of the book. One that is older than the best prices known says nothing of those or beyond them."""
        if data.u <= self._depth_id:
            return ()
        if self._depth_id + 1 < data.U:
            raise ValueError(f"a gap in the book, whose update {self._depth_id} is followed by {data.U}")
        self._depth_id = data.u
        bids, asks = levels(data.b), levels(data.a)
        if self._top is not None and self._top[0] > data.u:
            top = self._top[1]
            bids = tuple(each for each in bids if each[0] < top.bid)
            asks = tuple(each for each in asks if each[0] > top.ask)
        return (BookChanged(self._symbol, self._now_ms, bids, asks),)

    def _ticker(self, data: Data) -> tuple[TopChanged, ...]:
        if data.u <= self._depth_id:
            return ()
        bid, bid_quantity = level(data.b, data.B)
        ask, ask_quantity = level(data.a, data.A)
        top = TopChanged(self._symbol, self._now_ms, bid, bid_quantity, ask, ask_quantity)
        self._top = data.u, top
        return (top,)

    def _trade(self, data: Data) -> PublicTrade:
        price, quantity = level(data.p, data.q)
        return PublicTrade(self._symbol, data.t, price, quantity, self._now_ms, data.m)


def level(price: object, quantity: object) -> tuple[Decimal, Decimal]:
    """A price and a quantity that can be traded on; ValueError for others."""
    if not isinstance(price, Decimal) or not isinstance(quantity, Decimal):
        raise ValueError("a price or a quantity is missing")
    if not all(each.is_finite() and each.adjusted() < MOST_DIGITS for each in (price, quantity)):
        raise ValueError(f"a quantity of {quantity} at a price of {price}")
    if price <= 0 or quantity < 0:
        raise ValueError(f"a quantity of {quantity} at a price of {price}")
    return price, quantity


def levels(pairs: object) -> Levels:
    """A side of the book; ValueError where it is none."""
    if not isinstance(pairs, list):
        raise ValueError("a side of the book is missing")
    return tuple(level(price, quantity) for price, quantity in pairs)
