"""The journal's segments: which files there are, in which order, and reading and checking their lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from thunes.domain.journal import GENESIS, AuditEvent, check_line
from thunes.errors import JournalBroken

SEQ = re.compile(rb'\{"seq":(\d+),')
NEAR_BYTES = 1 << 16
CURRENT = "audit_trail.jsonl"
CLOSED = re.compile(r"audit_trail\.(\d{4}-\d{2}-\d{2})\.jsonl(?:\.(\d+))?$")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole chain found."""

    events: int
    head: str
    segments: int
    torn_tail: bool


def segments(logs: Path) -> list[Path]:
    """Every segment, oldest first; the one being written is last.

    A closed one is `audit_trail.DATE.jsonl`, and `.1`, `.2` behind it for further ones of that date.
    """
    closed = []
    for path in logs.glob("audit_trail.*"):
        match = CLOSED.match(path.name)
        if match:
            closed.append((match[1], int(match[2] or 0), path))
    ordered = [path for *_, path in sorted(closed)]
    current = logs / CURRENT
    return [*ordered, current] if current.exists() else ordered


def closed_name(logs: Path, date: str) -> Path:
    """The name that a segment closed on `date` (YYYY-MM-DD) gets: the first that is free."""
    base = logs / f"audit_trail.{date}.jsonl"
    number, path = 0, base
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}.{number}")
    return path


def first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def last_complete_line(path: Path) -> bytes:
    """The last line that has its end; empty when there is none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        block, read = b"", 0
        while read < size:
            step = min(1 << 16, size - read)
            read += step
            file.seek(size - read)
            block = file.read(step) + block
            end = block.rfind(b"\n")
            start = block.rfind(b"\n", 0, end) if end >= 0 else -1
            if end >= 0 and (start >= 0 or read == size):
                return block[start + 1 : end + 1]
    return b""


def checked_lines(
    path: Path, seq: int | None, prev_hash: str | None, *, torn_is_fine: bool = False
) -> Iterator[tuple[AuditEvent, int]]:
    """(event, bytes up to its end) of each line, checked against `seq` (of the line before) and `prev_hash`.

    A last line without its end is left out with `torn_is_fine`. Raises JournalBroken naming file and line.
    """
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            torn = not line.endswith(b"\n")
            if torn and torn_is_fine:
                return
            try:
                event = check_line(line, expected_seq=None if seq is None else seq + 1, prev_hash=prev_hash)
            except JournalBroken as error:
                raise JournalBroken(
                    f"{path}, line {number}: {error}. Restore the file from a copy, or move the home away."
                ) from error
            seq, prev_hash = event.seq, event.hash
            end += len(line)
            yield event, end


def verify(logs: Path, progress: Progress | None = None) -> Verification:
    """Check every line of every segment and every link. Raises JournalBroken naming file and line.

    `progress` is called with the bytes done and the bytes there are.
    """
    paths = segments(logs)
    total, done = sum(path.stat().st_size for path in paths), 0
    seq, head, torn = 0, GENESIS, False
    for path in paths:
        end = 0
        newest = path == paths[-1]
        for event, end in checked_lines(path, seq, head, torn_is_fine=newest):
            seq, head = event.seq, event.hash
            if progress is not None and event.seq % 1000 == 0:
                progress(done + end, total)
        done += path.stat().st_size
        torn = newest and end < path.stat().st_size
    return Verification(seq, head, len(paths), torn)


def read_events(logs: Path, after: int = 0) -> Iterator[AuditEvent]:
    """Events with a seq above `after`, checked, oldest first; safe while another process writes and rotates.

    A line that is being written is left for the next reading. Raises JournalBroken when lines are missing.
    """
    paths = segments(logs)
    for index, path in enumerate(paths):
        following = paths[index + 1] if index + 1 < len(paths) else None
        if following is not None and _starts_by(following, after + 1):
            continue
        try:
            events = _events_from(path, after)
            for event in events:
                if event.seq != after + 1:
                    if segments(logs) != paths:
                        # The file was closed and renamed since it was listed, and this is its successor.
                        yield from read_events(logs, after)
                        return
                    raise JournalBroken(f"{path}: seq {event.seq} follows {after}; lines are missing.")
                after = event.seq
                yield event
        except FileNotFoundError:
            yield from read_events(logs, after)
            return


def _events_from(path: Path, after: int) -> Iterator[AuditEvent]:
    """The events of one segment with a seq above `after`."""
    with path.open("rb") as file:
        file.seek(_offset_after(file, after))
        head: str | None = None
        for line in file:
            if not line.endswith(b"\n"):
                return
            event = check_line(line, expected_seq=None, prev_hash=head)
            head = event.hash
            if event.seq > after:
                yield event


def _offset_after(file: BinaryIO, after: int) -> int:
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


def _starts_by(path: Path, seq: int) -> bool:
    """Whether the segment's first line is at or before `seq`, so that older segments hold nothing above it."""
    try:
        found = SEQ.match(first_line(path))
    except FileNotFoundError:
        return False
    return found is not None and int(found[1]) <= seq
