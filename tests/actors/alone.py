"""One actor at work, alone: everybody else is a mailbox that the test reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.runtime.actor import Actor, Exited, Stop
from actors.runtime.mailbox import MailboxPolicy
from actors.tree import tree
from actors.world import World
from tests.e2e.support import wait_for
from tests.venue_in_process import UNHINDERED, Venue, make_world, rules_of

SYMBOLS = ("BTCUSDT", "ETHUSDT")


@dataclass
class Alone:
    """`actor` under `name`, which nobody restarts but the test."""

    world: World
    name: str
    actor: type[Actor]
    incarnation: int = -1

    def start(self) -> None:
        """Start the actor, or its replacement."""
        self.incarnation += 1
        self.actor.start(self.world, self.name, self.incarnation)

    def queue(self, *messages: Any) -> None:
        for message in messages:
            self.world.post.tell(self.name, message)

    def tell(self, *messages: Any) -> None:
        """Tell it these and wait until it has handled all that waits for it."""
        self.queue(*messages)
        box = self.world.post[self.name]
        wait_for(lambda: len(box) == 0 and box.in_hand_since_ns == 0, 10, "the messages handled")

    def told(self, name: str, *kinds: type) -> list[Any]:
        """What `name` was told since the last look, of these types; all is taken out of its mailbox."""
        box = self.world.post[name]
        messages = [box.get().message for _ in range(len(box))]
        return [message for message in messages if type(message) in kinds]

    def wait_until_ended(self) -> None:
        """Until its thread is gone, so that nothing more comes from it."""
        wait_for(lambda: not any(t.name == self.name for t in threading.enumerate()), 10, "its thread's end")


@contextmanager
def alone(
    home: Path, name: str, actor: type[Actor], environ: dict[str, str] | None = None, **ports: Any
) -> Iterator[Alone]:
    """The actor in a world of its own, not started yet; stopped at the end, if it lives."""
    world = make_world(home, Venue(rules_of(*SYMBOLS)), {**UNHINDERED, **(environ or {})}, **ports)
    world.post.register(name, actor.mailbox_policy)
    for other in ("supervisor", *(spec.name for spec in tree(SYMBOLS).children)):
        world.post.register(other, MailboxPolicy())
    bench = Alone(world, name, actor)
    try:
        yield bench
    finally:
        bench.queue(Stop())
        bench.wait_until_ended()
        world.timers.stop()  # type: ignore[attr-defined]


def exits(bench: Alone) -> list[Exited]:
    """The exit reports since the last look."""
    return bench.told("supervisor", Exited)
