"""The journal's file as its one owner writes it: append, make durable, rotate, repair a torn tail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from thunes.domain.journal import GENESIS, AuditEvent, check_line, seal
from thunes.errors import JournalBroken, JournalUnwritable
from thunes.messages import Record
from thunes.storage.durable import sync_directory
from thunes.storage.repair import MODE, owed, set_aside
from thunes.storage.segments import CURRENT, Walk, closed_name, last_complete_line, segments
from thunes.storage.segments import Verification as Verification
from thunes.storage.segments import read_events as read_events
from thunes.storage.segments import verify as verify

SEGMENT_BYTES = 256 * 1024 * 1024
PROBE = ".write-test"
PROBE_BYTES = 4096


class JournalFile:
    """Appends to the journal. `append` puts a line into memory, `commit` onto the disk; nothing counts before that.

    After a failed write nothing more is taken: what reached the file is a torn tail at the next start.
    """

    def __init__(
        self,
        logs: Path,
        *,
        wall: Callable[[], datetime],
        git_sha: str,
        max_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
        barrier: Callable[[int], None] = os.fsync,
    ) -> None:
        self._logs = logs
        self._path = logs / CURRENT
        self._wall = wall
        self._git_sha = git_sha
        self._max_bytes = max_bytes
        self._sync = sync
        self._barrier = barrier
        self._lines: list[bytes] = []
        self._failed = ""
        self._fd = -1
        self._written = 0
        """Bytes of the segment that are in the file."""
        self._size = 0
        """Bytes of the segment with those that are still in memory."""
        self._date = ""
        """The UTC date of the segment's last line."""
        self._last: datetime | None = None
        self.seq = 0
        self.head = GENESIS

    @classmethod
    def open(
        cls,
        logs: Path,
        *,
        wall: Callable[[], datetime],
        git_sha: str,
        max_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
        barrier: Callable[[int], None] = os.fsync,
    ) -> JournalFile:
        """Verify the newest segment and its link to the one before, set a torn tail aside, and be ready to append.

        `sync` makes lines durable, `barrier` the names of files and the test write.

        Raises JournalBroken naming file and line, and JournalUnwritable when a test write does not succeed.
        """
        journal = cls(logs, wall=wall, git_sha=git_sha, max_bytes=max_bytes, sync=sync, barrier=barrier)
        with journal._failing(logs):
            journal._prove_writable()
            line = journal._read_newest()
            journal._open_segment()
            repairs = [(path, path.stat().st_size) for path in owed(logs, journal.seq)]
        for path, size in repairs:
            meta = {"file": str(path.relative_to(logs)), "bytes": size, "line": line + 1}
            journal.append(Record("JOURNAL_REPAIRED", metadata=meta))
        journal.commit()
        return journal

    def append(self, record: Record) -> AuditEvent:
        """Seal a record as the next line, in memory. ValueError for a record that the contract does not allow."""
        self._refuse_after_failure()
        now = self._wall()
        if self._last is not None and now < self._last:
            now = self._last  # a clock that is set back must not make the journal's time go back
        event, line = seal(record, seq=self.seq + 1, timestamp=now, git_sha=self._git_sha, prev_hash=self.head)
        date = event.timestamp.date().isoformat()
        if self._size and (date != self._date or self._size + len(line) > self._max_bytes):
            self._rotate()
        self._lines.append(line)
        self._size += len(line)
        self._date, self._last = date, event.timestamp
        self.seq, self.head = event.seq, event.hash
        return event

    def commit(self) -> None:
        """Make all that was appended durable: one write, one fdatasync. Raises JournalUnwritable."""
        self._refuse_after_failure()
        if not self._lines:
            return
        data = b"".join(self._lines)
        with self._failing(self._path):
            self._write(data)
            self._sync(self._fd)
        self._lines.clear()

    def close(self) -> None:
        """Let go of the file. What was appended and not committed is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            # A short write is a full disk announcing itself; the next one says so.
            done += os.write(self._fd, data[done:])
        self._written += len(data)
        found = os.fstat(self._fd)
        if found.st_nlink == 0 or found.st_size != self._written:
            raise OSError(0, "it was removed, cut or written to by somebody else")

    @contextmanager
    def _failing(self, path: Path) -> Iterator[None]:
        """Whatever the disk refuses here is the last that this journal does."""
        try:
            yield
        except OSError as error:
            name = error.filename or path
            self._failed = f"{name} cannot be written ({error.strerror or error}); free the disk and start again."
            self.close()
            raise JournalUnwritable(self._failed) from error

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise JournalUnwritable(self._failed)

    # --- opening ---

    def _prove_writable(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        probe = self._logs / PROBE
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        try:
            with open(fd, "wb", buffering=0) as file:
                if file.write(b"\n" * PROBE_BYTES) != PROBE_BYTES:
                    raise OSError(0, "no room for a test write", str(probe))
                self._barrier(fd)
        finally:
            probe.unlink()

    def _read_newest(self) -> int:
        """Take seq, head and date from the newest segment, without its torn tail; the number of its lines."""
        paths = segments(self._logs)
        if not paths:
            return 0
        walk = Walk()
        if len(paths) > 1:
            walk.go_on_from(_last_event(paths[-2]))
        with paths[-1].open("rb") as file:
            for event in walk.through(paths[-1], file):
                self._date = event.timestamp.date().isoformat()
        self.seq, self.head, self._last = walk.seq, walk.head, walk.timestamp
        if walk.torn:
            set_aside(self._logs, paths[-1], walk.end, walk.seq)
        return walk.line

    def _open_segment(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
        sync_directory(self._logs, self._barrier)
        self._size = self._written = os.fstat(self._fd).st_size
        if self._size:
            # A killed process may have written what it never made durable, and it counts from now on.
            self._sync(self._fd)

    # --- rotation ---

    def _rotate(self) -> None:
        """Close the segment under its date; a crash in between leaves no current file, which the next start makes."""
        self.commit()
        with self._failing(self._path):
            os.rename(self._path, closed_name(self._logs, self._date))
            self.close()
            self._open_segment()


def _last_event(path: Path) -> AuditEvent:
    try:
        return check_line(last_complete_line(path), expected_seq=None, prev_hash=None)
    except JournalBroken as error:
        raise JournalBroken(f"{path}, last line: {error}. Restore the file from a copy.") from error
