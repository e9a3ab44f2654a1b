"""Faults by chance: which, with what parameters and after what time is a pure function of a seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from thunes.exchange.simulator.faults import Fault, Faults
from thunes.exchange.simulator.player import pause

log = logging.getLogger(__name__)

MOST_A_SECOND = 100.0
MOST_WAITING = 10
"""Faults that wait for something to strike; while there are so many, what is drawn passes by.

Else those of a quiet night would all strike at the first order of the morning.
"""
REQUESTS = {
    "POST /api/v3/order": 6,
    "DELETE /api/v3/order": 3,
    "GET /api/v3/order": 2,
    "GET /api/v3/myTrades": 1,
    "GET /api/v3/openOrders": 1,
    "GET /api/v3/account": 1,
    "GET /api/v3/time": 1,
    "GET /api/v3/klines": 1,
}
"""By request, how often of sixteen times it is the one."""
REJECTIONS = (
    {"status": 400, "code": -2010, "message": "Account has insufficient balance for requested action."},
    {"status": 400, "code": -1001, "message": "Internal error; unable to process your request. Please try again."},
    {"status": 503, "code": -1008, "message": "Server is currently overloaded with other requests."},
)
BAD_GATEWAYS = ({"status": 504}, {"status": 502}, {"status": 504, "code": -1007}, {"status": 503, "code": -1006})

Values = dict[str, Any]
Draw = Callable[[Random, Sequence[str]], Values]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault to come, so many wall seconds after the one before."""

    after_s: float
    name: str
    values: Mapping[str, Any]


def drawn(chance: Random, symbols: Sequence[str]) -> tuple[str, Values]:
    """One fault and its parameters."""
    name = chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0]
    return name, FAULTS[name][1](chance, symbols)


def schedule(chance: Random, rate: float, symbols: Sequence[str]) -> Iterator[Drawn]:
    """Without an end: `rate` faults a second on average, independent of one another."""
    while True:
        after_s = chance.expovariate(rate)
        yield Drawn(after_s, *drawn(chance, symbols))


async def befall(faults: Faults, coming: Iterator[Drawn]) -> None:
    """Arm each in its time."""
    armed: list[Fault] = []
    for each in coming:
        await pause(each.after_s)
        armed = [fault for fault in armed if faults.waits(fault)]
        if len(armed) < MOST_WAITING:
            armed.append(faults.arm(each.name, each.values))
            log.info("fault %d: %s %s", armed[-1].id, each.name, dict(each.values))


def of_request(more: Draw = lambda _chance, _symbols: {}) -> Draw:
    def draw(chance: Random, symbols: Sequence[str]) -> Values:
        match = chance.choices(list(REQUESTS), list(REQUESTS.values()))[0]
        return {"match": match, "count": chance.randint(1, 3), **more(chance, symbols)}

    return draw


def of_reports(more: Draw = lambda _chance, _symbols: {}) -> Draw:
    return lambda chance, symbols: {"count": chance.randint(1, 3), **more(chance, symbols)}


def of_connections(more: Draw = lambda _chance, _symbols: {}) -> Draw:
    return lambda chance, symbols: {"streams": chance.choice(("market", "account", "all")), **more(chance, symbols)}


def of_market(chance: Random, symbols: Sequence[str]) -> Values:
    return {"symbol": chance.choice(symbols), "count": chance.randint(1, 5)}


def lasting(least: float, most: float) -> Draw:
    return lambda chance, _symbols: {"seconds": round(chance.uniform(least, most), 1)}


def one_of(rows: Sequence[Mapping[str, Any]]) -> Draw:
    return lambda chance, _symbols: dict(chance.choice(rows))


def held_back(chance: Random, symbols: Sequence[str]) -> Values:
    return {**lasting(0.5, 8)(chance, symbols), "then": chance.choice(("process", "process", "drop"))}


def too_much(chance: Random, _symbols: Sequence[str]) -> Values:
    return {"match": "*", "status": chance.choice((429, 429, 418)), "retry_after": chance.randint(1, 5)}


def clock(chance: Random, symbols: Sequence[str]) -> Values:
    return {"offset_ms": chance.randint(-10_000, 10_000), **lasting(2, 20)(chance, symbols)}


FAULTS: Mapping[str, tuple[int, Draw]] = {
    "lose-request": (4, of_request()),
    "hold-request": (3, of_request(held_back)),
    "accept-then-504": (4, of_request(one_of(BAD_GATEWAYS))),
    "lose-answer": (4, of_request()),
    "hold-answer": (3, of_request(lasting(0.5, 8))),
    "slow": (6, of_request(lasting(0.1, 3))),
    "reject": (3, of_request(one_of(REJECTIONS))),
    "limit": (1, of_request(too_much)),
    "garbage": (2, of_request()),
    "drop-report": (3, of_reports()),
    "delay-report": (4, of_reports(lasting(0.2, 5))),
    "double-report": (3, of_reports()),
    "reorder-report": (2, of_reports(lasting(1, 5))),
    "disconnect": (4, of_connections()),
    "silence": (2, of_connections(lasting(1, 12))),
    "half-open": (2, of_connections(lasting(2, 40))),
    "no-pong": (1, of_connections(lasting(2, 20))),
    "server-shutdown": (1, of_connections(lasting(0.5, 5))),
    "refuse-connections": (1, of_connections(lasting(1, 8))),
    "gap": (3, of_market),
    "crossed": (2, of_market),
    "garbage-frame": (1, of_connections()),
    "clock": (1, clock),
}
"""What there is, how often each comes up, and with what parameters: mostly what a venue's bad day is made of."""
