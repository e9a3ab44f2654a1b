"""What every test with real threads is held to: a time limit of its own, and the switch interval that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT = 30.0
"""Seconds that a test of this folder may take; a test may be marked for less, never for more."""

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--switch-interval",
        type=float,
        metavar="SECONDS",
        help="how often Python may switch threads; 1e-6 tears them apart wherever it can",
    )


@pytest.fixture(scope="package", autouse=True)
def switch_interval(pytestconfig: pytest.Config) -> Iterator[None]:
    """The interval of `--switch-interval` while the tests of this folder run."""
    # A run that did not name this folder read this file too late to know the option.
    seconds = pytestconfig.getoption("--switch-interval", default=None)
    before = sys.getswitchinterval()
    sys.setswitchinterval(before if seconds is None else seconds)
    yield
    sys.setswitchinterval(before)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for = config.getoption("--timeout", default=None)
    hold_to_limit([item for item in items if HERE in item.path.parents], min(LIMIT, asked_for or LIMIT))


def hold_to_limit(items: list[pytest.Item], limit: float = LIMIT) -> None:
    """Give every test that has no time limit this one; refuse a mark for more than ours."""
    for item in items:
        marker = item.get_closest_marker("timeout")
        if marker is None:
            item.add_marker(pytest.mark.timeout(limit))
            continue
        seconds = marker.args[0] if marker.args else marker.kwargs["timeout"]
        if not 0 < seconds <= LIMIT:
            raise pytest.UsageError(f"{item.nodeid} is marked for {seconds:g} s; at most {LIMIT:g} s are allowed here")
