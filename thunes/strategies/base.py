"""What a strategy is: one small class with checked parameters that turns candles and ticks into intents.

A strategy knows no exchange, no account and no clock: it sees closed candles and ticks in order, and what it holds.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from thunes.messages import Candle, Intent, Tick


@dataclass(frozen=True, slots=True)
class Holding:
    """The open position in the strategy's symbol: base quantity, and its average cost per unit with the fees in."""

    quantity: Decimal
    entry_price: Decimal
    stop_limit: Decimal | None = None
    """The limit price of the stop that rests on the exchange; None where none does. A bid below it has passed it by."""


class Parameters(BaseModel):
    """A strategy's parameters: frozen, and no name that the strategy does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Strategy(ABC):
    """Subclass it in a file of its own: set `name` and `parameters_type`, and answer `warmup` and `on_candle`."""

    name: ClassVar[str]
    parameters_type: ClassVar[type[Parameters]] = Parameters

    def __init__(self, symbol: str, parameters: Any) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.candles = 0
        """Closed candles seen; `on_candle` counts them by calling `super().on_candle(...)`."""

    @property
    @abstractmethod
    def warmup(self) -> int:
        """How many closed candles it needs before it can decide."""

    @property
    def state(self) -> str:
        """`warming n/50` until it can decide, then `ready`."""
        return "ready" if self.candles >= self.warmup else f"warming {self.candles}/{self.warmup}"

    @abstractmethod
    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        """Decide on a closed candle. A subclass calls this first: it counts the candle."""
        self.candles += 1
        return None

    def on_tick(self, _tick: Tick, _holding: Holding | None) -> Intent | None:
        """Decide on a change of the best bid or ask; most strategies need not."""
        return None


def params_hash(parameters: BaseModel) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the parameters' canonical JSON.

    Canonical: sorted by name, and a decimal without trailing zeros, so that 0.02 and 0.020 are one value.
    """
    text = json.dumps(parameters.model_dump(), sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
