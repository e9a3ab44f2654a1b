"""An entry is withheld up to its last byte: what is true when it was begun need not be when it goes out."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.exchange.conftest import Exchange
from tests.exchange.rest_calls import ORDER, adapter, buy
from tests.exchange.scripted_rest import Scripted, scripted
from thunes.errors import KilledMeanwhile
from thunes.exchange.binance import BinanceRest

D = Decimal


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        server.answers(ORDER)
        yield server


@pytest.fixture
def rest(exchange: Exchange) -> BinanceRest:
    return adapter(exchange.running.rest, exchange.key, exchange.secret)


def orders(script: Scripted) -> list[dict[str, str]]:
    """The requests that came whole."""
    return [request.params for request in script.requests if "newClientOrderId" in request.params]


def test_an_order_that_nothing_speaks_against_goes_out_as_it_is(script: Scripted) -> None:
    buy(adapter(script.url))
    buy(adapter(script.url), unless=lambda: False)
    plain, looked_at = orders(script)
    assert {**plain, "timestamp": "", "signature": ""} == {**looked_at, "timestamp": "", "signature": ""}


def test_an_order_is_looked_at_once_all_else_has_been_sent_and_withheld(script: Scripted) -> None:
    looks: list[int] = []

    def killed() -> bool:
        looks.append(len(script.requests))
        return True

    rest = adapter(script.url)
    with pytest.raises(KilledMeanwhile):
        buy(rest, unless=killed)
    assert looks == [0]
    assert orders(script) == []
    assert dict(rest.figures.order_counts) == {"10S": 0, "1D": 0}


def test_an_order_is_looked_at_again_before_it_is_sent_again(script: Scripted) -> None:
    script.answers({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
    answers = [False, True]
    with pytest.raises(KilledMeanwhile):
        buy(adapter(script.url), unless=lambda: answers.pop(0))
    assert len(orders(script)) == 1


def test_what_comes_after_a_withheld_order_is_not_looked_at(script: Scripted) -> None:
    rest = adapter(script.url)
    with pytest.raises(KilledMeanwhile):
        buy(rest, unless=lambda: True)
    buy(rest)
    assert len(orders(script)) == 1


def test_the_embedded_exchange_takes_no_part_of_it(rest: BinanceRest) -> None:
    with pytest.raises(KilledMeanwhile):
        buy(rest, price=D("20000.00"), unless=lambda: True)
    assert rest.open_orders() == ()
    buy(rest, price=D("20000.00"), unless=lambda: False)
    assert len(rest.open_orders()) == 1
