"""What may happen in a soak, drawn from its seed: what the exchange draws for a bad day, and deaths."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from thunes.exchange.simulator import random_faults
from thunes.exchange.simulator.fault_kinds import PLACING

KILL_THUNES, KILL_EXCHANGE = "kill -9 of THUNES", "kill -9 of the exchange"
DEATHS = ((KILL_THUNES, 0.08), (KILL_EXCHANGE, 0.05))
"""How likely each is the next to happen."""
PAIR, PAIRS = "POST /api/v3/orderList/oco", 0.3
"""A fault of placed orders strikes this request instead, so often."""


def drawn(chance: Random, symbols: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The next fault and its details."""
    number = chance.random()
    for name, likely in DEATHS:
        if number < likely:
            return name, {}
        number -= likely
    name, details = random_faults.drawn(chance, symbols)
    if details.get("match") == PLACING and chance.random() < PAIRS:
        details["match"] = PAIR
    return name, details
