"""The watch without a wall clock: what is looked at, what is shown, and when it ends."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from tests.sample_figures import SYSTEM
from thunes.control import api
from thunes.control.watch import FullScreen, JsonLines, Tables, watch
from thunes.errors import NetworkError

STATUS = api.status(SYSTEM)
NOW = "2026-11-23T05:00:00.000000Z"


class Looks:
    """What a system answers, look after look; Ctrl-C after the last."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._left = list(answers)

    def __call__(self) -> dict[str, Any]:
        answer = self._left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self) -> None:
        if not self._left:
            raise KeyboardInterrupt


class Shown:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def status(self, status: Any) -> None:
        self.seen.append(status["venue"])

    def trouble(self, sentence: str) -> None:
        self.seen.append(sentence)


def test_a_system_that_goes_away_is_looked_for_until_it_is_back() -> None:
    looks, shown = Looks(STATUS, NetworkError("gone"), NetworkError("gone"), STATUS), Shown()
    watch(looks, shown, looks.wait)
    assert shown.seen == ["sim", "gone", "gone", "sim"]


def test_what_is_no_failure_of_the_systems_ends_the_watch() -> None:
    looks = Looks(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        watch(looks, Shown(), looks.wait)


def screens(*answers: dict[str, Any] | Exception) -> str:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, color_system=None, width=80, height=24)
    looks = Looks(*answers)
    with FullScreen(console, lambda: NOW, 2.0) as screen:
        watch(looks, screen, looks.wait)
    return printed.getvalue()


def test_the_screen_says_how_often_it_looks_and_how_to_end_it() -> None:
    assert "2026-11-23T05:00:00 UTC, every 2 s; Ctrl-C ends this." in screens(STATUS)


def test_the_screen_keeps_the_last_table_below_the_trouble() -> None:
    last = screens(STATUS, NetworkError("It has gone; start it again.")).rpartition("It has gone; start it again.")[2]
    assert "Trying again every 2 s" in last
    assert "As it was at 2026-11-23T05:00:00 UTC:" in last
    assert "THUNES sim" in last


def test_a_system_that_never_was_there_leaves_the_screen_without_a_table() -> None:
    drawn = screens(NetworkError("None runs; start one."))
    assert "None runs; start one." in drawn
    assert "As it was" not in drawn


def test_the_screen_is_never_longer_than_the_terminal() -> None:
    assert screens(STATUS).count("\n") < 24


@pytest.mark.parametrize("json_lines", [True, False])
def test_without_a_terminal_trouble_goes_to_standard_error(
    json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=80)
    looks = Looks(STATUS, NetworkError("gone"), STATUS)
    watch(looks, JsonLines(console.out) if json_lines else Tables(console, lambda: NOW), looks.wait)
    assert capsys.readouterr().err == "gone\n"
    if json_lines:
        assert [json.loads(line) for line in printed.getvalue().splitlines()] == [STATUS, STATUS]
    else:
        assert printed.getvalue().count("2026-11-23T05:00:00 UTC\nTHUNES sim") == 2
        assert "\x1b" not in printed.getvalue()
