"""Random faults: a function of the seed, of every kind, and armed in their time."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice
from random import Random

import pytest

from tests.exchange.conftest import Start
from tests.exchange.faulty import until
from thunes.exchange.simulator.fault_kinds import KINDS, check_place, checked
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.methods import REQUESTS
from thunes.exchange.simulator.options import Trouble
from thunes.exchange.simulator.random_faults import FAULTS, MOST_WAITING, Drawn, befall, drawn, schedule

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def first(seed: int, count: int = 500, rate: float = 2.0) -> list[Drawn]:
    return list(islice(schedule(Random(seed), rate, SYMBOLS), count))


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    assert first(1) == first(1)
    assert first(1) != first(2)


def test_the_rate_is_the_faults_a_second() -> None:
    assert sum(each.after_s for each in first(1, 5_000, rate=2.0)) == pytest.approx(2_500, rel=0.1)


def test_every_kind_comes_up_about_as_often_as_it_weighs() -> None:
    counts, total = Counter(each.name for each in first(1, 10_000)), sum(weight for weight, _ in FAULTS.values())
    assert set(FAULTS) == set(KINDS)
    for name, (weight, _) in FAULTS.items():
        assert counts[name] == pytest.approx(10_000 * weight / total, rel=0.5), name


def test_whatever_is_drawn_can_be_armed() -> None:
    for seed in range(2_000):
        name, values = drawn(Random(seed), SYMBOLS)
        check_place(checked(name, values), REQUESTS, SYMBOLS)


def test_each_is_armed_in_its_time_and_no_more_wait_than_may() -> None:
    coming = [Drawn(0.0, "drop-report", {}) for _ in range(MOST_WAITING + 5)]

    async def run() -> Faults:
        faults = Faults(asyncio.get_running_loop().time, REQUESTS, SYMBOLS)
        await befall(faults, iter(coming))
        for _ in range(3):
            faults.report("NEW", "BTCUSDT")
        await befall(faults, iter(coming[:1]))
        return faults

    rows = asyncio.run(run()).rows()
    assert len(rows) == MOST_WAITING + 1
    assert sum(row["active"] for row in rows) == MOST_WAITING - 2


def test_an_exchange_has_them_when_told_the_rate(start: Start) -> None:
    def struck(seed: int) -> list[str]:
        with start(trouble=Trouble(rate=100.0, seed=seed)) as exchange:
            rows = until(
                lambda: len(found := exchange.do(exchange.running.faults.rows)) >= 5 and found, "faults by chance"
            )
            return [row["fault"] for row in rows[:5]]

    names = [each.name for each in first(3, 5, 100.0)]
    assert struck(3) == names


def test_an_exchange_has_none_unless_told(start: Start) -> None:
    with start() as exchange:
        exchange.public("/api/v3/ping")
        assert exchange.do(exchange.running.faults.rows) == []
