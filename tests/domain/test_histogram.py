"""A histogram counts every observation once, and what was read of it stays as it was."""

from __future__ import annotations

import pytest

from thunes.domain.histogram import GAP_SECONDS, ORDER_LATENCY_MS, TICK_TO_ORDER_MS, Recorder


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(-1.0, 0), (0.0, 0), (5.0, 0), (5.0001, 1), (10.0, 1), (10.0001, 2), (float("inf"), 2)],
)
def test_an_observation_counts_in_the_first_bucket_whose_bound_it_does_not_exceed(value: float, bucket: int) -> None:
    recorder = Recorder((5.0, 10.0))
    recorder.observe(value)
    assert recorder.histogram().counts == tuple(int(at == bucket) for at in range(3))


def test_the_total_is_the_sum_of_all_observations() -> None:
    recorder = Recorder((1.0,))
    for value in (0.5, 0.25, 40.0):
        recorder.observe(value)
    histogram = recorder.histogram()
    assert (histogram.bounds, histogram.counts, histogram.total) == ((1.0,), (2, 1), 40.75)


def test_a_histogram_that_was_read_does_not_change_with_later_observations() -> None:
    recorder = Recorder((1.0,))
    before = recorder.histogram()
    recorder.observe(0.5)
    assert (before.counts, before.total) == ((0, 0), 0.0)
    assert recorder.histogram().counts == (1, 0)


def test_the_order_latency_and_gap_buckets_are_those_that_monitoring_relies_on() -> None:
    assert ORDER_LATENCY_MS == (5, 10, 25, 50, 100, 250, 500, 1000)
    assert GAP_SECONDS == (0.1, 0.5, 1, 2, 5, 10, 30, 60)


@pytest.mark.parametrize("bounds", [ORDER_LATENCY_MS, TICK_TO_ORDER_MS, GAP_SECONDS])
def test_bounds_only_grow(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))
