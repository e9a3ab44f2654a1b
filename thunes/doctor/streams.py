"""That the venue's sockets open: the market's delivers a frame, the account's takes our subscription."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from thunes.doctor.findings import Failed
from thunes.doctor.patient import Patient, Venue
from thunes.errors import MarketDataError
from thunes.exchange.frames import decode_market
from thunes.exchange.streams import MarketSocket

FRAME_SECONDS = 10.0
CLOSED_SECONDS = 2.0
BLOCKED = "Check that the network lets WebSocket connections through to the venue."


class Heard:
    """What a socket said, in order: `open`, `frame` with its bytes, `close` with its reason."""

    def __init__(self) -> None:
        self._said: queue.Queue[tuple[str, Any]] = queue.Queue()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_open": lambda: self._said.put(("open", None)),
            "on_frame": lambda frame, _at: self._said.put(("frame", frame)),
            "on_close": lambda why: self._said.put(("close", why)),
        }

    def until(self, wanted: str, seconds: float) -> Any:
        """What came with the next `wanted`; Failed when the socket closes first or nothing comes in time."""
        while True:
            try:
                kind, what = self._said.get(timeout=seconds)
            except queue.Empty:
                raise Failed(f"no {wanted} within {seconds:g} s", BLOCKED) from None
            if kind == wanted:
                return what
            if kind == "close":
                raise Failed(f"the connection failed ({what})", BLOCKED)


def market(patient: Patient, venue: Venue) -> str:
    names = [f"{symbol.lower()}@{kind}" for symbol in patient.settings.run.symbols for kind in ("bookTicker", "trade")]
    heard, start = Heard(), patient.monotonic_ns()
    socket = venue.market_socket(names, **heard.callbacks())
    socket.open()
    try:
        frame = heard.until("frame", FRAME_SECONDS)
        decode_market(frame, received_ns=0, market_ms=0)
    except MarketDataError as error:
        raise Failed(f"the first frame cannot be read ({error})", "Check exchange.stream_url.") from error
    finally:
        _end(socket, heard)
    return f"the first frame after {patient.ms_since(start):.0f} ms"


def account(patient: Patient, venue: Venue) -> str:
    heard, start = Heard(), patient.monotonic_ns()
    socket = venue.account_socket(venue.rest())(**heard.callbacks())
    socket.open()
    try:
        heard.until("open", FRAME_SECONDS)
    finally:
        _end(socket, heard)
    return f"subscribed after {patient.ms_since(start):.0f} ms"


def _end(socket: MarketSocket, heard: Heard) -> None:
    """Close it and wait for its thread's last word."""
    socket.close()
    with suppress(Failed):
        heard.until("close", CLOSED_SECONDS)
