"""Rules, their unit tests and the runbook are whole and agree; each threshold and each `for` is held by a unit test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.exported import BY_PROMETHEUS, SERIES
from tests.monitoring.panels import PANELS
from tests.monitoring.promql import metrics_in, recorded_in
from tests.monitoring.stack import MONITORING, PROMETHEUS, dump, load
from tests.monitoring.tools import output, run

RULES = load(PROMETHEUS / "rules.yml")
UNIT_TESTS = load(PROMETHEUS / "rules_test.yml")
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
NAMES = sorted({rule["alert"] for rule in ALERTS})
EXPRESSIONS = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]

ALL = [rule for group in RULES["groups"] for rule in group["rules"]]


def label(rule: dict[str, Any]) -> str:
    return str(rule.get("record") or "-".join([rule["alert"], *rule["labels"].values()]))


each_alert = pytest.mark.parametrize("rule", ALERTS, ids=map(label, ALERTS))


# --- what the tools say ---


def test_prometheus_takes_the_configuration() -> None:
    output("promtool", "check", "config", "prometheus.yml", cwd=PROMETHEUS)


def test_prometheus_takes_the_rules_and_has_nothing_to_criticise() -> None:
    output("promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=PROMETHEUS)


def test_every_unit_test_of_the_rules_passes() -> None:
    output("promtool", "test", "rules", "rules_test.yml", cwd=PROMETHEUS)


# --- what each alert has ---


@each_alert
def test_an_alert_says_how_grave_it_is_what_is_wrong_and_where_to_look(rule: dict[str, Any]) -> None:
    name, notes = rule["alert"], rule["annotations"]
    uid, panel = PANELS[name]
    assert rule["labels"]["severity"] in ({"none"} if name == "Watchdog" else {"critical", "warning", "info"})
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"monitoring/RUNBOOK.md#{name.lower()}"
    assert notes["dashboard_url"] == f"http://127.0.0.1:3000/d/{uid}?viewPanel={panel}"


@each_alert
def test_a_description_has_the_value_that_was_measured(rule: dict[str, Any]) -> None:
    if rule["alert"] == "ScrapeMissing":  # whose value is 0 or 1 by which of its two shapes it is
        assert "$labels.instance" in rule["annotations"]["description"]
    else:
        assert "$value" in rule["annotations"]["description"]


def test_every_alert_of_the_dashboards_exists_and_no_other() -> None:
    assert set(PANELS) == set(NAMES)


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    headings = re.findall(r"^## (.+)$", (MONITORING / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert sorted(headings) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_says_how_urgent_it_is_what_to_do_and_how_it_ends(name: str) -> None:
    section = (MONITORING / "RUNBOOK.md").read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    grades = {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}
    assert all(f"**{grade}" in section for grade in grades)
    assert re.findall(r"^(Look|Do|Ends)\b", section, re.MULTILINE) == ["Look", "Do", "Ends"]


# --- what the unit tests reach ---


def expectations() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every alert's name with what a unit test expects of it at some time."""
    for test in UNIT_TESTS["tests"]:
        for case in test.get("alert_rule_test", ()):
            yield case["alertname"], case.get("exp_alerts") or []


@each_alert
def test_a_unit_test_fires_the_alert(rule: dict[str, Any]) -> None:
    fired = {(name, one["exp_labels"]["severity"]) for name, expected in expectations() for one in expected}
    assert (rule["alert"], rule["labels"]["severity"]) in fired


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Watchdog"])
def test_a_unit_test_leaves_the_alert_quiet(name: str) -> None:
    assert name in {alert for alert, expected in expectations() if not expected}


def test_every_unit_test_is_of_an_alert_that_exists() -> None:
    assert {name for name, _ in expectations()} <= set(NAMES)


def test_a_unit_test_looks_at_every_recorded_series() -> None:
    asked = {case["expr"] for test in UNIT_TESTS["tests"] for case in test.get("promql_expr_test", ())}
    counts = {name for name in RECORDED if name.endswith(":5m") and "ratio" not in name}  # asked for by a pattern
    assert set().union(*map(recorded_in, asked)) | counts == set(RECORDED)


