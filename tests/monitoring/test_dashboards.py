"""The dashboards' files are what the code writes, and Grafana loses nothing of them."""

from __future__ import annotations

import copy
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.__main__ import FILES, text
from monitoring.grafana.generate.frame import placed
from monitoring.grafana.generate.panels import Looks, Says, figure
from tests.monitoring.dashboards import DASHBOARDS, FOLDER, Json, expressions, read
from tests.monitoring.panels import PANELS
from tests.monitoring.stack import MONITORING, PROMETHEUS, dump, load
from tests.monitoring.tools import output, run

register_default_plugins()

ROOT = Path(__file__).parents[2]
UIDS = {read(name)["uid"]: name for name in DASHBOARDS}


def round_trip(dashboard: Json) -> Json:
    """What the SDK understands of it."""
    understood = model.Dashboard.from_json(copy.deepcopy(dashboard))
    back: Json = json.loads(json.dumps(understood, cls=JSONEncoder))
    return back


def panels(name: str) -> list[Json]:
    found: list[Json] = read(name)["panels"]
    return found


ALL = [pytest.param(panel, id=f"{name}/{panel['id']}") for name in DASHBOARDS for panel in panels(name)]


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_what_the_code_writes(file: str) -> None:
    assert (FOLDER / file).read_text() == text(FILES[file]()), "run python -m monitoring.grafana.generate"


def test_no_other_file_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES) == {f"{name}.json" for name in DASHBOARDS}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_round_trip_through_the_sdk_loses_nothing(name: str) -> None:
    assert round_trip(read(name)) == read(name)


PLACES = {
    "dashboard": lambda d: d,
    "panel": lambda d: d["panels"][0],
    "target": lambda d: d["panels"][0]["targets"][0],
    "options": lambda d: d["panels"][0]["options"],
    "field": lambda d: d["panels"][0]["fieldConfig"]["defaults"],
    "variable": lambda d: d["templating"]["list"][0],
    "annotation": lambda d: d["annotations"]["list"][0],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_field_that_grafana_does_not_know_is_found(name: str, place: str) -> None:
    dashboard = read(name)
    PLACES[place](dashboard)["colour"] = "green"
    assert round_trip(dashboard) != dashboard


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_field_of_custom_options_that_is_misspelt_is_found(name: str) -> None:
    dashboard = read(name)
    custom = next(p["fieldConfig"]["defaults"]["custom"] for p in dashboard["panels"] if p["type"] == "timeseries")
    custom["lineWidht"] = custom.pop("lineWidth")
    assert round_trip(dashboard) != dashboard


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_layout_is_that_of_file_provisioning(name: str) -> None:
    dashboard = read(name)
    assert "dashboard" not in dashboard
    assert "id" not in dashboard
    assert dashboard["uid"].startswith("thunes-")
    assert dashboard["title"]
    assert dashboard["refresh"] == "15s"
    assert dashboard["timezone"] == "utc"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_beside_and_below_each_other_on_the_grid(name: str) -> None:
    cells: list[set[tuple[int, int]]] = []
    for panel in panels(name):
        place = panel["gridPos"]
        left, top = place.get("x", 0), place.get("y", 0)
        assert left + place["w"] <= 24
        cells.append({(x, y) for x in range(left, left + place["w"]) for y in range(top, top + place["h"])})
    assert all(not a & b for a, b in combinations(cells, 2))


def test_a_row_that_is_too_wide_is_refused() -> None:
    panel = figure(Says(1, "t", "d"), Looks("short"), [("up", "")])
    with pytest.raises(ValueError, match="25 wide"):
        placed([(5, [(12, panel), (13, panel)])])


@pytest.mark.parametrize("panel", ALL)
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: Json) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 20
    field = panel["fieldConfig"]["defaults"]
    assert field["unit"]
    assert panel["targets"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} | {panel["datasource"]["uid"]} == {source_uid()}


