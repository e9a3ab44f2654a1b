"""The journal's segments: which files there are, in which order, and reading and checking their lines.

Every reader here works beside a process that writes: a line without its end is left for the next reading, and a
segment that is closed and renamed meanwhile is neither lost nor read twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from pathlib import Path

from thunes.domain.journal import GENESIS, AuditEvent, check_line
from thunes.errors import JournalBroken

SEQ = re.compile(rb'\{"seq":(\d+),')
NEAR_BYTES = 1 << 16
CURRENT = "audit_trail.jsonl"
CLOSED = re.compile(r"audit_trail\.(\d{4}-\d{2}-\d{2})\.jsonl(?:\.(\d+))?")
PROGRESS_LINES = 1000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole chain found."""

    events: int
    head: str
    segments: int
    torn_tail: bool


# --- which files ---


def segments(logs: Path) -> list[Path]:
    """Every segment, oldest first; the one being written is last.

    A closed one is `audit_trail.DATE.jsonl`, and `.1`, `.2` behind it for further ones of that date.
    """
    current = logs / CURRENT
    return [*closed_segments(logs), *([current] if current.exists() else [])]


def closed_segments(logs: Path) -> list[Path]:
    return [path for _, _, path in sorted(_closed(logs))]


def closed_name(logs: Path, date: str) -> Path:
    """The name that a segment closed on `date` (YYYY-MM-DD) gets: one above the highest number of that date."""
    taken = [number for day, number, _ in _closed(logs) if day == date]
    number = f".{max(taken) + 1}" if taken else ""
    return logs / f"audit_trail.{date}.jsonl{number}"


def _closed(logs: Path) -> Iterator[tuple[str, int, Path]]:
    for path in logs.glob("audit_trail.*"):
        if match := CLOSED.fullmatch(path.name):
            yield match[1], int(match[2] or 0), path


def opened(logs: Path, after: int = 0) -> Iterator[tuple[Path, BufferedReader]]:
    """Each segment that may hold a seq above `after`, open for reading, oldest first.

    The current one is handed out only if nothing was closed since the last look: else what was current when the older
    ones were listed would be left out, or its successor taken for it.
    """
    passed = _below(closed_segments(logs), after)
    while True:
        for path in closed_segments(logs):
            if path not in passed:
                passed.add(path)
                with path.open("rb") as file:
                    yield path, file
        try:
            file = (logs / CURRENT).open("rb")
        except FileNotFoundError:
            if set(closed_segments(logs)) <= passed:
                return  # the writer has closed a segment and not made the next one yet
            continue
        with file:
            if set(closed_segments(logs)) <= passed:
                yield logs / CURRENT, file
                return


def _below(closed: list[Path], after: int) -> set[Path]:
    """Those of the closed segments that a later one shows to hold nothing above `after`."""
    for index in range(len(closed) - 1, 0, -1):
        first = SEQ.match(first_line(closed[index]))
        if first is not None and int(first[1]) <= after + 1:
            return set(closed[:index])
    return set()


def first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def last_complete_line(path: Path) -> bytes:
    """The last line that has its end; empty when there is none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        block, read = b"", 0
        while read < size:
            step = min(NEAR_BYTES, size - read)
            read += step
            file.seek(size - read)
            block = file.read(step) + block
            end = block.rfind(b"\n")
            start = block.rfind(b"\n", 0, end) if end >= 0 else -1
            if end >= 0 and (start >= 0 or read == size):
                return block[start + 1 : end + 1]
    return b""


# --- checking ---


class Walk:
    """Checks line after line, each against the one before, from segment to segment."""

    def __init__(self) -> None:
        self.seq = 0
        self.head = GENESIS
        self.timestamp: datetime | None = None
        self.path = Path(CURRENT)
        self.line = 0
        """Number of the last whole line of the segment."""
        self.end = 0
        """Bytes up to and with that line's end."""
        self.torn = False
        """Whether something follows it that a crash may have left: no whole line, or NUL bytes."""

    def go_on_from(self, event: AuditEvent) -> None:
        """The next line has to follow this event."""
        self.seq, self.head, self.timestamp = event.seq, event.hash, event.timestamp

    def through(self, path: Path, file: BufferedReader) -> Iterator[AuditEvent]:
        """The events of a segment. Raises JournalBroken naming file and line; `torn` is for the caller to judge."""
        for number, line in enumerate(file, 1):
            if self.torn:
                raise self._broken("the line has no end, and a segment follows")
            if number == 1:
                self.path, self.line, self.end = path, 0, 0
            if is_torn(line, file):
                self.torn = True
                return
            try:
                event = check_line(line, expected_seq=self.seq + 1, prev_hash=self.head)
            except JournalBroken as error:
                raise self._broken(str(error)) from error
            self.go_on_from(event)
            self.line, self.end = number, self.end + len(line)
            yield event

    def _broken(self, what: str) -> JournalBroken:
        return JournalBroken(
            f"{self.path}, line {self.line + 1}: {what}. Restore the file from a copy, or move the home away."
        )


