"""`python -m tests.repeat`: the tests with real threads, again and again, until one fails or all runs are through.

Each run is a process of its own. Every second one switches threads as often as Python can, so that a gap between two
instructions that is hit once in a million times at the normal interval is hit here. The first run, at the normal
interval, also measures how much of the actors under flood was executed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage
from rich.console import Console

ROOT = Path(__file__).parent.parent
SUITE = "tests/concurrency"
FAST_SWITCH = 1e-6
"""Seconds between two thread switches in every second run; Python's own is 5e-3."""
RUN_LIMIT = 600.0
"""Seconds after which a run hangs: each of its tests has a limit of its own, the end of the process has none."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """`percent` of the lines of `files`, taken together, have to be exceeded."""

    name: str
    percent: float
    files: tuple[str, ...]


THRESHOLDS = (
    Threshold("stream actor and its session", 90, ("actors/stream.py", "actors/connection.py", "actors/account.py")),
    Threshold("breaker", 85, ("actors/breaker.py", "thunes/domain/breaker.py")),
    Threshold("risk", 85, ("actors/risk.py", "thunes/domain/risk.py", "thunes/domain/risk_figures.py")),
)


@dataclass(frozen=True, slots=True)
class Run:
    """How one run ended."""

    status: int
    passed: int
    seconds: float
    output: str
    failed: tuple[str, ...]
    """Ids of the tests that failed, as pytest takes them."""


WORKERS = 2
"""A test of threads keeps one processor busy, however many threads it has."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is run, and where: `root` is the working directory and holds the files that are measured."""

    root: Path = ROOT
    tests: str = SUITE
    extra: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = THRESHOLDS
    limit: float = RUN_LIMIT
    workers: int = 0
    """How many processes share the tests of a run that measures nothing; 0 for none but the run's own."""

    def command(self, interval: float | None, tests: Sequence[str] = ()) -> list[str]:
        """The pytest command of one run, or of some of its `tests` alone."""
        switching = [] if interval is None else ["--switch-interval", f"{interval:g}"]
        return ["-m", "pytest", *(tests or [self.tests]), "-x", *switching, *self.extra]

    def run(self, interval: float | None, scratch: Path, measured: Path | None) -> Run:
        """One run in a fresh process; its coverage goes to the file `measured`, if that is given."""
        cache = scratch / "cache"
        command = [*self.command(interval), "-q", "-o", f"cache_dir={cache}"]
        if measured is not None:
            files = ",".join(str(self.root / file) for threshold in self.thresholds for file in threshold.files)
            command = ["-m", "coverage", "run", f"--data-file={measured}", f"--include={files}", *command]
        elif self.workers:
            command += ["-n", str(self.workers)]
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=self.root,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=self.limit,
            )
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            status, output = -1, f"{said}\nThe run had not ended after {self.limit:g} s."
        passed = re.search(r"(\d+) passed", output)
        seconds = time.monotonic() - began
        return Run(status, int(passed[1]) if passed else 0, seconds, output, _failed(cache) if status else ())


def _failed(cache: Path) -> tuple[str, ...]:
    file = cache / "v" / "cache" / "lastfailed"
    return tuple(json.loads(file.read_text())) if file.is_file() else ()


def percentages(suite: Suite, measured: Path) -> Mapping[str, float]:
    """The share of executed lines, in percent, by threshold; a file that was never imported counts as not executed."""
    coverage = Coverage(data_file=str(measured), config_file=False)
    coverage.load()
    found = {}
    for threshold in suite.thresholds:
        lines = missed = 0
        for file in threshold.files:
            _, statements, _, missing, _ = coverage.analysis2(str(suite.root / file))
            lines, missed = lines + len(statements), missed + len(missing)
        found[threshold.name] = 100 * (lines - missed) / lines
    return found


def repeat(suite: Suite, times: int, console: Console, *, measure: bool = True) -> int:
    """Run the suite `times` times; 0 when every test of every run passed and no threshold was missed, else 1."""
    short: list[str] = []
    for number in range(1, times + 1):
        interval = FAST_SWITCH if number % 2 == 0 else None
        words = f"run {number:2} of {times}, switch interval {interval or sys.getswitchinterval():g} s"
        with tempfile.TemporaryDirectory(prefix="thunes-repeat-") as scratch:
            measured = Path(scratch) / "coverage" if measure and number == 1 else None
            with console.status(words):
                run = suite.run(interval, Path(scratch), measured)
            console.print(f"{words}: {run.passed} passed in {run.seconds:.1f} s", highlight=False)
            if run.status:
                _say_failure(suite, interval, run, console)
                return 1
            if measured is not None:
                short = _judge(suite, percentages(suite, measured), console)
    for line in short:
        console.print(f"[red]{line}", highlight=False)
    return 1 if short else 0


def _judge(suite: Suite, found: Mapping[str, float], console: Console) -> list[str]:
    """Print each figure; a sentence for each that does not exceed its threshold."""
    short = []
    for threshold in suite.thresholds:
        figures = f"{found[threshold.name]:.1f} %, wanted > {threshold.percent:g} %"
        console.print(f"  lines of {threshold.name}: {figures}", highlight=False)
        if found[threshold.name] <= threshold.percent:
            short.append(f"Too little of {threshold.name} was executed: {figures}.")
    return short


def _say_failure(suite: Suite, interval: float | None, run: Run, console: Console) -> None:
    seed = os.environ.get("PYTHONHASHSEED")
    environ = [] if seed is None else [f"PYTHONHASHSEED={seed}"]
    command = shlex.join([*environ, sys.executable, *suite.command(interval, run.failed)])
    console.print(run.output, markup=False, highlight=False, soft_wrap=True)
    console.print(f"This repeats it:\n  {command}", markup=False, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.repeat", description=__doc__, epilog="What else is given goes to pytest."
    )
    parser.add_argument("--times", type=int, default=10, metavar="N", help="how many runs (10)")
    parser.add_argument("--no-coverage", action="store_true", help="measure nothing: for a part of the tests")
    known, extra = parser.parse_known_args(arguments)
    if known.times < 1:
        parser.error("--times: at least 1")
    return repeat(Suite(extra=tuple(extra), workers=WORKERS), known.times, Console(), measure=not known.no_coverage)


if __name__ == "__main__":
    sys.exit(main())
