"""What tests of every kind share."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.matrix.table import CELL, Row, told

# The same examples every time, and no limit on one example: a busy machine is no fault of the code.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# Their assertions say what they compared, too.
pytest.register_assert_rewrite("tests.e2e.support", "tests.e2e.matrix.agreement")

# The dashboards' code is no part of the package. Last, so that what is installed is what is tested.
sys.path.append(str(Path(__file__).parent.parent))

SHARED_DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the project; a test that asks for it is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the recorded market data, and {SHARED_DATA} is not there")
    return SHARED_DATA


CAUSE_TO_WEBHOOK = "cause to webhook"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every cell of the fault matrix and every alert's way that was run, in whichever process."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    kept = [pair for each in reports if each.when == "call" for pair in each.user_properties]
    cells = [value for name, value in kept if name == CELL]
    if cells:
        terminalreporter.section("fault matrix")
        terminalreporter.write_line(told([Row(**json.loads(value)) for value in cells]))
    if ways := [value for name, value in kept if name == CAUSE_TO_WEBHOOK]:
        terminalreporter.section("seconds from a cause to the webhook")
        for value in ways:
            terminalreporter.write_line(value)
