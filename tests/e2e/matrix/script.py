"""A strategy that does what it is told: one order for each file that a test writes, on the next closed candle.

What it was told before it began is not done again, so a restart repeats nothing.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Strategy

FOLDER = "SCRIPT_FOLDER"
"""The environment variable that names the folder with a file for each symbol."""
AWAY = Decimal("0.05")
"""How far from the market a resting order waits, as a fraction."""


class Scripted(Strategy):
    name = "scripted"
    warmup = 0

    def __init__(self, symbol: str, parameters: Any) -> None:
        super().__init__(symbol, parameters)
        self.file = Path(os.environ[FOLDER]) / f"{symbol}.json"
        self.tick: Tick | None = None
        self.done = self._told()
        self.selling = False
        """All is to be sold, on each candle until nothing is held."""

    def on_tick(self, tick: Tick, _holding: Holding | None) -> None:
        self.tick = tick

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        super().on_candle(candle, holding)
        told = self._told()
        again = self.selling and told == self.done and holding is not None
        if self.tick is None or (told == self.done and not again):
            return None
        self.done, wanted = told, json.loads(told)
        self.selling = wanted["kind"] == "all"
        return intent(wanted, self.tick)

    def _told(self) -> str:
        return self.file.read_text() if self.file.exists() else ""


def intent(told: dict[str, Any], tick: Tick) -> Intent:
    """`market` is for a quantity, `all` sells all there is, `resting` waits away from the market, and `partial` takes
    what is displayed and leaves one more to rest.
    """
    side = Side(told["side"])
    best, displayed = (tick.ask, tick.ask_quantity) if side is Side.BUY else (tick.bid, tick.bid_quantity)
    stop, profit = (Decimal(told[name]) if name in told else None for name in ("stop_loss", "take_profit"))
    match told["kind"]:
        case "all":
            return Intent(side, told["cause"])
        case "market":
            quantity = Decimal(told["quantity"])
            return Intent(side, told["cause"], quantity=quantity, stop_loss=stop, take_profit=profit)
        case "resting":
            price, quantity = best * (1 - AWAY if side is Side.BUY else 1 + AWAY), Decimal(told["quantity"])
        case _:
            price, quantity = best, displayed + 1
    return Intent(side, told["cause"], quantity=quantity, limit_price=price, good_for=told["good_for"])
