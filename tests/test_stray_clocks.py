"""Time, chance, ids and threads are handed in: no module reads them behind the caller's back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ALLOWED = {
    "actors/runtime/threads.py": "the one module that makes threads",
    "actors/runtime/clock.py": "the machine's clocks, as values",
    "thunes/cli.py": "entry point: makes the clocks that it hands in",
    "thunes/exchange/simulator/signing.py": "makes the keys of a new account, once, from the system's own randomness",
}

MODULES = {"time", "random", "uuid", "secrets", "threading", "asyncio"}
FORBIDDEN_CALLS = {
    ("threading", "Thread"),
    ("threading", "Timer"),
    ("time", "*"),
    ("random", "*"),
    ("uuid", "*"),
    ("secrets", "*"),
    ("asyncio", "to_thread"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}


def strays(source: str) -> list[str]:
    """Calls in a source that make time, chance, ids or threads out of nothing, by line."""
    tree = ast.parse(source)
    names = _from_imports(tree)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        origin = _origin(node.func, names)
        if origin is None:
            continue
        seeded = origin == ("random", "Random") and bool(node.args)
        if not seeded and (origin in FORBIDDEN_CALLS or (origin[0], "*") in FORBIDDEN_CALLS):
            found.append(f"line {node.lineno}: {'.'.join(origin)}")
    return found


def _from_imports(tree: ast.AST) -> dict[str, tuple[str, str]]:
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module in MODULES]
    return {alias.asname or alias.name: (str(node.module), alias.name) for node in imported for alias in node.names}


def _origin(function: ast.expr, names: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    if isinstance(function, ast.Name):
        return names.get(function.id)
    if isinstance(function, ast.Attribute):
        owner = function.value
        if isinstance(owner, ast.Name):
            return owner.id, function.attr
        if isinstance(owner, ast.Attribute):
            return owner.attr, function.attr
    return None


def test_no_module_reads_a_clock_or_makes_a_thread_by_itself() -> None:
    found = {}
    for package in ("thunes", "actors"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name not in ALLOWED and (lines := strays(path.read_text())):
                found[name] = lines
    assert found == {}


def test_every_exception_is_still_needed() -> None:
    assert [name for name in ALLOWED if not strays((ROOT / name).read_text())] == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\ntime.sleep(1)",
        "from time import sleep\nsleep(1)",
        "from time import monotonic as now\nnow()",
        "import threading\nthreading.Thread(target=f).start()",
        "from threading import Thread\nThread()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid4\nuuid4()",
        "import random\nrandom.random()",
        "import random\nrandom.Random()",
        "import secrets\nsecrets.token_hex()",
    ],
)
def test_a_stray_clock_is_noticed(source: str) -> None:
    assert len(strays(source)) == 1


@pytest.mark.parametrize(
    "source", ["import random\nrandom.Random('seed')", "clock.monotonic_ns()", "datetime.fromtimestamp(0)"]
)
def test_what_is_handed_in_is_not_a_stray(source: str) -> None:
    assert strays(source) == []
