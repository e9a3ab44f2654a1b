"""The table of cells: fault by step by side, as it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CELL = "cell of the fault matrix"
"""The property under which a test reports one, so that it comes back from other processes too."""
STEPS = ("before send", "sent", "accepted", "partly filled", "filled", "cancelling")


@dataclass(frozen=True, slots=True)
class Row:
    """One cell: how long it took, and how its order ended or why it did not go as it has to."""

    fault: str
    step: str
    side: str
    seconds: float
    came_to: str
    why: str

    def __str__(self) -> str:
        return f"{'FAILED' if self.why else 'ok'} {self.seconds:.1f}"


def table(rows: Iterable[Row]) -> str:
    """In Markdown: a line for each fault and side, a column for each step, the seconds that each cell took."""
    lines: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault((row.fault, row.side), {})[row.step] = row
    steps = [step for step in (*STEPS, *more_steps(lines.values())) if any(step in found for found in lines.values())]
    head = ["fault", "side", *steps]
    body = [[*name, *(str(found.get(step, "")) for step in steps)] for name, found in lines.items()]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    shown = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in [head, *body]]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in [shown[0], rule, *shown[1:]])


def more_steps(lines: Iterable[Mapping[str, Row]]) -> list[str]:
    """Those that are not an entry's or an exit's own: a stop's."""
    return list(dict.fromkeys(step for found in lines for step in found if step not in STEPS))


def told(rows: Sequence[Row]) -> str:
    """The entries' and exits' table, that of protective orders, their sum, and a line for each cell that failed."""
    failed = [row for row in rows if row.why]
    ended = sorted({row.came_to for row in rows if row.came_to})
    counts = ", ".join(f"{name} {sum(row.came_to == name for row in rows)}" for name in ended)
    parts = [[row for row in rows if (row.step in STEPS) is own] for own in (True, False)]
    lines = [f"{table(part)}\n" for part in parts if part]
    lines.append(f"{len(rows)} cells, {len(failed)} failed; orders ended: {counts}")
    return "\n".join(lines + [f"- {row.fault} / {row.step} / {row.side}: {row.why}" for row in failed])
