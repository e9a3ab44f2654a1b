"""BooksActor: the database is a projection of the journal.

Receives Journaled. Folds each event into the books and stores what changed together with the seq that it applied, in
one transaction. A crash loses nothing: the replacement loads the projection and reads on in the journal.
"""

from __future__ import annotations

from typing import Any

from actors.protocol import Journaled
from actors.runtime.actor import Actor
from thunes.domain.journal import AuditEvent


class BooksActor(Actor):
    def on_start(self) -> None:
        self.store = self.world.ports.open_books()
        self.books = self.store.load()
        self._catch_up()

    def on_receive(self, message: Any) -> None:
        match message:
            case Journaled(events):
                if events and events[0].seq > self.books.seq + 1:
                    self._catch_up()
                self._apply(events)
            case _:
                raise TypeError(f"books does not understand {type(message).__name__}")

    def on_stop(self) -> None:
        self.store.close()

    def _catch_up(self) -> None:
        self._apply(tuple(self.world.ports.read_journal(self.books.seq)))

    def _apply(self, events: tuple[AuditEvent, ...]) -> None:
        new = [event for event in events if event.seq > self.books.seq]
        for event in new:
            self.books.apply(event)
        if new:
            self.store.save(self.books, new)
