"""A strategy that always wants something: it buys when it holds nothing and sells when it does, each candle."""

from thunes.messages import Candle, Intent, Side
from thunes.strategies.base import Holding, Strategy


class Busy(Strategy):
    name = "busy"
    warmup = 1

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        self.candles += 1
        return Intent(Side.BUY, "FLAT") if holding is None else Intent(Side.SELL, "HOLDING")
