"""`thunes status --watch`: the running system, looked at again and again.

On a terminal a full screen; elsewhere a table after the other, or a line of JSON each, without control codes. A system
that goes away is said to be away, and looked for until it is back.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from thunes.control.view import Document, status_view
from thunes.errors import ThunesError
from thunes.interrupts import sigterm_as_interrupt

Look = Callable[[], Document]


class Shown(Protocol):
    """Where what was seen goes: the status, or the sentence that says why there is none."""

    def status(self, status: Document) -> None: ...
    def trouble(self, sentence: str) -> None: ...


def watch(look: Look, shown: Shown, wait: Callable[[], None]) -> None:
    """Look and show until Ctrl-C or SIGTERM, which is how a watch ends and no failure."""
    try:
        with sigterm_as_interrupt():
            while True:
                try:
                    shown.status(look())
                except ThunesError as error:
                    shown.trouble(str(error))
                wait()
    except KeyboardInterrupt:
        return


class FullScreen:
    """A context in which the table has a screen of its own; afterwards the terminal is as it was."""

    def __init__(self, console: Console, now: Callable[[], str], every: float) -> None:
        self._live = Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")
        self._now = now
        self._every = every
        self._last: Document | None = None
        self._seen = ""

    def status(self, status: Document) -> None:
        self._last, self._seen = status, self._now()[:19]
        self._draw(status_view(status, (f"{self._seen} UTC, every {self._every:g} s; Ctrl-C ends this.",)))

    def trouble(self, sentence: str) -> None:
        parts: list[RenderableType] = [
            Text(sentence, "bold red"),
            Text(f"Trying again every {self._every:g} s; Ctrl-C ends this.", "yellow"),
        ]
        if self._last is not None:
            parts += [Text(), Text(f"As it was at {self._seen} UTC:", "bold"), status_view(self._last, ())]
        self._draw(Group(*parts))

    def __enter__(self) -> FullScreen:
        self._live.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _draw(self, view: RenderableType) -> None:
        self._live.update(view, refresh=True)


class Tables:
    """A table after the other, each below its time; what goes wrong is for standard error."""

    def __init__(self, console: Console, now: Callable[[], str]) -> None:
        self._console = console
        self._now = now

    def status(self, status: Document) -> None:
        self._console.print(Group(Text(f"{self._now()[:19]} UTC"), status_view(status, ()), Text()))

    def trouble(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)


class JsonLines:
    """A line of JSON for each look; what goes wrong is for standard error."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def status(self, status: Document) -> None:
        self._say(json.dumps(status, ensure_ascii=False))

    def trouble(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)
