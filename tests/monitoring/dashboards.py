"""The committed dashboards, and what their panels ask of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.monitoring.stack import MONITORING

FOLDER = MONITORING / "grafana" / "dashboards"
DASHBOARDS = ("trading_overview", "execution", "internals")

Json = dict[str, Any]


def read(name: str) -> Json:
    found: Json = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def expressions(dashboard: Json, *, venue: str, symbol: str) -> Iterator[tuple[str, str]]:
    """(panel's title, PromQL) of every target and annotation, with Grafana's variables as it would fill them in."""
    values = {"venue": venue, "symbol": symbol, "__rate_interval": "1m", "__interval": "15s", "__range": "1h"}

    def filled(expr: str) -> str:
        return re.sub(r"\$(\w+)", lambda name: values[name[1]], expr)

    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], filled(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", filled(annotation["expr"])
