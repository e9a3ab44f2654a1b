"""Other systems on the account are known by the names of their orders, and forgotten once they have been gone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thunes.domain.instances import FRESH_MS, foreign_instances, foreign_orders, home_of
from thunes.domain.market import OrderAnswer
from thunes.domain.orders import client_order_id
from thunes.messages import OrderStatus, Side, order_key

OURS, THEIRS, THIRD = "0000aaaa", "1111bbbb", "2222cccc"
SIGNAL = "0123456789abcdef0123"
NOW = 1_700_000_000_000


def order(
    home: str = THEIRS, status: OrderStatus = OrderStatus.NEW, executed: str = "0", age_ms: int = 0
) -> OrderAnswer:
    amount = Decimal(executed)
    name = client_order_id(home, SIGNAL)
    return OrderAnswer(
        "BTCUSDT", name, 1, status, Side.BUY, "LIMIT", Decimal(1), Decimal(9), amount, amount * 9, NOW - age_ms
    )


@pytest.mark.parametrize("leg", ["", "stop", "profit"])
def test_the_name_of_every_order_of_ours_tells_its_home(leg: str) -> None:
    assert home_of(client_order_id(OURS, order_key(SIGNAL, leg))) == OURS


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x-HNA2TXFJ4f8a7c",
        "web_0123456789abcdef01230123456789ab",
        "01234567-89ab-cdef-0123-456789abcdef",
        f"{OURS}-{SIGNAL}0",
        f"{OURS}-{SIGNAL[1:]}",
        f"{OURS.upper()}-{SIGNAL}",
        f"0{OURS}-{SIGNAL}",
        f"{OURS}-{SIGNAL}\n",
        f"{OURS}-{SIGNAL}-",
    ],
)
def test_a_name_that_others_give_is_no_homes(name: str) -> None:
    assert home_of(name) == ""


def test_our_own_orders_are_not_foreign() -> None:
    assert foreign_instances([order(OURS)], OURS, NOW) == ()


def test_a_home_without_an_id_yet_takes_every_other_for_foreign() -> None:
    assert foreign_instances([order(OURS), order(THEIRS)], "", NOW) == (OURS, THEIRS)


def test_an_open_order_shows_another_however_old_it_is() -> None:
    assert foreign_instances([order(age_ms=10**12)], OURS, NOW) == (THEIRS,)


@pytest.mark.parametrize(
    ("age_ms", "found"), [(-1, (THEIRS,)), (0, (THEIRS,)), (FRESH_MS, (THEIRS,)), (FRESH_MS + 1, ())]
)
def test_a_trade_shows_another_for_ten_minutes(age_ms: int, found: tuple[str, ...]) -> None:
    traded = order(status=OrderStatus.FILLED, executed="1", age_ms=age_ms)

    assert foreign_instances([traded], OURS, NOW) == found


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED])
def test_an_order_that_ended_without_a_trade_shows_nothing(status: OrderStatus) -> None:
    assert foreign_instances([order(status=status)], OURS, NOW) == ()


def test_a_cancelled_order_that_had_traded_shows_another() -> None:
    assert foreign_instances([order(status=OrderStatus.CANCELED, executed="0.5")], OURS, NOW) == (THEIRS,)


def test_every_other_is_named_once_with_the_order_that_shows_it_best() -> None:
    resting, traded = order(age_ms=FRESH_MS), order(status=OrderStatus.FILLED, executed="1")

    assert foreign_orders([resting, traded, order(THIRD)], OURS, NOW) == {THEIRS: resting, THIRD: order(THIRD)}
