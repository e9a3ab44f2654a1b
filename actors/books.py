"""BooksActor: the database is a projection of the journal.

Receives Journaled and a timer. Folds what has come into the books and stores what changed together with the seq that it
applied, in one transaction; a little later than told, because nobody on the road waits for it. A crash loses nothing:
the replacement loads the projection and reads on in the journal.
"""

from __future__ import annotations

from typing import Any

from actors.protocol import Heartbeat, Journaled
from actors.runtime.actor import Actor
from actors.world import World
from thunes.domain.journal import AuditEvent

STORE_AFTER = 0.05
"""Seconds that events may wait to be stored together, off the way of the order that they tell of."""


class BooksActor(Actor):
    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.waiting: list[AuditEvent] = []

    def on_start(self) -> None:
        self.store = self.world.ports.open_books()
        self.books = self.world.projected(self.store)
        self._catch_up()

    def on_receive(self, message: Any) -> None:
        match message:
            case Journaled(events):
                if not self.waiting:
                    self.after(STORE_AFTER, "store", Heartbeat())
                self.waiting += events
            case Heartbeat():
                self._store()
            case _:
                raise TypeError(f"books does not understand {type(message).__name__}")

    def on_stop(self) -> None:
        self._store()
        self.store.close()

    def on_failure(self, *_error: Any) -> None:
        self.store.close()

    def _store(self) -> None:
        events, self.waiting = tuple(self.waiting), []
        if events and events[0].seq > self.books.seq + 1:
            self._catch_up()
        self._apply(events)

    def _catch_up(self) -> None:
        self._apply(tuple(self.world.ports.read_journal(self.books.seq)))

    def _apply(self, events: tuple[AuditEvent, ...]) -> None:
        new = [event for event in events if event.seq > self.books.seq]
        for event in new:
            self.books.apply(event)
        if new:
            self.store.save(self.books, new)