def source_uid() -> str:
    sources = load(MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    (found,) = [source["uid"] for source in sources if source["type"] == "prometheus"]
    return str(found)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_ids_are_given_once(name: str) -> None:
    ids = [panel["id"] for panel in panels(name)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_annotations_and_links_are_there(name: str) -> None:
    dashboard = read(name)
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["venue", "symbol"]
    assert all(variable["multi"] and variable["includeAll"] for variable in dashboard["templating"]["list"])
    assert [a["name"] for a in dashboard["annotations"]["list"]] == ["Kill switch", "Actor restarts", "Reconnects"]
    (link,) = dashboard["links"]
    assert (link["tags"], link["includeVars"], link["keepTime"]) == (["thunes"], True, True)


@pytest.mark.parametrize("alert", PANELS)
def test_an_alert_and_its_panel_link_to_each_other(alert: str) -> None:
    uid, number = PANELS[alert]
    (panel,) = [panel for panel in panels(UIDS[uid]) if panel["id"] == number]
    shown = [link["url"] for link in panel.get("links") or []]
    told_of_by_another = alert == "Watchdog"  # it shares the panel of ScrapeMissing
    assert told_of_by_another or f"http://127.0.0.1:9090/alerts?search={alert}" in shown
    rules = [rule for group in load(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]
    urls = {rule["annotations"]["dashboard_url"] for rule in rules if rule.get("alert") == alert}
    assert urls == {f"http://127.0.0.1:3000/d/{uid}?viewPanel={number}"}


def test_the_panels_that_were_asked_for_are_on_the_trading_overview() -> None:
    titles = {panel["title"] for panel in panels("trading_overview")}
    assert titles >= {
        *("Daily P&L", "Open Positions", "Kill-Switch Status", "Circuit Breaker State", "Order Latency p50/p95/p99"),
        *("WebSocket Health", "Equity", "Daily P&L against its limit", "Positions", "Decisions by Reason"),
        *("Win Rate", "Sharpe"),
    }


def test_the_kill_switch_is_red_when_on_and_green_when_off() -> None:
    (panel,) = [panel for panel in panels("trading_overview") if panel["title"] == "Kill-Switch Status"]
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert {value: result["color"] for value, result in mapping["options"].items()} == {"0": "green", "1": "red"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_expression_is_promql(name: str, tmp_path: Path) -> None:
    file = tmp_path / "expressions.yml"
    file.write_text(dump(as_rules([expr for _, expr in expressions(read(name), venue="sim", symbol="BTCUSDT")])))
    output("promtool", "check", "rules", "--lint=none", file, cwd=tmp_path)


def test_what_is_no_promql_is_found(tmp_path: Path) -> None:
    file = tmp_path / "expressions.yml"
    file.write_text(dump(as_rules(["sum by (le) rate(x[1m])"])))
    assert run("promtool", "check", "rules", "--lint=none", file, cwd=tmp_path).returncode != 0


def as_rules(exprs: list[str]) -> dict[str, Any]:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    return {"groups": [{"name": "panels", "rules": rules}]}


def test_the_provider_reads_the_folder_that_compose_mounts() -> None:
    (provider,) = load(MONITORING / "grafana" / "provisioning" / "dashboards" / "thunes.yml")["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.monitoring.yml").read_text())
    mounts = dict(v.split(":")[:2] for v in compose["services"]["grafana"]["volumes"])
    assert mounts["./monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert provider["allowUiUpdates"] is False


def test_the_grafana_that_is_shipped_is_the_one_that_the_sdk_is_for() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.monitoring.yml").read_text())
    shipped = re.fullmatch(r"grafana/grafana:(\d+\.\d+)\.\d+", compose["services"]["grafana"]["image"])
    pinned = re.search(
        r"^grafana_foundation_sdk==\d+!(\d+\.\d+)\.", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    assert shipped is not None
    assert pinned is not None
    assert shipped[1] == pinned[1]
