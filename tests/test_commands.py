"""Which actor each of an operator's commands goes to."""

from __future__ import annotations

from typing import Any

from thunes.commands import PostCommands
from thunes.messages import Kill, Reconcile, Reconnect, ResetBreaker, Resume


def test_every_command_reaches_the_actor_that_carries_it_out() -> None:
    told: list[tuple[str, Any]] = []
    commands = PostCommands(lambda actor, message: told.append((actor, message)))

    commands.kill("fire", "http", True)
    commands.resume("out", "http")
    commands.reconnect("BTCUSDT", "http")
    commands.reconcile("http")
    commands.reset_breaker("http")

    assert told == [
        ("risk", Kill("fire", "http", True)),
        ("risk", Resume("out", "http")),
        ("supervisor", Reconnect("BTCUSDT", "http")),
        ("reconciler", Reconcile("http", take_over=True)),
        ("breaker", ResetBreaker("http")),
    ]
