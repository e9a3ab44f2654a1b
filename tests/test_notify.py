"""What the service manager hears: readiness once, the status when it changes, signs of life only from the living."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from actors.runtime.mailbox import Mailbox, MailboxPolicy
from tests.sample_figures import SYSTEM
from thunes.domain.figures import SystemFigures
from thunes.notify import DEAF_AFTER_NS, ServiceManager, handles_messages

PERIOD_NS = 2_000_000_000


@dataclass
class Heard:
    """A service manager that hears, on a clock that the test moves."""

    said: list[str] = field(default_factory=list)
    now_ns: int = 0

    def listening(self, period_ns: int = PERIOD_NS) -> ServiceManager:
        return ServiceManager(lambda data: self.said.append(data.decode()), period_ns, lambda: self.now_ns)

    def since(self) -> list[str]:
        said, self.said[:] = self.said[:], []
        return said


def supervisor(now_ns: Callable[[], int] = lambda: 1) -> Mailbox:
    """A supervisor's mailbox, with nothing in it."""
    return Mailbox("supervisor", MailboxPolicy(), now_ns)


def tell(manager: ServiceManager, figures: SystemFigures = SYSTEM, box: Mailbox | None = None) -> None:
    manager.tell(figures, box or supervisor(), started=True)


def test_readiness_is_said_once_and_the_status_when_it_changes() -> None:
    heard = Heard()
    manager = heard.listening(period_ns=0)
    tell(manager, replace(SYSTEM, ready=False, not_ready="not connected: BTCUSDT"))
    assert heard.since() == ["READY=1", "STATUS=not connected: BTCUSDT"]
    tell(manager)
    tell(manager)
    assert heard.since() == ["STATUS=trading"]


def test_readiness_is_not_said_before_every_actor_has_started() -> None:
    heard = Heard()
    manager = heard.listening(period_ns=0)
    manager.tell(replace(SYSTEM, ready=False, not_ready="the actors are starting"), supervisor(), started=False)
    assert heard.since() == ["STATUS=the actors are starting"]
    tell(manager)
    assert heard.since() == ["READY=1", "STATUS=trading"]


def test_a_sign_of_life_comes_twice_in_a_period() -> None:
    heard = Heard()
    manager = heard.listening()
    for heard.now_ns in range(0, 4_000_000_001, 250_000_000):
        tell(manager)
    assert heard.said.count("WATCHDOG=1") == 5


def test_a_supervisor_that_handles_no_messages_gives_none_until_it_does() -> None:
    heard = Heard()
    manager, heard.now_ns = heard.listening(), 1
    box = supervisor(lambda: heard.now_ns)
    box.tell("a message")
    heard.now_ns += DEAF_AFTER_NS
    tell(manager, box=box)
    assert "WATCHDOG=1" not in heard.since()
    box.get()
    tell(manager, box=box)
    assert heard.since() == ["WATCHDOG=1"]


def test_a_message_that_is_in_hand_for_too_long_is_as_deaf_as_one_that_waits() -> None:
    now = Heard(now_ns=1)
    box = supervisor(lambda: now.now_ns)
    box.tell("the one that hangs it")
    box.get()
    assert len(box) == 0
    assert handles_messages(box, DEAF_AFTER_NS)
    assert not handles_messages(box, DEAF_AFTER_NS + 1)


def test_stopping_is_said_with_its_reason() -> None:
    heard = Heard()
    heard.listening().stopping("audit failed:\nno space left")
    assert heard.said == ["STOPPING=1\nSTATUS=stopping: audit failed: no space left"]


def test_a_manager_that_cannot_be_told_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_data: bytes) -> None:
        raise ConnectionRefusedError("gone")

    manager = ServiceManager(refuse, PERIOD_NS, lambda: 0)
    with caplog.at_level(logging.WARNING):
        tell(manager)
        manager.stopping("SIGTERM")
    assert len(caplog.records) == 1


@pytest.fixture(params=["file", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "file" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address.replace("@", "\0") if request.param == "abstract" else address)
        bound.settimeout(5)
        yield bound, address


def test_it_is_sent_to_the_socket_of_the_environment(listener: tuple[socket.socket, str]) -> None:
    bound, address = listener
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}
    tell(ServiceManager.of(environ, 7, lambda: 1))
    assert [bound.recv(100) for _ in range(3)] == [b"READY=1", b"STATUS=trading", b"WATCHDOG=1"]


@pytest.mark.parametrize(
    "environ",
    [{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "-1"}, {}],
)
def test_a_watchdog_for_another_process_or_of_no_period_gets_no_sign(
    listener: tuple[socket.socket, str], environ: dict[str, str]
) -> None:
    bound, address = listener
    manager = ServiceManager.of({"NOTIFY_SOCKET": address, **environ}, 7, lambda: 0)
    tell(manager)
    manager.stopping("x")
    assert [bound.recv(100) for _ in range(3)] == [b"READY=1", b"STATUS=trading", b"STOPPING=1\nSTATUS=stopping: x"]


def test_without_a_socket_nothing_happens() -> None:
    manager = ServiceManager.of({}, 7, lambda: 0)
    assert not manager.listens
    tell(manager)
    manager.stopping("SIGTERM")
