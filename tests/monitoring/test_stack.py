"""The committed files on the real servers: everything evaluates on live data, and each trouble reaches a webhook.

What is not as committed: addresses, intervals (1 s) and waits (none), the window in which restarts are looked for
(20 s), and a webhook for each receiver.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.matrix.control import Control
from tests.e2e.support import Thunes, clean_environment, exchange, thunes
from tests.monitoring.dashboards import DASHBOARDS, expressions, read
from tests.monitoring.live import Hook, alertmanager, asked, free_port, prometheus, until, webhook
from tests.monitoring.stack import MONITORING, PROMETHEUS, load
from thunes.storage.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("stack")]

LIMIT_S = 3.0
"""From a cause to the webhook, at intervals of one second."""
CONFIG = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
max_drawdown = 1
[breaker]
reset_timeout = 3
[exchange]
timeout = 3
[stream]
watchdog = 120
"""


@dataclass
class Stack:
    """THUNES on an embedded exchange, watched."""

    folder: Path
    prometheus: str
    hook: Hook
    control: Control
    flags: tuple[str, ...]
    env: dict[str, str]
    stack: ExitStack
    system: Thunes

    def query(self, expr: str) -> list[Any]:
        answer = asked(f"{self.prometheus}/api/v1/query", query=expr)
        assert answer["status"] == "success", f"{answer.get('error')}: {expr}"
        found: list[Any] = answer["data"]["result"]
        return found

    def command(self, path: str, **body: Any) -> None:
        """A command of the console's API, taken."""
        run, token = self.system.run, Home(self.system.home).read_token()
        assert run is not None
        request = urllib.request.Request(
            f"http://127.0.0.1:{run['console_port']}{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = until(self.system.status, "the status")
        return found

    def start(self) -> None:
        self.system = self.stack.enter_context(thunes(self.system.home, *self.flags, env=self.env))
        until(self.system.is_ready, "readiness")

    def reaches_the_webhook(self, alert: str, cause: float, record: Any) -> None:
        """The alert fires there in time."""
        took = self.hook.wait(alert, "firing", cause).at - cause
        record("cause to webhook", f"{alert:<20} {took:5.2f}")
        assert took < LIMIT_S, f"{alert} took {took:.2f} s"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "config.toml").write_text(CONFIG)
    with ExitStack() as alive:
        hook = alive.enter_context(webhook())
        manager = alive.enter_context(alertmanager(folder, hook))
        venue = alive.enter_context(exchange(folder / "exchange", "--speed", "60", "--control-port", "0"))
        ready, port = venue.ready, free_port()
        env = clean_environment(
            THUNES_API_KEY=ready["api_key"],
            THUNES_API_SECRET=ready["api_secret"],
            THUNES_EXCHANGE__REST_URL=ready["rest"],
            THUNES_EXCHANGE__STREAM_URL=ready["stream"],
            THUNES_EXCHANGE__WS_API_URL=ready["ws_api"],
            CRASHES=str(folder / "crashes"),
            PYTHONPATH=str(MONITORING.parent),
        )
        strategy = str(Path(__file__).with_name("crashing.py"))
        flags = ("--venue", "testnet", "--config", str(folder / "config.toml"), "--strategy", strategy)
        flags += ("--metrics-port", str(port))
        system = alive.enter_context(thunes(folder / "home", *flags, env=env))
        watching = alive.enter_context(prometheus(folder, f"127.0.0.1:{port}", manager))
        made = Stack(folder, watching, hook, Control(ready["control"]), flags, env, alive, system)
        until(system.is_ready, "readiness")
        until(lambda: made.query("sum(thunes_fills_total) > 3"), "some trading")
        until(lambda: made.query("count_over_time(up[1m]) > 15"), "some history")
        yield made


def test_every_target_is_up(stack: Stack) -> None:
    targets = asked(f"{stack.prometheus}/api/v1/targets")["data"]["activeTargets"]
    assert {(target["labels"]["job"], target["health"]) for target in targets} == {("thunes", "up")}


