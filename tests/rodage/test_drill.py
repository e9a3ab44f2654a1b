"""The kill drill itself, two rounds of each kind, on real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support import clean_environment


def rodage(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thunes", "rodage", *words]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--hung",)])
def test_a_drill_kills_measures_and_reports(tmp_path: Path, how: tuple[str, ...]) -> None:
    done = rodage("drill", "kill", "--times", "2", "--json", "--home", str(tmp_path), *how)
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["passed"] else 1), done.stderr
    # How fast it is, is for a quiet machine to say; that it holds is not.
    assert [complaint for complaint in document["complaints"] if "p99" not in complaint] == []
    assert (document["times"], document["hung"], document["refused"] >= 8) == (2, bool(how), True)
    assert document["last_cancel_ms"]["p50"] > 0
    path = tmp_path / "artifacts" / f"drill-kill{'-hung' if how else ''}.json"
    assert json.loads(path.read_text()) == document


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("drill", "kill", "--times", "0"), "is no number from 1 on"),
        (("drill", "kill", "--latency", "x"), "is no number of seconds"),
        (("drill",), "required: WHAT"),
        ((), "required: ACTION"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = rodage(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
