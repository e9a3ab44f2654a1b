"""The tool that repeats the tests with real threads: it counts, it switches, it stops at a failure, it measures."""

from __future__ import annotations

import io
import shlex
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from tests.concurrency.conftest import LIMIT, hold_to_limit
from tests.repeat import FAST_SWITCH, ROOT, THRESHOLDS, Suite, Threshold, repeat

CONFTEST = "from tests.concurrency.conftest import pytest_addoption, switch_interval  # noqa: F401\n"
PASSES = "from measured import half\n\ndef test_it():\n    half(True)\n"
FAILS_WHEN_SWITCHING_FAST = f"import sys\n\ndef test_it():\n    assert sys.getswitchinterval() > {2 * FAST_SWITCH}\n"
MEASURED = "def half(first):\n    if first:\n        return 1\n    return 2\n"
"""Four lines, of which a call with True executes three."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one test, which knows the option of ours."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "measured.py").write_text(MEASURED)
    (tmp_path / "test_one.py").write_text(PASSES)
    return tmp_path


def run(suite: Suite, times: int, *, measure: bool = False) -> tuple[int, str]:
    said = io.StringIO()
    status = repeat(suite, times, Console(file=said, width=200), measure=measure)
    return status, said.getvalue()


def suite(project: Path, percent: float = 50, **options: object) -> Suite:
    return Suite(project, ".", thresholds=(Threshold("all", percent, ("measured.py",)),), **options)  # type: ignore[arg-type]


def test_each_run_is_told_with_its_interval_and_its_tests_and_every_second_one_switches_fast(project: Path) -> None:
    status, said = run(suite(project), 3)
    assert status == 0
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "run  1 of 3, switch interval 0.005 s",
        "run  2 of 3, switch interval 1e-06 s",
        "run  3 of 3, switch interval 0.005 s",
    ]
    assert said.count(": 1 passed in ") == 3


def test_the_first_failure_ends_it_with_its_output_and_a_command_that_fails_alike(project: Path) -> None:
    (project / "test_one.py").write_text(FAILS_WHEN_SWITCHING_FAST)
    status, said = run(suite(project), 10)
    assert status == 1
    assert "run  3" not in said
    assert "assert 1e-06 >" in said
    command = said.split("This repeats it:\n")[1].strip()
    assert command.endswith("-m pytest test_one.py::test_it -x --switch-interval 1e-06")
    words = [word for word in shlex.split(command) if not word.startswith("PYTHONHASHSEED=")]
    again = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False, timeout=60)
    assert again.returncode == 1
    assert "1 failed" in again.stdout


@pytest.mark.parametrize(("percent", "status"), [(74, 0), (75, 1)])
def test_a_threshold_has_to_be_exceeded(project: Path, percent: float, status: int) -> None:
    found, said = run(suite(project, percent), 1, measure=True)
    assert f"lines of all: 75.0 %, wanted > {percent} %" in said
    assert found == status
    assert sorted(path.name for path in project.iterdir() if "coverage" in path.name) == []


def test_a_run_that_does_not_end_is_a_failure(project: Path) -> None:
    (project / "test_one.py").write_text("import threading\n\ndef test_it():\n    threading.Event().wait()\n")
    status, said = run(suite(project, limit=2.0), 2)
    assert status == 1
    assert "The run had not ended after 2 s." in said


def test_what_pytest_is_to_be_told_reaches_it(project: Path) -> None:
    status, said = run(suite(project, extra=("-k", "nothing")), 1)
    assert status == 1
    assert "1 deselected" in said


def test_the_files_that_are_measured_exist() -> None:
    assert [file for threshold in THRESHOLDS for file in threshold.files if not (ROOT / file).is_file()] == []


class Item:
    """As much of a test as the time limit looks at."""

    nodeid = "test_x.py::test_y"

    def __init__(self, *marks: pytest.MarkDecorator) -> None:
        self.marks = list(marks)

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark.mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark)


def test_a_test_with_threads_has_a_time_limit_and_keeps_a_smaller_one() -> None:
    bare, marked, named = Item(), Item(pytest.mark.timeout(5)), Item(pytest.mark.timeout(timeout=7))
    hold_to_limit([bare, marked, named])  # type: ignore[list-item]
    assert bare.marks == [pytest.mark.timeout(LIMIT)]
    assert (len(marked.marks), len(named.marks)) == (1, 1)


@pytest.mark.parametrize("seconds", [LIMIT + 1, 0])
def test_a_larger_time_limit_or_none_is_refused(seconds: float) -> None:
    with pytest.raises(pytest.UsageError, match="test_y is marked for"):
        hold_to_limit([Item(pytest.mark.timeout(seconds))])  # type: ignore[list-item]