def test_every_rule_evaluates_on_live_data(stack: Stack) -> None:
    rules = [r for g in asked(f"{stack.prometheus}/api/v1/rules")["data"]["groups"] for r in g["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in load(PROMETHEUS / "rules.yml")["groups"])
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    for rule in rules:
        stack.query(rule["query"])


QUIET = {
    "Orders Rejected by Code": "nothing is rejected",
    "Sharpe": "a week has not passed",
    "Alert Delivery": "THUNES has no alert channel here",
}
"""Panels that show no data in a run of a minute, and why."""


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_evaluates_on_live_data_and_shows_some(stack: Stack, name: str) -> None:
    dashboard = read(name)
    shown: dict[str, bool] = {}
    for title, expr in expressions(dashboard, venue="testnet", symbol="BTCUSDT|ETHUSDT"):
        shown[title] = bool(stack.query(expr)) or shown.get(title, False)
    quiet = {*QUIET, *(f"annotation {each['name']}" for each in dashboard["annotations"]["list"])}
    empty = [title for title, has_data in shown.items() if not has_data and title not in quiet]
    assert empty == []
    assert len(shown) >= 6


def test_an_exemplar_leads_from_a_bucket_to_its_order(stack: Stack) -> None:
    now = time.time()
    query = {"query": "thunes_order_latency_ms_bucket", "start": str(now - 600), "end": str(now)}
    series = asked(f"{stack.prometheus}/api/v1/query_exemplars", **query)["data"]
    ids = {exemplar["labels"]["correlation_id"] for one in series for exemplar in one["exemplars"]}
    journal = (stack.system.home / "logs" / "audit_trail.jsonl").read_text()
    assert ids
    assert all(f'"correlation_id":"{each}"' in journal for each in ids)


def test_the_kill_switch_is_told_of_and_its_end(stack: Stack, record_property: Any) -> None:
    cause = time.monotonic()
    stack.command("/api/kill", reason="drill")
    stack.reaches_the_webhook("KillSwitchActive", cause, record_property)
    resumed = time.monotonic()
    stack.command("/api/resume", reason="the drill is over")
    stack.hook.wait("KillSwitchActive", "resolved", resumed)


def test_an_opened_breaker_is_told_of_and_its_end(stack: Stack, record_property: Any) -> None:
    stack.control.add("reject", match="*", count=100_000, status=503, code=-1008, message="overloaded")
    until(lambda: "open" in stack.status()["breakers"].values(), "the breaker's opening")
    cause = time.monotonic()
    stack.reaches_the_webhook("CircuitBreakerOpen", cause, record_property)
    cleared = time.monotonic()
    stack.control.clear()
    stack.hook.wait("CircuitBreakerOpen", "resolved", cleared)


def test_a_silent_feed_is_told_of_and_its_end(stack: Stack, record_property: Any) -> None:
    stack.control.add("silence", streams="market", seconds=120)
    until(lambda: stack.status()["streams"]["BTCUSDT"]["age_s"] >= 30, "thirty silent seconds")
    cause = time.monotonic()
    stack.reaches_the_webhook("MarketDataStale", cause, record_property)
    cleared = time.monotonic()
    stack.control.clear()
    stack.hook.wait("MarketDataStale", "resolved", cleared)


def test_an_actor_that_crash_loops_is_told_of_and_its_end(stack: Stack, record_property: Any) -> None:
    cause = time.monotonic()
    Path(stack.env["CRASHES"]).write_text("6")
    stack.reaches_the_webhook("ActorRestarting", cause, record_property)
    firing = stack.hook.wait("ActorRestarting", "firing", cause)
    assert firing.labels["actor"] == "strategy.BTCUSDT"
    until(lambda: Path(stack.env["CRASHES"]).read_text() == "0", "the last crash")
    stack.hook.wait("ActorRestarting", "resolved", cause)


def test_a_stopped_process_is_told_of_and_its_return(stack: Stack, record_property: Any) -> None:
    assert stack.system.stop() == 0, stack.system.said()
    cause = time.monotonic()
    stack.reaches_the_webhook("ScrapeMissing", cause, record_property)
    returned = time.monotonic()
    stack.start()
    stack.hook.wait("ScrapeMissing", "resolved", returned)


def test_the_dead_man_s_switch_was_called_from_the_beginning(stack: Stack) -> None:
    # Prometheus says again after a minute what it could not say at its start.
    stack.hook.wait("Watchdog", "firing", 0.0, 90)
