"""The journal's file through crashes, a bad disk, other hands, and readers beside the writer."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from thunes.errors import JournalBroken, JournalUnwritable
from thunes.messages import Record
from thunes.storage.journal import JournalFile, read_events, verify
from thunes.storage.segments import CURRENT, closed_name, read_lines, segments

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SMALL = 1000
"""Bytes of a segment that holds two lines."""


class Wall:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def opened(logs: Path, wall: Wall | None = None, **options: Any) -> JournalFile:
    return JournalFile.open(logs, wall=wall or Wall(), git_sha="abc", **options)


def add(journal: JournalFile, count: int = 1) -> None:
    for number in range(count):
        journal.append(Record("HEARTBEAT", metadata={"number": number, "filling": "x" * 100}))
        journal.commit()


def written(logs: Path, count: int = 5, **options: Any) -> Path:
    journal = opened(logs, **options)
    add(journal, count)
    journal.close()
    return logs / CURRENT


def seqs(logs: Path, after: int = 0) -> list[int]:
    return [event.seq for event in read_events(logs, after)]


def repairs(logs: Path) -> list[tuple[int, bytes]]:
    """Seq and kept bytes of every repair that the journal speaks of."""
    found = [event for event in read_events(logs) if event.event == "JOURNAL_REPAIRED"]
    assert all(e.metadata["bytes"] == (logs / e.metadata["file"]).stat().st_size for e in found)
    return [(event.seq, (logs / event.metadata["file"]).read_bytes()) for event in found]


# --- crashes ---

APPENDS_FOREVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from thunes.messages import Record
from thunes.storage.journal import JournalFile
journal = JournalFile.open(Path(sys.argv[1]), wall=lambda: datetime.now(UTC), git_sha="x", max_bytes=20_000)
while True:
    for _ in range(7):
        journal.append(Record("HEARTBEAT"))
    journal.commit()
    print(journal.seq, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 10, 100])
def test_what_was_committed_is_there_after_kill_9(tmp_path: Path, lines: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", APPENDS_FOREVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.kill()
    said = process.stdout.read().split(b"\n")
    process.stdout.close()
    process.wait(10)
    committed = int(said[-2]) if len(said) > 1 else 7 * lines
    opened(tmp_path).close()
    found = verify(tmp_path)
    assert found.events >= committed
    assert not found.torn_tail


def test_a_write_cut_at_any_byte_costs_only_the_lines_that_were_not_whole(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole").read_bytes()
    ends = [0, *(i + 1 for i, byte in enumerate(whole) if byte == ord("\n"))]
    for cut in {*range(0, len(whole), 61), *ends, *(end - 1 for end in ends[1:])}:
        logs = tmp_path / str(cut)
        logs.mkdir()
        (logs / CURRENT).write_bytes(whole[:cut])
        opened(logs).close()
        kept = sum(end <= cut for end in ends[1:])
        torn = whole[ends[kept] : cut]
        assert repairs(logs) == ([(kept + 1, torn)] if torn else [])
        assert verify(logs).events == kept + bool(torn)


def test_the_repair_names_the_line_that_was_torn(tmp_path: Path) -> None:
    with written(tmp_path, 3).open("ab") as file:
        file.write(b'{"seq":4')
    opened(tmp_path).close()
    assert list(read_events(tmp_path))[-1].metadata == {
        "file": "torn/after-3.audit_trail.jsonl",
        "bytes": 8,
        "line": 4,
    }


def test_room_that_a_file_system_made_and_never_filled_is_a_torn_tail(tmp_path: Path) -> None:
    hole = b'{"seq":6,"time' + b"\0" * 5000 + b'h":"00"}\n'
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(hole)
    assert verify(tmp_path).torn_tail
    assert seqs(tmp_path) == [1, 2, 3, 4, 5]
    opened(tmp_path).close()
    assert repairs(tmp_path) == [(6, hole)]


def test_a_hole_with_a_line_behind_it_is_no_torn_tail(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\0" * (len(first) - 1) + b"\n" + second)
    for read in (lambda: verify(tmp_path), lambda: opened(tmp_path)):
        with pytest.raises(JournalBroken, match="line 1:"):
            read()
    assert not (tmp_path / "torn").exists()


def test_a_crash_before_the_tail_was_cut_off_repeats_the_repair_once(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "after-5.audit_trail.jsonl").write_bytes(b"torn")
    with path.open("ab") as file:
        file.write(b"torn")
    opened(tmp_path).close()
    assert repairs(tmp_path) == [(6, b"torn")]
    assert len(list((tmp_path / "torn").iterdir())) == 1


def test_a_crash_between_cutting_off_and_journalling_leaves_no_repair_unsaid(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "after-5.audit_trail.jsonl").write_bytes(b"torn")
    (tmp_path / "torn" / "after-5.audit_trail.jsonl.1.77-1.new").write_bytes(b"half of anot")
    opened(tmp_path).close()
    opened(tmp_path).close()
    assert repairs(tmp_path) == [(6, b"torn")]


def test_a_repair_whose_own_line_was_torn_is_journalled_beside_the_new_one(tmp_path: Path) -> None:
    path = written(tmp_path)
    for tail in (b"first", b"second"):
        with path.open("ab") as file:
            file.write(tail)
        opened(tmp_path).close()
        if tail == b"first":
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:5]))
    assert repairs(tmp_path) == [(6, b"first"), (7, b"second")]


def test_a_crash_after_the_next_segment_was_made_goes_on_from_the_one_before(tmp_path: Path) -> None:
    written(tmp_path).rename(tmp_path / "audit_trail.2026-11-23.jsonl")
    (tmp_path / CURRENT).touch()
    assert opened(tmp_path).seq == 5
    written(tmp_path, 1)
    assert verify(tmp_path).events == 6


def test_a_closed_segment_that_lost_its_end_is_broken_not_torn(tmp_path: Path) -> None:
    written(tmp_path, 5, max_bytes=SMALL)
    older = segments(tmp_path)[0]
    older.write_bytes(older.read_bytes()[:-10])
    with pytest.raises(JournalBroken, match=rf"{older.name}, line 2: the line has no end, and a segment follows"):
        verify(tmp_path)
    with pytest.raises(JournalBroken):
        seqs(tmp_path)


def test_opening_makes_durable_what_a_killed_process_only_wrote(tmp_path: Path) -> None:
    synced: list[int] = []
    path = written(tmp_path)
    opened(tmp_path, sync=lambda fd: synced.append(os.fstat(fd).st_size)).close()
    assert synced == [path.stat().st_size]


# --- the disk, and other hands ---


@pytest.mark.parametrize("harm", ["removed", "cut", "lengthened"])
def test_a_journal_that_others_touch_takes_nothing_more(tmp_path: Path, harm: str) -> None:
    journal = opened(tmp_path)
    add(journal)
    path = tmp_path / CURRENT
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(b"" if harm == "cut" else path.read_bytes() + b"hello\n")
    with pytest.raises(JournalUnwritable, match="removed, cut or written to by somebody else"):
        add(journal)
    with pytest.raises(JournalUnwritable):
        add(journal)


def test_a_segment_that_cannot_be_closed_ends_the_journal(tmp_path: Path) -> None:
    wall = Wall()
    journal = opened(tmp_path, wall)
    add(journal)
    (tmp_path / CURRENT).unlink()
    wall.now += timedelta(days=1)
    for _ in range(2):
        with pytest.raises(JournalUnwritable, match="cannot be written"):
            journal.append(Record("HEARTBEAT"))
    assert journal.seq == 1


def test_a_place_that_is_no_directory_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(JournalUnwritable, match="File exists"):
        opened(tmp_path / "logs")


OPENS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from thunes.errors import JournalUnwritable
from thunes.storage.journal import JournalFile
try:
    JournalFile.open(Path(sys.argv[1]), wall=lambda: datetime.now(UTC), git_sha="x")
except JournalUnwritable as error:
    print(error)
"""


