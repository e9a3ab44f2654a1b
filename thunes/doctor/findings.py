"""What a check found: its mark, and on failure what to do next. Secrets are taken out here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.text import Text

HIDDEN = "(hidden)"
SHORTEST_SECRET = 5
"""What is shorter stands in ordinary words too."""


class Mark(StrEnum):
    OK = "ok"
    SKIPPED = "--"
    FAILED = "FAIL"


STYLES = {Mark.OK: "green", Mark.SKIPPED: "dim", Mark.FAILED: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's line. `todo` is what to do next, of a failure alone."""

    name: str
    mark: Mark
    found: str
    todo: str = ""

    def without(self, secrets: Iterable[str]) -> Finding:
        found, todo = self.found, self.todo
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                found, todo = found.replace(secret, HIDDEN), todo.replace(secret, HIDDEN)
        return replace(self, found=found, todo=todo)

    def line(self) -> Text:
        """Whole on one line, whatever it was made of."""
        said = " ".join(f"{self.found}. {self.todo}".split() if self.todo else self.found.split())
        return Text.assemble((f"{self.mark:<4}", STYLES[self.mark]), f"  {self.name:<14}  {said}")


class Failed(Exception):
    """A check's bad news: what was found, and what to do next."""

    def __init__(self, found: str, todo: str) -> None:
        self.found = found
        self.todo = todo
        super().__init__(found)


class Skipped(Exception):
    """A check that has nothing to look at; its text says why."""
