"""Both ends of a socket for tests: a WebSocket server that does what a test writes, and what our socket says."""

from __future__ import annotations

import json
import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

TIMEOUT_S = 10.0

Handler = Callable[[ServerConnection], None]

silent = logging.getLogger("tests.silent")
silent.disabled = True


@contextmanager
def serving(handler: Handler, **options: Any) -> Iterator[str]:
    """The address of a server that calls `handler` for each connection and then waits for its end."""

    def handle(connection: ServerConnection) -> None:
        try:
            handler(connection)
            for _ in connection:
                pass
        except ConnectionClosed:
            return

    server = serve(handle, "127.0.0.1", 0, logger=silent, compression=None, close_timeout=1, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join(TIMEOUT_S)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a TCP server that calls `answer` with its first connection: no WebSocket unless that makes one."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(TIMEOUT_S)

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(TIMEOUT_S)
            answer(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(TIMEOUT_S)
        listener.close()


def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Heard:
    """What a socket said, in order: ("open",), ("frame", bytes, ns) and ("close", why); and its threads."""

    def __init__(self) -> None:
        self.said: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []
        self.now_ns = 0

    def options(self, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        """The callbacks of a socket, and a clock that counts the frames."""
        return {
            "spawn": self.spawn,
            "on_open": lambda: self.said.put(("open",)),
            "on_frame": lambda data, received_ns: self.said.put(("frame", data, received_ns)),
            "on_close": lambda why: self.said.put(("close", why)),
            "monotonic_ns": self.tick,
            "timeout": timeout,
        }

    def tick(self) -> int:
        self.now_ns += 1
        return self.now_ns

    def spawn(self, name: str, function: Callable[[], None]) -> None:
        def run() -> None:
            try:
                function()
            except Exception as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, name=name)
        self.threads.append(thread)
        thread.start()

    def next(self) -> tuple[Any, ...]:
        return self.said.get(timeout=TIMEOUT_S)

    def frame(self) -> Any:
        """The next thing said, which has to be a frame, as JSON."""
        what, data, _ = self.next()
        assert what == "frame"
        return json.loads(data)

    def rest(self) -> list[tuple[Any, ...]]:
        """All that is said until the reader has ended."""
        for thread in self.threads:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()
        return [self.said.get_nowait() for _ in range(self.said.qsize())]
