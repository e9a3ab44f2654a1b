"""The `thunes` command as a person meets it: help, exit status, and errors of one line each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thunes import __version__
from thunes.cli import main, run_main

COMMANDS = ("run", "doctor", "status", "kill", "resume", "reconnect", "reconcile", "breaker", "completion")
COMMANDS += ("exchange", "fault", "audit")


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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_subcommand_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"\n  thunes {command}" in shown


@pytest.mark.parametrize("command", [*COMMANDS[:-1], "audit verify", "audit show", "audit export"])
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


@pytest.mark.parametrize("command", ["status", "resume", "reconnect BTCUSDT", "reconcile", "audit verify"])
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
