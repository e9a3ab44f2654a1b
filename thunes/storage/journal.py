"""The journal's file as its one owner writes it: append, make durable, rotate, repair a torn tail."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from thunes.domain.journal import GENESIS, AuditEvent, check_line, seal
from thunes.errors import JournalBroken, JournalUnwritable
from thunes.messages import Record
from thunes.storage.segments import CURRENT, checked_lines, closed_name, last_complete_line, segments
from thunes.storage.segments import Verification as Verification
from thunes.storage.segments import read_events as read_events
from thunes.storage.segments import verify as verify

SEGMENT_BYTES = 256 * 1024 * 1024
PROBE = ".write-test"


@dataclass(frozen=True, slots=True)
class Torn:
    """A tail that was set aside."""

    file: str
    bytes: int
    after_seq: int


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
    ) -> None:
        self._logs = logs
        self._path = logs / CURRENT
        self._wall = wall
        self._git_sha = git_sha
        self._max_bytes = max_bytes
        self._sync = sync
        self._lines: list[bytes] = []
        self._failed = ""
        self._fd = -1
        self._size = 0
        self._date = ""
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
    ) -> JournalFile:
        """Verify the newest segment and its link to the one before, set a torn tail aside, and be ready to append.

        Raises JournalBroken naming file and line, and JournalUnwritable when a test write does not succeed.
        """
        journal = cls(logs, wall=wall, git_sha=git_sha, max_bytes=max_bytes, sync=sync)
        journal._prove_writable()
        torn = journal._read_newest()
        journal._open_segment()
        if torn is not None:
            meta = {"file": torn.file, "bytes": torn.bytes, "after_seq": torn.after_seq}
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
        if self._must_rotate(now, len(line)):
            self._rotate()
        self._lines.append(line)
        self._size += len(line)
        self._date = now.date().isoformat()
        self._last = now
        self.seq, self.head = event.seq, event.hash
        return event

    def commit(self) -> None:
        """Make all that was appended durable: one write, one fdatasync. Raises JournalUnwritable."""
        self._refuse_after_failure()
        if not self._lines:
            return
        data = b"".join(self._lines)
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                # A short write is a full disk announcing itself; the next one says so.
                written += os.write(self._fd, data[written:])
            self._sync(self._fd)
        except OSError as error:
            self._failed = f"{self._path} cannot be written ({error.strerror or error}); free the disk and start again."
            raise JournalUnwritable(self._failed) from error
        self._lines.clear()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- opening ---

    def _prove_writable(self) -> None:
        probe = self._logs / PROBE
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(fd, b"x" * 4096)
                os.fsync(fd)
            finally:
                os.close(fd)
                probe.unlink()
        except OSError as error:
            raise JournalUnwritable(
                f"{self._logs} cannot be written ({error.strerror}); free the disk and start again."
            ) from error

    def _read_newest(self) -> Torn | None:
        """Take seq, head and date from the newest segment; return the tail that was set aside, if there was one."""
        paths = segments(self._logs)
        if not paths:
            return None
        if len(paths) > 1:
            self._link_to(paths[-2])
        path = paths[-1]
        end, event = 0, None
        for event, end in checked_lines(path, self.seq, self.head, torn_is_fine=True):
            self.seq, self.head = event.seq, event.hash
        if event is not None:
            self._last, self._date = event.timestamp, event.timestamp.date().isoformat()
        return self._set_aside(path, end) if end < path.stat().st_size else None

    def _link_to(self, previous: Path) -> None:
        line = last_complete_line(previous)
        try:
            event = check_line(line, expected_seq=None, prev_hash=None)
        except JournalBroken as error:
            raise JournalBroken(f"{previous}, last line: {error}. Restore the file from a copy.") from error
        self.seq, self.head, self._last = event.seq, event.hash, event.timestamp

    def _set_aside(self, path: Path, end: int) -> Torn:
        torn_dir = self._logs / "torn"
        torn_dir.mkdir(exist_ok=True)
        kept = torn_dir / f"after-{self.seq}.{path.name}"
        with path.open("r+b") as file:
            file.seek(end)
            tail = file.read()
            with kept.open("ab") as copy:
                copy.write(tail)
                copy.flush()
                os.fsync(copy.fileno())
            file.truncate(end)
            os.fsync(file.fileno())
        return Torn(f"torn/{kept.name}", len(tail), self.seq)

    def _open_segment(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._sync_directory()
        except OSError as error:
            raise JournalUnwritable(f"{self._path} cannot be opened ({error.strerror}); mend its rights.") from error
        self._size = os.fstat(self._fd).st_size
        if self._size == 0:
            self._date = ""

    # --- rotation ---

    def _must_rotate(self, now: datetime, length: int) -> bool:
        if self._size == 0:
            return False
        return now.date().isoformat() != self._date or self._size + length > self._max_bytes

    def _rotate(self) -> None:
        """Close the segment under its date; a crash in between leaves no current file, which the next start makes."""
        self.commit()
        try:
            os.close(self._fd)
            self._fd = -1
            os.rename(self._path, closed_name(self._logs, self._date))
        except OSError as error:
            self._failed = f"{self._path} cannot be rotated ({error.strerror}); free the disk and start again."
            raise JournalUnwritable(self._failed) from error
        self._open_segment()

    def _sync_directory(self) -> None:
        fd = os.open(self._logs, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise JournalUnwritable(self._failed)
