"""`thunes audit`: what an operator types, what is printed, and the exit status."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.pseudo_terminal import terminal
from thunes.cli import main
from thunes.domain.journal import AuditEvent
from thunes.messages import Record, Side
from thunes.storage.journal import JournalFile
from thunes.storage.segments import segments

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

RECORDS = (
    Record("SYSTEM_STARTED", metadata={"venue": "sim", "symbols": ["BTCUSDT", "ETHUSDT"]}),
    Record("TRADE_REJECTED", "BTCUSDT", Side.BUY, "COOL_DOWN", "c1", risk_snapshot={"epoch": 0}),
    Record("TRADE_APPROVED", "BTCUSDT", Side.BUY, None, "c2", metadata={"quantity": Decimal("0.10")}),
    Record("TRADE_APPROVED", "ETHUSDT", Side.BUY, None, "c3", metadata={"why": "two words\n\x1b[2J", "price": None}),
    Record(
        "ORDER_FILLED",
        "BTCUSDT",
        Side.BUY,
        None,
        "c2",
        metadata={"said": "caf\u00e9", "left": "\x1b[9A", "fee": 0.0000001},
    ),
)


class Audit:
    """A home with a journal, and the command at work on it."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.logs = home / "logs"
        self._capture = capture

    def write(self, *, days_between: int = 0) -> None:
        now = [NOON]
        journal = JournalFile.open(self.logs, wall=lambda: now[0], git_sha="abc")
        for record in RECORDS:
            journal.append(record)
            now[0] += timedelta(days=days_between)
        journal.commit()
        journal.close()

    def __call__(self, *words: str) -> tuple[int, str, str]:
        status = main(["audit", *words, "--home", str(self.home)])
        said = self._capture.readouterr()
        return status, said.out, said.err

    def text(self) -> str:
        return b"".join(path.read_bytes() for path in segments(self.logs)).decode()


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    audit = Audit(tmp_path, capsys)
    audit.write()
    return audit


@pytest.fixture
def over_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    """The same journal in five segments."""
    audit = Audit(tmp_path, capsys)
    audit.write(days_between=1)
    assert len(segments(audit.logs)) == 5
    return audit


# --- verify ---


def test_a_sound_journal_is_counted_and_its_head_named(over_days: Audit) -> None:
    head = json.loads(over_days.text().splitlines()[-1])["hash"]
    assert over_days("verify") == (0, f"5 events in 5 segments, the chain holds; head {head}\n", "")


def test_a_changed_line_is_named_with_its_file_and_exit_1(over_days: Audit) -> None:
    path = segments(over_days.logs)[2]
    path.write_text(path.read_text().replace("0.10", "0.90"))
    status, out, err = over_days("verify")
    assert (status, out) == (1, "")
    assert f"{path}, line 1: its hash does not fit" in err
    assert err.count("\n") == 1


def test_a_line_that_is_being_written_is_no_failure_but_is_said(audit: Audit) -> None:
    with segments(audit.logs)[0].open("a") as file:
        file.write('{"seq":6')
    status, out, _ = audit("verify")
    assert status == 0
    assert out.startswith("5 events in 1 segment, the chain holds")
    assert "not complete" in out


def test_what_was_verified_as_json_is_one_document(over_days: Audit) -> None:
    status, out, err = over_days("verify", "--json")
    head = json.loads(over_days.text().splitlines()[-1])["hash"]
    assert (status, err) == (0, "")
    assert json.loads(out) == {"events": 5, "head": head, "segments": 5, "torn_tail": False}


def test_a_broken_chain_leaves_no_json_but_its_sentence(over_days: Audit) -> None:
    path = segments(over_days.logs)[2]
    path.write_text(path.read_text().replace("0.10", "0.90"))
    status, out, err = over_days("verify", "--json")
    assert (status, out) == (1, "")
    assert "its hash does not fit" in err


# --- how far it is ---

LARGE = "import sys\nfrom thunes import audit\nfrom thunes.cli import main\naudit.LARGE_BYTES = {}\nsys.exit(main())"


def drawn(audit: Audit, *words: str, least: int = 0, piped: bool = True) -> str:
    """What a terminal on standard error shows meanwhile, to `least` bytes of journal being called large."""
    with terminal("-c", LARGE.format(least), "audit", *words, "--home", str(audit.home), piped=piped) as person:
        assert person.end() == 0
        return person.drawn


@pytest.mark.parametrize(
    ("words", "doing"),
    [
        (["verify"], "verifying"),
        (["show"], "reading"),
        (["show", "--json"], "reading"),
        (["show", "--after", "2"], "reading"),
        (["export"], "reading"),
    ],
)
def test_a_person_sees_how_far_a_large_journal_is(audit: Audit, words: list[str], doing: str) -> None:
    size = f"{len(audit.text()) / 1000:.1f}"
    shown = drawn(audit, *words)
    assert doing in shown
    assert f"{size}/{size} kB" in shown or "--after" in words or "verify" in words


def test_how_far_it_is_from_a_seq_on_is_said_without_a_whole_that_is_not_known(audit: Audit) -> None:
    assert "/? bytes" in drawn(audit, "show", "--after", "4")


def test_an_export_to_a_file_shows_how_far_it_is(audit: Audit) -> None:
    assert "reading" in drawn(audit, "export", "--output", str(audit.home / "out"), piped=False)
    assert (audit.home / "out").read_text() == audit.text()


def test_no_bar_where_it_would_be_in_the_way(audit: Audit) -> None:
    assert "reading" not in drawn(audit, "show", piped=False)
    assert drawn(audit, "show", least=10**9) == ""
    assert drawn(audit, "verify", least=10**9) == ""


