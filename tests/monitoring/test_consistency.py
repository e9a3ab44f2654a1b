"""What the code exports, what the documents say, and what rules and dashboards read are the same names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.monitoring.dashboards import DASHBOARDS, expressions, read
from tests.monitoring.exported import BY_PROMETHEUS, EXCHANGE, FAMILIES, SERIES
from tests.monitoring.promql import metrics_in, recorded_in
from tests.monitoring.stack import PROMETHEUS, load

DOCUMENT = Path(__file__).parents[2] / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `(thunes_\w+)` \| ([\w, ]*?) ?\|", re.MULTILINE)
RULES = [rule for group in load(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]


def documented() -> dict[str, set[str]]:
    """Labels by metric."""
    rows = ROW.findall(DOCUMENT.read_text())
    assert len(rows) == len({name for name, _ in rows}), "a metric has two rows"
    return {name: set(filter(None, labels.split(", "))) for name, labels in rows}


def test_every_metric_of_the_code_has_a_row_with_its_labels_and_every_row_a_metric() -> None:
    ours = {name: labels for name, labels in (FAMILIES | EXCHANGE).items() if name.startswith("thunes_")}
    assert documented() == ours


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_panel_reads_only_what_is_exported_or_recorded(name: str) -> None:
    recorded = {each["record"] for each in RULES if "record" in each}
    for title, expr in expressions(read(name), venue="sim", symbol="BTCUSDT"):
        assert metrics_in(expr) <= SERIES | BY_PROMETHEUS, title
        assert recorded_in(expr) <= recorded, title
