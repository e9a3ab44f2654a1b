"""A strategy that acts on every tick: it buys when it holds nothing and sells when it does."""

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy


class Always(Strategy):
    name = "always"
    warmup = 0

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        self.candles += 1
        return None

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        return Intent(Side.BUY, "FLAT") if holding is None else Intent(Side.SELL, "HOLDING")
