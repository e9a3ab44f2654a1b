"""The `thunes` command as a person meets it: help, exit status, and errors of one line each."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pseudo_terminal import environment
from thunes import __version__
from thunes.cli import command_line, main, run_main
from thunes.parsers import LARGE, every

ROOT = Path(__file__).parent.parent
COMMANDS = ("run", "doctor", "status", "kill", "resume", "reconnect", "reconcile", "breaker", "completion")
COMMANDS += ("exchange", "fault", "audit", "rodage")

PROGS = [each.prog for each in every(command_line("completion")[0])][1:]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without settings."""
    for variable in [name for name in os.environ if name.startswith("THUNES_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0

    shown = capsys.readouterr().out
    assert [command for command in COMMANDS if f"    {command}" not in shown] == []


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"thunes {__version__}\n")


@pytest.mark.parametrize("prog", PROGS)
def test_every_subcommand_has_an_example_of_itself(prog: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*prog.split()[1:], "--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"\n  {prog}" in shown.partition("\nexample")[2]


@pytest.mark.parametrize("prog", PROGS)
def test_what_an_example_shows_is_understood(prog: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*prog.split()[1:], "--help"])

    lines = capsys.readouterr().out.partition("\nexample")[2].splitlines()
    examples = [re.split(r"   | [|>] ", line.strip())[0] for line in lines if line.startswith("  thunes ")]
    parser, _ = command_line("completion")
    assert examples
    for example in examples:
        assert parser.parse_known_args(shlex.split(example)[1:])[1] == []


def test_the_documents_page_names_every_subcommand_and_every_request_of_the_api() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    progs = [each.prog for each in every(command_line("")[0])]
    assert [prog for prog in progs if f"`{prog}" not in page] == []
    requests = re.findall(r'web\.(get|post)\("(/api/\w+)"', (ROOT / "thunes" / "control" / "routes.py").read_text())
    assert len(requests) > 8
    assert [path for method, path in requests if f"`{method.upper()} {path}" not in page] == []


def test_json_may_be_asked_of_whatever_says_something(capsys: pytest.CaptureFixture[str]) -> None:
    commands = ["doctor", "status", "resume", "reconnect", "reconcile", "breaker", "fault", "kill"]
    for command in [*commands, "audit verify", "audit show", "rodage drill kill"]:
        with pytest.raises(SystemExit):
            main([*command.split(), "--help"])
        assert "--json" in capsys.readouterr().out, command


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stauts", "thunes: 'stauts' is no COMMAND; did you mean status?"),
        ("audit verfy", "thunes audit: 'verfy' is no ACTION; did you mean verify?"),
        ("audit export --format cvs", "thunes audit export: 'cvs' is no --format; did you mean csv?"),
        ("breaker rest BinanceAPI", "thunes breaker: 'rest' is no reset; did you mean reset?"),
        ("completion fish", "thunes completion: 'fish' is no SHELL; there are bash, zsh, tcsh."),
        ("status --jsom", "--jsom: no such flag; did you mean --json?"),
        ("audit show --symbl BTCUSDT", "--symbl: no such flag; did you mean --symbol?"),
        ("status now", "now: belongs to no flag; leave it out."),
        ("--home x status", "--home: comes after the subcommand, as in `thunes status --home`."),
    ],
)
def test_a_slip_of_the_keyboard_is_told_the_nearest_word(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    assert capsys.readouterr() == ("", f"{said}\n")


@pytest.mark.parametrize("every", ["0", "-1", "nan", "x", "3601"])
def test_a_pace_that_is_none_is_refused(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--watch", "--every", every]) == 2
    assert f"'{every}' is no number of seconds from 0.1 to 3600" in capsys.readouterr().err


def test_a_subcommand_imports_what_it_needs_alone() -> None:
    script = "import sys; from thunes.cli import main; main(['status', '--home', 'none']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, env=environment()
    )
    loaded = done.stdout.split()
    assert "thunes.control.client" in loaded
    others = ("shtab", "aiohttp", "thunes.audit", "thunes.exchange.simulator.process", "thunes.rodage.commands")
    assert [name for name in others if name in loaded] == []


@pytest.mark.parametrize("command", [*COMMANDS[:-2], "audit verify", "audit show", "audit export", "rodage drill kill"])
def test_every_subcommand_takes_a_home_and_a_config(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])

    shown = capsys.readouterr().out
    assert "--home" in shown
    assert "--config" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["reconnect"],
        ["exchange", "--speed", "x"],
        ["exchange", "--port", "65536"],
        ["status", "--jsom"],
        ["audit"],
        ["run", "--speed", "-1"],
        ["run", "--no-such-flag"],
    ],
)
def test_a_bad_command_line_is_one_line_and_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_every_violation_of_the_command_line_is_said_at_once(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THUNES_RISK__MAX_POSITIONS", "none")
    arguments = ["--symbol", "BTCUSDT", "junk", "--speed", "--symbols", "btc", "--seed", "x", "--config", "absent"]

    assert run_main(arguments) == 2

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "--speed",
        "--symbol",
        "junk",
        "--config absent",
        "--symbols",
        "--seed",
        "THUNES_RISK__MAX_POSITIONS",
    ]
    assert list(elsewhere.iterdir()) == []


