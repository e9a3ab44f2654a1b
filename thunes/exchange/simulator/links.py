"""The open WebSocket connections of an exchange, and the faults that strike them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from thunes.exchange.simulator.connections import Connection
from thunes.exchange.simulator.faults import Fault, Faults, Hold, concerns

SHUTDOWN_S = 2.0


@dataclass(frozen=True, slots=True)
class Link:
    """A connection: `raw` or `combined` to market streams, or `api`; times are multiplied by `scale`."""

    connection: Connection
    shape: str
    scale: int

    @property
    def streams(self) -> str:
        """The name that faults know it by."""
        return "account" if self.shape == "api" else "market"

    def tell_shutdown(self, now_ms: int) -> None:
        """In the shape of the connection (web-socket-streams.md, "Server Shutdown")."""
        event = {"e": "serverShutdown", "E": now_ms * self.scale}
        shaped: Mapping[str, Any] = {"event": event} if self.shape == "api" else event
        if self.shape == "combined":
            shaped = {"stream": "!serverShutdown", "data": event}
        self.connection.send(orjson.dumps(shaped))


class Links:
    """Joined and left by every connection."""

    def __init__(self, faults: Faults, now_ms: Callable[[], int]) -> None:
        self._faults = faults
        self._now_ms = now_ms
        self._links: dict[Link, None] = {}
        self._closing: set[asyncio.Task[None]] = set()
        faults.on_armed = self._armed

    def join(self, link: Link) -> None:
        self._links[link] = None
        for fault in self._faults.connected(link.streams):
            self._strike(fault, link)

    def leave(self, link: Link) -> None:
        self._links.pop(link, None)

    def count(self, streams: str) -> int:
        return sum(1 for link in self._links if link.streams == streams)

    async def shut_down(self) -> None:
        """Tell every client, and close its connection in order."""
        links = list(self._links)
        for link in links:
            link.tell_shutdown(self._now_ms())
            self._start(link.connection.close())
        if self._closing:
            await asyncio.wait(self._closing, timeout=SHUTDOWN_S)

    def _armed(self, fault: Fault) -> None:
        """It strikes all that are open; where none is, the next one."""
        struck = [link for link in self._links if concerns(fault, link.streams)]
        if struck:
            self._faults.struck(fault)
        for link in struck:
            self._strike(fault, link)

    def _strike(self, fault: Fault, link: Link) -> None:
        connection = link.connection
        match fault.name:
            case "disconnect":
                connection.drop()
            case "silence":
                connection.silences += 1
                Hold(fault, fault["seconds"], lambda: end_silence(connection))
            case "half-open":
                connection.go_deaf()
                Hold(fault, fault["seconds"], connection.drop)
            case "no-pong":
                connection.unanswering += 1
                Hold(fault, fault["seconds"], lambda: end_unanswering(connection))
            case "server-shutdown":
                link.tell_shutdown(self._now_ms())
                Hold(fault, fault["seconds"], lambda: self._start(connection.close()))

    def _start(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def end_silence(connection: Connection) -> None:
    connection.silences -= 1


def end_unanswering(connection: Connection) -> None:
    connection.unanswering -= 1
