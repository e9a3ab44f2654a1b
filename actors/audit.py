"""AuditActor: the journal is the road, not a side channel.

Receives Record and Flush. Appends each record, makes all that is queued durable with one fdatasync, and only then
passes on: an approval to the breaker, every event to those whom `actors/routing.py` names. A crash loses nothing: the
batch under way, who waits for a flush and the record in hand go to the replacement, which drops what the file already
holds. So after a crash an event may be passed on twice; who is told knows its seq. A disk that fails passes nothing on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from actors.protocol import Approved, Flush, Flushed, Journaled
from actors.routing import OF_ALL, receivers
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain.figures import JournalFigures
from thunes.domain.histogram import Recorder
from thunes.domain.journal import AuditEvent
from thunes.messages import Record, UrgentRecord

Received: TypeAlias = Record | UrgentRecord | Flush

BATCH = 512
FSYNC_BOUNDS_MS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 50.0, 250.0)


@dataclass(slots=True)
class Unfinished:
    """What one incarnation leaves to the next."""

    batch: list[Pending] = field(default_factory=list)
    flushes: list[Flush] = field(default_factory=list)
    last: Record | None = None
    """The record that was appended last."""


@dataclass(slots=True)
class Pending:
    """A record on its way to the disk, and the line that it was sealed into."""

    record: Record
    event: AuditEvent


class AuditActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({UrgentRecord}))

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.unfinished: Unfinished = world.carry.setdefault(name, Unfinished())
        self.batch = self.unfinished.batch
        self.counts: Counter[str] = Counter()
        self.fsync = Recorder(FSYNC_BOUNDS_MS)
        self.batch_since_ns = 0

    def on_start(self) -> None:
        self.journal = self.world.ports.open_journal()
        for pending in self.batch:
            if not self._is_on_the_disk(pending.event):
                pending.event = self.journal.append(pending.record)
        self._commit()

    def on_receive(self, message: Any) -> None:
        match message:
            case Record():
                self._append(message)
            case Flush():
                self.unfinished.flushes.append(message)
            case _:
                raise TypeError(f"audit does not understand {type(message).__name__}")
        if self.mailbox.empty() or len(self.batch) >= BATCH:
            self._commit()

    def on_stop(self) -> None:
        self._commit()
        self.journal.close()

    def on_failure(self, *_error: Any) -> None:
        self.journal.close()

    def bury(self, message: Any) -> None:
        """Take the record or flush that the incarnation before had in hand, unless it got that far."""
        if message is not self.unfinished.last and isinstance(message, Record | Flush):
            self.on_receive(message)

    def _is_on_the_disk(self, event: AuditEvent) -> bool:
        """Whether the file has this very line: its seq alone may have gone to a repair's line since."""
        found = next(iter(self.world.ports.read_journal(event.seq - 1)), None)
        return found is not None and found.hash == event.hash

    def _append(self, record: Record) -> None:
        if not self.batch:
            self.batch_since_ns = self.world.clock.monotonic_ns()
        # Sealed first: a record that the journal refuses must not come back with the batch at every restart.
        event = self.journal.append(record)
        self.batch.append(Pending(record, event))
        self.unfinished.last = record

    def _commit(self) -> None:
        """Make the batch durable, then pass it on; the order of these two is the promise."""
        before = self.world.clock.monotonic_ns()
        self.journal.commit()
        after = self.world.clock.monotonic_ns()
        if self.batch:
            self.fsync.observe((after - before) / 1e6)
        self._pass_on()
        for flush in self.unfinished.flushes:
            self.tell(flush.reply_to, Flushed(flush.incarnation))
        self.unfinished.flushes.clear()
        self._publish((after - self.batch_since_ns) / 1e6 if self.batch_since_ns else 0.0)

    def _pass_on(self) -> None:
        events = []
        for pending in self.batch:
            event = pending.event
            events.append(event)
            self.counts[event.event] += 1
            if isinstance(pending.record.subject, Approved):
                self.tell("breaker", replace(pending.record.subject, seq=event.seq))
            for name in receivers(event, self.world.symbols):
                self.tell(name, event)
        if events:
            self.post.tell_all(OF_ALL, Journaled(tuple(events)))
        self.batch.clear()

    def _publish(self, lag_ms: float) -> None:
        self.publish(
            JournalFigures(
                seq=self.journal.seq,
                head=self.journal.head,
                lag_ms=lag_ms,
                events=dict(self.counts),
                dead_letters=self.counts["DEAD_LETTER"],
                fsync_ms=self.fsync.histogram(),
            )
        )
