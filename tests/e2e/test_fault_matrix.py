"""Every fault at every step of a BUY and of a SELL: afterwards the books are the exchange's, to the last digit.

No order is there twice, and none is forgotten. The run's summary shows the table of cells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.e2e.matrix import lanes, protective, rounds
from tests.e2e.matrix.bench import bench
from tests.e2e.matrix.cells import of_reports, of_requests
from tests.e2e.matrix.strikes import STRIKES
from tests.e2e.matrix.table import CELL, STEPS, Row
from thunes.exchange.simulator.fault_kinds import KINDS
from thunes.messages import Side

DEADLY = tuple(name for name, strike in STRIKES.items() if strike.deadly)
PASSING = tuple(name for name in STRIKES if name not in DEADLY)
HALF = len(PASSING) // 2
SPECIFIC = {"requests": tuple(of_requests()), "reports": tuple(of_reports())}
GENERAL = {"strikes": PASSING[:HALF], "more strikes": PASSING[HALF:], "kill -9": DEADLY}
PLANNED = {part: {(cell.fault, cell.step) for cell in cells} for part, cells in SPECIFIC.items()} | {
    part: {(name, step) for name in names for step in STEPS} for part, names in GENERAL.items()
}
"""The cells of each part, for each side."""

Report = Callable[[str, object], None]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("part", PLANNED)
def test_no_fault_at_any_step_leaves_books_that_differ_or_an_order_twice_or_forgotten(
    tmp_path: Path, record_property: Report, part: str, side: Side
) -> None:
    with bench(tmp_path, side) as made:
        rows = lanes.run(made, SPECIFIC[part]) if part in SPECIFIC else rounds.run(made, GENERAL[part])
        report(rows, record_property)
        assert {(row.fault, row.step) for row in rows} == PLANNED[part]
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_fault_around_a_protective_order_leaves_it_twice_or_forgotten(
    tmp_path: Path, record_property: Report
) -> None:
    with bench(tmp_path, Side.BUY, swings=True) as made:
        report(protective.run(made), record_property)
        made.close()


def report(rows: Sequence[Row], record_property: Report) -> None:
    for row in rows:
        record_property(CELL, json.dumps(asdict(row)))
    assert [row for row in rows if row.why] == []


def test_the_matrix_has_at_least_150_cells_and_every_fault_is_in_it() -> None:
    planned = [cell for cells in PLANNED.values() for cell in cells]
    assert len(Side) * len(planned) >= 150
    named = " ".join(fault for fault, _ in planned)
    assert [kind for kind in KINDS if kind not in named] == []
