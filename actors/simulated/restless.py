"""A strategy that trades all the time, so that a simulated system has much to do in little time."""

from __future__ import annotations

from decimal import Decimal
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
        self._price: Decimal | None = None

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        return self._perhaps(0.3, holding)

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        self._price = tick.bid
        return self._perhaps(EAGERNESS, holding)

    def _perhaps(self, probability: float, holding: Holding | None) -> Intent | None:
        chance = self._random.random()
        if chance >= probability:
            return None
        wrong = chance < probability / 10
        side = Side.BUY if (holding is None) is not wrong else Side.SELL
        return self._intent(side)

    def _intent(self, side: Side) -> Intent:
        """At the market or at a limit near it, some with terms that protect what they buy."""
        rng = self._random
        stop_loss = Decimal(rng.randrange(2, 12)) / 1000 if side is Side.BUY and rng.random() < 0.6 else None
        profit = Decimal(rng.randrange(2, 12)) / 1000 if stop_loss is not None and rng.random() < 0.5 else None
        if self._price is None or rng.random() < 0.7:
            return Intent(side, "RESTLESS", stop_loss=stop_loss, take_profit=profit)
        limit = self._price * (1 + Decimal(rng.randrange(-20, 20)) / 10_000)
        good_for = rng.uniform(5, 300)
        return Intent(side, "RESTLESS", limit_price=limit, good_for=good_for, stop_loss=stop_loss, take_profit=profit)
