"""How much a client may ask: request weight and raw requests per address, unfilled orders per account, bans.

All windows are wall time and aligned, as the exchange's are (rest-api.md, LIMITS; faqs/order_count_decrement.md): a
minute starts at second 0, a day at 00:00 UTC. Every method takes `now`, wall seconds since the epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thunes.errors import ExchangeError

LONGEST_BAN_S = 3 * 24 * 3600.0
MAKER_REBATE = 5
"""Unfilled orders that the first fill of a resting order takes off the count; a taker's takes one."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """The exchange's numbers, as its exchangeInfo and documents state them."""

    weight_per_minute: int = 6000
    raw_requests_per_5m: int = 300_000
    orders_per_10s: int = 50
    orders_per_day: int = 160_000
    connections_per_5m: int = 300
    messages_per_second: int = 5
    streams_per_connection: int = 1024
    refusals_before_ban: int = 50
    """Requests that may still be answered with 429 in one minute before the address is banned."""
    first_ban_s: float = 120.0


class Window:
    """A count that starts again at every multiple of `period_s`."""

    def __init__(self, period_s: int, limit: int) -> None:
        self.period_s = period_s
        self.limit = limit
        self._slot = -1
        self._count = 0

    def count(self, now: float) -> int:
        slot = int(now // self.period_s)
        if slot != self._slot:
            self._slot, self._count = slot, 0
        return self._count

    def add(self, now: float, amount: int) -> int:
        """The count with `amount` more, which may be negative; never below zero."""
        self._count = max(0, self.count(now) + amount)
        return self._count

    def left_s(self, now: float) -> int:
        """Whole seconds until the window starts again, at least one."""
        return max(1, math.ceil(self.period_s - now % self.period_s))


class AddressLimits:
    """One address: what it used, and whether it is banned."""

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self.weight = Window(60, settings.weight_per_minute)
        self._raw = Window(300, settings.raw_requests_per_5m)
        self._connections = Window(300, settings.connections_per_5m)
        self._refusals = Window(60, settings.refusals_before_ban)
        self._bans = 0
        self._banned_until = 0.0

    def charge(self, now: float, weight: int) -> None:
        """Count a request of `weight`. Raises ExchangeError -1003 with 429 over the limit, 418 while banned."""
        self._refuse_while_banned(now)
        over_raw = self._raw.add(now, 1) > self._raw.limit
        if self.weight.add(now, weight) <= self.weight.limit and not over_raw:
            return
        if self._refusals.add(now, 1) > self._refusals.limit:
            self._ban(now)
            self._refuse_while_banned(now)
        if over_raw:
            raise ExchangeError(-1003, "Too many requests queued.", 429, self._raw.left_s(now))
        limit = self.weight.limit
        message = (
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise ExchangeError(-1003, message, 429, self.weight.left_s(now))

    def connect(self, now: float, weight: int) -> None:
        """Count a WebSocket connection. Raises ExchangeError -1034 after too many of them, -1003 as `charge`."""
        self.charge(now, weight)
        if self._connections.add(now, 1) > self._connections.limit:
            limit = self._connections.limit
            message = f"Too many connection attempts from IP; current limit is {limit} per '5 MINUTE'."
            raise ExchangeError(-1034, message, 429, self._connections.left_s(now))

    def _ban(self, now: float) -> None:
        self._banned_until = now + min(LONGEST_BAN_S, self._settings.first_ban_s * 2**self._bans)
        self._bans += 1

    def _refuse_while_banned(self, now: float) -> None:
        if now >= self._banned_until:
            return
        until_ms = int(self._banned_until * 1000)
        message = (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        raise ExchangeError(-1003, message, 418, max(1, math.ceil(self._banned_until - now)))


class OrderCounts:
    """One account's unfilled orders, in ten seconds and in a day."""

    def __init__(self, settings: LimitSettings) -> None:
        self.ten_seconds = Window(10, settings.orders_per_10s)
        self.day = Window(86_400, settings.orders_per_day)

    def check(self, now: float) -> None:
        """Raises ExchangeError -1015 with 429 when no further order may be placed."""
        for window, interval in ((self.ten_seconds, "10 SECOND"), (self.day, "1 DAY")):
            if window.count(now) >= window.limit:
                message = f"Too many new orders; current limit is {window.limit} orders per {interval}."
                raise ExchangeError(-1015, message, 429, window.left_s(now))

    def placed(self, now: float, orders: int = 1) -> None:
        self._add(now, orders)

    def first_fill(self, now: float, maker: bool) -> None:
        self._add(now, -MAKER_REBATE if maker else -1)

    def _add(self, now: float, amount: int) -> None:
        self.ten_seconds.add(now, amount)
        self.day.add(now, amount)

    def rows(self, now: float) -> list[dict[str, Any]]:
        """The rows of `GET /api/v3/rateLimit/order`."""
        return [
            row("ORDERS", "SECOND", 10, self.ten_seconds.limit) | {"count": self.ten_seconds.count(now)},
            row("ORDERS", "DAY", 1, self.day.limit) | {"count": self.day.count(now)},
        ]


class Limits:
    """Every address and account that was seen."""

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._addresses: dict[str, AddressLimits] = {}
        self._accounts: dict[str, OrderCounts] = {}

    def address(self, ip: str) -> AddressLimits:
        return self._addresses.setdefault(ip, AddressLimits(self.settings))

    def orders(self, account: str) -> OrderCounts:
        return self._accounts.setdefault(account, OrderCounts(self.settings))

    def rows(self) -> list[dict[str, Any]]:
        """exchangeInfo's `rateLimits`."""
        settings = self.settings
        return [
            row("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_per_minute),
            row("ORDERS", "SECOND", 10, settings.orders_per_10s),
            row("ORDERS", "DAY", 1, settings.orders_per_day),
            row("RAW_REQUESTS", "MINUTE", 5, settings.raw_requests_per_5m),
        ]


def row(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
