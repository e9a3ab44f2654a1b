"""What rests on the exchange, as risk looks after it: a stop for each position, and an end for each limit order.

RiskActor's helper, in its thread: it hands each step back as a call, and keeps what it waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.runtime.clock import Clock
from thunes.domain import protection
from thunes.domain.journal import AuditEvent
from thunes.domain.risk import RiskState
from thunes.messages import SubmitOrder, Tick

FIRST_WAIT, LAST_WAIT = 1.0, 60.0
"""Seconds until a stop that was refused is tried again: the first wait, doubled up to the last."""


@dataclass(slots=True)
class Guard:
    """`place` is called with a protective order and its number, `cancel` with symbol, key and reason."""

    clock: Clock
    params_hash: str
    place: Callable[[SubmitOrder, int], None]
    cancel: Callable[[str, str, str], None]
    _waiting: set[str] = field(default_factory=set)
    """Symbols whose stop waits for its next try."""
    _alone: set[str] = field(default_factory=set)
    """Symbols whose stop was refused together with its sale: the next one goes without."""
    _after_ns: dict[str, int] = field(default_factory=dict)
    _waits: dict[str, float] = field(default_factory=dict)
    _expired: set[str] = field(default_factory=set)
    """Orders whose cancel was asked for because their time had run out."""

    def protect(self, symbol: str, state: RiskState) -> None:
        """One step towards the stop that the position asks for, once books and exchange agree."""
        self._waiting.discard(symbol)
        if not state.synced or state.halted or symbol not in state.rules:
            return
        if self.clock.monotonic_ns() < self._after_ns.get(symbol, 0):
            self._waiting.add(symbol)
            return
        tick = state.ticks.get(symbol)
        step = protection.next_step(
            state.books,
            state.rules[symbol],
            limit_offset=state.limits.stop_limit_offset,
            market_ms=tick.market_ms if tick is not None else 0,
            params_hash=self.params_hash,
            paired=symbol not in self._alone,
        )
        match step:
            case protection.Remove(keys):
                for key in keys:
                    self.cancel(symbol, key, "NO_POSITION")
            case protection.Place(order, number):
                self.place(order, number)

    def heard(self, event: AuditEvent) -> None:
        """Of a protective order: one that was refused, or never arrived, is tried again after a pause."""
        symbol = event.symbol or ""
        if not str(event.metadata["leg"]).startswith("s"):
            return  # the sale beside a stop has its fate
        if event.event in ("ORDER_REJECTED", "ORDER_RESOLVED"):
            if event.event == "ORDER_REJECTED" and event.metadata.get("by") == "exchange":
                self._alone.add(symbol)  # the market may be where one of the two cannot rest: the stop matters more
            wait = self._waits[symbol] = min(LAST_WAIT, 2 * self._waits.get(symbol, FIRST_WAIT / 2))
            self._after_ns[symbol] = self.clock.monotonic_ns() + int(wait * 1e9)
        else:
            self._waits.pop(symbol, None)
            self._alone.discard(symbol)

    def ended(self, key: str) -> None:
        """Of any order: its time is of no interest any more."""
        self._expired.discard(key)

    def tick(self, tick: Tick, state: RiskState) -> None:
        """A limit order's time is market time, and a stop's next try waits for the market to go on."""
        for order in state.books.orders.values():
            late = 0 < order.expires_ms <= tick.market_ms
            if late and order.symbol == tick.symbol and order.key not in self._expired:
                self._expired.add(order.key)
                self.cancel(order.symbol, order.key, "STALE_MARKET_DATA")
        if tick.symbol in self._waiting:
            self.protect(tick.symbol, state)
