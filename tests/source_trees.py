"""The project's own sources as syntax trees, for the tests that hold its rules of import and of clocks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
HALVES = ("thunes", "actors")


def modules() -> Iterator[tuple[str, ast.Module]]:
    """(path relative to the root, tree) of every module of both halves."""
    for half in HALVES:
        for path in sorted((ROOT / half).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def dotted(path: str) -> str:
    """`thunes/domain/risk.py` as `thunes.domain.risk`; a package's `__init__.py` as the package."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
