"""What all dashboards share: variables, annotations, links to each other, and a layout in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.panels import BLUE, RED, SOURCE, YELLOW, of_venue

TAG = "thunes"
WIDTH = 24

Row = tuple[int, Sequence[tuple[int, Any]]]
"""A height, and panels with their widths from left to right."""


def dashboard(uid: str, title: str, text: str, layout: Sequence[Row]) -> model.Dashboard:
    """One dashboard, as Grafana reads it from a file."""
    board = (
        build.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .timezone("utc")
        .refresh("15s")
        .time("now-6h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(_to_the_others())
    )
    for variable in (_venue(), _symbol()):
        board = board.with_variable(variable)
    for annotation in _annotations():
        board = board.annotation(annotation)
    for panel in placed(layout):
        board = board.with_panel(panel)
    return board.build()


def placed(layout: Sequence[Row]) -> list[Any]:
    """The panels, each in its place on the grid. ValueError for a row that is wider than it."""
    panels, top = [], 0
    for height, row in layout:
        left = 0
        for width, panel in row:
            panels.append(panel.grid_pos(model.GridPos(h=height, w=width, x=left, y=top)))
            left += width
        if left > WIDTH:
            raise ValueError(f"a row is {left} wide; the grid is {WIDTH}")
        top += height
    return panels


def _to_the_others() -> build.DashboardLink:
    link = build.DashboardLink("THUNES").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).include_vars(True).keep_time(True)


def _venue() -> build.QueryVariable:
    return _variable("venue", "Venue", "label_values(thunes_build_info, venue)")


def _symbol() -> build.QueryVariable:
    return _variable("symbol", "Symbol", 'label_values(thunes_ws_connected{symbol!="account"}, symbol)')


def _variable(name: str, label: str, query: str) -> build.QueryVariable:
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        build.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(everything)
    )


def _annotations() -> list[build.AnnotationQuery]:
    told = (
        ("Kill switch", RED, of_venue("thunes_kill_switch_active == 1")),
        ("Actor restarts", YELLOW, of_venue("increase(thunes_actor_restarts_total[$__rate_interval]) > 0")),
        ("Reconnects", BLUE, of_venue("increase(thunes_ws_reconnects_total[$__rate_interval]) > 0")),
    )
    return [
        build.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expr)
        for name, colour, expr in told
    ]
