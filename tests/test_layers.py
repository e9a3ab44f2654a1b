"""Imports point down: who may import whom, and a checker that notices when it is not so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FOUNDATION = {"thunes", "thunes.errors", "thunes.messages", "thunes.domain"}
MAY_IMPORT: dict[str, set[str]] = {
    "thunes.errors": set(),
    "thunes.messages": set(),
    "thunes.domain": FOUNDATION,
    "thunes.strategies": FOUNDATION | {"thunes.strategies"},
    "thunes.storage": FOUNDATION | {"thunes.storage"},
    "thunes.exchange": FOUNDATION | {"thunes.exchange"},
    # `thunes kill` marks the kill in the home when nobody answers.
    "thunes.control": FOUNDATION | {"thunes.control", "thunes.storage", "thunes.interrupts"},
    "thunes.layers": set(),
    # The checks of a strategy's parameters are the strategy's own; which symbols and faults there are, the venue's.
    "thunes.sections": FOUNDATION
    | {"thunes.strategies", "thunes.exchange.simulator.rules", "thunes.exchange.simulator.fault_kinds"},
    # Whether a text is a key that can be signed with, only who signs knows.
    "thunes.settings": FOUNDATION
    | {"thunes.strategies", "thunes.sections", "thunes.layers", "thunes.exchange.keys", "thunes.alerts.keys"},
    "thunes.build": set(),
    "thunes.log": set(),
    "thunes.interrupts": set(),
    "thunes.terminal": set(),
    "thunes.parsers": FOUNDATION,
    "thunes.completion": FOUNDATION | {"thunes.parsers"},
    "thunes.audit": FOUNDATION | {"thunes.parsers", "thunes.storage", "thunes.terminal"},
    "thunes.commands": FOUNDATION,
    "thunes.system": FOUNDATION,
    "thunes.summary": FOUNDATION,
    "thunes.live": FOUNDATION | {"thunes.control"},
    # A drill hears the account's stream by itself, and finds its system as a person does.
    "thunes.rodage": FOUNDATION
    | {"thunes.rodage", "thunes.exchange", "thunes.storage", "thunes.strategies", "thunes.venue", "thunes.parsers"}
    | {"thunes.terminal"},
    "thunes.verdict": FOUNDATION | {"thunes.storage"},
    "thunes.account": FOUNDATION,
    "thunes.alerts": FOUNDATION | {"thunes.alerts"},
    # It looks at every part from outside.
    "thunes.doctor": FOUNDATION
    | {"thunes.doctor", "thunes.account", "thunes.alerts", "thunes.control", "thunes.exchange", "thunes.sections"}
    | {"thunes.settings", "thunes.storage", "thunes.venue", "thunes.connections", "thunes.interrupts"},
    "thunes.connections": FOUNDATION | {"thunes.exchange", "thunes.settings", "thunes.storage", "thunes.venue"},
    "thunes.insist": FOUNDATION,
    "thunes.notify": FOUNDATION,
    "thunes.people": FOUNDATION | {"thunes.alerts", "thunes.sections", "thunes.storage"},
    "thunes.venue": FOUNDATION | {"thunes.sections", "thunes.settings", "thunes.storage"},
}
"""By the longest prefix. What is not here (the entry points cli, __main__, supervisor) may import all of `thunes`."""

DOOR = "thunes.supervisor"
"""The one module of `thunes` that imports `actors`."""

ADAPTERS = tuple(f"thunes.{name}" for name in ("alerts", "exchange", "storage", "control", "strategies", "settings"))
ACTORS_MAY = {"actors", "pykka", "thunes", "thunes.domain", "thunes.errors", "thunes.messages", *ADAPTERS}


def imports(source: str) -> Iterator[str]:
    """Every module that a source imports, wherever it does so; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    found = []
    rule = max((p for p in MAY_IMPORT if module == p or module.startswith(p + ".")), key=len, default=None)
    for imported in imports(source):
        package = imported.partition(".")[0]
        if module.startswith("thunes"):
            if package in ("actors", "pykka") and module != DOOR:
                found.append(f"{module} imports {imported}")
            if package == "thunes" and rule is not None and not allowed(imported, MAY_IMPORT[rule] | {rule}):
                found.append(f"{module} imports {imported}")
        elif package == "thunes" and not allowed(imported, ACTORS_MAY):
            found.append(f"{module} imports {imported}")
    return found


def allowed(imported: str, prefixes: set[str]) -> bool:
    """`thunes` itself stands for what its `__init__` defines, not for the packages below it."""
    if imported == "thunes.__version__":
        return "thunes" in prefixes
    return any(imported == p or imported.startswith(p + ".") for p in prefixes - {"thunes"})


def sources() -> list[tuple[str, Path]]:
    files = [path for package in ("thunes", "actors") for path in (ROOT / package).rglob("*.py")]
    return [(".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), p) for p in sorted(files)]


def test_every_import_points_down() -> None:
    assert len(sources()) > 80
    assert [line for module, path in sources() for line in violations(module, path.read_text())] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("thunes.domain.risk", "import pykka"),
        ("thunes.domain.risk", "from thunes.storage.home import Home"),
        ("thunes.domain.risk", "from thunes import settings"),
        ("thunes.storage.books", "def f():\n    from actors.risk import RiskActor"),
        ("thunes.exchange.binance", "from thunes.control import api"),
        ("thunes.strategies.mine", "import thunes.exchange.binance"),
        ("actors.risk", "from thunes.supervisor import System"),
        ("actors.runtime.post", "from thunes.cli import main"),
    ],
)
def test_an_import_that_points_up_is_noticed(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1
