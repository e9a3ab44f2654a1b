"""An embedded exchange's faults, as tests arm and watch them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tests.exchange.conftest import TIMEOUT_S, Exchange, Listener
from thunes.exchange.simulator.options import Trouble

WITH_CONTROL = Trouble(control_port=0)


@dataclass(frozen=True)
class Control:
    """The control endpoint over HTTP."""

    url: str

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, timeout=TIMEOUT_S, **options)

    def arm(self, fault: str, **values: Any) -> int:
        answer = self.ask("POST", "/faults", json={"fault": fault, **values})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def row(self, number: int) -> dict[str, Any]:
        row: dict[str, Any] = self.ask("GET", f"/faults/{number}").json()
        return row

    def clear(self, number: int) -> None:
        assert self.ask("DELETE", f"/faults/{number}").json() == {"cleared": 1}


def control_of(exchange: Exchange) -> Control:
    return Control(exchange.running.control)


def signed(exchange: Exchange, **params: Any) -> dict[str, Any]:
    """Parameters of a WebSocket API request, signed in the order of their names."""
    sent = {"apiKey": exchange.key, "timestamp": int(time.time() * 1000), **params}
    text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
    return sent | {"signature": exchange.sign(text)}


def subscribe(exchange: Exchange, api: Listener) -> None:
    api.ask(id=1, method="userDataStream.subscribe.signature", params=signed(exchange))


def until(condition: Callable[[], Any], what: str) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        threading.Event().wait(0.005)
    return value
