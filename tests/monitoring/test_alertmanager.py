"""Alerts reach whom they should, once, in a message that Telegram takes."""

from __future__ import annotations

import html
import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.stack import (
    ALERTMANAGER,
    PROMETHEUS,
    dump,
    for_older,
    load,
    parsed,
    prometheus_config,
    quick_routes,
    shortened_rules,
)
from tests.monitoring.tools import output

TEXT = (ALERTMANAGER / "alertmanager.yml").read_text()
CONFIG = load(ALERTMANAGER / "alertmanager.yml")
RULES = load(PROMETHEUS / "rules.yml")
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
TELEGRAM_LIMIT = 4096
TELEGRAM_TAGS = {"b", "code", "a"}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The configuration for the Alertmanager that Debian has."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(for_older(TEXT, templates=str(ALERTMANAGER / "templates" / "*.tmpl")))
    return path


# --- the configuration ---


def test_alertmanager_takes_the_configuration_and_finds_the_template(older: Path) -> None:
    said = output("amtool", "check-config", older, cwd=older.parent)
    assert "1 templates" in said


def test_secrets_are_files_and_nothing_else() -> None:
    given = {name: value for receiver in CONFIG["receivers"] for name, value in settings_of(receiver)}
    secret = {name for name in given if re.search("token|chat_id|url", name)}
    assert secret == {"bot_token_file", "chat_id_file", "url_file"}
    assert all(given[name].startswith("/etc/alertmanager/secrets/") for name in secret)


def settings_of(receiver: dict[str, Any]) -> list[tuple[str, Any]]:
    lists = [value for value in receiver.values() if isinstance(value, list)]
    return list(chain.from_iterable(config.items() for config in chain.from_iterable(lists)))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=Watchdog", "severity=none"], "deadman"),
        (["alertname=KillSwitchActive", "severity=critical"], "telegram"),
        (["alertname=ClockSkew", "severity=warning"], "telegram"),
        (["alertname=ParameterDecay", "severity=info"], "telegram_silent"),
        (["alertname=Other", "severity=none"], "nobody"),
        (["alertname=Other"], "telegram"),
    ],
)
def test_an_alert_goes_where_its_severity_says(older: Path, labels: list[str], receiver: str) -> None:
    said = output("amtool", "config", "routes", "test", "--config.file", older, *labels, cwd=older.parent)
    assert said.split() == [receiver]


def test_the_graver_the_sooner_and_the_oftener() -> None:
    root = CONFIG["route"]
    routes = {route["matchers"][0]: root | route for route in root["routes"]}
    critical, warning, info = (routes[f"severity = {grade}"] for grade in ("critical", "warning", "info"))
    assert (critical["group_wait"], critical["repeat_interval"]) == ("5s", "1h")
    assert (warning["group_wait"], warning["repeat_interval"]) == ("30s", "4h")
    assert (info["group_wait"], info["repeat_interval"]) == ("5m", "24h")
    assert all("group_by" not in route for route in root["routes"])
    assert root["group_by"] == ["alertname", "job", "instance"]


def test_what_is_silenced_by_another_is_named_as_the_rules_name_it() -> None:
    names = {rule["alert"] for rule in ALERTS}
    matchers = [
        m for rule in CONFIG["inhibit_rules"] for side in ("source", "target") for m in rule[f"{side}_matchers"]
    ]
    named = [re.findall(r"[A-Z]\w+", matcher) for matcher in matchers if "alertname" in matcher]
    assert named
    assert set(chain.from_iterable(named)) <= names


def test_an_alert_is_never_silenced_by_one_of_another_process() -> None:
    assert all({"job", "instance"} <= set(rule["equal"]) for rule in CONFIG["inhibit_rules"])


# --- the message ---


