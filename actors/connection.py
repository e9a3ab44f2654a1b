"""What a market stream and the account stream do alike: one socket at a time, opened again with growing waits.

A socket reports to its actor with the generation it was opened under, so that what an older one says late is not
taken for the newer one's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.protocol import Frame, OpenSocket, SocketClosed, SocketOpened
from actors.runtime.actor import Actor
from actors.world import Socket
from thunes.messages import Record

RETRY_FIRST, RETRY_LAST = 0.1, 10.0


class Connection:
    """The socket of one actor. `label` names it in the journal and the log; `symbol` is None for the account's."""

    def __init__(self, actor: Actor, make: Callable[..., Socket], *, label: str, symbol: str | None) -> None:
        self._actor = actor
        self._make = make
        self._label = label
        self._symbol = symbol
        self._socket: Socket | None = None
        self._generation: int = actor.world.carry.setdefault(actor.name, 0)
        self._ever = self._generation > 0
        self._retry = RETRY_FIRST
        self.connected = False
        self.reconnects = 0

    def open(self) -> None:
        """Drop the socket there is, if any, and open another; its thread says how that went."""
        self.drop()
        actor = self._actor
        actor.world.timers.cancel(actor.name, "open")  # a try that was put off would close what is opened here
        self._generation += 1
        actor.world.carry[actor.name] = generation = self._generation
        self._socket = self._make(
            on_open=lambda: actor.tell(actor.name, SocketOpened(generation)),
            on_frame=lambda data, received_ns: actor.tell(actor.name, Frame(data, received_ns)),
            on_close=lambda why: actor.tell(actor.name, SocketClosed(generation, why)),
        )
        self._socket.open()

    def drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def opened(self, generation: int) -> bool:
        """Whether it is the current socket that has connected."""
        if generation != self._generation:
            return False
        self.connected, self._retry = True, RETRY_FIRST
        self._record("STREAM_CONNECTED")
        if self._ever:
            self.reconnects += 1
            self._actor.world.log.info("WebSocket reconnected successfully: %s", self._label)
        self._ever = True
        return True

    def closed(self, generation: int, why: str) -> None:
        """The socket has ended; if it is the current one, try again after a while."""
        if generation != self._generation:
            return
        self._lost(why)
        self._actor.after(self._retry, "open", OpenSocket())
        self._retry = min(RETRY_LAST, self._retry * 2)

    def reconnect(self, source: str) -> None:
        self._lost(f"asked for by {source}")
        self.open()

    def _lost(self, why: str) -> None:
        if self.connected:
            self.connected = False
            self._record("STREAM_DISCONNECTED", why=why)

    def _record(self, event: str, **metadata: Any) -> None:
        self._actor.tell("audit", Record(event, symbol=self._symbol, metadata={"stream": self._label, **metadata}))
