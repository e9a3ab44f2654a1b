"""What an operator may have done, as messages: the one path of every way in (API, signals, later Telegram)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thunes.messages import Kill, Reconcile, Reconnect, ResetBreaker, Resume

Tell = Callable[[str, Any], None]


class PostCommands:
    """Sends each command to the actor that carries it out and returns at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def kill(self, reason: str, source: str, flatten: bool) -> None:
        self._tell("risk", Kill(reason, source, flatten))

    def resume(self, reason: str, source: str) -> None:
        self._tell("risk", Resume(reason, source))

    def reconnect(self, symbol: str | None, source: str) -> None:
        self._tell("supervisor", Reconnect(symbol, source))

    def reconcile(self, source: str) -> None:
        self._tell("reconciler", Reconcile(source, take_over=True))

    def reset_breaker(self, source: str) -> None:
        self._tell("breaker", ResetBreaker(source))