def _no_room() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_disk_without_room_is_found_out_at_the_start_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENS, str(tmp_path)],
        preexec_fn=_no_room,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "no room for a test write" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_journals_files_are_no_business_of_strangers(tmp_path: Path) -> None:
    with written(tmp_path).open("ab") as file:
        file.write(b"torn")
    opened(tmp_path).close()
    for path in (tmp_path / CURRENT, *(tmp_path / "torn").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


# --- segments ---


def test_the_day_ends_at_midnight_utc_wherever_the_clock_stands(tmp_path: Path) -> None:
    wall = Wall(datetime(2026, 11, 24, 12, 59, tzinfo=timezone(timedelta(hours=13))))
    journal = opened(tmp_path, wall)
    add(journal)
    wall.now += timedelta(seconds=59)
    add(journal)
    assert len(segments(tmp_path)) == 1
    wall.now += timedelta(seconds=1)
    add(journal)
    assert [path.name for path in segments(tmp_path)] == ["audit_trail.2026-11-23.jsonl", CURRENT]


def test_a_batch_over_midnight_is_parted_between_the_two_days(tmp_path: Path) -> None:
    wall = Wall()
    journal = opened(tmp_path, wall)
    for _ in range(2):
        journal.append(Record("HEARTBEAT"))
    wall.now += timedelta(days=1)
    journal.append(Record("HEARTBEAT"))
    journal.commit()
    assert [path.read_bytes().count(b"\n") for path in segments(tmp_path)] == [2, 1]


def test_a_start_on_a_later_day_closes_the_old_days_segment(tmp_path: Path) -> None:
    written(tmp_path, 1)
    journal = opened(tmp_path, Wall(NOON + timedelta(days=3)))
    add(journal)
    assert [path.name for path in segments(tmp_path)] == ["audit_trail.2026-11-23.jsonl", CURRENT]


def test_a_closed_segment_never_takes_the_name_of_one_that_was_moved_away(tmp_path: Path) -> None:
    for name in (
        "audit_trail.2026-11-23.jsonl.2",
        "audit_trail.2026-11-23.jsonl.10",
        "audit_trail.2026-11-22.jsonl.40",
    ):
        (tmp_path / name).touch()
    assert closed_name(tmp_path, "2026-11-23").name == "audit_trail.2026-11-23.jsonl.11"
    assert closed_name(tmp_path, "2026-11-24").name == "audit_trail.2026-11-24.jsonl"


def test_segments_stand_in_the_order_of_date_and_number_and_other_files_are_none(tmp_path: Path) -> None:
    names = ["audit_trail.2026-11-22.jsonl.1", *(f"audit_trail.2026-11-23.jsonl{n}" for n in ("", ".2", ".10"))]
    for name in (*reversed(names), "audit_trail.2026-11-23.jsonl.gz", "audit_trail.jsonl.bak", "paper_trader.log"):
        (tmp_path / name).touch()
    assert [path.name for path in segments(tmp_path)] == names


def test_lines_are_read_as_they_stand_in_the_files(tmp_path: Path) -> None:
    written(tmp_path, 9, max_bytes=SMALL)
    files = b"".join(path.read_bytes() for path in segments(tmp_path))
    assert b"".join(line for _, line in read_lines(tmp_path)) == files


def test_reading_after_any_seq_begins_with_the_next(tmp_path: Path) -> None:
    written(tmp_path, 9, max_bytes=SMALL)
    for after in range(-1, 11):
        assert seqs(tmp_path, after) == list(range(max(after, 0) + 1, 10))


def test_a_journal_whose_beginning_is_gone_is_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    written(tmp_path, 9, max_bytes=SMALL)
    segments(tmp_path)[0].unlink()
    with pytest.raises(JournalBroken, match="begins with seq 3, and 1 is missing"):
        seqs(tmp_path)


def test_reading_late_events_leaves_older_segments_alone(tmp_path: Path) -> None:
    written(tmp_path, 9, max_bytes=SMALL)
    segments(tmp_path)[0].write_bytes(b"nothing that could be read\n")
    assert seqs(tmp_path, 6) == [7, 8, 9]
    with pytest.raises(JournalBroken):
        seqs(tmp_path)


# --- readers beside the writer ---


def test_a_line_that_is_being_written_is_left_for_the_next_reading(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert seqs(tmp_path) == [1]
    path.write_bytes(whole)
    assert seqs(tmp_path) == [1, 2]


@pytest.mark.parametrize("read_before", range(1, 10))
def test_segments_closed_while_a_reader_is_under_way_are_neither_lost_nor_doubled(
    tmp_path: Path, read_before: int
) -> None:
    journal = opened(tmp_path, max_bytes=SMALL)
    add(journal, 9)
    reader: Iterator[Any] = read_events(tmp_path)
    found = [next(reader).seq for _ in range(read_before)]
    add(journal, 6)
    found += [event.seq for event in reader]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 9
    if read_before < 8:  # the reader had not come to the newest segment yet
        assert len(found) == 15


def test_reading_and_verifying_all_the_while_see_an_unbroken_chain(tmp_path: Path) -> None:
    journal = opened(tmp_path, max_bytes=SMALL)
    add(journal)
    writer = threading.Thread(target=add, args=(journal, 120))
    writer.start()
    least = 0
    while writer.is_alive():
        assert verify(tmp_path).events >= least
        found = seqs(tmp_path, least)
        assert found == list(range(least + 1, least + 1 + len(found)))
        least += len(found)
    writer.join()
    assert seqs(tmp_path) == list(range(1, 122))
