"""Imports go downwards only: the table of who may import whom, held against the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.source_trees import dotted, modules

CORE = {"thunes.errors", "thunes.messages", "thunes.domain"}
ADAPTERS = {"thunes.exchange", "thunes.storage", "thunes.control"}
EVERYTHING = {"thunes", "actors", "pykka"}

MAY_IMPORT: dict[str, set[str]] = {
    # what is true
    "thunes.__init__": set(),
    "thunes.errors": set(),
    "thunes.build": set(),
    "thunes.log": set(),
    "thunes.messages": {"thunes.errors"},
    "thunes.domain": CORE,
    "thunes.strategies": CORE | {"thunes.strategies"},
    "thunes.settings": CORE | {"thunes.strategies"},
    # adapters: each knows the domain, none knows another; what they read of a home is in storage
    "thunes.exchange": CORE | {"thunes.exchange"},
    "thunes.storage": CORE | {"thunes.storage"},
    "thunes.control": CORE | {"thunes.control", "thunes.storage"},
    # the commands and what the entry point is put together from
    "thunes.audit": CORE | {"thunes.storage"},
    "thunes.commands": CORE,
    "thunes.summary": CORE,
    "thunes.system": CORE,
    "thunes.live": CORE | {"thunes.control"},
    "thunes.venue": CORE | ADAPTERS | {"thunes.settings"},
    "thunes.cli": {"thunes"},
    "thunes.__main__": {"thunes.cli"},
    # the one door to the other half
    "thunes.supervisor": EVERYTHING,
    # what happens
    "actors": {"actors", "thunes", "pykka"},
}
NEVER = {"actors": {"thunes.supervisor", "thunes.cli", "thunes.control"}}


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, wherever it stands; `from a import b` counts as `a.b` as well as `a`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield node.lineno, source
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}"


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def layer(path: str) -> str | None:
    """The row of the table that a module belongs to: the longest that its name begins with."""
    name = "thunes.__init__" if path == "thunes/__init__.py" else dotted(path)
    rows = [row for row in MAY_IMPORT if within(name, {row})]
    return max(rows, key=len, default=None)


def violations(path: str, tree: ast.Module) -> list[str]:
    """A line for each import that the table does not allow."""
    row = layer(path)
    if row is None:
        return [f"{path}: no row in the table says what it may import"]
    allowed, never = MAY_IMPORT[row], NEVER.get(row, set())
    found = []
    for line, name in imported(tree):
        if name.startswith("."):
            found.append(f"{path}:{line}: a relative import; write the whole name")
        elif within(name, EVERYTHING) and (not permitted(name, allowed) or within(name, never)):
            found.append(f"{path}:{line}: {row} may not import {name}")
    return found


def permitted(name: str, allowed: set[str]) -> bool:
    """`from thunes import errors` names the bare package too, which holds nothing but the version."""
    return name in {"thunes", "thunes.__version__"} or within(name, allowed)


def test_every_import_goes_downwards() -> None:
    assert [line for path, tree in modules() for line in violations(path, tree)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("thunes/domain/risk.py", "from thunes.storage.books import BooksStore"),
        ("thunes/domain/risk.py", "import pykka"),
        ("thunes/domain/risk.py", "from thunes import settings"),
        ("thunes/exchange/streams.py", "import thunes.storage.journal"),
        ("thunes/exchange/streams.py", "from actors.runtime.threads import spawn"),
        ("thunes/cli.py", "def late():\n    from actors.runtime.clock import SystemClock"),
        ("thunes/storage/books.py", "from .journal import JournalFile"),
        ("thunes/messages.py", "from thunes.domain.figures import SystemFigures"),
        ("actors/risk.py", "from thunes.supervisor import run"),
        ("thunes/newcomer.py", ""),
    ],
)
def test_an_import_that_goes_upwards_is_found(path: str, source: str) -> None:
    assert violations(path, ast.parse(source)) != []


def test_the_table_has_no_row_for_a_module_that_is_not_there() -> None:
    used = {layer(path) for path, _ in modules()}

    assert set(MAY_IMPORT) - used == set()
