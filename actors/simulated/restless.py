"""A strategy that trades all the time, so that a simulated system has much to do in little time."""

from __future__ import annotations

from random import Random

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Parameters, Strategy

EAGERNESS = 0.4
"""How often a tick makes it want something."""


class Restless(Strategy):
    """Buys and sells by lot; sometimes what it may not."""

    name = "restless"
    warmup = 0

    def __init__(self, symbol: str, rng: Random) -> None:
        super().__init__(symbol, Parameters())
        self._random = rng

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        return self._perhaps(0.3, holding)

    def on_tick(self, _tick: Tick, holding: Holding | None) -> Intent | None:
        return self._perhaps(EAGERNESS, holding)

    def _perhaps(self, probability: float, holding: Holding | None) -> Intent | None:
        chance = self._random.random()
        if chance >= probability:
            return None
        wrong = chance < probability / 10
        side = Side.BUY if (holding is None) is not wrong else Side.SELL
        return Intent(side, "RESTLESS")
