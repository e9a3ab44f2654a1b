"""A strategy that fails on whatever it sees, until the supervisor gives up."""

from thunes.messages import Candle, Intent, Tick
from thunes.strategies.base import Holding, Strategy


class Crashing(Strategy):
    name = "crashing"
    warmup = 1

    def on_tick(self, tick: Tick, _holding: Holding | None) -> Intent | None:
        raise ValueError(f"{tick.symbol} is too much")

    def on_candle(self, candle: Candle, _holding: Holding | None) -> Intent | None:
        super().on_candle(candle, None)
        return None
