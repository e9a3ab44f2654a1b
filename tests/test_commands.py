"""Which actor each of an operator's commands goes to."""

from __future__ import annotations

from typing import Any

from thunes.commands import PostCommands
from thunes.messages import Kill, Pause, Reconcile, Reconnect, Record, Report, ResetBreaker, Resume

STRANGER = {"command": "ignored", "source": "telegram", "chat": "13", "count": 4, "refused": "unknown chat"}


def test_every_command_reaches_the_actor_that_carries_it_out() -> None:
    told: list[tuple[str, Any]] = []
    commands = PostCommands(lambda actor, message: told.append((actor, message)))

    commands.kill("fire", "http", True)
    commands.resume("out", "http")
    commands.reconnect("BTCUSDT", "http")
    commands.reconcile("http")
    commands.reset_breaker("http")
    commands.pause("telegram 9")
    commands.unpause("telegram 9")
    commands.report()
    commands.ignored("telegram", "13", 4)

    assert told == [
        ("risk", Kill("fire", "http", True)),
        ("risk", Resume("out", "http")),
        ("supervisor", Reconnect("BTCUSDT", "http")),
        ("reconciler", Reconcile("http", take_over=True)),
        ("breaker", ResetBreaker("http")),
        ("risk", Pause("telegram 9")),
        ("risk", Pause("telegram 9", lasts=False)),
        ("alert", Report()),
        ("audit", Record("OPERATOR_COMMAND", metadata=STRANGER)),
    ]
