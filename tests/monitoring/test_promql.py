"""What an expression reads is found whatever stands around it."""

from __future__ import annotations

import pytest

from tests.monitoring.promql import metrics_in, recorded_in


@pytest.mark.parametrize(
    ("expr", "metrics"),
    [
        ("up", {"up"}),
        ("vector(1)", set()),
        ("time() - process_start_time_seconds{job='x'} < 300", {"process_start_time_seconds"}),
        ('up{job="thunes", instance=~"a|b"} == 0 or absent(up{job="thunes"})', {"up"}),
        ("sum by (job, le) (rate(a_bucket[5m]))", {"a_bucket"}),
        ("sum(a) without (b)", {"a"}),
        ("topk by(x) (3, a)", {"a"}),
        ("a * on (job, instance) group_left (version) b", {"a", "b"}),
        ("a + on(job) group_left b", {"a", "b"}),
        ("a AND ignoring (x) b UNLESS c offset 5m", {"a", "b", "c"}),
        ("a > bool 1e9 or b < +Inf or c != NaN", {"a", "b", "c"}),
        ("max_over_time(rate(a[1m])[1h30m:15s]) @ start()", {"a"}),
        ('label_replace(a, "b", "$1 }{ c", "d", `e" (`)', {"a"}),
        ('a{b="c\\"} d{"}', {"a"}),
        ("a # b and c\n/ d", {"a", "d"}),
        ('{__name__="a", b="c"} / {__name__=~"d|e"}', {"a"}),
        ('{"a.b", c="d"}', {"a.b"}),
        ('rate(a{symbol=~"$symbol"}[$__rate_interval]) / ${scale}', {"a"}),
        ("count", {"count"}),
    ],
)
def test_only_metrics_are_named(expr: str, metrics: set[str]) -> None:
    assert metrics_in(expr) == metrics


def test_recorded_series_are_told_apart() -> None:
    expr = 'thunes:x:5m{code="a:b"} / sum by (c) (up) > 0 or avg_over_time(thunes:y:p95[1h:1m])'
    assert recorded_in(expr) == {"thunes:x:5m", "thunes:y:p95"}
    assert metrics_in(expr) == {"up"}
