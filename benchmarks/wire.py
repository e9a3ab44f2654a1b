"""Two proxies between a client and the exchange, with one clock: when a tick left for the client, when an order came.

Both the tick's and the order's time are taken on this side of the client's sockets, so the exchange's own work is in
neither figure. A tick that comes while an order is under way does not count: the newest tick before an order is its.
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

TICK = b"bookTicker"
ORDER = b"POST /api/v3/order"


class Wire:
    """Listens on two ports for one client. `latencies_ns` holds tick-to-order times in the order in which they came."""

    def __init__(self, rest: str, stream: str) -> None:
        self._upstream = {"rest": urlsplit(rest), "stream": urlsplit(stream)}
        self._servers: list[asyncio.Server] = []
        self._tick_ns = 0
        self.latencies_ns: list[int] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        for name in self._upstream:
            server = await asyncio.start_server(lambda r, w, name=name: self._serve(name, r, w), "127.0.0.1", 0)
            self._servers.append(server)
            self.ports[name] = server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        for server in self._servers:
            server.close()

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._upstream[name]
        far_reader, far_writer = await asyncio.open_connection(address.hostname, address.port)
        to_exchange = asyncio.create_task(self._pump(reader, far_writer, self._from_client))
        to_client = asyncio.create_task(self._pump(far_reader, writer, self._from_exchange))
        await asyncio.wait([to_exchange, to_client], return_when=asyncio.FIRST_COMPLETED)
        for side in (writer, far_writer):
            side.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen) -> None:
        try:
            while data := await reader.read(1 << 16):
                seen(data)
                writer.write(data)
        except (ConnectionError, asyncio.CancelledError):
            return

    def _from_exchange(self, data: bytes) -> None:
        if TICK in data:
            self._tick_ns = time.perf_counter_ns()

    def _from_client(self, data: bytes) -> None:
        if data.startswith(ORDER) and self._tick_ns:
            self.latencies_ns.append(time.perf_counter_ns() - self._tick_ns)
            self._tick_ns = 0
