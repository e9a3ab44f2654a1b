"""One account's way to its exchange, as all threads of the process share it: pauses, budgets, and the clocks' skew.

`admit` before a request, `settle` after it. Nothing waits here: what must not be sent now is refused, with the time in
which it may be. The lock is held for the replacing of one immutable value.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from thunes.domain.budget import TOO_MANY_ORDERS, Budget, Kind, Pause, Scope
from thunes.domain.figures import ExchangeFigures
from thunes.errors import HeldBack

USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
ORDER_COUNT = "X-MBX-ORDER-COUNT-"

SHORTEST_PAUSE_S, SHORTEST_BAN_S, LONGEST_BAN_S = 1.0, 120.0, 3 * 86_400.0
"""Bans last from 2 minutes to 3 days (rest-api.md, IP Limits); nothing longer is believed."""
UNSAID_S = 60.0
"""For a firewall's refusal, whose length is not documented, and a 429 without one: the weight's window."""
BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")
COUNT = re.compile(r"\d{1,12}")
SECONDS = re.compile(r"\d{1,12}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let out."""

    orders: int
    sent_ms: int
    """On the exchange's clock."""


class Gate:
    """Shared by everyone who asks the exchange as one account from one address."""

    def __init__(self, *, wall_ms: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._budget = Budget()
        self.skew_ms = 0
        """The exchange's clock less this machine's, for whoever signs."""

    @property
    def exchange_ms(self) -> int:
        """The time that it is for the exchange."""
        return self._wall_ms() + self.skew_ms

    @property
    def figures(self) -> ExchangeFigures:
        now_ns, now_ms, budget = self._monotonic_ns(), self.exchange_ms, self._budget
        held = budget.hold(Kind.PLACE, 1, now_ns, now_ms)
        return ExchangeFigures(
            used_weight=budget.weight.at(now_ms),
            clock_skew_ms=float(self.skew_ms),
            weight_limit=budget.weight.limit,
            order_counts={name: window.at(now_ms) for name, window in budget.orders.items()},
            paused_until_ns=budget.paused_until_ns(now_ns, Scope.REQUESTS, Scope.ADDRESS),
            orders_held_until_ns=now_ns + int(held.seconds * 1e9) if held is not None else 0,
        )

    def admit(self, kind: Kind, orders: int = 0) -> Ticket:
        """Let a request out that places so many orders. HeldBack when it must not be sent now."""
        now_ns, now_ms = self._monotonic_ns(), self.exchange_ms
        with self._lock:
            held = self._budget.hold(kind, orders, now_ns, now_ms)
            if held is None:
                self._budget = self._budget.sent(orders)
                return Ticket(orders, now_ms)
        raise HeldBack(held.code, f"Not sent: {held.why}; try again later.", held.status, held.seconds)

    def settle(self, ticket: Ticket, headers: Mapping[str, str], *, counted: bool, pause: Pause | None = None) -> None:
        """A request has ended, however it did; `counted` unless the exchange surely did not take its orders."""
        weight = count(headers.get(USED_WEIGHT))
        with self._lock:
            budget = self._budget
            counts = {name: count(headers.get(ORDER_COUNT + name)) for name in budget.orders} if ticket.orders else {}
            told = {name: told for name, told in counts.items() if told is not None}
            budget = budget.settled(ticket.sent_ms, ticket.orders, told, counted)
            self._budget = budget if weight is None else budget.used(ticket.sent_ms, weight)
        self.obey(pause)

    def obey(self, pause: Pause | None) -> None:
        """Let nothing out that the pause is about until it is over."""
        if pause is None:
            return
        now_ns = self._monotonic_ns()
        with self._lock:
            self._budget = self._budget.paused(pause, now_ns)

    def learn(self, rate_limits: Any) -> None:
        """Take the limits of exchangeInfo's `rateLimits`."""
        with self._lock:
            self._budget = self._budget.limited(rate_limits)

    def pause_asked(self, status: int, code: int, message: str, headers: Mapping[str, str]) -> Pause | None:
        """The pause that an answer asks for; `code` is 0 where the answer is not the exchange's JSON."""
        now_ms = self.exchange_ms
        seconds = retry_after_s(headers.get("Retry-After"), now_ms)
        match status:
            case 418:
                return Pause(Scope.ADDRESS, seconds or banned_s(message, now_ms) or SHORTEST_BAN_S)
            case 429 if code == TOO_MANY_ORDERS:
                return Pause(Scope.ORDERS, seconds or UNSAID_S)
            case 429:
                return Pause(Scope.REQUESTS, seconds or UNSAID_S)
            case 403 if not code:
                # A firewall's page: "This can indicate a rate limit violation or a security block" (rest-api.md).
                return Pause(Scope.REQUESTS, seconds or UNSAID_S)
        return None


def count(text: str | None) -> int | None:
    """A header's count, or None for anything else."""
    return int(text) if text is not None and COUNT.fullmatch(text) else None


def retry_after_s(text: str | None, now_ms: int) -> float | None:
    """A Retry-After in seconds, of its two forms (RFC 9110, 10.2.3); None for one that is neither, or negative."""
    if text is None:
        return None
    if text.isascii() and SECONDS.fullmatch(text):
        return _believable(float(text))
    try:
        date = parsedate_to_datetime(text)
        return _believable(date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_ms / 1000)
    except (TypeError, ValueError, LookupError, OverflowError):
        return None


def banned_s(message: str, now_ms: int) -> float | None:
    """The length of a ban from the exchange's sentence "IP banned until (milliseconds)"."""
    found = BANNED_UNTIL.search(message)
    return _believable(int(found[1]) / 1000 - now_ms / 1000) if found else None


def _believable(seconds: float) -> float | None:
    return min(max(seconds, SHORTEST_PAUSE_S), LONGEST_BAN_S) if seconds >= 0 else None
