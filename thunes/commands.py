"""What an operator may have done, as messages: the one path of every way in (API, Telegram)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thunes.messages import Kill, Pause, Reconcile, Reconnect, Record, Report, ResetBreaker, Resume

Tell = Callable[[str, Any], None]


class PostCommands:
    """Sends each command to the actor that carries it out and returns at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def kill(self, reason: str, source: str, flatten: bool) -> None:
        self._tell("risk", Kill(reason, source, flatten))

    def resume(self, reason: str, source: str) -> None:
        self._tell("risk", Resume(reason, source))

    def pause(self, source: str) -> None:
        self._tell("risk", Pause(source))

    def unpause(self, source: str) -> None:
        self._tell("risk", Pause(source, lasts=False))

    def report(self) -> None:
        self._tell("alert", Report())

    def ignored(self, source: str, chat: str, count: int) -> None:
        """Somebody who may not command has tried to, for the so-manieth time."""
        meta = {"command": "ignored", "source": source, "chat": chat, "count": count, "refused": "unknown chat"}
        self._tell("audit", Record("OPERATOR_COMMAND", metadata=meta))

    def reconnect(self, symbol: str | None, source: str) -> None:
        self._tell("supervisor", Reconnect(symbol, source))

    def reconcile(self, source: str) -> None:
        self._tell("reconciler", Reconcile(source, take_over=True))

    def reset_breaker(self, source: str) -> None:
        self._tell("breaker", ResetBreaker(source))
