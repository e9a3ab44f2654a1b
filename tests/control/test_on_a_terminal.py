"""What a person at a terminal sees of the running system, and a script that has none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.conftest import TOKEN, Served
from tests.pseudo_terminal import environment, terminal
from tests.sample_figures import with_risk
from thunes.control import api
from thunes.storage.home import Home

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"
HIDDEN, VISIBLE = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def home(tmp_path: Path, served: Served) -> str:
    home = Home(tmp_path)
    home.prepare()
    home.token_file.write_text(TOKEN)
    home.write_run({"venue": "sim", "host": "127.0.0.1", "metrics_port": 1, "console_port": served.console_port})
    return str(tmp_path)


class TestColours:
    @pytest.mark.parametrize("command", ["status", "breaker"])
    def test_a_terminal_has_them(self, home: str, command: str) -> None:
        with terminal("-m", "thunes", command, "--home", home) as person:
            assert person.end() == 0
        assert re.search(r"\x1b\[[0-9;]*m", person.drawn)

    @pytest.mark.parametrize("command", ["status", "breaker", "nosuch", "--help"])
    def test_none_where_they_are_not_wanted(self, home: str, command: str) -> None:
        words = [command, *(["--home", home] if command in ("status", "breaker") else [])]
        with terminal("-m", "thunes", *words, NO_COLOR="1") as person:
            assert person.end() == (2 if command == "nosuch" else 0)
        assert person.drawn
        assert "\x1b" not in person.drawn

    @pytest.mark.parametrize("words", [["status"], ["breaker"], ["status", "--json"], ["status", "--watch"]])
    def test_none_in_a_pipe(self, home: str, words: list[str]) -> None:
        with terminal("-m", "thunes", *words, "--home", home, piped=True) as person:
            pipe = person.process.stdout
            assert pipe is not None
            said = "".join(pipe.readline() for _ in range(4))
            person.type("\x03" if "--watch" in words else "")
            assert person.end() == 0
        assert said.strip()
        assert "\x1b" not in said + person.drawn


class TestWatch:
    def test_fills_the_screen_until_ctrl_c_and_gives_the_terminal_back(self, home: str) -> None:
        with terminal("-m", "thunes", "status", "--watch", "--every", "0.1", "--home", home) as person:
            person.until("Ctrl-C ends this.")
            person.type("\x03")
            assert person.end() == 0
        assert person.drawn.index(ALTERNATE) < person.drawn.index("THUNES sim") < person.drawn.index(BACK)
        assert person.drawn.index(HIDDEN) < person.drawn.index(VISIBLE)
        assert "every 0.1 s; Ctrl-C ends this." in person.drawn

    def test_gives_the_terminal_back_at_sigterm_too(self, home: str) -> None:
        with terminal("-m", "thunes", "status", "--watch", "--home", home) as person:
            person.until("Ctrl-C ends this.")
            person.process.terminate()
            assert person.end() == 0
        assert BACK in person.drawn

    def test_shows_what_changed_and_says_when_the_system_has_gone(self, home: str, served: Served) -> None:
        with terminal("-m", "thunes", "status", "--watch", "--every", "0.1", "--home", home) as person:
            person.until("kill switch off")
            served.figures = with_risk(kill_active=True, kill_reason="drill")
            person.until("KILLED")
            served.server.stop(5.0)
            person.until("Trying again every 0.1 s")
            person.until("As it was at")
            assert person.process.poll() is None

    def test_no_colours_where_they_are_not_wanted(self, home: str) -> None:
        with terminal("-m", "thunes", "status", "--watch", "--home", home, NO_COLOR="1") as person:
            person.until("Ctrl-C ends this.")
            person.type("\x03")
            assert person.end() == 0
        assert not re.search(r"\x1b\[[0-9;]*m", person.drawn)


class TestResume:
    def test_asks_for_the_reason(self, home: str, served: Served) -> None:
        served.figures = with_risk(kill_active=True)
        with terminal("-m", "thunes", "resume", "--home", home) as person:
            person.until("Why is it safe to buy again?")
            assert served.told == []
            person.type("looked into it\n")
            assert person.end() == 0
        assert served.told == [("resume", "looked into it", "http")]

    @pytest.mark.parametrize("answer", ["\n", "  \n", "\x04"])
    def test_without_an_answer_nothing_is_resumed(self, home: str, served: Served, answer: str) -> None:
        with terminal("-m", "thunes", "resume", "--home", home) as person:
            person.until("Why is it safe to buy again?")
            person.type(answer)
            assert person.end() == 2
        assert "Nothing was resumed" in person.drawn
        assert "--reason" in person.drawn
        assert served.told == []

    def test_does_not_ask_where_a_reason_is_given(self, home: str, served: Served) -> None:
        with terminal("-m", "thunes", "resume", "--home", home, "--reason", "known") as person:
            assert person.end() == 0
        assert served.told == [("resume", "known", "http")]

    def test_asks_nobody_without_a_terminal(self, home: str, served: Served) -> None:
        command = [sys.executable, "-m", "thunes", "resume", "--home", home]
        done = subprocess.run(command, input="typed\n", capture_output=True, text=True, env=environment(), timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        assert served.told == [("resume", "resumed from the command line", "http")]

    def test_the_question_is_not_in_what_a_script_reads(self, home: str, served: Served) -> None:
        with terminal("-m", "thunes", "resume", "--json", "--home", home, piped=True) as person:
            person.until("Why is it safe to buy again?")
            person.type("it is\n")
            assert person.end() == 0
            assert person.process.stdout is not None
            assert json.loads(person.process.stdout.read()) == {"active": False, "reason": "it is"}

    def test_nobody_is_asked_when_no_system_runs(self, tmp_path: Path) -> None:
        with terminal("-m", "thunes", "resume", "--home", str(tmp_path / "none")) as person:
            assert person.end() == 1
        assert "Why" not in person.drawn
        assert "No THUNES runs on" in person.drawn


def test_a_line_of_json_for_each_look(home: str, served: Served) -> None:
    command = [sys.executable, "-m", "thunes", "status", "--watch", "--every", "0.1", "--json", "--home", home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            looks = [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            process.terminate()
    assert looks == [api.status(served.figures)] * 2
    assert process.returncode == 0
