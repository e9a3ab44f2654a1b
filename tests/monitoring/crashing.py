"""A lively strategy that crashes as often as the file named by CRASHES says, then goes on."""

import os
from pathlib import Path

from tests.e2e.lively import Lively
from thunes.messages import Tick
from thunes.strategies.base import Holding

CRASHES = Path(os.environ["CRASHES"])


class Crashing(Lively):
    name = "crashing"

    def on_tick(self, tick: Tick, holding: Holding | None) -> None:
        super().on_tick(tick, holding)
        if self.symbol == "BTCUSDT" and CRASHES.exists() and (left := int(CRASHES.read_text())):
            CRASHES.write_text(str(left - 1))
            raise RuntimeError("asked to crash")
