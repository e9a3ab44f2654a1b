"""One WebSocket connection of a client: a bounded outgoing queue, pings that must be answered, barriers.

The exchange pings every 20 s and drops a connection whose pong does not come within 60 s; unsolicited pongs do not
count (web-socket-streams.md, "General WSS information"). Those times are wall time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSMsgType, web

log = logging.getLogger(__name__)

GONE = (ConnectionError, RuntimeError)
"""What aiohttp raises for a frame to a connection that is closing."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Wall seconds, and how many frames may wait for a slow reader before it is dropped."""

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    longest_life_s: float = 86_400.0
    queue_size: int = 2000


class Connection:
    """Frames go out in the order of `send`; a reader too slow for the queue is disconnected."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        settings: ConnectionSettings,
        messages_per_second: int,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._settings = settings
        self._messages_per_second = messages_per_second
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[bytes, WSMsgType]] = deque()
        self._wake = asyncio.Event()
        self._pings: dict[bytes, float] = {}
        self._barriers: dict[bytes, asyncio.Future[None]] = {}
        self._second = (0, 0)
        self._serial = 0
        self.closed = asyncio.Event()
        self.unconfirmed = 0
        """Frames sent since the last barrier."""
        self.silences = 0
        """While above 0, text frames are lost."""
        self.unanswering = 0
        """While above 0, the client's pings are not answered."""
        self._deaf = False

    def send(self, frame: bytes) -> None:
        """Queue one text frame."""
        if self.silences:
            return
        self.unconfirmed += 1
        self._put(frame, WSMsgType.TEXT)

    def _put(self, frame: bytes, kind: WSMsgType) -> None:
        if self.closed.is_set() or self._deaf:
            return
        if len(self._queue) >= self._settings.queue_size:
            log.warning("dropping a connection that reads too slowly: %d frames wait", len(self._queue))
            self._queue.clear()
            self.drop()
            return
        self._queue.append((frame, kind))
        self._wake.set()

    async def confirmed(self) -> None:
        """Return once the client has read everything sent so far, or is gone."""
        self.unconfirmed = 0
        if self.closed.is_set() or self._deaf:
            return
        self._serial += 1
        payload = b"b%d" % self._serial
        future = self._barriers[payload] = self._loop.create_future()
        self._put(payload, WSMsgType.PING)
        await future

    def drop(self) -> None:
        """Cut the connection without a closing handshake: the client may not be reading."""
        self._over()
        if self._transport is not None:
            self._transport.abort()

    def go_deaf(self) -> None:
        """Send nothing and read nothing any more, as if the network between were gone."""
        self._deaf = True
        self._queue.clear()
        self._release()
        if self._transport is not None:
            self._transport.pause_reading()

    def _over(self) -> None:
        self.closed.set()
        self._wake.set()
        self._release()

    def _release(self) -> None:
        for future in self._barriers.values():
            if not future.done():
                future.set_result(None)
        self._barriers.clear()

    async def serve(self, receive: Callable[[str], Awaitable[None]]) -> None:
        """Hand every text message to `receive` until the connection ends."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            async for message in self._socket:
                if self._deaf:
                    continue
                if message.type is WSMsgType.PONG and self._confirm(bytes(message.data)):
                    continue
                if self._too_many():
                    break
                if message.type is WSMsgType.PING and not self.unanswering:
                    self._put(bytes(message.data), WSMsgType.PONG)
                elif message.type is WSMsgType.PONG:
                    self._pong(bytes(message.data))
                elif message.type is WSMsgType.TEXT:
                    await receive(message.data)
        finally:
            self._over()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(*GONE):
                await self._socket.close()

    async def close(self) -> None:
        """Send what is queued, then close in order."""
        with suppress(*GONE):
            while self._queue:
                frame, kind = self._queue.popleft()
                await self._socket.send_frame(frame, kind)
            await self._socket.close()
        self._over()

    async def _write(self) -> None:
        with suppress(*GONE):
            while not self.closed.is_set():
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    frame, kind = self._queue.popleft()
                    await self._socket.send_frame(frame, kind)

    async def _ping(self) -> None:
        """Ping on time, and drop a connection that does not answer or has lived its day."""
        born = self._loop.time()
        while not self.closed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.closed.wait(), self._settings.ping_every_s)
            now = self._loop.time()
            oldest = min(self._pings.values(), default=now)
            if now - oldest > self._settings.pong_within_s or now - born > self._settings.longest_life_s:
                self.drop()
                return
            self._serial += 1
            payload = b"%d" % self._serial
            self._pings[payload] = now
            self._put(payload, WSMsgType.PING)

    def _confirm(self, payload: bytes) -> bool:
        future = self._barriers.pop(payload, None)
        if future is not None and not future.done():
            future.set_result(None)
        return future is not None

    def _pong(self, payload: bytes) -> None:
        sent = self._pings.pop(payload, None)
        if sent is not None:
            self._pings = {other: when for other, when in self._pings.items() if when > sent}

    def _too_many(self) -> bool:
        """Whether the client sent more messages this second than it may; 0 stands for no limit."""
        second = int(self._loop.time())
        count = self._second[1] + 1 if self._second[0] == second else 1
        self._second = (second, count)
        return 0 < self._messages_per_second < count
