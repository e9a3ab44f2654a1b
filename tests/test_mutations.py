"""The tool that puts faults in: it notices what no test catches, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import FAULTS
from tests.mutations import ROOT, Fault, main, mistakes

SOUND = "def answer():\n    return 42\n"
TEST = "from thunes.sums import answer\n\ndef test_sum():\n    assert answer() == 42\n"
FAULT = Fault("wrong-sum", "The sum is wrong.", "thunes/sums.py", "42", "41", ("tests/test_sums.py::test_sum",))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one function and its test."""
    for package in ("thunes", "actors", "tests"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "thunes" / "sums.py").write_text(SOUND)
    (tmp_path / "tests" / "test_sums.py").write_text(TEST)
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\naddopts = --import-mode=importlib\n")
    return tmp_path


def test_a_fault_that_a_test_catches_is_told_with_the_test(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], project, [FAULT, replace(FAULT, name="another", new="43")]) == 0
    said = capsys.readouterr().out
    assert "wrong-sum: caught by tests/test_sums.py::test_sum (" in said
    assert "2 of 2 faults were caught in " in said
    assert (project / "thunes" / "sums.py").read_text() == SOUND


def test_a_fault_that_no_test_catches_is_a_failure(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harmless = replace(FAULT, new="6 * 7")
    assert main([], project, [harmless]) == 1
    said = capsys.readouterr().out
    assert "wrong-sum: NOT CAUGHT (" in said
    assert "0 of 1 faults were caught in " in said
    assert "NOT CAUGHT wrong-sum: The sum is wrong. In thunes/sums.py." in said


def test_a_fault_that_keeps_the_tests_from_being_read_was_not_caught(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], project, [replace(FAULT, old="def answer", new="def question")]) == 1
    assert "wrong-sum: NO VERDICT, the run ended with " in capsys.readouterr().out


def test_a_test_that_fails_without_any_fault_catches_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests" / "test_sums.py").write_text(TEST.replace("== 42", "== 40"))
    assert main([], project, [FAULT]) == 2
    assert "Without any fault, tests/test_sums.py::test_sum fails:" in capsys.readouterr().err


def test_tests_that_import_something_else_than_the_copy_prove_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "actors" / "__init__.py").unlink()
    (project / "actors").rmdir()
    assert main([], project, [FAULT]) == 2
    assert "do not import the copy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (replace(FAULT, old="40"), "its old text stands 0 times in thunes/sums.py, not once"),
        (replace(FAULT, old="e"), "its old text stands 3 times in thunes/sums.py, not once"),
        (replace(FAULT, file="thunes/gone.py"), "its old text stands 0 times in thunes/gone.py, not once"),
        (replace(FAULT, new="4 2"), "with it, thunes/sums.py is no Python: "),
        (replace(FAULT, tests=("tests/test_gone.py::test_x",)), "tests/test_gone.py::test_x is not there"),
        (replace(FAULT, tests=()), "any test is not there"),
    ],
)
def test_a_fault_that_cannot_be_put_in_is_an_error(
    project: Path, capsys: pytest.CaptureFixture[str], fault: Fault, wrong: str
) -> None:
    assert main([], project, [fault]) == 2
    assert f"wrong-sum: {wrong}" in capsys.readouterr().err


def test_two_faults_of_one_name_are_an_error(project: Path) -> None:
    assert mistakes(project, [FAULT, FAULT]) == ["wrong-sum: two faults have this name"]


def test_one_fault_may_be_asked_for_and_an_unknown_one_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(FAULT, name="other", says="Another.")
    assert main(["--list", "other"], project, [FAULT, other]) == 0
    assert capsys.readouterr().out == "other: Another.\n"
    with pytest.raises(SystemExit):
        main(["nonsense"], project, [FAULT])
    assert "no fault is called nonsense" in capsys.readouterr().err


def test_every_fault_can_be_put_in() -> None:
    assert mistakes(ROOT, FAULTS) == []
    assert len(FAULTS) >= 28
