"""`thunes completion`: what bash offers at the Tab key, asked of a real bash."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from thunes.cli import command_line, main
from thunes.completion import SHELLS
from thunes.parsers import every, flags_of

TAB = """
tab() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    "$complete" thunes "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[@]}"
}
"""


class Bash:
    """A bash that has read the script."""

    def __init__(self, script: str) -> None:
        # What `complete -p` prints is what bash would call: ... -F FUNCTION thunes
        self._script = f"{script}\nset -- $(complete -p thunes)\ncomplete=${{@: -2:1}}\n{TAB}"

    def offers(self, *lines: Sequence[str]) -> list[list[str]]:
        """For each line of words, the last of which is being typed, what Tab offers."""
        asked = "\n".join(f"tab {shlex.join(line)}" for line in lines)
        done = subprocess.run(
            ["bash", "--norc", "-u"], input=self._script + asked, capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stderr == ""
        return [line.split() for line in done.stdout.splitlines()]


@pytest.fixture
def bash(capsys: pytest.CaptureFixture[str]) -> Bash:
    assert main(["completion", "bash"]) == 0
    return Bash(capsys.readouterr().out)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shells_script_knows_every_subcommand(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script, err = capsys.readouterr()
    assert err == ""
    assert [each.prog for each in every(command_line("")[0]) if each.prog.split()[-1] not in script] == []


def test_bash_finds_no_fault_with_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    done = subprocess.run(["bash", "-n"], input=capsys.readouterr().out, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_word_is_a_subcommand(bash: Bash) -> None:
    whole, begun = bash.offers(["thunes", ""], ["thunes", "re"])
    assert whole == [each.prog.split()[1] for each in every(command_line("")[0]) if each.prog != "thunes"]
    assert begun == ["resume", "reconnect", "reconcile"]


WITH_ACTIONS = ("thunes", "thunes audit", "thunes rodage", "thunes rodage drill")


def test_every_flag_of_every_subcommand_is_offered(bash: Bash) -> None:
    parser, _ = command_line("completion")
    progs = [each.prog for each in every(parser) if each.prog not in WITH_ACTIONS]
    offered = bash.offers(*([*prog.split(), "--"] for prog in progs))
    for prog, flags in zip(progs, offered, strict=True):
        assert flags == [flag for flag in flags_of(parser, prog) if flag.startswith("--")], prog


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("run --so", ["--source"]),
        ("doctor --js", ["--json"]),
        ("exchange --fault-", ["--fault-rate", "--fault-seed"]),
        ("fault http://127.0.0.1:9000 --cl", ["--clear"]),
        ("audit v", ["verify"]),
        ("audit export --format ", ["jsonl", "csv"]),
        ("breaker re", ["reset"]),
        ("completion z", ["zsh"]),
    ],
)
def test_what_is_begun_is_completed(bash: Bash, line: str, offered: list[str]) -> None:
    assert bash.offers(["thunes", *line.split(" ")]) == [offered]


def test_paths_are_completed_where_a_path_belongs(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.toml").touch()
    home, config = bash.offers(
        ["thunes", "status", "--home", f"{tmp_path}/f"], ["thunes", "run", "--config", f"{tmp_path}/f"]
    )
    assert home == [f"{tmp_path}/folder"]
    assert sorted(config) == [f"{tmp_path}/file.toml", f"{tmp_path}/folder"]
