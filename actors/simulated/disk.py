"""The disk of a simulated system: the real journal on real files, whose fdatasync may fail and whose power may go.

What was written and not made durable may be lost in part, in the middle of a line; what was made durable may not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from random import Random

from actors.runtime.simulation import Scheduler
from thunes.domain.books import Books
from thunes.domain.journal import AuditEvent
from thunes.errors import JournalUnwritable
from thunes.messages import Record
from thunes.storage.journal import JournalFile, read_events
from thunes.storage.segments import CURRENT

GIT_SHA = "simulation"


class Disk:
    """Journal, projection and kill marker of one home. `durable` is called with every event that has become so."""

    def __init__(self, logs: Path, scheduler: Scheduler, rng: Random, durable: Callable[[AuditEvent], None]) -> None:
        self.logs = logs
        self.scheduler = scheduler
        self.durable = durable
        self.reason: str | None = None
        self.failing: int | None = None
        """The error number of every fdatasync from now on; None while the disk is well."""
        self.syncs_to_cut: int | None = None
        """In so many fdatasyncs from now the power goes."""
        self.was_cut = False
        self.durable_seq = 0
        self.books = [Books()]
        self._random = rng
        self._durable_bytes = 0

    def open_journal(self) -> SimulatedJournal:
        return SimulatedJournal(self)

    def read_journal(self, after: int) -> Iterable[AuditEvent]:
        return read_events(self.logs, after)

    def open_books(self) -> SimulatedBooks:
        return SimulatedBooks(self)

    def sync(self, fd: int) -> None:
        """In place of fdatasync."""
        self.scheduler.effect()
        if self.syncs_to_cut is not None:
            self.syncs_to_cut -= 1
            self.was_cut = self.was_cut or self.syncs_to_cut < 0
        if self.was_cut:
            raise OSError(errno.EIO, "the power is gone")
        if self.failing is not None:
            raise OSError(self.failing, os.strerror(self.failing))
        self._durable_bytes = os.fstat(fd).st_size

    def cut_power(self) -> None:
        """Lose some of what was not durable, at any byte, and some of what the projection stored last."""
        segment = self.logs / CURRENT
        if segment.exists() and (size := segment.stat().st_size) > self._durable_bytes:
            os.truncate(segment, self._random.randint(self._durable_bytes, size))
        del self.books[1 + self._random.randrange(len(self.books)) :]
        self.mend()

    def mend(self) -> None:
        """The disk is well again."""
        self.was_cut, self.syncs_to_cut, self.failing = False, None, None

    # --- the kill marker (`actors.world.KillMarker`) ---

    def write_kill(self, reason: str, _source: str, _since: str) -> None:
        self.scheduler.effect()
        self.reason = reason

    def clear_kill(self) -> None:
        self.scheduler.effect()
        self.reason = None

    def kill_active(self) -> bool:
        return self.reason is not None

    def kill_reason(self) -> str:
        return self.reason or ""


class SimulatedJournal:
    """The journal's file, with its moments to die and its word of what has become durable."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        with self._anywhere():
            self._file = JournalFile.open(
                disk.logs, wall=disk.scheduler.clock.wall, git_sha=GIT_SHA, sync=disk.sync, barrier=lambda _fd: None
            )
        self._appended = list(read_events(disk.logs, disk.durable_seq))
        self._tell()

    @property
    def seq(self) -> int:
        return self._file.seq

    @property
    def head(self) -> str:
        return self._file.head

    def append(self, record: Record) -> AuditEvent:
        self._disk.scheduler.effect()
        with self._anywhere():
            event = self._file.append(record)
        self._appended.append(event)
        return event

    def commit(self) -> None:
        with self._anywhere():
            self._file.commit()
        self._tell()
        self._disk.scheduler.effect()

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _anywhere(self) -> Iterator[None]:
        """Where the file is differs from run to run, and what is journalled of a failure may not."""
        try:
            yield
        except JournalUnwritable as error:
            raise JournalUnwritable(str(error).replace(str(self._disk.logs), "logs")) from error

    def _tell(self) -> None:
        appended, self._appended = self._appended, []
        for event in appended:
            self._disk.durable_seq = event.seq
            self._disk.durable(event)


class SimulatedBooks:
    """The projection: what was stored last is there, unless the power went."""

    KEPT = 3

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def load(self) -> Books:
        return _copied(self._disk.books[-1])

    def save(self, books: Books, _events: Sequence[AuditEvent]) -> None:
        self._disk.scheduler.effect()
        self._disk.books.append(_copied(books))
        del self._disk.books[: -self.KEPT]

    def close(self) -> None:
        """Nothing is held open."""


def _copied(books: Books) -> Books:
    """Its members' values are immutable, so copies of the dictionaries are enough."""
    made = copy(books)
    for name in Books.__dataclass_fields__:
        value = getattr(made, name)
        if isinstance(value, dict):
            setattr(made, name, dict(value))
    return made
