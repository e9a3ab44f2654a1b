"""`python -m tests.mutations`: small faults, one after the other, each of which the tests have to catch.

Each fault of `tests/faults/` is put into a copy of the tree and the tests that it names are run there. A fault that
no test catches is a failure, and so is a test that fails without any fault. mutmut and cosmic-ray were looked at: they
derive thousands of faults from operators (cosmic-ray 3,369 for eleven of our files, which is hours), and none of them
is one that is feared here, such as two calls exchanged or a message handled twice.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults import FAULTS, Fault

ROOT = Path(__file__).parent.parent
COPIED = ("actors", "config", "tests", "thunes", "setup.cfg", "pyproject.toml")
PACKAGES = ("actors", "thunes")
TEST_LIMIT = 20
"""Seconds that one test may take: a fault often shows in something that never comes."""
RUN_LIMIT = 300
SEEDS = "2000"
"""As many as `tox -e simulation` tries."""
TESTS_FAILED = 1
"""The exit status when tests (or seeds) ran and some failed; every other one but 0 is a run that proves nothing."""

IMPORTED = """
from pathlib import Path
import {packages}

def test_what_is_imported_is_the_copy():
    here = Path(__file__).parent
    assert [p.__file__ for p in ({packages},) if here not in Path(p.__file__).parents] == []
