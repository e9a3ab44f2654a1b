"""One symbol's orders as their actor has them at hand: those under way, and the last that ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from thunes.domain.orders import OrderState, Phase
from thunes.messages import Side

REMEMBERED = 64
"""Ended orders that are kept: what the exchange says of one after its end has to fit too."""
FIRST_ASK, LAST_ASK = 0.2, 5.0
"""Seconds between questions about an order of unknown fate: the first wait, doubled up to the last."""


@dataclass(slots=True)
class Desk:
    """Orders by key. Pure: it tells no one and knows no clock."""

    under_way: dict[str, OrderState] = field(default_factory=dict)
    ended: OrderedDict[str, OrderState] = field(default_factory=OrderedDict)
    sent_ms: dict[str, int] = field(default_factory=dict)
    """When a request to place it may last have been sent, on a clock that nobody sets."""
    cancelling: set[str] = field(default_factory=set)
    """A cancel of these is on the wire."""
    unwanted: dict[str, str] = field(default_factory=dict)
    """To be cancelled once they are open, and never sent; why, as a reason of the contract."""
    _waits: dict[str, float] = field(default_factory=dict)

    def keep(self, state: OrderState) -> None:
        """Take an order's new state; one that has ended is put away."""
        if state.phase is not Phase.DONE:
            self.under_way[state.key] = state
            return
        for held in (self.under_way, self.sent_ms, self._waits, self.unwanted):
            held.pop(state.key, None)
        self.cancelling.discard(state.key)
        self.ended[state.key] = state
        if len(self.ended) > REMEMBERED:
            self.ended.popitem(last=False)

    def by_client_id(self, client_order_id: str) -> OrderState | None:
        """The order under way, or one of the last that ended; None for one that was never here or long ago."""
        known = (*self.under_way.values(), *reversed(self.ended.values()))
        return next((state for state in known if state.client_order_id == client_order_id), None)

    def known(self, keys: Iterable[str]) -> list[OrderState]:
        """Those of these that are under way."""
        return [self.under_way[key] for key in keys if key in self.under_way]

    def knows(self, key: str) -> bool:
        return key in self.under_way or key in self.ended

    def legs(self) -> tuple[OrderState, ...]:
        """Protective orders under way."""
        return tuple(state for state in self.under_way.values() if state.leg)

    def doubtful(self) -> tuple[OrderState, ...]:
        """Orders of which nobody knows yet what became of them."""
        return tuple(s for s in self.under_way.values() if s.phase in (Phase.UNKNOWN, Phase.APPROVED))

    def open_on(self, *sides: Side) -> Iterator[OrderState]:
        """Open orders of these sides that are not protective; safe against changes on the way."""
        found = [s for s in self.under_way.values() if s.side in sides and s.phase is Phase.OPEN and not s.leg]
        return iter(found)

    def wait(self, key: str) -> float:
        """Seconds until the next question about this order."""
        return self._waits.get(key, FIRST_ASK)

    def asked(self, key: str) -> None:
        """The next wait is longer."""
        self._waits[key] = min(LAST_ASK, self.wait(key) * 2)
