"""A strategy whose account is never idle: BTCUSDT is held under a stop, on every other symbol an entry rests."""

from decimal import Decimal
from typing import Any

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy

FAR, STOP = Decimal("0.9"), Decimal("0.2")


class Resting(Strategy):
    name = "resting"
    warmup = 1

    def __init__(self, symbol: str, parameters: Any) -> None:
        super().__init__(symbol, parameters)
        self.ask = Decimal(0)

    def on_tick(self, tick: Tick, _holding: Holding | None) -> Intent | None:
        self.ask = tick.ask
        return None

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        if holding is not None or not self.ask:
            return None
        if self.symbol == "BTCUSDT":
            return Intent(Side.BUY, "FLAT", stop_loss=STOP)
        return Intent(Side.BUY, "FLAT", limit_price=self.ask * FAR, good_for=100_000)
