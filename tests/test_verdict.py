"""`live` is refused, in words that say what a home's journal lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from thunes.cli import main
from thunes.errors import JournalBroken
from thunes.messages import Record
from thunes.storage.journal import JournalFile
from thunes.verdict import newest_verdict, why_not_live

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def write(logs: Path, *verdicts: Any) -> None:
    """A journal with these verdicts, each followed by an event of another kind that names one."""
    journal = JournalFile.open(logs, wall=lambda: NOON, git_sha="abc")
    for verdict in verdicts:
        journal.append(Record("RODAGE_VERDICT", metadata={"verdict": verdict}))
        journal.append(Record("OPERATOR_COMMAND", metadata={"said": '"event":"RODAGE_VERDICT"', "verdict": "GO"}))
    journal.commit()
    journal.close()


def test_a_home_without_a_journal_has_no_verdict(tmp_path: Path) -> None:
    assert newest_verdict(tmp_path / "logs") is None


def test_the_newest_verdict_counts(tmp_path: Path) -> None:
    write(tmp_path, "GO", "NO-GO")
    assert newest_verdict(tmp_path) == "NO-GO"

    write(tmp_path, "GO")
    assert newest_verdict(tmp_path) == "GO"


def test_a_verdict_in_an_older_segment_is_found(tmp_path: Path) -> None:
    write(tmp_path, "GO")
    (tmp_path / "audit_trail.jsonl").rename(tmp_path / "audit_trail.2026-11-23.jsonl")
    journal = JournalFile.open(tmp_path, wall=lambda: NOON, git_sha="abc")
    journal.append(Record("SYSTEM_STARTED"))
    journal.commit()
    journal.close()

    assert newest_verdict(tmp_path) == "GO"


def test_a_verdict_is_not_believed_where_a_newer_one_was_taken_out(tmp_path: Path) -> None:
    write(tmp_path, "GO", "NO-GO")
    path = tmp_path / "audit_trail.jsonl"
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b"NO-GO" not in line))

    with pytest.raises(JournalBroken):
        newest_verdict(tmp_path)


def test_a_verdict_that_somebody_wrote_in_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, "NO-GO")
    path = tmp_path / "audit_trail.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"NO-GO"', b'"verdict":"GO"'))

    with pytest.raises(JournalBroken):
        newest_verdict(tmp_path)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((), "and it has none; run `thunes rodage`"),
        (("GO", "NO-GO"), "and it said NO-GO; run `thunes rodage`"),
        ((None,), "and it said None"),
        (("GO",), "does not hold a real account to live.max_capital"),
    ],
)
def test_the_refusal_says_what_stands_in_the_way(tmp_path: Path, verdicts: tuple[Any, ...], said: str) -> None:
    write(tmp_path, *verdicts)

    assert said in why_not_live(tmp_path)


@pytest.mark.parametrize("command", ["run", "doctor"])
@pytest.mark.parametrize(("verdicts", "said"), [((), "said GO"), (("GO",), "live.max_capital")])
def test_live_is_refused_by_every_command_in_one_line_and_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    verdicts: tuple[Any, ...],
    said: str,
) -> None:
    monkeypatch.setenv("THUNES_API_KEY", "key")
    monkeypatch.setenv("THUNES_API_SECRET", "secret")
    write(tmp_path / "logs", *verdicts)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert main([command, "--venue", "live", "--home", str(tmp_path)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--venue: live is refused ")
    assert said in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