# --- what the expressions read ---


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_an_expression_reads_what_is_scraped_or_recorded(expr: str) -> None:
    assert metrics_in(expr) <= SERIES | BY_PROMETHEUS
    assert recorded_in(expr) <= set(RECORDED)


def test_the_long_windows_are_as_long_as_they_are_said_to_be() -> None:
    # promtool would evaluate every rule at each step of a week, or of hours.
    (disk,) = [rule["expr"] for rule in ALERTS if rule["alert"] == "DiskFilling"]
    assert "[7d]" in RECORDED["thunes:uptime_ratio:7d"]
    assert "predict_linear(thunes_disk_free_bytes[6h], 86400)" in disk


# --- the unit tests can fail ---

QUANTILES = ("p50", "p95", "p99")
CHANGED = {">=": ">", "<=": "<", ">": ">=", "<": "<=", "==": "!="}
CHANGED |= {"and": "or", "or": "and", "unless": "and"}
CHANGED |= {"[": "[1", "offset ": "offset 1"}
PLACES = re.compile(r"(?<![=!~])(?:>=|<=|==|>|<)(?!~)|\b(?:and|or|unless)\b|\[(?=\d)|\boffset (?=\d)")
ALIKE = {
    **{f"thunes:{of}_ms:{q} >= 0": "no quantile is 0" for of in ("order_latency", "tick_to_order") for q in QUANTILES},
    **{f"thunes:{of}:5m < 300": "an instant" for of in ("orders_placed", "orders_rejected", "risk_decisions")},
    "DiskFilling-warning < 0": "a prediction is never 0 to the last digit",
    "DiskFilling-warning [6h], 86400) < 0": "has a test of its own",
    "thunes:uptime_ratio:7d [7d])": "has a test of its own",
}
"""Changes that change nothing that anybody could see, and why."""


def broken(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rule with one thing wrong each time: a boundary, an operator, a window, a wait left out or too long."""
    expr = rule["expr"]
    for found in PLACES.finditer(expr):
        wrong = expr[: found.start()] + CHANGED[found.group()] + expr[found.end() :]
        yield f"{label(rule)} {expr[found.start() :].splitlines()[0]}", rule | {"expr": wrong}
    for wait in ("for", "keep_firing_for"):
        if wait in rule:
            yield f"{label(rule)} without {wait}", {name: value for name, value in rule.items() if name != wait}
            yield f"{label(rule)} with a longer {wait}", rule | {wait: "1h"}


def with_rule(rule: dict[str, Any], wrong: dict[str, Any]) -> str:
    """The rules with `wrong` in the place of `rule`, and of the alerts only those of its name, for speed."""
    rules = deepcopy(RULES)
    for group in rules["groups"]:
        kept = [other for other in group["rules"] if "record" in other or other["alert"] == rule.get("alert")]
        group["rules"] = [wrong if other == rule else other for other in kept]
    return dump(rules)


def cases_of(rule: dict[str, Any]) -> list[dict[str, Any]]:
    if "record" in rule:
        return [test for test in UNIT_TESTS["tests"] if "promql_expr_test" in test]
    return [
        t for t in UNIT_TESTS["tests"] if rule["alert"] in {case["alertname"] for case in t.get("alert_rule_test", ())}
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ALL, ids=map(label, ALL))
def test_nothing_in_a_rule_can_be_changed_unnoticed(rule: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rules_test.yml").write_text(dump(UNIT_TESTS | {"tests": cases_of(rule)}))
    unnoticed = set()
    for what, wrong in broken(rule):
        (tmp_path / "rules.yml").write_text(with_rule(rule, wrong))
        if run("promtool", "test", "rules", "rules_test.yml", cwd=tmp_path).returncode == 0:
            unnoticed.add(what)
    assert unnoticed == {what for what in ALIKE if what.startswith(f"{label(rule)} ")}
