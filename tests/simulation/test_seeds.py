"""Whole systems under faults: no invariant is violated, and a seed always tells the same story."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from actors.simulated import __main__ as command
from actors.simulated.faults import NONE, Faults
from actors.simulated.runs import run_seed

ROOT = Path(__file__).parents[2]


def digests(hash_seed: str, first: int, seeds: int, messages: int) -> str:
    """What another process prints of these seeds."""
    arguments = ["--first", first, "--seeds", seeds, "--messages", messages, "--jobs", 1, "--digests"]
    done = subprocess.run(
        [sys.executable, "-m", "actors.simulated", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(re.findall(r"^\d+ [0-9a-f]{64}\n", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("seed", range(1, 25))
def test_a_system_under_faults_violates_nothing_and_ends_quiet(seed: int) -> None:
    outcome = run_seed(seed, 2_000, Faults())
    assert outcome.violations == ()
    assert outcome.messages >= 2_000


def test_without_faults_nothing_is_refused_by_the_circuit_lost_or_restarted() -> None:
    outcome = run_seed(1, 3_000, NONE)
    assert outcome.violations == ()
    assert outcome.events["ORDER_FILLED"] > 10
    unwanted = {"ORDER_UNKNOWN", "ACTOR_RESTARTED", "DEAD_LETTER", "CIRCUIT_OPENED", "RECONCILIATION_MISMATCH"}
    assert unwanted & outcome.events.keys() == set()


def test_every_kind_of_fault_shows_in_the_journals_of_a_few_dozen_seeds() -> None:
    events: Counter[str] = Counter()
    processes = crashes = 0
    for seed in range(100, 140):
        outcome = run_seed(seed, 2_000, Faults())
        events.update(outcome.events)
        processes, crashes = processes + outcome.processes, crashes + outcome.crashes
    wanted = {
        "ACTOR_RESTARTED", "CIRCUIT_CLOSED", "CIRCUIT_HALF_OPENED", "CIRCUIT_OPENED", "DEAD_LETTER", "JOURNAL_REPAIRED",
        "KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED", "ORDER_EXPIRED", "ORDER_FILLED", "ORDER_PARTIALLY_FILLED",
        "ORDER_REJECTED", "ORDER_RESOLVED", "ORDER_UNKNOWN", "POSITION_CLOSED", "STREAM_DISCONNECTED", "STREAM_GAP",
        "STREAM_STALE", "TRADE_APPROVED", "TRADE_REJECTED",
    }  # fmt: skip
    assert wanted - events.keys() == set()
    assert processes > 45
    assert crashes > 300


@pytest.mark.slow
def test_two_hundred_seeds_give_the_same_digests_in_another_process_with_other_hashes() -> None:
    one, other = digests("1", 1, 200, 400), digests("2", 1, 200, 400)
    assert one.count("\n") == 200
    assert len(set(one.split())) == 400  # no two seeds are alike
    assert one == other


def test_a_seed_gives_the_same_digest_in_a_process_with_other_hashes() -> None:
    expected = "".join(f"{seed} {run_seed(seed, 600, Faults()).digest}\n" for seed in (1, 2, 3))
    assert digests("77", 1, 3, 600) == expected


def test_tracing_changes_nothing_but_the_digest() -> None:
    traced, untraced = run_seed(5, 1_000, Faults()), run_seed(5, 1_000, Faults(), trace=False)
    assert (traced.messages, traced.events) == (untraced.messages, untraced.events)


def test_a_seed_that_fails_shows_what_was_handled_last_and_how_to_run_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("actors.order.OrderActor._unused", lambda _self, _cid: None)
    monkeypatch.setattr("thunes.domain.books.Books.reserve", lambda _self, _order: None)
    assert command.main(["--seeds", "5", "--jobs", "1"]) == 1
    shown = capsys.readouterr().out
    seed = re.search(r"^seed (\d+), .*: limits: ", shown, re.MULTILINE)
    assert seed is not None
    assert f"Again: python -m actors.simulated --seed {seed[1]} --messages 2000\n" in shown
    assert len(shown.splitlines()) >= 52
    assert command.main(["--seed", seed[1], "--messages", "2000"]) == 1
    assert capsys.readouterr().out == shown