def rendered(tmp_path: Path, alerts: list[dict[str, Any]]) -> str:
    document = {"receiver": "telegram", "status": "firing", "alerts": alerts}
    document |= {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://127.0.0.1:9093"}
    (tmp_path / "alerts.json").write_text(json.dumps(document))
    arguments = ["--template.glob", ALERTMANAGER / "templates" / "*.tmpl", "--template.type=html"]
    arguments += ["--template.text", '{{ template "thunes.telegram" . }}', "--template.data", tmp_path / "alerts.json"]
    return output("amtool", "template", "render", *map(str, arguments), cwd=tmp_path).strip()


def alert(status: str = "firing", severity: str = "critical", **annotations: str) -> dict[str, Any]:
    notes = {
        "summary": "Orders are answered slowly",
        "description": "p95 > 500 ms",
        "runbook_url": "monitoring/RUNBOOK.md#highorderlatency",
        "dashboard_url": "http://127.0.0.1:3000/d/thunes-execution?viewPanel=1",
    }
    return {
        "status": status,
        "labels": {"alertname": "HighOrderLatency", "severity": severity},
        "annotations": notes | annotations,
        "startsAt": "2026-11-01T12:00:00.5Z",
        "endsAt": "2026-11-01T13:30:00Z",
        "generatorURL": "",
        "fingerprint": "",
    }


def test_a_message_says_what_is_wrong_since_when_and_where_to_look(tmp_path: Path) -> None:
    assert rendered(tmp_path, [alert()]).splitlines() == [
        "🔴 <b>HighOrderLatency</b> critical",
        "",
        "<b>Orders are answered slowly</b>",
        "p95 &gt; 500 ms",
        "Since 2026-11-01 12:00:00 UTC",
        "",
        "Runbook: <code>monitoring/RUNBOOK.md#highorderlatency</code>",
        'Dashboard: <a href="http://127.0.0.1:3000/d/thunes-execution?viewPanel=1">'
        "http://127.0.0.1:3000/d/thunes-execution?viewPanel=1</a>",
    ]


def test_a_message_says_that_it_is_over(tmp_path: Path) -> None:
    lines = rendered(tmp_path, [alert("resolved")]).splitlines()
    assert lines[0] == "🟢 <b>HighOrderLatency</b> resolved"
    assert "Over since 2026-11-01 13:30:00, began 2026-11-01 12:00:00 UTC" in lines


def test_firing_and_resolved_ones_share_a_message(tmp_path: Path) -> None:
    said = rendered(tmp_path, [alert("resolved"), alert(severity="warning")])
    assert [line for line in said.splitlines() if "HighOrderLatency</b>" in line] == [
        "🟠 <b>HighOrderLatency</b> warning",
        "🟢 <b>HighOrderLatency</b> resolved",
    ]


def test_nothing_that_an_alert_says_becomes_a_tag(tmp_path: Path) -> None:
    nasty = "<script>&\"'</b> p95 < 1 </code>"
    said = rendered(tmp_path, [alert(summary=nasty, description=nasty, runbook_url=nasty)])
    assert set(re.findall(r"</?(\w+)", said)) == TELEGRAM_TAGS
    assert html.unescape(said).count(nasty) == 3
    assert set(re.findall(r"&(\w+);", said)) <= {"lt", "gt", "amp", "quot"}


def test_a_message_without_notes_is_a_message(tmp_path: Path) -> None:
    bare = alert() | {"annotations": {}}
    assert rendered(tmp_path, [bare]).startswith("🔴 <b>HighOrderLatency</b> critical")


def test_the_longest_message_is_one_that_telegram_takes(tmp_path: Path) -> None:
    longest = {name: max((rule["annotations"][name] for rule in ALERTS), key=len) for name in ALERTS[0]["annotations"]}
    many = [alert(status, **longest) for status in ("firing", "resolved") for _ in range(30)]
    said = rendered(tmp_path, many)
    assert said.count("… 30 in all.") == 2
    assert len(said) <= TELEGRAM_LIMIT


# --- for tests that run the whole ---


def test_what_an_older_alertmanager_does_not_know_is_replaced() -> None:
    text = for_older(
        TEXT, token="7:x", chat_id=-5, deadman_url="http://d/", telegram_url="http://t", templates="*.tmpl"
    )
    assert "_file" not in text
    (config,) = for_receiver(text, "telegram")["telegram_configs"]
    assert (config["bot_token"], config["chat_id"], config["api_url"]) == ("7:x", -5, "http://t")
    assert for_receiver(text, "deadman")["webhook_configs"][0]["url"] == "http://d/"


def for_receiver(text: str, name: str) -> dict[str, Any]:
    (receiver,) = [of for of in parsed(text)["receivers"] if of["name"] == name]
    return receiver


def test_shortened_rules_wait_for_nothing_and_are_still_rules(tmp_path: Path) -> None:
    text = shortened_rules((PROMETHEUS / "rules.yml").read_text(), "1s")
    rules = [rule for group in parsed(text)["groups"] for rule in group["rules"]]
    assert {rule[wait] for rule in rules for wait in ("for", "keep_firing_for") if wait in rule} == {"1s"}
    assert [rule["expr"] for rule in rules] == [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    assert "interval" not in text
    (tmp_path / "rules.yml").write_text(text)
    output("promtool", "check", "rules", "rules.yml", cwd=tmp_path)


def test_quick_routes_still_repeat_as_seldom(tmp_path: Path) -> None:
    text = quick_routes(for_older(TEXT))
    routes = [parsed(text)["route"], *parsed(text)["route"]["routes"]]
    assert {route["group_wait"] for route in routes if "group_wait" in route} == {"0s"}
    assert {route["group_interval"] for route in routes if "group_interval" in route} == {"1s"}
    assert parsed(text)["route"]["repeat_interval"] == "4h"


def test_a_configuration_with_other_addresses_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    text = prometheus_config(target="127.0.0.1:1", alertmanager="127.0.0.1:2", interval="2s", rules="short.yml")
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "short.yml").write_text(dump(RULES))
    output("promtool", "check", "config", "prometheus.yml", cwd=tmp_path)
    assert {"127.0.0.1:1", "127.0.0.1:2"} <= set(re.findall(r"127[\d.:]+", text))
    assert "thunes:9464" not in text
