"""What may happen in a soak, drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

KILL_THUNES, KILL_EXCHANGE = "kill -9 of THUNES", "kill -9 of the exchange"
REQUESTS = (
    ("POST /api/v3/order", 6),
    ("DELETE /api/v3/order", 3),
    ("GET /api/v3/order", 2),
    ("GET /api/v3/myTrades", 1),
    ("GET /api/v3/openOrders", 1),
    ("GET /api/v3/account", 1),
    ("GET /api/v3/klines", 1),
    ("GET /api/v3/time", 1),
)
"""Which request is struck, and how often in sixteen."""
STREAMS = ("market", "account", "all")

Details = dict[str, Any]
Draw = Callable[[Random], Details]


def of_request(more: Draw = lambda _chance: {}) -> Draw:
    def draw(chance: Random) -> Details:
        matches, weights = zip(*REQUESTS, strict=True)
        return {"match": chance.choices(matches, weights)[0], "count": chance.randint(1, 3), **more(chance)}

    return draw


def of_reports(more: Draw = lambda _chance: {}) -> Draw:
    return lambda chance: {"count": chance.randint(1, 4), **more(chance)}


def of_streams(more: Draw = lambda _chance: {}) -> Draw:
    return lambda chance: {"streams": chance.choice(STREAMS), **more(chance)}


def of_symbol(chance: Random) -> Details:
    return {"streams": "market", "symbol": chance.choice(("BTCUSDT", "ETHUSDT")), "count": chance.randint(1, 5)}


def seconds(least: float, most: float) -> Draw:
    return lambda chance: {"seconds": round(chance.uniform(least, most), 1)}


def held(chance: Random) -> Details:
    return {**seconds(1, 8)(chance), "then": chance.choice(("process", "drop"))}


def gateway(chance: Random) -> Details:
    status, code = chance.choice(((504, -1007), (503, -1006), (500, -1000)))
    return {"status": status, "code": code}


def refused(chance: Random) -> Details:
    return {"status": 400, "code": -1001, "message": "Internal error; unable to process your request."}


FAULTS: Mapping[str, tuple[int, Draw]] = {
    "lose-request": (4, of_request()),
    "hold-request": (4, of_request(held)),
    "accept-then-504": (4, of_request(gateway)),
    "lose-answer": (4, of_request()),
    "hold-answer": (3, of_request(seconds(1, 8))),
    "slow": (2, of_request(seconds(0.2, 3))),
    "garbage": (2, of_request()),
    "reject": (2, of_request(refused)),
    "limit": (
        1,
        of_request(lambda chance: {"status": chance.choice((429, 418)), "retry_after": chance.randint(1, 4)}),
    ),
    "drop-report": (3, of_reports()),
    "delay-report": (2, of_reports(seconds(0.5, 5))),
    "double-report": (2, of_reports()),
    "reorder-report": (2, of_reports()),
    "disconnect": (3, of_streams()),
    "silence": (2, of_streams(seconds(2, 12))),
    "half-open": (2, of_streams(seconds(2, 12))),
    "gap": (2, of_symbol),
    "crossed": (1, of_symbol),
    "garbage-frame": (1, of_streams()),
    "server-shutdown": (1, of_streams(seconds(1, 5))),
    "refuse-connections": (2, of_streams(seconds(1, 8))),
    "clock": (2, lambda chance: {"offset_ms": chance.randint(-15_000, 15_000)}),
    KILL_THUNES: (3, lambda _chance: {}),
    KILL_EXCHANGE: (2, lambda _chance: {}),
}
"""Each fault, how often it is drawn, and what it is told."""


def drawn(chance: Random) -> tuple[str, Details]:
    """The next fault and its details."""
    name = chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0]
    return name, FAULTS[name][1](chance)
