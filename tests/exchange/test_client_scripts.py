"""ccxt, python-binance and the official package, unmodified: one script of calls, with the documented results."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.exchange.client_drivers import Driver, ccxt_by_name, official, python_binance
from tests.exchange.client_script import SCRIPT, Call, Refused, disagreement, resolved
from tests.exchange.conftest import START_MS, Exchange, trade

DRIVERS = {"python-binance": python_binance, "ccxt": ccxt_by_name, "binance-sdk-spot": official}


def run(drive: Driver, script: tuple[Call, ...]) -> list[str]:
    """Make every call of the script in its order; what did not agree, one line each."""
    kept: dict[str, Any] = {}
    wrong = []
    for number, call in enumerate(script, 1):
        params = {name: resolved(value, kept) for name, value in call.params.items()}
        answer = drive(call.request, params)
        if isinstance(answer, Refused) or isinstance(call.answer, Refused):
            why = "" if answer == call.answer else f"{answer}, not {call.answer}"
        else:
            why = disagreement(call.answer, answer, kept)
        if why:
            wrong.append(f"{number}. {call.request} {params}: {why}")
        elif not isinstance(answer, Refused):
            kept |= {name: int(answer[member]) for name, member in call.keep.items()}
    return wrong


@pytest.mark.parametrize("client", DRIVERS)
def test_every_call_of_the_script_has_its_documented_result(
    client: str, exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.play(trade(1, "30000", "0.5", START_MS + 5))
    with caplog.at_level(logging.WARNING):
        wrong = run(DRIVERS[client](exchange), SCRIPT)
        assert not wrong, "\n".join(wrong)
    # The official package says so where an answer is not of the types that it declares.
    assert [record.getMessage() for record in caplog.records] == []


def test_the_script_has_forty_calls_of_which_ten_are_refused() -> None:
    assert len(SCRIPT) >= 40
    assert sum(isinstance(call.answer, Refused) for call in SCRIPT) >= 10
