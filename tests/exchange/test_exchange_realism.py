"""Fees apart for maker and taker, and the share of the displayed volume that is ahead of a resting order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.conftest import START_MS, Start, trade


def executed(start: Start, share: str, traded: str) -> Decimal:
    """What a BUY of 1 at a bid that displays 2 has got once so much has traded there."""
    with start(queue_ahead=Decimal(share)) as exchange:
        placed = exchange.order("BUY", "0.3", "29999.99")
        exchange.play(trade(1, "29999.99", traded, START_MS + 1, maker=True))
        found = exchange.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]).json()
        return Decimal(found["executedQty"])


@pytest.mark.parametrize(
    ("share", "traded", "got"),
    [("1", "2", "0"), ("1", "2.1", "0.1"), ("0.5", "1", "0"), ("0.5", "1.1", "0.1"), ("0", "0.1", "0.1")],
)
def test_the_share_of_what_is_displayed_trades_before_a_resting_order(
    share: str, traded: str, got: str, start: Start
) -> None:
    assert executed(start, share, traded) == Decimal(got)


def test_what_is_left_of_the_queue_survives_a_restart(start: Start) -> None:
    with start(queue_ahead=Decimal("0.5")) as exchange:
        placed = exchange.order("BUY", "0.3", "29999.99")
        exchange.play(trade(1, "29999.99", "0.4", START_MS + 1, maker=True))
    with start(queue_ahead=Decimal("0.5")) as exchange:
        exchange.play(trade(2, "29999.99", "0.7", START_MS + 2, maker=True))
        found = exchange.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]).json()
    assert Decimal(found["executedQty"]) == Decimal("0.1")


def test_maker_and_taker_pay_their_own_fees(start: Start) -> None:
    with start(maker_fee=Decimal("0.01"), taker_fee=Decimal("0.02")) as exchange:
        exchange.order("BUY", "0.1")
        exchange.order("BUY", "0.1", "29000")
        exchange.play(trade(1, "28999", "5", START_MS + 1, maker=True))
        trades = exchange.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").json()
    assert [(each["isMaker"], Decimal(each["commission"])) for each in trades] == [
        (False, Decimal("0.002")),
        (True, Decimal("0.001")),
    ]


def test_a_fee_that_is_not_said_is_the_common_one(start: Start) -> None:
    with start(fee=Decimal("0.003"), maker_fee=Decimal(0)) as exchange:
        rates = exchange.signed("GET", "/api/v3/account").json()["commissionRates"]
    assert (Decimal(rates["maker"]), Decimal(rates["taker"])) == (Decimal(0), Decimal("0.003"))