def is_torn(line: bytes, file: BufferedReader) -> bool:
    """Whether a crash in the middle of a write may have left this: it is the last line, without end or with holes.

    A file system may have made room for a write and lost what was to go there; such room reads as NUL bytes, which no
    line of JSON has.
    """
    return not line.endswith(b"\n") or (b"\0" in line and not file.peek(1))


def verify(logs: Path, progress: Progress | None = None) -> Verification:
    """Check every line of every segment and every link. Raises JournalBroken naming file and line.

    `progress` is called with the bytes done and the bytes there are.
    """
    total, done, count = size(logs), 0, 0
    walk = Walk()
    for path, file in opened(logs):
        count += 1
        for event in walk.through(path, file):
            if progress is not None and event.seq % PROGRESS_LINES == 0:
                progress(done + walk.end, total)
        done += file.tell()
    return Verification(walk.seq, walk.head, count, walk.torn)


def size(logs: Path) -> int:
    """Bytes in all segments together."""
    total = 0
    for path in segments(logs):
        with suppress(FileNotFoundError):  # renamed since it was listed; a figure for a progress bar may miss it
            total += path.stat().st_size
    return total


# --- reading ---


def read_events(logs: Path, after: int = 0) -> Iterator[AuditEvent]:
    """Events with a seq above `after`, checked, oldest first; safe while another process writes and rotates.

    A line that is being written is left for the next reading. Raises JournalBroken when lines are missing.
    """
    return (event for event, _ in read_lines(logs, after))


def read_lines(logs: Path, after: int = 0) -> Iterator[tuple[AuditEvent, bytes]]:
    """As `read_events`, each event with its line as it stands in the file."""
    after = max(after, 0)
    last: AuditEvent | None = None
    for path, file in opened(logs, after):
        file.seek(_offset_after(file, after))
        for line in file:
            if is_torn(line, file):
                break
            event = _following(line, last, path)
            if last is None and event.seq > after + 1:
                raise JournalBroken(
                    f"{path} begins with seq {event.seq}, and {after + 1} is missing; restore it from a copy."
                )
            last = event
            if event.seq > after:
                yield event, line


def _following(line: bytes, last: AuditEvent | None, path: Path) -> AuditEvent:
    try:
        if last is None:
            return check_line(line, expected_seq=None, prev_hash=None)
        return check_line(line, expected_seq=last.seq + 1, prev_hash=last.hash)
    except JournalBroken as error:
        place = "at its first line read" if last is None else f"after seq {last.seq}"
        raise JournalBroken(f"{path}, {place}: {error}. `thunes audit verify` names the line.") from error


def _offset_after(file: BufferedReader, after: int) -> int:
    """Where a line starts that is at most a few lines before the first one with a seq above `after`.

    Lines have growing seqs, so halving finds it without reading what lies before.
    """
    low, high = 0, file.seek(0, 2)
    while high - low > NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        start = file.tell()
        found = SEQ.match(file.readline())
        if found is None or start >= high or int(found[1]) > after:
            high = middle
        else:
            low = start
    return low
