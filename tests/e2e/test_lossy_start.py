"""A start on a network that loses answers: it asks again, and gives up with a sentence only when nothing comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.support import clean_environment, exchange, thunes, wait_for


def pointed_at(ready: dict[str, str]) -> dict[str, str]:
    """The settings of a THUNES that takes this embedded exchange for its testnet."""
    return clean_environment(
        THUNES_API_KEY=ready["api_key"],
        THUNES_API_SECRET=ready["api_secret"],
        THUNES_EXCHANGE__REST_URL=ready["rest"],
        THUNES_EXCHANGE__STREAM_URL=ready["stream"],
        THUNES_EXCHANGE__WS_API_URL=ready["ws_api"],
    )


def test_a_start_whose_first_answers_are_lost_asks_again_and_is_ready(tmp_path: Path) -> None:
    faults = [f"lose-answer,match=GET {path},count=2" for path in ("/api/v3/time", "/api/v3/exchangeInfo")]
    flags = [word for fault in faults for word in ("--fault", fault)]
    with (
        exchange(tmp_path / "exchange", *flags) as venue,
        thunes(tmp_path / "home", "--venue", "testnet", env=pointed_at(venue.ready)) as system,
    ):
        wait_for(system.is_ready, 60, "readiness")
        assert system.stop() == 0, system.said()


def test_a_start_with_no_answer_at_all_fails_with_one_sentence(tmp_path: Path) -> None:
    with exchange(tmp_path / "exchange", "--fault", "lose-answer,match=GET /api/v3/time,count=100") as venue:
        command = [sys.executable, "-m", "thunes.supervisor", "--home", str(tmp_path / "home"), "--venue", "testnet"]
        env = pointed_at(venue.ready)
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("The exchange did not answer as it should")
    assert "Traceback" not in done.stderr