def test_a_mistyped_flag_is_told_what_it_resembles(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--symbol", "BTCUSDT"])

    assert capsys.readouterr().err == "--symbol: no such flag; did you mean --symbols?\n"


def test_what_follows_an_unknown_flag_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--api-secret", "hush", "--api-key=hush"])

    shown = capsys.readouterr().err
    assert "--api-secret" in shown
    assert "hush" not in shown


@pytest.mark.parametrize("command", ["status", "resume", "reconnect BTCUSDT", "reconcile", "breaker", "audit verify"])
def test_a_command_without_a_system_or_a_journal_fails_in_one_line(
    command: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 1

    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(elsewhere.iterdir()) == []


def test_the_home_is_taken_from_the_environment_where_no_flag_names_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THUNES_HOME", "from-the-environment")

    main(["status"])
    main(["status", "--home", "from-the-flag"])

    first, second = capsys.readouterr().err.splitlines()
    assert "from-the-environment" in first
    assert "from-the-flag" in second


def test_an_interrupt_is_quiet_and_exits_130(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "interrupted.py").write_text("raise KeyboardInterrupt")

    assert run_main(["--strategy", "interrupted.py"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", [["-m", "thunes.supervisor"], ["-m", "thunes", "run"]])
def test_both_ways_to_start_refuse_alike_without_a_traceback_and_write_nothing(
    command: list[str], elsewhere: Path
) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}

    done = subprocess.run(
        [sys.executable, *command, "--symbols", "btc", "--speed", "-1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environ,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["--symbols", "--speed"]
    assert list(elsewhere.iterdir()) == []


@pytest.fixture
def part(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the module of a subcommand `part` belongs; it is not there yet."""
    (elsewhere / "some_parts").mkdir()
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.setitem(LARGE, "part", ("some_parts.part", "one more", ("thunes part --number 3",)))
    return elsewhere / "some_parts" / "part.py"


def test_a_part_that_is_not_installed_is_no_subcommand(part: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "one more" not in capsys.readouterr().out
    assert main(["part"]) == 2


def test_a_part_is_imported_when_it_is_named_and_its_answer_is_the_exit_status(
    part: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["print('imported')", "add_arguments = lambda parser: parser.add_argument('--number', type=int)"]
    part.write_text("\n".join([*lines, "run = lambda arguments: arguments.number"]))
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "one more" in shown
    assert "imported" not in shown
    assert main(["part", "--number", "3"]) == 3
    assert capsys.readouterr().out == "imported\n"
