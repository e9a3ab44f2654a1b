"""The post: addresses actors by name. A name's mailbox outlives the actors that serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pykka

from actors.runtime.mailbox import Letter, Mailbox, MailboxPolicy

MakeBox = Callable[[str, MailboxPolicy, Callable[[], int]], Mailbox]


class Post:
    """Every mailbox of the system, by name.

    `tell` never waits and never fails for a known name: what is told to an actor that is being restarted is read by its
    replacement. An unknown name is a mistake in the tree and raises KeyError.
    """

    def __init__(self, now_ns: Callable[[], int], make_box: MakeBox = Mailbox) -> None:
        self._now_ns = now_ns
        self._make_box = make_box
        self._boxes: dict[str, Mailbox] = {}

    def register(self, name: str, policy: MailboxPolicy) -> Mailbox:
        """The mailbox of `name`, made when there is none yet."""
        if name not in self._boxes:
            self._boxes[name] = self._make_box(name, policy, self._now_ns)
        return self._boxes[name]

    def tell(self, name: str, message: Any) -> None:
        self._boxes[name].put(Letter(message, None, self._now_ns()))

    def tell_all(self, names: Iterable[str], message: Any) -> None:
        for name in names:
            self.tell(name, message)

    def ask(self, name: str, message: Any, timeout: float) -> Any:
        """The answer to `message`, for the edges alone (a test, the command line): no actor may wait for another.

        Raises `pykka.Timeout` after `timeout` seconds and `pykka.ActorDeadError` when the name has stopped for good.
        """
        future: pykka.Future[Any] = pykka.ThreadingFuture()
        self._boxes[name].put(Letter(message, future, self._now_ns()))
        return future.get(timeout=timeout)

    def __getitem__(self, name: str) -> Mailbox:
        return self._boxes[name]

    @property
    def boxes(self) -> Mapping[str, Mailbox]:
        return self._boxes