# --- show ---


def shown(out: str) -> list[int]:
    return [int(line.split()[0]) for line in out.splitlines()[1:]]


def test_every_event_is_a_line_and_a_refusal_is_told_in_words(audit: Audit) -> None:
    status, out, err = audit("show")
    assert (status, err) == (0, "")
    assert shown(out) == [1, 2, 3, 4, 5]
    refused = out.splitlines()[2]
    for word in ("2026-11-23 12:00:00.000", "TRADE_REJECTED", "BTCUSDT", "BUY", "c1", "was closed a short while ago"):
        assert word in refused
    assert "quantity=0.10" in out
    assert "price=null" in out


def test_text_from_elsewhere_stays_on_its_line_and_moves_no_cursor(audit: Audit) -> None:
    _, out, _ = audit("show")
    assert "\x1b" not in out
    assert r'why="two words\n\u001b[2J"' in out
    assert "said=caf\u00e9 " in out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--event TRADE_APPROVED", [3, 4]),
        ("--event trade_approved", [3, 4]),
        ("--symbol BTCUSDT", [2, 3, 5]),
        ("--symbol ethusdt", [4]),
        ("--correlation c2", [3, 5]),
        ("--event TRADE_APPROVED --symbol BTCUSDT", [3]),
        ("--after 3", [4, 5]),
        ("--after 99", []),
        ("--limit 2", [1, 2]),
        ("--limit 0", []),
        ("--after 1 --symbol BTCUSDT --limit 2", [2, 3]),
    ],
)
def test_flags_choose_the_events(over_days: Audit, flags: str, expected: list[int]) -> None:
    status, out, _ = over_days("show", *flags.split())
    assert (status, shown(out)) == (0, expected)


def test_as_json_the_lines_are_the_journals_own(over_days: Audit) -> None:
    assert over_days("show", "--json") == (0, over_days.text(), "")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--event TRADE_APROVED", "--event TRADE_APROVED: no such event; did you mean TRADE_APPROVED?"),
        ("--after -1", "'-1' is no number from 0 on"),
        ("--limit many", "'many' is no number from 0 on"),
    ],
)
def test_a_flag_that_cannot_be_used_is_one_line_and_exit_2(audit: Audit, flags: str, words: str) -> None:
    status, out, err = audit("show", *flags.split())
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_broken_journal_is_shown_up_to_the_break_and_exit_1(over_days: Audit) -> None:
    segments(over_days.logs)[2].unlink()
    status, out, err = over_days("show")
    assert status == 1
    assert shown(out) == [1, 2]
    assert "its seq is 4 where 3 has to follow: lines are missing" in err


# --- export ---


def test_an_export_in_lines_still_verifies_as_a_journal(over_days: Audit) -> None:
    elsewhere = over_days.home / "copy" / "logs"
    elsewhere.mkdir(parents=True)
    status, out, _ = over_days("export", "--output", str(elsewhere / "audit_trail.jsonl"))
    assert (status, out) == (0, "")
    assert main(["audit", "verify", "--home", str(elsewhere.parent)]) == 0


def test_an_export_as_a_table_has_every_member_of_every_event(over_days: Audit) -> None:
    status, out, _ = over_days("export", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0
    assert list(rows[0]) == list(AuditEvent.model_fields)
    originals = [json.loads(line) for line in over_days.text().splitlines()]
    for row, original in zip(rows, originals, strict=True):
        for name in ("risk_snapshot", "metadata"):
            assert json.loads(row.pop(name)) == original.pop(name)
        assert row == {name: "" if value is None else str(value) for name, value in original.items()}


def test_an_export_takes_the_same_flags_as_show(audit: Audit) -> None:
    _, out, _ = audit("export", "--symbol", "BTCUSDT", "--after", "2", "--limit", "1")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [3]


@pytest.mark.parametrize("name", ["logs/audit_trail.jsonl", "data/../logs/audit_trail.csv", "link"])
def test_an_export_never_writes_over_the_journal(audit: Audit, name: str) -> None:
    (audit.home / "data").mkdir()
    (audit.home / "link").symlink_to(audit.logs / "audit_trail.jsonl")
    before = audit.text()
    status, _, err = audit("export", "--output", str(audit.home / name))
    assert status == 2
    assert "choose another --output" in err
    assert audit.text() == before
    assert [path.name for path in audit.logs.iterdir()] == ["audit_trail.jsonl"]


def test_an_output_that_cannot_be_written_is_said(audit: Audit) -> None:
    status, _, err = audit("export", "--output", str(audit.home / "no" / "such" / "place"))
    assert status == 2
    assert "cannot be written (No such file or directory)" in err


def test_a_flag_that_cannot_be_used_leaves_an_earlier_export_alone(audit: Audit) -> None:
    output = audit.home / "kept.jsonl"
    output.write_text("kept")
    assert audit("export", "--event", "NONSENSE", "--output", str(output))[0] == 2
    assert output.read_text() == "kept"


# --- where the journal is ---


@pytest.mark.parametrize("action", ["verify", "show", "export"])
@pytest.mark.parametrize("prepare", [lambda home: None, lambda home: (home / "logs").mkdir(parents=True)])
def test_where_there_is_no_journal_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path / "empty")
    status, out, err = Audit(tmp_path / "empty", capsys)(action)
    assert (status, out) == (1, "")
    assert err == f"There is no journal under {tmp_path / 'empty' / 'logs'}; check --home.\n"


def test_the_home_is_the_environments_unless_a_flag_names_one(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THUNES_HOME", str(audit.home))
    assert main(["audit", "verify"]) == 0
    assert capsys.readouterr().out.startswith("5 events")
