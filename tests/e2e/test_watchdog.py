"""A real process under a service manager of the test's own: ready, alive while it is, silent while it is not."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.support import clean_environment, thunes
from thunes.notify import DEAF_AFTER_NS

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


DEAF = """
import sys, threading
from actors.supervisor import SupervisorActor
SupervisorActor._reconnect = lambda *_: threading.Event().wait()
from thunes.cli import run_main
sys.exit(run_main())
"""
"""THUNES whose supervisor never comes back from SIGUSR1; all else of it goes on."""


def test_signs_of_life_end_when_the_supervisor_hangs_though_the_rest_goes_on(tmp_path: Path) -> None:
    with manager(tmp_path) as (heard, address):
        env = clean_environment(NOTIFY_SOCKET=address, WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)))
        command = [sys.executable, "-c", DEAF, "--home", str(tmp_path), "--log", "plain"]
        command += ["--metrics-port", "0", "--console-port", "0"]
        with (tmp_path / "output.txt").open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        try:
            heard.hears("STATUS=trading")
            process.send_signal(signal.SIGUSR1)
            heard.listen(DEAF_AFTER_NS / 1e9 + WATCHDOG_S)
            heard.said.clear()
            heard.listen(3 * WATCHDOG_S)
            assert "WATCHDOG=1" not in heard.said
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            heard.hears("STOPPING=1")
            assert process.wait(20) == 1, "the actors did not stop in time"
        finally:
            process.kill()
            process.wait(10)
