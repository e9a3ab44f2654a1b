"""A served system: the real server over figures that the test, or its commands, replace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.sample_figures import SYSTEM, with_risk
from thunes.control.server import ControlServer
from thunes.domain.figures import SystemFigures

TOKEN = "a-token-for-tests"


def spawn(name: str, function: Callable[[], None]) -> None:
    threading.Thread(target=function, name=name, daemon=True).start()


class House:
    """Holds the figures and obeys the commands at once, unless told to be deaf or to leave orders behind."""

    def __init__(self) -> None:
        self.figures = SYSTEM
        self.told: list[tuple[Any, ...]] = []
        self.commanded = threading.Event()
        self.deaf = False
        self.orders_follow = True
        self.journal: list[dict[str, Any]] = [{"seq": seq, "event": "HEARTBEAT"} for seq in range(1, 11)]

    def read(self) -> SystemFigures:
        return self.figures

    def kill(self, reason: str, source: str, flatten: bool) -> None:
        self.told.append(("kill", reason, source, flatten))
        self.commanded.set()
        if not self.deaf:
            self.figures = with_risk(self.figures, kill_active=True, kill_reason=reason, epoch=2)
            if self.orders_follow:
                self.take_epoch()

    def take_epoch(self) -> None:
        orders = {symbol: replace(of, epoch=2) for symbol, of in self.figures.orders.items()}
        self.figures = replace(self.figures, orders=orders)

    def resume(self, reason: str, source: str) -> None:
        self.told.append(("resume", reason, source))
        if not self.deaf:
            self.figures = with_risk(self.figures, kill_active=False, kill_reason="")

    def reconnect(self, symbol: str | None, source: str) -> None:
        self.told.append(("reconnect", symbol, source))

    def reconcile(self, source: str) -> None:
        self.told.append(("reconcile", source))

    def reset_breaker(self, source: str) -> None:
        self.told.append(("reset_breaker", source))
        if not self.deaf:
            closed = {name: replace(circuit, state="closed") for name, circuit in self.figures.breakers.items()}
            self.figures = replace(self.figures, breakers=closed)

    def journal_after(self, after: int, limit: int) -> list[dict[str, Any]]:
        return [event for event in self.journal if event["seq"] > after][:limit]


class Served(House):
    """A `House` behind a running `ControlServer` on free ports."""

    def __init__(self) -> None:
        super().__init__()
        self.server = server(self)
        self.metrics_port, self.console_port = self.server.start()


def server(house: House, *, metrics_port: int = 0, console_port: int = 0) -> ControlServer:
    return ControlServer(
        house.read,
        house,
        host="127.0.0.1",
        metrics_port=metrics_port,
        console_port=console_port,
        token=TOKEN,
        allowed_hosts=(),
        spawn=spawn,
        journal_after=house.journal_after,
        watch=lambda: (0, 0),
    )


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.stop(5.0)
