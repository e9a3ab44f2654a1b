"""The table of cells: fault by step by side, as it is printed and written."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.matrix.cells import STEPS

FILE = "THUNES_FAULT_MATRIX"
"""The environment variable that names the Markdown file to write; nothing is written without it."""


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
    """In Markdown: a line for each fault and side, a column for each step."""
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
    """The table, its sum, and a line for each cell that failed."""
    failed = [row for row in rows if row.why]
    ended = sorted({row.came_to for row in rows if row.came_to})
    counts = ", ".join(f"{name} {sum(row.came_to == name for row in rows)}" for name in ended)
    lines = [table(rows), "", f"{len(rows)} cells, {len(failed)} failed; orders ended: {counts}", ""]
    return "\n".join(lines + [f"- {row.fault} / {row.step} / {row.side}: {row.why}" for row in failed])


def keep(rows: Sequence[Row]) -> None:
    """Print the table, and write it with what other processes have seen so far where that is asked for."""
    print("\n" + told(rows))
    if FILE not in os.environ:
        return
    path = Path(os.environ[FILE])
    with path.with_suffix(".jsonl").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
        file.flush()
        file.seek(0)
        seen = {(row.fault, row.step, row.side): row for row in (Row(**json.loads(line)) for line in file)}
        path.write_text("# Faults at every step of an order\n\nSeconds a cell.\n\n" + told(list(seen.values())) + "\n")
