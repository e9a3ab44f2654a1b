"""Our vocabulary of panels: each is one call, and says what it shows, in which unit, and when to worry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models import prometheus as query

SOURCE = model.DataSourceRef(type_val="prometheus", uid="prometheus")
PROMETHEUS = "http://127.0.0.1:9090"
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


@dataclass(frozen=True, slots=True)
class Says:
    """What every panel has: `alert` names the alert that is about the same, whose page it links to."""

    number: int
    title: str
    text: str
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """How values are read: `steps` are (from, colour), the first from -infinity."""

    unit: str
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    words: Mapping[str, tuple[str, str]] | None = None
    """Value to (word, colour)."""
    decimals: int | None = None
    least: float | None = None
    most: float | None = None


Queries = Sequence[tuple[str, str]]
"""PromQL and the legend of its series."""


def of_venue(expr: str) -> str:
    """The series of `expr`, which have to keep their instance, whose THUNES trades on a chosen venue."""
    return f'{expr} and on (job, instance) thunes_build_info{{venue=~"$venue"}}'


def figure(says: Says, looks: Looks, queries: Queries, *, background: bool = False) -> stat.Panel:
    """The newest value, large."""
    panel: stat.Panel = _common(stat.Panel(), says, looks, queries, instant=True)
    return (
        panel.graph_mode(shapes.BigValueGraphMode.NONE if background else shapes.BigValueGraphMode.AREA)
        .color_mode(shapes.BigValueColorMode.BACKGROUND if background else shapes.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(shapes.BigValueTextMode.VALUE if len(queries) == 1 else shapes.BigValueTextMode.VALUE_AND_NAME)
        .no_value("none yet")
    )


def graph(
    says: Says, looks: Looks, queries: Queries, *, stacked: bool = False, steps: bool = False
) -> timeseries.Panel:
    """Lines over time, with what each is now and was at most."""
    panel: timeseries.Panel = _common(timeseries.Panel(), says, looks, queries)
    legend = common.VizLegendOptions().show_legend(True).display_mode(shapes.LegendDisplayMode.TABLE)
    legend = legend.placement(shapes.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    panel = (
        panel.line_width(1)
        .fill_opacity(25 if stacked else 8)
        .line_interpolation(shapes.LineInterpolation.STEP_AFTER if steps else shapes.LineInterpolation.LINEAR)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
    )
    if any(bound is not None for bound, _ in looks.steps):
        lines = common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(lines)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    return panel


def buckets(says: Says, looks: Looks, expr: str) -> heatmap.Panel:
    """A histogram's buckets over time: the darker, the more."""
    panel: heatmap.Panel = _common(heatmap.Panel(), says, looks, ())
    target = _target(expr, "{{le}}", "A").format(query.PromQueryFormat.HEATMAP)
    colours = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return (
        panel.with_target(target)
        .calculate(False)
        .color(colours)
        .y_axis(heatmap.YAxisConfig().unit(looks.unit).axis_placement(shapes.AxisPlacement.LEFT))
        .show_legend()
    )


def rows(says: Says, looks: Looks, queries: Queries, columns: Mapping[str, str]) -> table.Panel:
    """One row a series, its labels as columns under the names of `columns`."""
    panel: table.Panel = _common(table.Panel(), says, looks, queries, instant=True, as_table=True)
    organised = model.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": dict.fromkeys(("Time", "__name__", "instance", "job"), True),
            "renameByName": columns,
        },
    )
    return panel.with_transformation(organised).cell_height(shapes.TableCellHeight.SM).show_header(True)


def _common(
    panel: Any, says: Says, looks: Looks, queries: Queries, *, instant: bool = False, as_table: bool = False
) -> Any:
    panel = panel.id(says.number).title(says.title).description(says.text).datasource(SOURCE).unit(looks.unit)
    steps = [model.Threshold(value=bound, color=colour) for bound, colour in looks.steps]
    panel = panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    for name, value in (("decimals", looks.decimals), ("min", looks.least), ("max", looks.most)):
        if value is not None:
            panel = getattr(panel, name)(value)
    if looks.words is not None:
        results = {
            value: model.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(looks.words.items())
        }
        panel = panel.mappings([model.ValueMap(options=results)])
    if says.alert:
        link = build.DashboardLink(f"Alert {says.alert}").type(model.DashboardLinkType.LINK).target_blank(True)
        panel = panel.links([link.url(f"{PROMETHEUS}/alerts?search={says.alert}")])
    for index, (expr, legend) in enumerate(queries):
        target = _target(expr, legend, chr(ord("A") + index))
        target = target.instant() if instant else target.range().exemplar(True)
        panel = panel.with_target(target.format(query.PromQueryFormat.TABLE) if as_table else target)
    return panel


def _target(expr: str, legend: str, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(SOURCE).expr(expr).legend_format(legend).ref_id(letter)


__all__ = ["Looks", "Says", "buckets", "figure", "graph", "of_venue", "rows"]
