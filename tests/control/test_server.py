"""Both ports over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.control.conftest import TOKEN, House, Served, server
from tests.sample_figures import SYSTEM, with_risk
from thunes.control import api, routes
from thunes.errors import OperatorError


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.text = body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def ask(port: int, method: str, path: str, *, token: str | None = TOKEN, **request: Any) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    headers |= request.pop("headers", {})
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, **request) as response,
    ):
        return Answer(response.status, response.headers, await response.read())


def get(served: Served, path: str, **request: Any) -> Answer:
    return asyncio.run(ask(served.console_port, "GET", path, **request))


def post(served: Served, path: str, **request: Any) -> Answer:
    return asyncio.run(ask(served.console_port, "POST", path, **request))


def machine(served: Served, path: str, **request: Any) -> Answer:
    return asyncio.run(ask(served.metrics_port, "GET", path, token=None, **request))


class TestMetricsPort:
    def test_metrics_come_without_a_token(self, served: Served) -> None:
        answer = machine(served, "/metrics")
        assert answer.status == 200
        assert "thunes_journal_seq 1234.0" in answer.text

    def test_openmetrics_is_negotiated(self, served: Served) -> None:
        answer = machine(served, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")

    def test_health_is_200_even_while_not_ready(self, served: Served) -> None:
        served.figures = replace(SYSTEM, ready=False, not_ready="the books are not in step")
        assert (machine(served, "/healthz").status, machine(served, "/healthz").text) == (200, "alive\n")

    def test_readiness_says_why_not(self, served: Served) -> None:
        assert machine(served, "/readyz").status == 200
        served.figures = replace(SYSTEM, ready=False, not_ready="the books are not in step")
        answer = machine(served, "/readyz")
        assert (answer.status, answer.text) == (503, "the books are not in step\n")

    def test_commands_are_not_to_be_had_there(self, served: Served) -> None:
        assert machine(served, "/api/status").status == 404


class TestViews:
    def test_status_positions_and_orders_are_the_figures(self, served: Served) -> None:
        assert get(served, "/api/status").json == api.status(SYSTEM)
        assert get(served, "/api/positions").json == api.positions(SYSTEM)
        assert get(served, "/api/orders").json == api.orders(SYSTEM)

    def test_the_journal_is_read_after_a_seq_up_to_a_limit(self, served: Served) -> None:
        answer = get(served, "/api/journal?after=4&limit=3")
        assert [event["seq"] for event in answer.json] == [5, 6, 7]
        assert len(get(served, "/api/journal").json) == 10

    @pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=1001", "after=²", f"after={9**30}"])
    def test_a_number_that_is_none_is_refused(self, served: Served, query: str) -> None:
        answer = get(served, f"/api/journal?{query}")
        assert answer.status == 400
        assert "must be a whole number" in answer.json["error"]

    def test_a_journal_that_is_slow_to_read_holds_up_nobody_else(self, served: Served) -> None:
        reading, finish = threading.Event(), threading.Event()
        read = served.journal_after

        def slow(after: int, limit: int) -> list[dict[str, Any]]:
            reading.set()
            assert finish.wait(10)
            return read(after, limit)

        served.journal_after = slow  # type: ignore[method-assign]
        second = server(served)
        _, port = second.start()

        async def both() -> tuple[int, int]:
            journal = asyncio.create_task(ask(port, "GET", "/api/journal"))
            assert await asyncio.to_thread(reading.wait, 10)
            status = await ask(port, "GET", "/api/status")
            assert not journal.done()
            finish.set()
            return status.status, (await journal).status

        try:
            assert asyncio.run(both()) == (200, 200)
        finally:
            second.stop(5)

    def test_answers_are_not_kept_by_caches(self, served: Served) -> None:
        assert get(served, "/api/status").headers["Cache-Control"] == "no-store"


class TestKill:
    def test_is_acknowledged_once_every_order_actor_refuses_older_approvals(self, served: Served) -> None:
        served.orders_follow = False

        async def kill() -> Answer:
            asking = asyncio.create_task(ask(served.console_port, "POST", "/api/kill", json={"reason": "smoke"}))
            assert await asyncio.to_thread(served.commanded.wait, 10)
            await ask(served.console_port, "GET", "/api/status")
            assert not asking.done()
            served.take_epoch()
            return await asking

        answer = asyncio.run(kill())
        assert (answer.status, answer.json) == (200, {"active": True, "reason": "smoke"})
        assert served.told == [("kill", "smoke", "http", False)]

    def test_is_not_acknowledged_before_anybody_who_sends_orders_has_said_a_word(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "EFFECT_SECONDS", 0.05)
        served.figures = replace(served.figures, orders={})
        assert post(served, "/api/kill").status == 504

    def test_needs_no_body(self, served: Served) -> None:
        assert post(served, "/api/kill").json == {"active": True, "reason": "operator"}

    def test_may_flatten(self, served: Served) -> None:
        assert post(served, "/api/kill", json={"flatten": True}).status == 200
        assert served.told == [("kill", "operator", "http", True)]

    def test_without_effect_is_504_and_says_what_to_do(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "EFFECT_SECONDS", 0.05)
        served.deaf = True
        answer = post(served, "/api/kill")
        assert answer.status == 504
        assert "thunes kill" in answer.json["error"]

    def test_a_reason_is_made_one_line(self, served: Served) -> None:
        post(served, "/api/kill", json={"reason": "fire\r\n \x1b in the house"})
        assert served.told[0][1] == "fire in the house"


class TestResume:
    def test_is_acknowledged_when_the_kill_is_off(self, served: Served) -> None:
        served.figures = with_risk(kill_active=True, kill_reason="drill")
        answer = post(served, "/api/resume", json={"reason": "drill is over"})
        assert (answer.status, answer.json) == (200, {"active": False, "reason": "drill is over"})

    def test_is_acknowledged_once_every_order_actor_has_heard_of_it_from_the_disk(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "EFFECT_SECONDS", 0.05)
        served.deaf, served.figures = True, with_risk(kill_active=False, epoch=2)
        assert post(served, "/api/resume", json={"reason": "go"}).status == 504
        served.take_epoch()
        assert post(served, "/api/resume", json={"reason": "go"}).status == 200

    @pytest.mark.parametrize("request_body", [{}, {"json": {"reason": "  "}}])
    def test_needs_a_reason(self, served: Served, request_body: dict[str, Any]) -> None:
        assert post(served, "/api/resume", **request_body).status == 400
        assert served.told == []

    def test_without_effect_is_504(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "EFFECT_SECONDS", 0.05)
        served.deaf, served.figures = True, with_risk(kill_active=True)
        assert post(served, "/api/resume", json={"reason": "go"}).status == 504

    def test_says_what_still_forbids_it(self, served: Served) -> None:
        served.deaf, served.figures = True, with_risk(kill_active=True, breach="daily loss -21 reached the limit of 20")
        answer = post(served, "/api/resume", json={"reason": "go"})
        assert (answer.status, "daily loss -21" in answer.json["error"]) == (409, True)
        assert served.told == [("resume", "go", "http")]


class TestOtherCommands:
    def test_reconnect_takes_a_known_symbol_or_none_for_all(self, served: Served) -> None:
        assert post(served, "/api/reconnect", json={"symbol": "BTCUSDT"}).status == 202
        assert post(served, "/api/reconnect").status == 202
        assert served.told == [("reconnect", "BTCUSDT", "http"), ("reconnect", None, "http")]

    def test_reconnect_of_an_unknown_symbol_names_the_known(self, served: Served) -> None:
        answer = post(served, "/api/reconnect", json={"symbol": "DOGEUSDT"})
        assert answer.status == 400
        assert "BTCUSDT, ETHUSDT" in answer.json["error"]

    def test_the_breakers_are_listed_with_their_trips(self, served: Served) -> None:
        assert get(served, "/api/breakers").json == {"BinanceAPI": {"state": "half-open", "trips": 2}}

    def test_a_breaker_is_reset_and_acknowledged_when_it_is_closed(self, served: Served) -> None:
        answer = post(served, "/api/breaker", json={"name": "BinanceAPI"})
        assert answer.json == {"name": "BinanceAPI", "state": "closed", "trips": 2}
        assert served.told == [("reset_breaker", "http")]

    def test_a_reset_without_effect_is_504(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "EFFECT_SECONDS", 0.05)
        served.deaf = True
        answer = post(served, "/api/breaker", json={"name": "BinanceAPI"})
        assert answer.status == 504
        assert "look at /api/breakers" in answer.json["error"]

    @pytest.mark.parametrize(("body", "name"), [({"name": "Binance"}, "'Binance'"), ({}, "''")])
    def test_the_reset_of_an_unknown_breaker_names_the_known(
        self, served: Served, body: dict[str, str], name: str
    ) -> None:
        answer = post(served, "/api/breaker", json=body)
        assert (answer.status, served.told) == (400, [])
        assert answer.json == {"error": f"There is no circuit breaker {name}; there are: BinanceAPI."}

    def test_reconcile_is_passed_on(self, served: Served) -> None:
        assert post(served, "/api/reconcile").json == {"requested": True}
        assert served.told == [("reconcile", "http")]


class TestRefusals:
    @pytest.mark.parametrize(
        ("request_body", "status"),
        [
            ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
            ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, 400),
            ({"data": b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 400),
            ({"json": ["kill"]}, 400),
            ({"json": {"flaten": True}}, 400),
            ({"json": {"flatten": "yes"}}, 400),
            ({"json": {"reason": None}}, 400),
            ({"json": {"reason": "x" * 501}}, 400),
            ({"data": {"reason": "a form"}}, 415),
            ({"json": {"reason": "x" * 20_000}}, 413),
        ],
    )
    def test_a_body_that_is_not_understood_does_nothing(
        self, served: Served, request_body: dict[str, Any], status: int
    ) -> None:
        answer = post(served, "/api/kill", **request_body)
        assert (answer.status, list(answer.json)) == (status, ["error"])
        assert served.told == []

    def test_a_wrong_method_names_the_right_one(self, served: Served) -> None:
        answer = get(served, "/api/kill")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.json == {"error": "/api/kill does not take GET; it takes POST."}

    def test_an_unknown_path_is_404_for_those_let_in_and_401_for_others(self, served: Served) -> None:
        assert get(served, "/api/nothing").json == {"error": "There is nothing at /api/nothing."}
        assert get(served, "/api/nothing", token=None).status == 401

    def test_a_foreign_host_or_origin_is_refused_before_the_token_is_looked_at(self, served: Served) -> None:
        assert post(served, "/api/kill", token=None, headers={"Host": "evil.example"}).status == 403
        assert post(served, "/api/kill", headers={"Origin": "http://evil.example"}).status == 403
        assert served.told == []

    def test_without_the_token_nothing_is_shown_or_done(self, served: Served) -> None:
        for token in (None, "wrong"):
            assert get(served, "/api/status", token=token).status == 401
            assert post(served, "/api/kill", token=token).status == 401
        assert served.told == []
        assert get(served, "/api/status", token=None).headers["WWW-Authenticate"] == "Bearer"

    def test_a_failure_inside_is_500_without_its_details(
        self, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        served.journal = [{"event": "no seq"}]
        answer = get(served, "/api/journal")
        assert (answer.status, "seq" in answer.text) == (500, False)
        assert "GET /api/journal failed" in caplog.text


class TestPorts:
    def test_a_port_in_use_is_named_and_the_other_is_given_back(self, served: Served) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            free = listener.getsockname()[1]
        in_use = f"Port {served.console_port} .* console is in use.*--console-port"
        with pytest.raises(OperatorError, match=in_use) as _kept_with_its_frames:
            server(House(), metrics_port=free, console_port=served.console_port).start()
        socket.create_server(("127.0.0.1", free)).close()
        with pytest.raises(OperatorError, match=f"Port {served.metrics_port} .* metrics is in use.*--metrics-port"):
            server(House(), metrics_port=served.metrics_port).start()

    def test_both_ports_are_free_after_stop_and_can_be_had_again(self, served: Served) -> None:
        served.server.stop(5.0)
        again = server(served, metrics_port=served.metrics_port, console_port=served.console_port)
        try:
            assert again.start() == (served.metrics_port, served.console_port)
        finally:
            again.stop(5.0)

    def test_stop_may_come_twice_or_without_a_start(self, served: Served) -> None:
        served.server.stop(5.0)
        served.server.stop(5.0)
        server(House()).stop(5.0)
        with pytest.raises(aiohttp.ClientConnectionError):
            get(served, "/api/status")

    def test_stop_does_not_wait_for_a_kill_that_waits(self, served: Served) -> None:
        served.deaf = True

        async def kill() -> Answer:
            asking = asyncio.create_task(ask(served.console_port, "POST", "/api/kill"))
            assert await asyncio.to_thread(served.commanded.wait, 10)
            await asyncio.to_thread(served.server.stop, 4.0)
            return await asking

        assert asyncio.run(kill()).status == 504
