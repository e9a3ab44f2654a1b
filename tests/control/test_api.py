"""The JSON that scripts and the console read."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.sample_figures import BARE, BITCOIN, DUST, HEAD, SYSTEM, with_risk
from thunes.control import api


@pytest.fixture
def status() -> dict[str, Any]:
    return api.status(SYSTEM)


def test_status_names_what_the_contract_names(status: dict[str, Any]) -> None:
    named = {"venue", "uptime_s", "ready", "kill_switch", "breakers", "streams", "positions", "pnl", "orders"}
    assert named | {"journal", "actors", "strategies"} <= set(status)
    assert set(status["streams"]["BTCUSDT"]) == {"connected", "age_s", "reconnects", "gaps", "overflow"}
    assert set(status["actors"][0]) == {"name", "state", "mailbox", "oldest_ms", "handled", "restarts"}


def test_status_says_how_the_system_is(status: dict[str, Any]) -> None:
    assert (status["venue"], status["uptime_s"], status["ready"]) == ("sim", 3723.457, True)
    assert status["kill_switch"] == {"active": False, "reason": None, "since": None}
    assert status["breakers"] == {"BinanceAPI": "half-open"}
    assert status["pnl"] == {"today": "-5.00", "limit": "20", "used": 0.25}
    assert status["orders"] == {"open": 1, "unknown": 1}
    assert status["journal"] == {"seq": 1234, "head": HEAD, "lag_ms": 0.4}
    assert status["strategies"]["ETHUSDT"] == {"state": "warming 12/50", "last_decision": ""}


def test_a_streams_age_counts_from_its_last_frame_and_is_unknown_before_the_first(status: dict[str, Any]) -> None:
    assert status["streams"]["BTCUSDT"]["age_s"] == 0.25
    assert status["streams"]["account"]["age_s"] is None


def test_an_active_kill_switch_says_why_and_since_when() -> None:
    since = "2026-11-23T04:55:00.000000Z"
    killed = api.status(with_risk(kill_active=True, kill_reason="drill", kill_since=since))
    assert killed["kill_switch"] == {"active": True, "reason": "drill", "since": since}


def test_status_before_anything_is_known_is_null_and_not_zero() -> None:
    status = api.status(BARE)
    assert status["kill_switch"]["active"] is None
    assert set(status["pnl"].values()) == set(status["journal"].values()) == {None}
    assert (status["ready"], status["not_ready"]) == (False, "the account is not in step yet")


def test_amounts_are_plain_digits_however_small() -> None:
    tiny = replace(BITCOIN, quantity=Decimal("1E-8"), dust=Decimal("0E-9"))
    (position,) = api.positions(with_risk(positions=(tiny,)))
    assert (position["quantity"], position["dust"]) == ("0.00000001", "0.000000000")


def test_dust_is_no_position() -> None:
    assert api.positions(with_risk(positions=(DUST,))) == []


def test_orders_list_what_may_still_fill() -> None:
    (order,) = api.orders(SYSTEM)
    assert (order["client_order_id"], order["quantity"], order["status"]) == ("t-1", "0.0040", "UNKNOWN")


def test_everything_is_plain_json() -> None:
    for document in (api.status(SYSTEM), api.positions(SYSTEM), api.orders(SYSTEM), api.status(BARE)):
        assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_loss_without_a_limit_counts_as_all_used() -> None:
    risk = with_risk(daily_loss_limit=Decimal(0)).risk
    assert risk is not None
    assert api.loss_used(risk) == 1.0
