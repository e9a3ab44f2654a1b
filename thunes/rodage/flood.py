"""A strategy that leaves no moment without an order: the flood under which the kill switch is drilled.

Given to a system by its path. Half of its symbols buy and sell at the market in turn; the others enter with a limit far
below it, which rests until it is cancelled.
"""

from decimal import Decimal
from typing import Any

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy

FAR = Decimal("0.9")
RESTS_SECONDS = 3600.0
RESTING = frozenset({"SOLUSDT", "XRPUSDT"})


class Flood(Strategy):
    name = "flood"
    warmup = 0

    def __init__(self, symbol: str, parameters: Any) -> None:
        super().__init__(symbol, parameters)
        self.ask = Decimal(0)

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        self.ask = tick.ask
        return self.wanted(holding)

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        return self.wanted(holding) if self.ask else None

    def wanted(self, holding: Holding | None) -> Intent:
        if holding is not None:
            return Intent(Side.SELL, "HOLDING")
        if self.symbol in RESTING:
            return Intent(Side.BUY, "FLAT", limit_price=self.ask * FAR, good_for=RESTS_SECONDS)
        return Intent(Side.BUY, "FLAT")
