"""A strategy that always holds something, between a stop and a take profit that rest at the exchange."""

from __future__ import annotations

from decimal import Decimal

from thunes.messages import Candle, Intent, Side
from thunes.strategies.base import Holding, Strategy

NEAR = Decimal("0.0015")


class Pairs(Strategy):
    name = "pairs"
    warmup = 1

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        return Intent(Side.BUY, "NOTHING_HELD", stop_loss=NEAR, take_profit=NEAR) if holding is None else None
