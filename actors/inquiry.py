"""What OrderActor does about an order that it cannot be sure of: it asks, waits longer each time, and asks again.

OrderActor's helper, in its thread. Only the exchange's word ends a doubt; nothing here ever sends an order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thunes.domain import orders
from thunes.domain.order_desk import FIRST_ASK, LAST_ASK, Desk
from thunes.domain.orders import Observed, OrderState, Phase

RECV_WINDOW_MS = 5_000 + 1_000
"""How long after it was sent a request may be taken: its window, and the second that its timestamp may be ahead."""
AGAIN_AFTER = 1.1
"""Seconds between the two looks that prove an absence; the rule wants one at least."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """`ask_in` sets the timer of the next question, `follow` keeps a state and journals what happened to it.

    `now_ms` is for ages alone: a clock that nobody sets, so that a window has run out when it says so.
    """

    desk: Desk
    now_ms: Callable[[], int]
    ask_in: Callable[[float, str], None]
    follow: Callable[[Observed], OrderState]

    def sent(self, key: str) -> None:
        """A request to place it may have been sent until now."""
        self.desk.sent_ms[key] = self.now_ms()

    def resume(self, state: OrderState) -> None:
        """Found in the books after a restart: whatever was sent was sent before now."""
        self.desk.keep(state)
        self.sent(state.key)
        self.ask_in(FIRST_ASK, state.key)

    def unknown(self, state: OrderState, why: str) -> None:
        """A request about it has no answer."""
        if state.phase is not Phase.OPEN:
            self.follow(orders.unknown(state, why))
        self.ask_in(self.desk.wait(state.key), state.key)

    def next(self, key: str) -> OrderState | None:
        """The order to ask about now; None when it has ended meanwhile."""
        state = self.desk.under_way.get(key)
        if state is None:
            return None
        if state.phase in (Phase.APPROVED, Phase.SENT):
            state = self.follow(orders.unknown(state, "found without an end at start"))
        self.desk.asked(key)
        return state

    def absent(self, state: OrderState) -> None:
        """The exchange says that it does not know it."""
        if state.phase is Phase.OPEN:
            self.ask_in(LAST_ASK, state.key)  # it was there: the query lags
            return
        if state.phase is not Phase.UNKNOWN:
            state = self.follow(orders.unknown(state, "not found when asked for"))
        state = self.follow(orders.absent(state, self.now_ms(), self.desk.sent_ms[state.key], RECV_WINDOW_MS))
        if state.phase is not Phase.DONE:
            self.ask_in(AGAIN_AFTER, state.key)
