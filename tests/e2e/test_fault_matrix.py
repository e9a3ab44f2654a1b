"""Every fault at every step of a BUY and of a SELL: afterwards the books are the exchange's, to the last digit.

No order is there twice, and none is forgotten. `THUNES_FAULT_MATRIX=FILE` writes the table of cells as Markdown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.matrix import lanes, rounds, stops, table
from tests.e2e.matrix.bench import Bench, bench
from tests.e2e.matrix.cells import STEPS, of_reports, of_requests
from tests.e2e.matrix.strikes import STRIKES
from thunes.messages import Side

DEADLY = tuple(name for name, strike in STRIKES.items() if strike.deadly)
PASSING = tuple(name for name in STRIKES if name not in DEADLY)
HALF = len(PASSING) // 2

PARTS: dict[str, Callable[[Bench], list[table.Row]]] = {
    "requests": lambda bench: lanes.run(bench, of_requests()),
    "reports": lambda bench: lanes.run(bench, of_reports()),
    "strikes": lambda bench: rounds.run(bench, PASSING[:HALF]),
    "more strikes": lambda bench: rounds.run(bench, PASSING[HALF:]),
    "kill -9": lambda bench: rounds.run(bench, DEADLY),
}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("part", PARTS)
def test_no_fault_at_any_step_leaves_books_that_differ_or_an_order_twice_or_forgotten(
    tmp_path: Path, part: str, side: Side
) -> None:
    with bench(tmp_path, side) as made:
        rows = PARTS[part](made)
        table.keep(rows)
        assert [row for row in rows if row.why] == []
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_fault_around_a_protective_stop_leaves_it_twice_or_forgotten(tmp_path: Path) -> None:
    with bench(tmp_path, Side.BUY, dips=True) as made:
        rows = stops.run(made)
        table.keep(rows)
        assert [row for row in rows if row.why] == []
        made.close()


def test_the_matrix_has_at_least_150_cells() -> None:
    of_one_side = len(list(of_requests())) + len(list(of_reports())) + len(STRIKES) * len(STEPS)
    assert 2 * of_one_side >= 150
