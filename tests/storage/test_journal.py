"""The journal: every line counts, and whatever was done to one shows."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from thunes.domain.journal import GENESIS
from thunes.errors import JournalBroken, JournalUnwritable
from thunes.messages import Record, Side
from thunes.storage.journal import JournalFile, read_events, verify
from thunes.storage.segments import segments

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Wall:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def opened(logs: Path, wall: Wall | None = None, **options: object) -> JournalFile:
    return JournalFile.open(logs, wall=wall or Wall(), git_sha="abc", **options)  # type: ignore[arg-type]


def record(number: int = 0) -> Record:
    return Record(
        "TRADE_REJECTED",
        symbol="BTCUSDT",
        side=Side.BUY,
        reason="COOL_DOWN",
        correlation_id=f"c{number}",
        metadata={"price": Decimal("0.10000000"), "number": number},
    )


def written(logs: Path, count: int = 5) -> Path:
    journal = opened(logs)
    for number in range(count):
        journal.append(record(number))
    journal.commit()
    journal.close()
    return journal._path


def test_members_stand_in_the_contracts_order_and_decimals_are_strings(tmp_path: Path) -> None:
    line = written(tmp_path, 1).read_text()
    names = re.findall(r'"(\w+)":', re.sub(r'"metadata":{[^}]*}', '"metadata":0', line))
    expected = "seq timestamp event symbol side reason correlation_id params_hash git_sha risk_snapshot metadata"
    assert names == [*expected.split(), "prev_hash", "hash"]
    assert '"timestamp":"2026-11-23T12:00:00.000000Z"' in line
    assert '"price":"0.10000000"' in line
    assert line.endswith('"}\n')


def test_the_hash_is_that_of_the_line_without_its_last_member(tmp_path: Path) -> None:
    import hashlib

    line = written(tmp_path, 1).read_bytes()
    body, _, tail = line.rpartition(b',"hash":"')
    assert tail == hashlib.sha256(body + b"}").hexdigest().encode() + b'"}\n'
    assert GENESIS.encode() in body


def test_what_was_appended_is_on_the_disk_only_after_commit(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(record())
    assert journal._path.read_bytes() == b""
    journal.commit()
    assert [event.seq for event in read_events(tmp_path)] == [1]


def test_commit_syncs_once_for_all_that_is_queued_and_after_the_write(tmp_path: Path) -> None:
    synced: list[int] = []
    journal = opened(tmp_path, sync=lambda fd: synced.append(os.fstat(fd).st_size))
    for number in range(100):
        journal.append(record(number))
    journal.commit()
    assert synced == [(tmp_path / "audit_trail.jsonl").stat().st_size]


def test_a_restart_goes_on_where_the_chain_ended(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path)
    found = verify(tmp_path)
    assert (found.events, found.torn_tail) == (10, False)


Change = Callable[[list[bytes]], list[bytes]]

DAMAGE: dict[str, tuple[Change, int]] = {
    "a changed figure": (lambda rows: [*rows[:2], rows[2].replace(b"0.10000000", b"0.20000000"), *rows[3:]], 3),
    "a removed line": (lambda rows: [*rows[:2], *rows[3:]], 3),
    "a doubled line": (lambda rows: [*rows[:3], rows[2], *rows[3:]], 4),
    "two lines exchanged": (lambda rows: [rows[1], rows[0], *rows[2:]], 1),
    "two lines glued": (lambda rows: [rows[0], rows[1][:-1] + rows[2], *rows[3:]], 2),
    "a line that is no JSON": (lambda rows: [rows[0], b"hello\n", *rows[1:]], 2),
    "an empty line": (lambda rows: [rows[0], b"\n", *rows[1:]], 2),
    "an unknown member": (lambda rows: [rows[0].replace(b'{"seq"', b'{"x":1,"seq"'), *rows[1:]], 1),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_line_and_stops_a_start(tmp_path: Path, name: str) -> None:
    change, number = DAMAGE[name]
    path = written(tmp_path)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(JournalBroken, match=f"line {number}:"):
        verify(tmp_path)
    before = path.read_bytes()
    with pytest.raises(JournalBroken, match=f"line {number}:"):
        opened(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("tail", [b'{"seq":6,"time', b"\x00" * 4096, b"x"])
def test_a_torn_last_line_is_set_aside_and_journalled(tmp_path: Path, tail: bytes) -> None:
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(tail)
    assert verify(tmp_path).torn_tail
    opened(tmp_path).close()
    last = list(read_events(tmp_path))[-1]
    assert (last.seq, last.event, last.metadata["bytes"]) == (6, "JOURNAL_REPAIRED", len(tail))
    assert (tmp_path / str(last.metadata["file"])).read_bytes() == tail
    assert not verify(tmp_path).torn_tail


def test_a_journal_of_nothing_but_a_torn_first_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "audit_trail.jsonl").write_bytes(b'{"seq":1')
    opened(tmp_path).close()
    assert [event.event for event in read_events(tmp_path)] == ["JOURNAL_REPAIRED"]


def test_a_new_day_closes_the_segment_under_the_old_ones_date(tmp_path: Path) -> None:
    wall = Wall()
    journal = opened(tmp_path, wall)
    journal.append(record(1))
    wall.now += timedelta(days=1)
    journal.append(record(2))
    journal.commit()
    assert [path.name for path in segments(tmp_path)] == ["audit_trail.2026-11-23.jsonl", "audit_trail.jsonl"]
    assert verify(tmp_path).events == 2
    assert [event.seq for event in read_events(tmp_path, 1)] == [2]


def rotated(logs: Path) -> list[Path]:
    journal = opened(logs, max_bytes=1000)
    for number in range(9):
        journal.append(record(number))
        journal.commit()
    journal.close()
    return segments(logs)


def test_a_full_segment_is_closed_and_numbered_and_the_chain_goes_on(tmp_path: Path) -> None:
    names = [path.name for path in rotated(tmp_path)]
    assert names[:3] == [
        "audit_trail.2026-11-23.jsonl",
        "audit_trail.2026-11-23.jsonl.1",
        "audit_trail.2026-11-23.jsonl.2",
    ]
    assert verify(tmp_path).events == 9
    assert [event.seq for event in read_events(tmp_path, 4)] == [5, 6, 7, 8, 9]


def test_a_segment_that_is_gone_shows(tmp_path: Path) -> None:
    rotated(tmp_path)[1].unlink()
    with pytest.raises(JournalBroken):
        verify(tmp_path)
    with pytest.raises(JournalBroken, match="missing"):
        list(read_events(tmp_path))


def test_the_newest_segment_has_to_link_to_the_one_before(tmp_path: Path) -> None:
    rotated(tmp_path)[-2].unlink()
    with pytest.raises(JournalBroken):
        opened(tmp_path, max_bytes=1000)


def test_a_crash_between_closing_a_segment_and_making_the_next_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.rename(tmp_path / "audit_trail.2026-11-23.jsonl")
    written(tmp_path, 1)
    assert verify(tmp_path).events == 6


def test_a_clock_that_is_set_back_does_not_take_the_journal_with_it(tmp_path: Path) -> None:
    wall = Wall()
    journal = opened(tmp_path, wall)
    first = journal.append(record())
    wall.now -= timedelta(hours=1)
    assert journal.append(record()).timestamp == first.timestamp


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), [Decimal("Infinity")]])
def test_what_is_no_figure_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="a journal holds no"):
        opened(tmp_path).append(Record("HEARTBEAT", metadata={"rss": value}))


def test_a_rejection_needs_a_known_reason_and_an_event_a_known_name(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(ValueError, match="reason 'JUST_SO' is unknown"):
        journal.append(Record("TRADE_REJECTED", reason="JUST_SO"))
    with pytest.raises(ValueError, match="event 'NONSENSE' is unknown"):
        journal.append(Record("NONSENSE"))
    assert journal.append(Record("TRADE_REJECTED", reason="FILTER_NOTIONAL")).seq == 1


def test_after_a_failed_sync_nothing_more_is_taken(tmp_path: Path) -> None:
    def broken(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    journal = opened(tmp_path, sync=broken)
    journal.append(record())
    with pytest.raises(JournalUnwritable, match="Input/output error"):
        journal.commit()
    for again in (journal.commit, lambda: journal.append(record())):
        with pytest.raises(JournalUnwritable):
            again()


FULL_DISK = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from thunes.errors import JournalUnwritable
from thunes.messages import Record
from thunes.storage.journal import JournalFile
try:
    journal = JournalFile.open(Path(sys.argv[1]), wall=lambda: datetime.now(UTC), git_sha="x")
    for _ in range(1000):
        journal.append(Record("HEARTBEAT"))
        journal.commit()
except JournalUnwritable as error:
    print(error)
"""


def _small_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_full_disk_is_said_and_the_next_start_repairs_what_it_tore(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        preexec_fn=_small_files,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "free the disk and start again" in done.stdout
    whole = verify(tmp_path).events
    assert whole > 10
    opened(tmp_path).close()
    assert verify(tmp_path).torn_tail is False
    assert verify(tmp_path).events >= whole


def test_reading_after_a_seq_finds_the_place_in_a_long_file(tmp_path: Path) -> None:
    written(tmp_path, 2000)
    for after in (0, 1, 7, 999, 1500, 1999, 2000):
        assert [event.seq for event in read_events(tmp_path, after)] == list(range(after + 1, 2001))
