"""Latency: what is drawn, that nothing overtakes, and that a client notices."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from random import Random

import pytest

from tests.exchange.conftest import Start
from tests.exchange.faulty import subscribe
from thunes.exchange.simulator.latency import Latency, Line
from thunes.exchange.simulator.options import Delay, Options


def test_there_and_back_takes_the_median_in_the_middle_and_much_more_at_times() -> None:
    latency = Latency(0.05, 0.5, Random(1))
    drawn = [2 * latency.half() for _ in range(5_000)]
    assert statistics.median(drawn) == pytest.approx(0.05, rel=0.05)
    assert min(drawn) > 0
    assert 0.14 < statistics.quantiles(drawn, n=100)[-1] < 0.18  # 0.05 * exp(2.33 * 0.5) = 0.16


def test_the_same_seed_draws_the_same_latencies() -> None:
    first, second, other = (Latency(0.05, 0.5, Random(seed)) for seed in (1, 1, 2))
    assert [first.half() for _ in range(9)] == [second.half() for _ in range(9)] != [other.half() for _ in range(9)]


def test_no_latency_draws_nothing() -> None:
    chance = Random(1)
    assert Latency(0.0, 0.5, chance).half() == 0.0
    assert chance.getstate() == Random(1).getstate()


def test_no_spread_is_the_median_each_time() -> None:
    assert {Latency(0.05, 0.0, Random(seed)).half() for seed in range(9)} == {0.025}


def arrivals(*delays: float) -> tuple[list[int], list[float]]:
    """In which order things sent in this order arrive, and after what time."""

    async def send() -> tuple[list[int], list[float]]:
        line, loop = Line(), asyncio.get_running_loop()
        begun, order, times, all_there = loop.time(), [], [], asyncio.Event()

        def arrive(number: int) -> None:
            order.append(number)
            times.append(loop.time() - begun)
            if len(order) == len(delays):
                all_there.set()

        for number, delay in enumerate(delays):
            line.send(delay, lambda number=number: arrive(number))  # type: ignore[misc]
        await asyncio.wait_for(all_there.wait(), 10)
        return order, times

    return asyncio.run(send())


def test_nothing_overtakes_on_a_line() -> None:
    order, times = arrivals(0.05, 0.0, 0.02, 0.06)
    assert order == [0, 1, 2, 3]
    assert min(times[:3]) >= 0.049
    assert times[3] >= 0.059


def test_what_takes_no_time_arrives_at_once() -> None:
    order, times = arrivals(0.0, 0.0)
    assert order == [0, 1]
    assert max(times) < 0.05


def test_what_fails_to_arrive_holds_up_nothing_behind_it() -> None:
    async def send() -> list[str]:
        line, arrived, done = Line(), [], asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: arrived.append("failed"))

        def fail() -> None:
            raise ValueError("broken")

        def arrive() -> None:
            arrived.append("arrived")
            done.set()

        line.send(0.01, fail)
        line.send(0.01, arrive)
        await asyncio.wait_for(done.wait(), 10)
        return arrived

    assert asyncio.run(send()) == ["failed", "arrived"]


def seconds_of(start: Start, **options: object) -> float:
    with start(**options) as exchange:
        begun = time.monotonic()
        exchange.raw("GET", "/api/v3/time")
        return time.monotonic() - begun


def test_a_request_takes_its_time_there_and_back(start: Start) -> None:
    assert seconds_of(start, delay=Delay(median_s=0.2, spread=0.0)) >= 0.2


def test_requests_and_reports_over_a_socket_take_theirs_and_come_in_order(start: Start) -> None:
    with start(delay=Delay(median_s=0.1, spread=1.0)) as exchange, exchange.listen("/ws-api/v3") as api:
        subscribe(exchange, api)
        exchange.order("BUY", "0.1")
        assert [api.next()["event"].get("x") for _ in range(3)] == ["NEW", "TRADE", None]
    with start(delay=Delay(median_s=0.2, spread=0.0)) as exchange, exchange.listen("/ws-api/v3") as api:
        begun = time.monotonic()
        api.ask(id=1, method="ping")
        assert time.monotonic() - begun >= 0.2


def test_there_is_latency_unless_told_otherwise_and_none_at_speed_0(start: Start) -> None:
    assert Options(home=Path()).delay.median_s > 0
    assert seconds_of(start, speed=0.0, delay=Delay(median_s=30.0, spread=0.0)) < 10
