"""A real process under a service manager of the test's own: ready, alive while it is, silent while it is not."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.support import clean_environment, thunes

pytestmark = pytest.mark.slow

WATCHDOG_S = 1.0


class Manager:
    """Hears a process; `said` is what it said so far."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound
        self.said: list[str] = []

    def listen(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            with suppress(TimeoutError):
                self.said += self._bound.recv(4096).decode().splitlines()

    def hears(self, line: str, seconds: float = 60) -> None:
        self.listen(seconds, lambda: line in self.said)
        assert line in self.said


@contextmanager
def manager(folder: Path) -> Iterator[tuple[Manager, str]]:
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.settimeout(0.05)
        yield Manager(bound), address


def test_ready_alive_silent_while_stopped_and_stopping(tmp_path: Path) -> None:
    with manager(tmp_path) as (heard, address):
        env = clean_environment(NOTIFY_SOCKET=address, WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)))
        with thunes(tmp_path / "home", env=env) as system:
            heard.hears("READY=1")
            heard.hears("STATUS=trading")
            heard.said.clear()
            heard.listen(3 * WATCHDOG_S)
            assert heard.said.count("WATCHDOG=1") >= 3, "one in each period at least"

            system.process.send_signal(signal.SIGSTOP)
            heard.listen(0.2)  # what was said before it took effect
            heard.said.clear()
            heard.listen(2 * WATCHDOG_S)
            assert heard.said == []
            system.process.send_signal(signal.SIGCONT)
            heard.hears("WATCHDOG=1")

            system.process.send_signal(signal.SIGTERM)
            heard.hears("STOPPING=1")
            assert system.process.wait(15) == 0, system.said()
