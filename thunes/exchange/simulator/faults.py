"""Which faults are armed, and whom they strike: a registry without sockets, asked at a few places of the exchange.

Where nothing is armed, being asked costs a look into an empty list. Time is handed in: wall seconds of any origin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from thunes.exchange.simulator.fault_kinds import EVERYTHING, KINDS, Kind, Seam, check_place, checked

KEPT = 1000
"""Faults that are over and still shown."""
BOOK_AND_CANDLES = ("bookTicker", "depth", "kline_")
TICKER = "bookTicker"


class Fault:
    """One fault that was armed."""

    def __init__(self, number: int, kind: Kind, values: Mapping[str, Any], now: float) -> None:
        self.id = number
        self.kind = kind
        self.name = kind.name
        self.values = values
        self.fired = 0
        self.held: dict[Hold, None] = {}
        """What it keeps back at the moment."""
        lasts = kind.seam in (Seam.CONNECT, Seam.CLOCK) or (kind.name == "limit" and values["seconds"] is not None)
        self.until = now + values["seconds"] if lasts and values["seconds"] is not None else None
        self.left: int | None = None if lasts else values["count"]
        """How often it may still strike; None: as often as it can."""
        self.over = False

    def __getitem__(self, parameter: str) -> Any:
        return self.values[parameter]

    def armed(self, now: float) -> bool:
        """Whether it will strike when its time comes."""
        if self.left == 0 or (self.until is not None and now >= self.until):
            self.over = True
        return not self.over

    def strike(self) -> None:
        self.fired += 1
        if self.left is not None:
            self.left -= 1

    def row(self, now: float) -> dict[str, Any]:
        armed = self.armed(now)
        left = (1 if armed else 0) if self.left is None else self.left if armed else 0
        return {**self.asked(), "left": left, "fired": self.fired, "active": armed or bool(self.held)}

    def asked(self) -> dict[str, Any]:
        return {"id": self.id, "fault": self.name, **self.values}


class Hold:
    """Keeps something back for so long, or until its fault is cleared; then `then` is called, once."""

    def __init__(self, fault: Fault, seconds: float, then: Callable[[], None]) -> None:
        self._fault = fault
        self._then = then
        self._timer = asyncio.get_running_loop().call_later(seconds, self.let_go)
        fault.held[self] = None

    def let_go(self) -> None:
        if self.forget():
            self._then()

    def forget(self) -> bool:
        """Never call it; whether it was still to be called."""
        self._timer.cancel()
        return self._fault.held.pop(self, self) is None


async def held(fault: Fault, seconds: float) -> None:
    """Return after so long, or when the fault is cleared."""
    over = asyncio.Event()
    hold = Hold(fault, seconds, over.set)
    try:
        await over.wait()
    finally:
        hold.forget()


class Faults:
    """All faults of one exchange, in the order in which they were armed: the oldest that fits is the one that strikes.

    `requests` and `symbols` are what the exchange serves.
    """

    def __init__(self, now: Callable[[], float], requests: Collection[str], symbols: Collection[str]) -> None:
        self._now = now
        self._requests = requests
        self._symbols = symbols
        self._armed: dict[Seam, list[Fault]] = {seam: [] for seam in Seam}
        self._known: dict[int, Fault] = {}
        self._next_id = 1
        self.fired_total = 0
        self.closed = False
        """The exchange ends: requests and reports that are held are lost."""
        self.on_armed: Callable[[Fault], None] = nobody
        """Told of faults that strike connections as they are."""

    # arming

    def arm(self, name: Any, given: Mapping[str, Any]) -> Fault:
        """Raises UnknownFault, and nothing is armed, where it is not understood."""
        values = checked(name, given)
        check_place(values, self._requests, self._symbols)
        kind = KINDS[name]
        if kind.seam is Seam.CLOCK:
            for other in self._armed[Seam.CLOCK]:
                other.over = True
        fault = Fault(self._next_id, kind, values, self._now())
        self._next_id += 1
        self._known[fault.id] = fault
        self._armed[kind.seam].append(fault)
        self._forget_old()
        if kind.seam is Seam.CLOCK:
            self._struck(fault)
        elif kind.seam is Seam.CONNECTIONS:
            self.on_armed(fault)
        return fault

    def clear(self, number: int | None = None) -> bool:
        """End one fault, or all, and let go of what it holds; whether there was any."""
        chosen = [fault for fault in self._known.values() if number in (None, fault.id)]
        for fault in chosen:
            fault.over = True
            del self._known[fault.id]
            self._armed[fault.kind.seam] = [each for each in self._armed[fault.kind.seam] if each is not fault]
            for hold in list(fault.held):
                hold.let_go()
        return bool(chosen)

    def close(self) -> None:
        """The exchange ends: no request that is held is processed any more, and no report is sent."""
        self.closed = True
        self.clear()

    def rows(self) -> list[dict[str, Any]]:
        return [fault.row(self._now()) for fault in self._known.values()]

    def row(self, number: int) -> dict[str, Any] | None:
        fault = self._known.get(number)
        return None if fault is None else fault.row(self._now())

    def waits(self, fault: Fault) -> bool:
        """Whether it is armed and may still strike."""
        return fault.armed(self._now())

    def holding(self) -> int:
        """How many requests, answers, reports and connections are kept back."""
        return sum(len(fault.held) for fault in self._known.values())

    def _forget_old(self) -> None:
        if len(self._known) > KEPT:
            now = self._now()
            over = [each for each in self._known.values() if not each.armed(now) and not each.held]
            for fault in over[: len(self._known) - KEPT]:
                del self._known[fault.id]

    # what strikes

    def watches_requests(self) -> bool:
        return bool(self._armed[Seam.REQUEST] or self._armed[Seam.ANSWER])

    def request(self, calls: Collection[str], symbol: str) -> Fault | None:
        """What strikes a request before it is processed; `calls` are the names that it goes by."""
        return self._take(Seam.REQUEST, lambda fault: fits(fault, calls, symbol))

    def answer(self, calls: Collection[str], symbol: str) -> Fault | None:
        """What strikes an answer after its request was processed."""
        return self._take(Seam.ANSWER, lambda fault: fits(fault, calls, symbol))

    def watches_reports(self) -> bool:
        return bool(self._armed[Seam.REPORT])

    def report(self, kind: str, symbol: str) -> Fault | None:
        """What strikes an execution report of this execution type."""
        return self._take(Seam.REPORT, lambda f: f["kind"] in (None, kind) and f["symbol"] in (None, symbol))

    def market_frame(self, stream: str) -> Fault | None:
        """What strikes the next frame of a market stream, such as btcusdt@bookTicker."""
        if not self._armed[Seam.FRAME]:
            return None
        lower, _, what = stream.partition("@")
        return self._take(Seam.FRAME, lambda fault: fits_frame(fault, lower.upper(), what))

    def account_frame(self) -> Fault | None:
        """What strikes the next event of the account stream."""
        return self._take(Seam.FRAME, lambda fault: fault["streams"] != "market")

    def connecting(self, streams: str) -> Fault | None:
        """What refuses a connection."""
        return self._take(Seam.CONNECT, lambda fault: concerns(fault, streams))

    def connected(self, streams: str) -> list[Fault]:
        """All that strikes a connection that has just been made."""
        struck = []
        while (fault := self._take(Seam.CONNECTIONS, lambda f: concerns(f, streams) and f not in struck)) is not None:
            struck.append(fault)
        return struck

    def struck(self, fault: Fault) -> None:
        """A fault that strikes what is there already has done so."""
        self._struck(fault)

    def offset_s(self) -> float:
        """By how much the exchange's clock is off."""
        if not self._armed[Seam.CLOCK]:
            return 0.0
        now = self._now()
        self._armed[Seam.CLOCK] = [fault for fault in self._armed[Seam.CLOCK] if fault.armed(now)]
        return float(sum(fault["offset_ms"] for fault in self._armed[Seam.CLOCK]) / 1000)

    def _take(self, seam: Seam, wanted: Callable[[Fault], bool]) -> Fault | None:
        armed = self._armed[seam]
        if not armed:
            return None
        now = self._now()
        armed[:] = [fault for fault in armed if fault.armed(now)]
        fault = next((fault for fault in armed if wanted(fault)), None)
        if fault is not None:
            self._struck(fault)
        return fault

    def _struck(self, fault: Fault) -> None:
        fault.strike()
        self.fired_total += 1
        if fault.left == 0:
            self._armed[fault.kind.seam].remove(fault)


def nobody(_fault: Fault) -> None:
    """There is no connection yet."""


def fits(fault: Fault, calls: Collection[str], symbol: str) -> bool:
    return (fault["match"] == EVERYTHING or fault["match"] in calls) and fault["symbol"] in (None, symbol)


def fits_frame(fault: Fault, symbol: str, what: str) -> bool:
    """Whether it strikes a frame of this symbol's stream `what`."""
    if fault.name == "garbage-frame":
        return concerns(fault, "market")
    stream_fits = what == TICKER if fault.name == "crossed" else what.startswith(BOOK_AND_CANDLES)
    return stream_fits and fault["symbol"] in (None, symbol)


def concerns(fault: Fault, streams: str) -> bool:
    """Whether it is about `market` or `account` connections."""
    return fault["streams"] in ("all", streams)
