"""The control endpoint: what it arms, shows and clears, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.exchange.conftest import Exchange, Start
from tests.exchange.faulty import WITH_CONTROL, Control, control_of
from thunes.errors import OperatorError
from thunes.exchange.simulator.fault_kinds import KINDS
from thunes.exchange.simulator.loopback import PortInUse
from thunes.exchange.simulator.options import Trouble

LONG = "x" * 10_000


@pytest.fixture
def running(start: Start) -> Iterator[Exchange]:
    with start(trouble=WITH_CONTROL) as exchange:
        yield exchange


@pytest.fixture
def control(running: Exchange) -> Control:
    return control_of(running)


def test_a_fault_is_armed_with_its_defaults_and_shown(control: Control) -> None:
    answer = control.ask("POST", "/faults", json={"fault": "drop-report", "kind": "TRADE"})
    assert answer.headers["Content-Type"].startswith("application/json")
    asked = {"id": 1, "fault": "drop-report", "kind": "TRADE", "symbol": None, "count": 1}
    assert answer.json() == asked
    row = {**asked, "left": 1, "fired": 0, "active": True}
    assert control.row(1) == row
    assert control.ask("GET", "/faults").json() == {"faults": [row], "fired_total": 0}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_armed(name: str, control: Control) -> None:
    number = control.arm(name, **({"offset_ms": 0} if name == "clock" else {}))
    assert control.row(number)["fault"] == name


def test_what_struck_is_counted_and_over(running: Exchange, control: Control) -> None:
    number = control.arm("reject", match="GET /api/v3/time", count=2)
    assert running.raw("GET", "/api/v3/time").status_code == 400
    assert (control.row(number)["left"], control.row(number)["active"]) == (1, True)
    assert running.raw("GET", "/api/v3/time").status_code == 400
    row = control.row(number)
    assert (row["left"], row["fired"], row["active"]) == (0, 2, False)
    assert running.raw("GET", "/api/v3/time").status_code == 200
    assert control.ask("GET", "/faults").json()["fired_total"] == 2


def test_one_fault_is_cleared_and_the_other_stays(running: Exchange, control: Control) -> None:
    first, second = control.arm("reject", match="GET /api/v3/time"), control.arm("reject", match="GET /api/v3/ping")
    control.clear(first)
    assert running.raw("GET", "/api/v3/time").status_code == 200
    assert running.raw("GET", "/api/v3/ping").status_code == 400
    assert control.ask("GET", f"/faults/{first}").status_code == 404
    assert [row["id"] for row in control.ask("GET", "/faults").json()["faults"]] == [second]


def test_all_faults_are_cleared_at_once(running: Exchange, control: Control) -> None:
    control.arm("reject", match="*", count=100)
    control.arm("gap")
    assert control.ask("DELETE", "/faults").json() == {"cleared": 2}
    assert running.raw("GET", "/api/v3/time").status_code == 200
    assert control.ask("GET", "/faults").json()["faults"] == []


def test_the_state_says_how_the_exchange_stands(running: Exchange, control: Control) -> None:
    running.order("BUY", "0.1", "20000")
    with running.listen("/ws/btcusdt@trade"), running.listen("/ws-api/v3"):
        state = control.ask("GET", "/state").json()
    assert state["connections"] == {"market": 1, "account": 1}
    assert (state["orders_open"], state["held"], state["account_subscriptions"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"fault": "nope"}, "there is no fault 'nope'; there are: lose-request"),
        ({"fault": ["drop-report"]}, "there is no fault"),
        ({"fault": None}, "there is no fault None"),
        ({"fault": "disconnect", "colour": "red"}, "disconnect has no 'colour'; it has: streams, count"),
        ({"fault": "disconnect", "streams": "some"}, "one of all, market, account"),
        ({"fault": "disconnect", "count": "2"}, "has to be a whole number, not '2'"),
        ({"fault": "disconnect", "count": 1.0}, "a whole number"),
        ({"fault": "disconnect", "count": True}, "a whole number"),
        ({"fault": "disconnect", "count": 0}, "from 1 to"),
        ({"fault": "disconnect", "count": 2**63}, "from 1 to"),
        ({"fault": "disconnect", "count": None}, "a whole number"),
        ({"fault": "slow", "seconds": -1}, "a number from 0 to 86400"),
        ({"fault": "slow", "seconds": "1"}, "a number, not '1'"),
        ({"fault": "slow", "seconds": 1e308}, "from 0 to 86400"),
        ({"fault": "slow", "seconds": [1]}, "a number"),
        ({"fault": "slow", "match": "POST /api/v3/nosuch"}, "there is no request 'POST /api/v3/nosuch'"),
        ({"fault": "slow", "match": "post it"}, "match of slow has to be '*' or as in"),
        ({"fault": "slow", "match": None}, "text"),
        ({"fault": "slow", "symbol": "ETHUSDT"}, "ETHUSDT is not served here; there are: BTCUSDT"),
        ({"fault": "slow", "symbol": LONG}, "1 to 200 characters"),
        ({"fault": "reject", "code": 5}, "from -9999 to -1"),
        ({"fault": "reject", "status": 200}, "from 400 to 599"),
        ({"fault": "limit", "status": 400}, "one of 429, 418"),
        ({"fault": "hold-request", "then": "explode"}, "one of process, drop"),
        ({"fault": "clock"}, "clock needs offset_ms"),
        ({"fault": "clock", "offset_ms": 10**12}, "from -8.64e+07"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_what_there_is(
    body: dict[str, Any], complaint: str, control: Control
) -> None:
    answer = control.ask("POST", "/faults", json=body)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]
    assert len(answer.json()["error"]) < 2000
    assert control.ask("GET", "/faults").json()["faults"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"disconnect"',
        b"\xff\xfe",
        b'{"fault": "slow", "seconds": NaN}',
        b'{"fault": "slow", "seconds": Infinity}',
        b'{"seconds": 1}',
        b"[" * 5000,
    ],
)
def test_a_body_that_says_no_fault_is_refused_and_told_the_form(body: bytes, control: Control) -> None:
    answer = control.ask("POST", "/faults", data=body)
    assert answer.status_code == 400
    assert '{"fault": "drop-report"}' in answer.json()["error"]


def test_a_number_past_every_float_is_refused(control: Control) -> None:
    assert control.ask("POST", "/faults", data=b'{"fault": "slow", "seconds": 1e999}').status_code == 400


def test_a_body_that_is_too_long_is_refused_in_json(control: Control) -> None:
    answer = control.ask("POST", "/faults", data=b" " * 70_000)
    assert (answer.status_code, answer.json()) == (413, {"error": "the body is longer than 65536 bytes"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("PUT", "/faults"), ("GET", "/faults/abc"), ("GET", "/faults/-1"), ("POST", "/state")],
)
def test_a_path_that_is_not_there_is_told_what_is(method: str, path: str, control: Control) -> None:
    answer = control.ask(method, path)
    assert answer.status_code == 404
    assert "GET /state" in answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_fault_that_nobody_armed_is_not_found(method: str, control: Control) -> None:
    answer = control.ask(method, "/faults/99")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no fault 99"})


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_browser_is_refused_and_nothing_is_armed(headers: dict[str, str], control: Control) -> None:
    answer = control.ask("POST", "/faults", json={"fault": "disconnect"}, headers=headers)
    assert answer.status_code == 403
    assert control.ask("GET", "/faults").json()["faults"] == []


def test_the_endpoint_is_apart_from_the_exchanges_port_and_off_unless_asked_for(start: Start) -> None:
    with start() as exchange:
        assert exchange.running.control == ""
        assert exchange.raw("GET", "/faults").status_code == 404


def test_a_control_port_that_is_taken_stops_the_start_and_frees_the_home(running: Exchange, start: Start) -> None:
    taken = int(running.running.control.rsplit(":", 1)[1])
    other = running.running._options.home / "other"
    with pytest.raises(PortInUse), start(home=other, trouble=Trouble(control_port=taken)):
        pass
    with start(home=other) as exchange:
        assert exchange.public("/api/v3/ping") == {}


def test_faults_of_the_start_are_armed_before_the_first_request(start: Start) -> None:
    with start(trouble=Trouble((("reject", {"match": "GET /api/v3/time", "code": -1001}),))) as exchange:
        assert exchange.raw("GET", "/api/v3/time").json()["code"] == -1001


def test_a_fault_of_the_start_for_a_symbol_that_is_not_served_is_refused(start: Start) -> None:
    trouble = Trouble((("gap", {"symbol": "ETHUSDT"}),))
    with pytest.raises(OperatorError, match="ETHUSDT is not served here"), start(trouble=trouble):
        pass
