"""Minutes of trading under random faults, the deaths of both processes among them, end in step.

`THUNES_SOAK_MINUTES` makes it longer and `THUNES_SOAK_SEED` another one; `python -m tests.e2e.soak` does the same by
hand.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.soak import Soak

MINUTES, SEED = float(os.environ.get("THUNES_SOAK_MINUTES", "5")), int(os.environ.get("THUNES_SOAK_SEED", "1"))
EVERY = 10.0
"""Seconds between two faults, on average: as many in five minutes as else in half an hour."""


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 400)
def test_minutes_under_random_faults_and_deaths_end_in_step(tmp_path: Path) -> None:
    print(Soak(tmp_path, MINUTES * 60, SEED, EVERY).run())
