"""Who listens to which market stream: a frame is encoded once for all of its listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from thunes.exchange.simulator.connections import Connection
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.request_faults import cut

Build = Callable[[int], Mapping[str, Any]]
"""A payload with its times in milliseconds multiplied by the argument: 1, or 1000 for microseconds."""


def ignore(_name: str) -> None:
    """Nobody needs to know."""


class Listener:
    """A connection to market streams, with what it asked for."""

    def __init__(self, connection: Connection, combined: bool, scale: int) -> None:
        self.connection = connection
        self.combined = combined
        self.scale = scale
        self.streams: dict[str, None] = {}


class Hub:
    """Listeners by stream."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._listeners: dict[Listener, None] = {}
        self._streams: dict[str, dict[Listener, None]] = {}
        self._arrived = asyncio.Event()
        self.opened: Callable[[str], None] = ignore
        """Called when a stream gets its first listener."""

    def subscribe(self, listener: Listener, names: Iterable[str]) -> None:
        for name in names:
            listener.streams[name] = None
            if name not in self._streams:
                self._streams[name] = {}
                self.opened(name)
            self._streams[name][listener] = None
        if listener.streams:
            self._listeners[listener] = None
            self._arrived.set()

    def unsubscribe(self, listener: Listener, names: Iterable[str]) -> None:
        for name in list(names):
            listener.streams.pop(name, None)
            listeners = self._streams.get(name, {})
            listeners.pop(listener, None)
            if not listeners:
                self._streams.pop(name, None)
        if not listener.streams:
            self._listeners.pop(listener, None)
            if not self._listeners:
                self._arrived.clear()

    def leave(self, listener: Listener) -> None:
        self.unsubscribe(listener, listener.streams)

    def wanted(self, name: str) -> bool:
        return name in self._streams

    def publish(self, name: str, build: Build) -> None:
        """Send the payload to every listener of `name`; it is not even built where there is none."""
        listeners = self._streams.get(name)
        if not listeners:
            return
        fault = self._faults.market_frame(name)
        if fault is not None and fault.name == "gap":
            return
        if fault is not None and fault.name == "crossed":
            build = crossed(build)
        frames: dict[tuple[int, bool], bytes] = {}
        for listener in listeners:
            key = (listener.scale, listener.combined)
            frame = frames.get(key)
            if frame is None:
                payload = orjson.dumps(build(listener.scale))
                frame = b'{"stream":"%b","data":%b}' % (name.encode(), payload) if listener.combined else payload
                if fault is not None and fault.name == "garbage-frame":
                    frame = cut(frame)
                frames[key] = frame
            listener.connection.send(frame)

    def unconfirmed(self) -> int:
        """The most frames that any listener was sent since the last barrier."""
        return max((listener.connection.unconfirmed for listener in self._listeners), default=0)

    async def barrier(self) -> None:
        """Return once every listener has read all it was sent, and there is at least one."""
        await self._arrived.wait()
        await asyncio.gather(*(listener.connection.confirmed() for listener in self._listeners))

    async def arrival(self) -> None:
        """Return once somebody listens."""
        await self._arrived.wait()


def crossed(build: Build) -> Build:
    """The same best prices, bid for ask."""

    def swapped(scale: int) -> Mapping[str, Any]:
        top = build(scale)
        return {**top, "b": top["a"], "a": top["b"]}

    return swapped
