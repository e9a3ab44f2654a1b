"""A strategy that always wants something, of every kind: MARKET and LIMIT orders, entries that bear a stop, and such
that bear a take-profit too.
"""

from decimal import Decimal
from random import Random
from typing import Any

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy

NEAR, STOP = Decimal("0.0002"), Decimal("0.002")


class Lively(Strategy):
    name = "lively"
    warmup = 1

    def __init__(self, symbol: str, parameters: Any) -> None:
        super().__init__(symbol, parameters)
        self.chance = Random(symbol)
        self.tick: Tick | None = None

    def on_tick(self, tick: Tick, _holding: Holding | None) -> None:
        self.tick = tick

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        if self.tick is None:
            return None
        number = self.chance.random()
        if holding is None:
            return self.entry(self.tick, number)
        return self.exit(self.tick, number) if number < 0.6 else None

    def entry(self, tick: Tick, number: float) -> Intent:
        if number < 0.3:
            return Intent(Side.BUY, "FLAT", limit_price=tick.ask * (1 - NEAR), good_for=120)
        if number < 0.5:
            return Intent(Side.BUY, "FLAT", stop_loss=STOP)
        if number < 0.8:
            return Intent(Side.BUY, "FLAT", stop_loss=STOP, take_profit=STOP)
        return Intent(Side.BUY, "FLAT")

    def exit(self, tick: Tick, number: float) -> Intent:
        if number < 0.2:
            return Intent(Side.SELL, "HOLDING", limit_price=tick.bid * (1 + NEAR), good_for=120)
        return Intent(Side.SELL, "HOLDING")
