"""What a service manager is told: that it runs, how it is, that it is alive, that it stops (`sd_notify(3)`).

Where nobody gave a NOTIFY_SOCKET nothing is said. A datagram that cannot be sent harms nobody: it is logged once.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from thunes.domain.figures import SystemFigures

log = logging.getLogger(__name__)

DEAF_AFTER_NS = 10_000_000_000
"""A supervisor that has handled one message for so long, or lets one wait for so long, restarts nobody any more."""

Send = Callable[[bytes], None]


class Box(Protocol):
    """A mailbox, as far as its actor's being alive shows in it."""

    @property
    def in_hand_since_ns(self) -> int: ...
    def oldest_ns(self) -> int: ...


class ServiceManager:
    """Tells systemd, or whoever else listens, what the figures show; call `tell` a few times a second.

    A sign of life goes out twice in each period of the watchdog, and only while the supervisor handles messages: a
    system in which nobody is restarted any more is one that the service manager has to restart.
    """

    def __init__(self, send: Send | None, period_ns: int, monotonic_ns: Callable[[], int]) -> None:
        """`period_ns` is the watchdog's; 0: there is none. Without `send` nothing is told."""
        self._send = send
        self._every_ns = period_ns // 2
        self._now_ns = monotonic_ns
        self._announced = False
        self._status = ""
        self._alive_ns: int | None = None
        self._failed = False

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int, monotonic_ns: Callable[[], int]) -> ServiceManager:
        """As the environment says; a watchdog that is meant for another process is none."""
        address = environ.get("NOTIFY_SOCKET", "")
        period_ns = 0
        if environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            with suppress(ValueError):
                period_ns = max(0, int(environ.get("WATCHDOG_USEC", "0"))) * 1000
        return cls(to_socket(address) if address else None, period_ns, monotonic_ns)

    @property
    def listens(self) -> bool:
        return self._send is not None

    def tell(self, figures: SystemFigures, supervisor: Box, *, started: bool) -> None:
        """Say what has changed since, and give a sign of life when one is due. `started`: every actor was, once."""
        if started and not self._announced:
            self._announced = True
            self._say("READY=1")
        status = "trading" if figures.ready else figures.not_ready
        if status != self._status:
            self._status = status
            self._say(f"STATUS={status}")
        now_ns = self._now_ns()
        due = self._alive_ns is None or now_ns - self._alive_ns >= self._every_ns
        if self._every_ns and due and handles_messages(supervisor, now_ns):
            self._alive_ns = now_ns
            self._say("WATCHDOG=1")

    def stopping(self, why: str) -> None:
        self._say(f"STOPPING=1\nSTATUS=stopping: {' '.join(why.split())}")

    def _say(self, text: str) -> None:
        if self._send is None:
            return
        try:
            self._send(text.encode())
        except OSError as error:
            if not self._failed:
                log.warning("The service manager cannot be told (%s); it may restart what is well.", error)
            self._failed = True


def handles_messages(box: Box, now_ns: int) -> bool:
    """Whether neither the message in hand nor the one that has waited longest is older than a living actor lets it be.

    Both, because a hung actor's mailbox may be empty until its next timer.
    """
    since_ns = [at_ns for at_ns in (box.in_hand_since_ns, box.oldest_ns()) if at_ns]
    return now_ns - min(since_ns, default=now_ns) < DEAF_AFTER_NS


def to_socket(address: str) -> Send:
    """Sends to a datagram socket of the file system, or to an abstract one where the address begins with `@`."""
    place = "\0" + address[1:] if address.startswith("@") else address

    def send(data: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)  # a reader that does not read must not hold up what it watches
            out.sendto(data, place)

    return send
