"""What befalls the whole system at one moment, with an order of another symbol at each step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.matrix.bench import SYMBOLS, Bench, until
from tests.e2e.matrix.cells import Spec, fault

Act = Callable[[Bench], None]


def nothing(_bench: Bench) -> None:
    """There is nothing to take back."""


@dataclass(frozen=True, slots=True)
class Strike:
    """`act` strikes, `undo` takes back what would not pass by itself.

    `held` is what becomes of a request that is on the wire at that moment.
    """

    act: Act
    undo: Act = nothing
    then: str = "process"
    hold: float = 2.0
    deadly: bool = False


def asked_for(*specs: Spec) -> Act:
    def act(bench: Bench) -> None:
        for spec in specs:
            bench.control.add(**spec)

    return act


def of_each_symbol(name: str, **details: Any) -> Act:
    return asked_for(*(fault(name, symbol=symbol, **details) for symbol in SYMBOLS))


def kill_9(bench: Bench) -> None:
    os.kill(bench.system.process.pid, signal.SIGKILL)
    bench.system.process.wait(10)
    bench.end()


def switch_off(bench: Bench) -> None:
    """A kill by hand: nothing is bought from now on, and what was bought in part is bought no further."""
    bench.post("/api/kill", {"reason": "drill"})


def switch_on(bench: Bench) -> None:
    until(bench.system.is_ready, what="readiness")
    bench.post("/api/resume", {"reason": "drill over"})


CLOCK_BACK = asked_for(fault("clock", offset_ms=0))

STRIKES: Mapping[str, Strike] = {
    "disconnect market": Strike(asked_for(fault("disconnect", streams="market"))),
    "disconnect account": Strike(asked_for(fault("disconnect", streams="account"))),
    "disconnect all": Strike(asked_for(fault("disconnect", streams="all"))),
    "silence": Strike(asked_for(fault("silence", streams="all", seconds=3))),
    "half-open": Strike(asked_for(fault("half-open", streams="all", seconds=3))),
    "no-pong": Strike(asked_for(fault("no-pong", streams="all", seconds=3))),
    "gap": Strike(of_each_symbol("gap", streams="market", count=3)),
    "crossed": Strike(of_each_symbol("crossed", streams="market")),
    "garbage-frame": Strike(asked_for(fault("garbage-frame", streams="all"))),
    "server-shutdown": Strike(asked_for(fault("server-shutdown", streams="all", seconds=1))),
    "refuse-connections": Strike(
        asked_for(fault("refuse-connections", streams="all", seconds=2), fault("disconnect", streams="all"))
    ),
    "clock 10 s ahead": Strike(asked_for(fault("clock", offset_ms=10_000)), CLOCK_BACK),
    "clock 10 s behind": Strike(asked_for(fault("clock", offset_ms=-10_000)), CLOCK_BACK),
    "kill": Strike(switch_off, switch_on),
    "kill -9, request dropped": Strike(kill_9, then="drop", hold=3.0, deadly=True),
    "kill -9, request late": Strike(kill_9, hold=3.0, deadly=True),
}
