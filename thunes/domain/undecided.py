"""Intents that wait for their decision while whoever decides is away: each gets exactly one, whoever dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from thunes.domain.books import Event
from thunes.messages import SubmitOrder

DECISIONS = frozenset({"TRADE_APPROVED", "TRADE_REJECTED"})


@dataclass(slots=True)
class Undecided:
    """Outlives the one who decides. `seq` is the last journal line that it had read: its last decision may follow."""

    waiting: list[SubmitOrder] = field(default_factory=list)
    in_hand: list[SubmitOrder] = field(default_factory=list)
    """Somebody died while deciding these: they are refused, because they may be what killed."""
    seq: int = 0

    def settle(self, read_journal: Callable[[int], Iterable[Event]]) -> Iterator[tuple[SubmitOrder, bool]]:
        """Each intent that has no decision in the journal, and whether somebody died of it."""
        if not self.waiting and not self.in_hand:
            return
        decided = {event.correlation_id for event in read_journal(self.seq) if event.event in DECISIONS}
        while self.in_hand:
            if self.in_hand[0].correlation_id not in decided:
                yield self.in_hand[0], True
                decided.add(self.in_hand[0].correlation_id)
            del self.in_hand[0]
        while self.waiting:
            order = self.waiting.pop(0)
            if order.correlation_id not in decided:
                self.in_hand.append(order)
                yield order, False
                decided.add(order.correlation_id)
                self.in_hand.clear()
