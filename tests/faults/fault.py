"""What a fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """`new` in place of `old` in `file`, where `old` stands exactly once. One of `tests` (pytest's ids, or files) has
    to fail of it: prefer the quickest, because a fault costs what its tests cost.
    """

    name: str
    says: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    by_seeds: bool = False
    """Whether the simulation alone finds it, on the first seeds of `tox -e simulation`."""
