"""Clocks, chance, ids and threads are handed in: the syntax trees are searched for any that are taken instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.source_trees import modules

ALLOWED: dict[str, tuple[str, set[str]]] = {
    "actors/runtime/threads.py": ("the one module that makes threads", {"threading.Thread"}),
    "actors/runtime/clock.py": (
        "the machine's clocks and ids, as values to hand in",
        {"time.time_ns", "time.monotonic_ns", "datetime.datetime.now", "secrets.token_hex"},
    ),
    "thunes/exchange/simulator/process.py": ("the entry point of a process of its own", {"time.time"}),
    "thunes/cli.py": ("the entry point of commands that run outside the tree", {"datetime.datetime.now", "time.time_ns"}),
}
"""Why a module may take what others are handed, and what exactly."""

STRAY_MODULES = frozenset({"time", "random", "secrets"})
STRAY_NAMES = frozenset(
    {
        "asyncio.sleep",
        "concurrent.futures.ThreadPoolExecutor",
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "os.urandom",
        "threading.Thread",
        "threading.Timer",
        "uuid.uuid1",
        "uuid.uuid4",
    }
)
HARMLESS = frozenset({"secrets.compare_digest"})


def names(tree: ast.Module) -> dict[str, str]:
    """What each imported name of the module stands for, dotted."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dotted(node: ast.AST, known: dict[str, str]) -> str | None:
    """`datetime.now` as `datetime.datetime.now`, after the module's imports; None for what no import explains."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, known)
        return f"{owner}.{node.attr}" if owner else None
    return None


def strays(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each use; handing a clock on counts as much as calling it."""
    known = names(tree)
    seeded = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and (node.args or node.keywords)}
    annotations = {id(part) for node in ast.walk(tree) for hint in hints(node) for part in ast.walk(hint)}
    for node in ast.walk(tree):
        name = dotted(node, known) if isinstance(node, ast.Name | ast.Attribute) else None
        if name is None or name in HARMLESS or id(node) in annotations:
            continue
        if name == "random.Random" and id(node) in seeded:
            continue
        if name in STRAY_NAMES or (name.partition(".")[0] in STRAY_MODULES and "." in name):
            yield node.lineno, name


def hints(node: ast.AST) -> Iterator[ast.expr]:
    """The annotations of a node: a type that is named is not a clock that is read."""
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns


def violations(path: str, tree: ast.Module) -> list[str]:
    _, allowed = ALLOWED.get(path, ("", set()))
    return [f"{path}:{line}: {name}; take it as an argument" for line, name in strays(tree) if name not in allowed]


def test_nobody_takes_a_clock_a_thread_or_a_chance_that_could_be_handed_in() -> None:
    assert [line for path, tree in modules() for line in violations(path, tree)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "import time as clock\nnow = clock.monotonic()",
        "from time import time\nnow = time()",
        "import time\nExchange(wall=time.time)",
        "import threading\nthreading.Thread(target=print).start()",
        "from threading import Thread as T\nT()",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.now()",
        "from uuid import uuid4\nuuid4()",
        "import random\nrandom.random()",
        "import random\nrandom.Random()",
        "from random import choice\nchoice([1])",
        "import asyncio\nasync def wait():\n    await asyncio.sleep(1)",
        "import secrets\nsecrets.token_hex(4)",
    ],
)
def test_what_is_taken_instead_of_handed_in_is_found(source: str) -> None:
    assert violations("thunes/domain/risk.py", ast.parse(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "import random\nchance = random.Random(seed)",
        "from random import Random\ndef play(chance: Random) -> Random: ...",
        "def decide(time: int) -> int:\n    return time",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
    ],
)
def test_what_is_handed_in_is_let_through(source: str) -> None:
    assert violations("thunes/domain/risk.py", ast.parse(source)) == []


def test_no_exception_is_kept_for_what_no_module_does_any_more() -> None:
    used = {(path, name) for path, tree in modules() for _, name in strays(tree)}
    listed = {(path, name) for path, (_, allowed) in ALLOWED.items() for name in allowed}

    assert listed - used == set()
