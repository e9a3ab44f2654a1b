"""Figures as Prometheus' metric families, with label sets that stay few whatever the exchange says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import SupportsFloat, TypeVar

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar

from thunes.domain.figures import Histogram, Observation

INFINITY = float("inf")
OTHER = "other"
MAX_LABEL_SETS = 64
LABEL = re.compile(r"[A-Za-z0-9_.:-]{0,40}")

Labels = TypeVar("Labels", bound=tuple[str, ...])


def gauge(name: str, text: str, value: SupportsFloat) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def counters(name: str, text: str, labels: tuple[str, ...], counts: Mapping[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, count in bounded(counts).items():
        family.add_metric(label_values, count)
    return family


def bounded(counts: Mapping[Labels, float]) -> dict[tuple[str, ...], float]:
    """The same total under at most `MAX_LABEL_SETS` label sets and one more, `other`.

    Labels that are no short word become `other`, and so does what comes after the first sets: an exchange that invents
    error codes must not fill the monitoring's memory. The first stay because a series that comes and goes breaks rates.
    """
    kept: dict[tuple[str, ...], float] = {}
    for values, count in counts.items():
        clean = tuple(value if LABEL.fullmatch(value) else OTHER for value in values)
        if clean not in kept and len(kept) >= MAX_LABEL_SETS:
            clean = (OTHER,) * len(values)
        kept[clean] = kept.get(clean, 0) + count
    return kept


def histogram(name: str, text: str, parts: Iterable[Histogram | None]) -> Iterator[Metric]:
    """One histogram of all parts, which share their bounds; nothing where no part has observed yet.

    A bucket's exemplar is the newest of its observations that is known by its decision.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return
    family = HistogramMetricFamily(name, text)
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    below = 0
    for index, bound in enumerate((*known[0].bounds, INFINITY)):
        below += sum(part.counts[index] for part in known)
        le = "+Inf" if bound == INFINITY else str(bound)
        newest = max((part.newest[index] for part in known if part.newest), key=_age, default=None)
        buckets.append((le, float(below)) if newest is None else (le, float(below), _exemplar(newest)))
    family.add_metric((), buckets, sum_value=sum(part.total for part in known))
    yield family


def _age(observation: Observation | None) -> int:
    return -1 if observation is None else observation.wall_ms


def _exemplar(observation: Observation) -> Exemplar:
    return Exemplar({"correlation_id": observation.correlation_id}, observation.value, observation.wall_ms / 1000)
