"""What befalls requests and their answers, in the same way over REST and over the WebSocket API."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import orjson

from thunes.errors import ExchangeError
from thunes.exchange.simulator.faults import Fault, Faults, held

TOO_MUCH = (
    "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
UNKNOWN_FATE = {
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
}
TIMED_OUT = -1007


class Lost(Exception):
    """The connection is cut, and nothing is answered."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """An answer that goes out as something else: cut in the middle, or as an error of this status."""

    status: int = 0
    """0: the answer itself, cut in the middle."""
    code: int | None = None

    def error(self) -> ExchangeError:
        """As JSON says it."""
        code = TIMED_OUT if self.code is None else self.code
        return ExchangeError(code, UNKNOWN_FATE.get(code, "Execution status unknown."), self.status)

    def page(self) -> bytes:
        """As a proxy says it."""
        title = b"%d %b" % (self.status, PHRASES.get(self.status, b"Server Error"))
        return b"<html><head><title>%b</title></head><body><center><h1>%b</h1></center></body></html>" % (title, title)


PHRASES = {500: b"Internal Server Error", 502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Time-out"}


class RequestFaults:
    """Asks the registry before and after each request."""

    def __init__(self, faults: Faults, wall: Callable[[], float]) -> None:
        self._faults = faults
        self._wall = wall

    @property
    def watches(self) -> bool:
        return self._faults.watches_requests()

    async def before(self, calls: Collection[str], symbol: str) -> None:
        """Return when it may be processed. Raises Lost, or ExchangeError where it is refused."""
        fault = self._faults.request(calls, symbol)
        if fault is None:
            return
        if fault.name == "hold-request":
            await held(fault, fault["seconds"])
        if fault.name == "reject":
            raise ExchangeError(fault["code"], fault["message"], fault["status"])
        if fault.name == "limit":
            raise self._too_much(fault)
        if fault.name == "lose-request" or fault["then"] == "drop" or self._faults.closed:
            raise Lost

    async def after(self, calls: Collection[str], symbol: str) -> Spoilt | None:
        """Return when it may be answered; what goes out instead of the answer. Raises Lost."""
        fault = self._faults.answer(calls, symbol)
        if fault is None:
            return None
        if fault.name in ("hold-answer", "slow"):
            await held(fault, fault["seconds"])
            return None
        if fault.name == "lose-answer":
            raise Lost
        return Spoilt() if fault.name == "garbage" else Spoilt(fault["status"], fault["code"])

    def _too_much(self, fault: Fault) -> ExchangeError:
        wait_s = fault["retry_after"]
        if fault["status"] == 429:
            return ExchangeError(-1003, TOO_MUCH, 429, wait_s)
        until_ms = int((self._wall() + wait_s) * 1000)
        message = (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return ExchangeError(-1003, message, 418, wait_s)


def cut(body: bytes) -> bytes:
    """The first half, which is no JSON any more."""
    half = body[: len(body) // 2]
    try:
        orjson.loads(half)
    except orjson.JSONDecodeError:
        return half
    return b"{"
