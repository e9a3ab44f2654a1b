"""What one UTC day of the market came to: a fold over the journal.

An event that names a market time or a day belongs to that day. The others (a heartbeat, a restart, a lost stream) know
the wall clock alone, which a replayed market does not follow: they belong to the newest day that was named before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol, Self

from thunes.domain.books import FILLS, ZERO, Event, has_ended, key_of

AT_MIDNIGHT_MS = 60_000
"""The next day's first equity is this day's last, when it was known this soon: heartbeats are as far apart."""


class JournalEvent(Event, Protocol):
    """What the fold reads of a journal line (`thunes.domain.journal.AuditEvent`)."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def reason(self) -> str | None: ...


@dataclass(slots=True)
class Day:
    """All that the journal says of one day. Change it through `apply` alone.

    Without a `name` (YYYY-MM-DD) it is the first day that an event names, with what was journalled before.
    """

    name: str = ""
    seq: int = 0
    """The newest line that it was told."""
    reached: str = ""
    """The newest day that an event has named: later than `name`, once this day is over."""
    events: int = 0
    first_ms: int = 0
    """When the first of its events was journalled, and the last, by the wall clock; 0 without any."""
    last_ms: int = 0
    start: Decimal | None = None
    """Equity when it began, and the newest known of later, in quote currency; None where nobody knew."""
    end: Decimal | None = None
    points: list[tuple[int, Decimal]] = field(default_factory=list)
    """Each equity that was journalled, and when: milliseconds of the wall clock."""
    fills: list[tuple[int, str]] = field(default_factory=list)
    """When each was journalled, in the same milliseconds, and its side."""
    turnover: dict[str, Decimal] = field(default_factory=dict)
    """Bought and sold together, by quote currency."""
    fees: dict[str, Decimal] = field(default_factory=dict)
    """By asset."""
    wins: int = 0
    """Positions closed without a loss, and those with one."""
    losses: int = 0
    pnl: Decimal = ZERO
    """Of the closed positions, net of fees, in quote currency."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Intents that risk refused, by reason."""
    refused: Counter[str] = field(default_factory=Counter)
    """Approved orders that did not come to rest, by our reason or the exchange's code."""
    happened: Counter[str] = field(default_factory=Counter)
    """All its events, by name."""
    doubts: dict[str, str] = field(default_factory=dict)
    """Orders whose fate was unknown on this day, by key: `open`, `found` or `absent`, as far as is known by now."""
    counted: set[tuple[str | None, int]] = field(default_factory=set)
    """Trades, by symbol and id: the exchange may say a thing twice."""

    @classmethod
    def fold(cls, events: Iterable[JournalEvent], name: str = "") -> Self:
        """The day of that name, or the first that is named, as these events in the journal's order tell it."""
        day = cls(name)
        for event in events:
            day.apply(event)
        return day

    def apply(self, event: JournalEvent) -> None:
        """Take one event; one whose `seq` is already in changes nothing, and one of another day only what it ends.

        It ends this day's equity, at the next midnight, and doubts about this day's orders.
        """
        if event.seq <= self.seq:
            return
        self.seq = event.seq
        named = _named(event)
        self.reached = max(self.reached, named)
        self.name = self.name or named
        self._resolve(event)
        if not self.name or self.name == (named or self.reached or _date(_wall_ms(event))):
            self._count(event)
        elif event.event == "DAILY_RESET":
            self._next(event)

    @property
    def is_over(self) -> bool:
        """Whether the market has reached a later day; what was late may still come."""
        return bool(self.name) and self.reached > self.name

    @property
    def change(self) -> Decimal | None:
        """What equity gained; None where one of its ends is not known."""
        return None if self.start is None or self.end is None else self.end - self.start

    @property
    def currency(self) -> str:
        """The quote currency of its fills; empty where there were none, or several."""
        return next(iter(self.turnover)) if len(self.turnover) == 1 else ""

    def _count(self, event: JournalEvent) -> None:
        self.events += 1
        self.happened[event.event] += 1
        self.last_ms = _wall_ms(event)
        self.first_ms = self.first_ms or self.last_ms
        match event.event:
            case "DAILY_RESET":
                self._begin(event)
            case "HEARTBEAT":
                self._point(event)
            case "POSITION_CLOSED":
                self._close(Decimal(event.metadata["pnl"]))
            case "TRADE_REJECTED":
                self.rejected[event.reason or ""] += 1
            case "ORDER_REJECTED":
                self.refused[event.reason or f"code {event.metadata.get('code', '-')}"] += 1
            case "ORDER_UNKNOWN":
                self.doubts[key_of(event)] = "open"
            case name if name in FILLS:
                self._fill(event)

    def _begin(self, event: JournalEvent) -> None:
        """What the wall's clock took for this day and came before its first tick was still the day before."""
        if self.start is None and "equity" in event.metadata:
            self.start, self.end = Decimal(event.metadata["equity"]), None
            self.points = [(_wall_ms(event), self.start)]

    def _point(self, event: JournalEvent) -> None:
        if "equity" in event.metadata:
            self.end = Decimal(event.metadata["equity"])
            self.points.append((_wall_ms(event), self.end))

    def _next(self, event: JournalEvent) -> None:
        midnight = _start_ms(self.name) + 86_400_000
        if 0 <= int(event.metadata.get("market_time", 0)) - midnight <= AT_MIDNIGHT_MS:
            self._point(event)

    def _fill(self, event: JournalEvent) -> None:
        meta, trade = event.metadata, (event.symbol, int(event.metadata["trade_id"]))
        if trade in self.counted:
            return
        self.counted.add(trade)
        self.fills.append((_wall_ms(event), event.side or ""))
        _add(self.turnover, str(meta["quote_asset"]), Decimal(meta["quote_quantity"]))
        if fee := Decimal(meta["commission"]):
            _add(self.fees, str(meta["commission_asset"]), fee)

    def _close(self, pnl: Decimal) -> None:
        self.pnl += pnl
        if pnl < 0:
            self.losses += 1
        else:
            self.wins += 1

    def _resolve(self, event: JournalEvent) -> None:
        """The exchange's word on an order ends a doubt about it, on whichever day it comes."""
        key = key_of(event)
        if self.doubts.get(key) != "open":
            return
        if event.event == "ORDER_REJECTED" or not event.metadata.get("found", True):
            self.doubts[key] = "absent"
        elif event.event in FILLS or event.event in ("ORDER_RESOLVED", "ORDER_ACCEPTED") or has_ended(event):
            self.doubts[key] = "found"


def _named(event: JournalEvent) -> str:
    """The day that the event names; empty where it names none."""
    if event.event == "DAILY_RESET":
        return str(event.metadata["day"])
    market_ms = int(event.metadata.get("market_time") or 0)
    return _date(market_ms) if market_ms > 0 else ""


def _wall_ms(event: JournalEvent) -> int:
    return int(event.timestamp.timestamp() * 1000)


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def _start_ms(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * 86_400_000


def _add(sums: dict[str, Decimal], name: str, amount: Decimal) -> None:
    sums[name] = sums.get(name, ZERO) + amount
