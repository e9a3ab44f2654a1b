"""Buy when the fast moving average crosses above the slow one, sell when it crosses below or at the stop loss.

The stop rests on the exchange. Where it cannot, or where the market has run past it, the strategy sells by itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from pydantic import Field, model_validator

from thunes.domain.indicators import Rsi, Sma
from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Parameters, Strategy


class SmaParameters(Parameters):
    sma_fast: int = Field(10, ge=1, le=10_000, description="candles in the fast average")
    sma_slow: int = Field(50, ge=2, le=10_000, description="candles in the slow average")
    rsi_period: int = Field(14, ge=1, le=10_000, description="changes in the RSI")
    rsi_max: float = Field(70, ge=0, le=100, description="no entry at or above this RSI")
    stop_loss: Decimal = Field(Decimal("0.02"), gt=0, lt=1, description="exit at this fraction below the entry price")

    @model_validator(mode="after")
    def _fast_below_slow(self) -> Self:
        if self.sma_fast >= self.sma_slow:
            raise ValueError(f"sma_fast ({self.sma_fast}) has to be below sma_slow ({self.sma_slow})")
        return self


class SmaCrossover(Strategy):
    name: ClassVar[str] = "sma_crossover"
    parameters_type: ClassVar[type[Parameters]] = SmaParameters
    parameters: SmaParameters

    def __init__(self, symbol: str, parameters: SmaParameters) -> None:
        super().__init__(symbol, parameters)
        self.fast, self.slow = Sma(parameters.sma_fast), Sma(parameters.sma_slow)
        self.rsi = Rsi(parameters.rsi_period)

    @property
    def warmup(self) -> int:
        return max(self.parameters.sma_slow, self.parameters.rsi_period + 1)

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        before = self._lead()
        self.fast.update(candle.close)
        self.slow.update(candle.close)
        rsi = self.rsi.update(candle.close)
        now = self._lead()
        if before is None or now is None or rsi is None:
            return None
        if before <= 0 < now and holding is None and rsi < self.parameters.rsi_max:
            return Intent(Side.BUY, "SMA_CROSS_ABOVE", stop_loss=self.parameters.stop_loss)
        if now < 0 <= before and holding is not None:
            return Intent(Side.SELL, "SMA_CROSS_BELOW")
        return None

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        if holding is None:
            return None
        stop = holding.stop_limit
        if stop is None:
            stop = holding.entry_price * (1 - self.parameters.stop_loss)
        return Intent(Side.SELL, "STOP_LOSS") if tick.bid <= stop else None

    def _lead(self) -> Decimal | None:
        """How far the fast average is above the slow one; to touch it from either side is not to cross it."""
        fast, slow = self.fast.value, self.slow.value
        return None if fast is None or slow is None else fast - slow
