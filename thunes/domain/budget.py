"""What may still be asked of an exchange: the pauses that it asked for, its request weight and its order count.

Pure and immutable. Windows are aligned and on the exchange's clock (`*_ms`, since the epoch): a minute starts at second
0, a day at 00:00 UTC. Pauses are on the monotonic clock (`*_ns`), which nobody sets (rest-api.md, LIMITS;
faqs/order_count_decrement.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

INTERVAL_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
MINUTE_MS = INTERVAL_MS["MINUTE"]
READING_SHARE = 0.8
"""Of the request weight, what reading may use: orders and cancels always find room in the rest."""

TOO_MANY_REQUESTS, TOO_MANY_ORDERS = -1003, -1015


class Kind(StrEnum):
    """What a request does, which decides what holds it back."""

    READ = "read"
    SESSION = "session"
    """What everything else rests on, and weighs next to nothing: the exchange's time, a connection."""
    PLACE = "place"
    CANCEL = "cancel"


class Scope(StrEnum):
    """What a pause is about."""

    ORDERS = "orders"
    """No order may be placed (-1015)."""
    REQUESTS = "requests"
    """Nothing may be asked but cancels (429, or a firewall's 403)."""
    ADDRESS = "address"
    """The address is banned (418)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The exchange wants to hear nothing of that scope for so long."""

    scope: Scope
    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a request is not sent, in the exchange's terms, and in how many seconds it may be."""

    code: int
    status: int
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Window:
    """A count that starts again at every multiple of its period."""

    period_ms: int
    limit: int
    slot: int = -1
    count: int = 0

    def at(self, now_ms: int) -> int:
        return self.count if now_ms // self.period_ms == self.slot else 0

    def left_s(self, now_ms: int) -> float:
        """Seconds until it starts again."""
        return (self.period_ms - now_ms % self.period_ms) / 1000

    def told(self, sent_ms: int, count: int) -> Window:
        """With the exchange's own count, from the answer to a request that was sent then.

        An answer may be counted in the window after that one. It is taken for the older one's all the same: a full
        count of a window that has just ended would else hold everything back for a whole new one.
        """
        slot = sent_ms // self.period_ms
        return self if slot == self.slot - 1 else replace(self, slot=slot, count=count)

    def added(self, sent_ms: int, amount: int) -> Window:
        return self.told(sent_ms, self.at(sent_ms) + amount)


DOCUMENTED = MappingProxyType({"10S": Window(10_000, 50), "1D": Window(86_400_000, 160_000)})
"""What is expected until exchangeInfo was read."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is known of the limits at one moment; each method gives the next one."""

    weight: Window = Window(MINUTE_MS, 6_000)
    orders: Mapping[str, Window] = field(default_factory=lambda: DOCUMENTED)
    """The account's unfilled orders by interval, named as in the answers' headers."""
    placing: int = 0
    """Orders on their way, which no count has yet."""
    pauses: Mapping[Scope, int] = field(default_factory=lambda: MappingProxyType({}))
    """Until when (monotonic)."""

    def hold(self, kind: Kind, orders: int, now_ns: int, now_ms: int) -> Hold | None:
        """Why a request that places so many orders must not be sent now, or None.

        Cancels go out during a pause, because only they can make an account safe, and one that succeeds weighs nothing.
        They do not while the address is banned: no request is answered then, and asking on makes bans longer.
        """
        scopes = [Scope.ADDRESS]
        if kind is not Kind.CANCEL:
            scopes.append(Scope.REQUESTS)
        if until := self.paused_until_ns(now_ns, *scopes):
            status = 418 if self.paused_until_ns(now_ns, Scope.ADDRESS) else 429
            return Hold(TOO_MANY_REQUESTS, status, (until - now_ns) / 1e9, "the exchange asked for a pause")
        if kind is Kind.PLACE:
            return self._hold_orders(orders, now_ns, now_ms)
        if kind is Kind.READ and self.weight.at(now_ms) >= self.weight.limit * READING_SHARE:
            why = f"{self.weight.at(now_ms)} of {self.weight.limit} request weight is used, the rest is for orders"
            return Hold(TOO_MANY_REQUESTS, 429, self.weight.left_s(now_ms), why)
        return None

    def _hold_orders(self, orders: int, now_ns: int, now_ms: int) -> Hold | None:
        if until := self.paused_until_ns(now_ns, Scope.ORDERS):
            return Hold(TOO_MANY_ORDERS, 429, (until - now_ns) / 1e9, "the exchange asked for a pause of new orders")
        more = self.placing + orders
        full = {name: window for name, window in self.orders.items() if window.at(now_ms) + more > window.limit}
        if not full:
            return None
        name = max(full, key=lambda name: full[name].left_s(now_ms))
        why = f"{full[name].limit} unfilled orders in {name} is the limit"
        return Hold(TOO_MANY_ORDERS, 429, full[name].left_s(now_ms), why)

    def paused_until_ns(self, now_ns: int, *scopes: Scope) -> int:
        """Until when, or 0."""
        until = max(self.pauses.get(scope, 0) for scope in scopes)
        return until if until > now_ns else 0

    def sent(self, orders: int) -> Budget:
        return replace(self, placing=self.placing + orders)

    def settled(self, sent_ms: int, orders: int, told: Mapping[str, int], counted: bool) -> Budget:
        """A request that placed so many orders has ended; `counted` unless the exchange refused it.

        `told` are the exchange's own counts by interval, which it tells of accepted orders alone.
        """
        if not orders:
            return self
        amount = orders if counted else 0
        counts = {
            name: window.told(sent_ms, told[name]) if name in told else window.added(sent_ms, amount)
            for name, window in self.orders.items()
        }
        return replace(self, orders=MappingProxyType(counts), placing=self.placing - orders)

    def used(self, sent_ms: int, weight: int) -> Budget:
        """The exchange says what was used of the minute; within one minute that only grows."""
        return replace(self, weight=self.weight.told(sent_ms, max(weight, self.weight.at(sent_ms))))

    def paused(self, pause: Pause, now_ns: int) -> Budget:
        """A shorter pause does not end a longer one."""
        until = max(now_ns + int(pause.seconds * 1e9), self.pauses.get(pause.scope, 0))
        return replace(self, pauses=MappingProxyType({**self.pauses, pause.scope: until}))

    def limited(self, rows: Any) -> Budget:
        """With the limits of exchangeInfo's `rateLimits`; a row that says nothing that we know is passed over."""
        weight, orders = self.weight, {}
        for kind, period_ms, name, limit in _rows(rows):
            if kind == "REQUEST_WEIGHT" and period_ms == MINUTE_MS:
                weight = replace(weight, limit=limit)
            elif kind == "ORDERS":
                orders[name] = replace(self.orders.get(name, Window(period_ms, limit)), limit=limit)
        return replace(self, weight=weight, orders=MappingProxyType(orders or dict(self.orders)))


def _rows(rows: Any) -> Iterable[tuple[str, int, str, int]]:
    """(type, period, name, limit) of each row that is whole. The name is the one in the headers, such as 10S or 1D."""
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict):
            continue
        interval, number, limit = str(row.get("interval")), row.get("intervalNum"), row.get("limit")
        if interval in INTERVAL_MS and type(number) is int and type(limit) is int and number > 0 and limit > 0:
            yield str(row.get("rateLimitType")), INTERVAL_MS[interval] * number, f"{number}{interval[0]}", limit