"""


class Unusable(Exception):
    """The faults, or the tests without any fault, are not what they have to be: nothing can be said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of tests in a copy ended; `failed` is the test that failed first, or empty."""

    status: int
    failed: str
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the tree in which faults may be put."""

    folder: Path

    @classmethod
    def of(cls, root: Path, folder: Path) -> Copy:
        """Copy what the tests need, and prove that they import what was copied."""
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).is_file():
                shutil.copy2(root / name, folder / name)
        # By time and size, a fault of the same length within the same second would not be seen.
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        copy, proof = cls(folder), folder / "test_imported.py"
        proof.write_text(IMPORTED.format(packages=", ".join(PACKAGES)))
        found = copy.run([proof.name])
        proof.unlink()
        if found.status:
            raise Unusable(f"The tests in a copy of the tree do not import the copy:\n{found.output}")
        return copy

    def run(self, tests: Sequence[str]) -> Outcome:
        """Run tests here until one fails."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "--timeout", str(TEST_LIMIT)]
        return self._run("pytest", [*options, *tests], r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$")

    def simulate(self) -> Outcome:
        """Run the simulation here until a seed fails."""
        return self._run("actors.simulated", ["--seeds", SEEDS, "--jobs", "1"], r"^(seed \d+, .*?): [A-Z]")

    def _run(self, module: str, arguments: Sequence[str], failure: str) -> Outcome:
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=RUN_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return Outcome(-1, "", f"The run had not ended after {RUN_LIMIT} s.", time.monotonic() - began)
        failed = re.search(failure, done.stdout, re.MULTILINE)
        return Outcome(done.returncode, failed[1] if failed else "", done.stdout, time.monotonic() - began)

    @contextmanager
    def with_fault(self, fault: Fault) -> Iterator[None]:
        """The copy with `fault` in it; without it again afterwards."""
        path = self.folder / fault.file
        sound = path.read_text()
        path.write_text(sound.replace(fault.old, fault.new))
        try:
            yield
        finally:
            path.write_text(sound)


def mistakes(root: Path, faults: Sequence[Fault]) -> list[str]:
    """What is wrong with the faults themselves, a sentence each: an old text that is not there exactly once, say."""
    found = [f"{name}: two faults have this name" for name in _doubles([fault.name for fault in faults])]
    for fault in faults:
        path = root / fault.file
        text = path.read_text() if path.is_file() else ""
        times = text.count(fault.old)
        if times != 1:
            found.append(f"{fault.name}: its old text stands {times} times in {fault.file}, not once")
            continue
        try:
            compile(text.replace(fault.old, fault.new), fault.file, "exec")
        except SyntaxError as error:
            found.append(f"{fault.name}: with it, {fault.file} is no Python: {error}")
        missing = [test for test in fault.tests if not (root / test.partition("::")[0]).is_file()]
        found += [f"{fault.name}: {test} is not there" for test in missing or ([] if fault.tests else ["any test"])]
    return found


def _doubles(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def hunt(root: Path, faults: Sequence[Fault], jobs: int = 2, by_seeds: bool = False) -> int:
    """Put in each fault, in `jobs` copies at a time, and tell what caught it; 0 when each was caught, else 1.

    With `by_seeds` the simulation has to find it, and no test is run.
    """
    if found := mistakes(root, faults):
        raise Unusable("\n".join(found))
    began, survivors = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="thunes-mutations-") as scratch, ThreadPoolExecutor(jobs) as pool:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        made = [pool.submit(Copy.of, root, Path(scratch) / str(number)) for number in range(jobs)]
        for one in made:
            copies.put(one.result())
        if not by_seeds:
            _prove_sound(copies, pool, faults, jobs)
        runs = {pool.submit(_try, copies, fault, by_seeds): fault for fault in faults}
        for number, done in enumerate(as_completed(runs), 1):
            fault, outcome = runs[done], done.result()
            words = f"{number:3}/{len(faults)} {fault.name}: {_verdict(outcome)} ({outcome.seconds:.1f} s)"
            print(words, flush=True)
            if outcome.status != TESTS_FAILED or not outcome.failed:
                survivors.append(f"{fault.name}: {fault.says} In {fault.file}.")
                print(outcome.output, flush=True)
    print(f"{len(faults) - len(survivors)} of {len(faults)} faults were caught in {time.monotonic() - began:.0f} s.")
    print(*(f"NOT CAUGHT {line}" for line in survivors), sep="\n", end="")
    return 1 if survivors else 0


def _try(copies: queue.SimpleQueue[Copy], fault: Fault, by_seeds: bool) -> Outcome:
    copy = copies.get()
    try:
        with copy.with_fault(fault):
            return copy.simulate() if by_seeds else copy.run(fault.tests)
    finally:
        copies.put(copy)


def _verdict(outcome: Outcome) -> str:
    if outcome.status == TESTS_FAILED and outcome.failed:
        return f"caught by {outcome.failed}"
    return "NOT CAUGHT" if outcome.status == 0 else f"NO VERDICT, the run ended with {outcome.status}"


def _prove_sound(copies: queue.SimpleQueue[Copy], pool: ThreadPoolExecutor, faults: Sequence[Fault], jobs: int) -> None:
    """Run every test that is named, without any fault: one that fails anyway catches nothing."""
    tests = sorted({test for fault in faults for test in fault.tests})
    tests = [test for test in tests if test.partition("::")[0] not in tests or "::" not in test]

    def run(part: list[str]) -> Outcome:
        copy = copies.get()
        try:
            return copy.run(part)
        finally:
            copies.put(copy)

    for outcome in pool.map(run, [part for part in (tests[n::jobs] for n in range(jobs)) if part]):
        if outcome.status:
            raise Unusable(f"Without any fault, {outcome.failed or 'a run'} fails:\n{outcome.output}")
    print(f"{len(tests)} tests and files of tests pass without any fault.", flush=True)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT, faults: Sequence[Fault] = FAULTS) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these faults")
    parser.add_argument("--list", action="store_true", help="name the faults and what they do, and end")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument(
        "--by-seeds", action="store_true", help=f"let the simulation alone find those that it has to, in {SEEDS} seeds"
    )
    asked = parser.parse_args(arguments)
    known = {fault.name: fault for fault in faults}
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"no fault is called {', '.join(unknown)}; --list names them")
    chosen = [known[name] for name in asked.names] or [f for f in faults if f.by_seeds or not asked.by_seeds]
    if asked.list:
        print(*(f"{fault.name}: {fault.says}" for fault in chosen), sep="\n")
        return 0
    try:
        return hunt(root, chosen, max(1, asked.jobs), asked.by_seeds)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
