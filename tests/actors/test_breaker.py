"""BreakerActor alone: who gets a permit, who is refused, and what counts against the circuit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from actors.breaker import BreakerActor
from actors.protocol import Approved, CallOutcome, Orphan, Permit
from actors.runtime.mailbox import DeadLetter
from tests.actors.alone import Alone, alone
from thunes.domain.figures import ExchangeFigures
from thunes.messages import OrderType, Record, ResetBreaker, Side, SubmitOrder

ONE = Decimal(1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    environ = {"THUNES_BREAKER__FAIL_MAX": "5", "THUNES_BREAKER__RESET_TIMEOUT": "3600"}
    with alone(tmp_path, "breaker", BreakerActor, environ) as made:
        made.start()
        yield made


def approved(number: int) -> Approved:
    name = f"c{number}"
    order = SubmitOrder(name, "ETHUSDT", Side.BUY, OrderType.MARKET, ONE, ONE, "cause", "sma", "hash", market_ms=0)
    return Approved(order, epoch=0, client_order_id=f"home-{name}", seq=number)


def outcome(number: int, *, failed: bool = True, made: bool = True, retry_after: float = 0.0) -> CallOutcome:
    return CallOutcome(f"c{number}", failed=failed, made=made, retry_after=retry_after)


def test_an_approval_becomes_one_permit_for_its_symbols_orders(bench: Alone) -> None:
    bench.tell(approved(1), approved(2))
    assert bench.told("order.ETHUSDT", Permit) == [Permit(approved(1)), Permit(approved(2))]
    assert bench.told("order.BTCUSDT", Permit) == []


def test_an_approval_that_a_crash_of_audits_passed_on_twice_is_permitted_once(bench: Alone) -> None:
    bench.tell(approved(1), approved(2), approved(2))
    assert bench.told("order.ETHUSDT", Permit) == [Permit(approved(1)), Permit(approved(2))]


def test_after_five_failures_an_approval_comes_back_as_a_refusal_that_frees_it(bench: Alone) -> None:
    bench.tell(*(outcome(number) for number in range(1, 6)), approved(9))
    assert bench.told("order.ETHUSDT", Permit) == []
    opened, refused = bench.told("audit", Record)
    assert opened.event == "CIRCUIT_OPENED"
    assert (refused.event, refused.reason, refused.correlation_id) == ("ORDER_REJECTED", "CIRCUIT_OPEN", "c9")


def test_a_permit_that_was_not_used_counts_neither_as_failed_nor_as_done(bench: Alone) -> None:
    bench.tell(*(outcome(number) for number in range(1, 5)))
    bench.tell(*(outcome(number, failed=False, made=False) for number in range(11, 31)))
    assert bench.world.board.figures["breaker"].state == "closed"
    bench.tell(outcome(5))
    assert bench.world.board.figures["breaker"].state == "open"


def test_while_the_exchange_wants_a_pause_nothing_is_permitted(bench: Alone) -> None:
    bench.tell(outcome(1, failed=False, retry_after=3600.0), approved(2))
    assert bench.told("order.ETHUSDT", Permit) == []
    assert [record.reason for record in bench.told("audit", Record)] == ["RATE_LIMIT"]


def test_while_the_exchange_s_figures_hold_orders_back_nothing_is_permitted(tmp_path: Path) -> None:
    figures = ExchangeFigures(0, 0.0)
    with alone(tmp_path, "breaker", BreakerActor, exchange_figures=lambda: figures) as made:
        made.start()
        until_ns = made.world.clock.monotonic_ns() + 3_600_000_000_000
        figures = replace(figures, orders_held_until_ns=until_ns)
        made.tell(approved(1))
        assert made.told("order.ETHUSDT", Permit) == []
        assert [record.reason for record in made.told("audit", Record)] == ["RATE_LIMIT"]
        figures = replace(figures, orders_held_until_ns=0)
        made.tell(approved(2))
        assert made.told("order.ETHUSDT", Permit) == [Permit(approved(2))]


def test_a_call_that_was_not_made_asks_for_no_pause(bench: Alone) -> None:
    bench.tell(outcome(1, failed=False, made=False, retry_after=3600.0), approved(2))
    assert bench.told("order.ETHUSDT", Permit) == [Permit(approved(2))]


def test_a_reset_by_hand_permits_again(bench: Alone) -> None:
    bench.tell(*(outcome(number) for number in range(1, 6)))
    bench.tell(ResetBreaker("test"))
    bench.tell(approved(9))
    assert bench.told("order.ETHUSDT", Permit) == [Permit(approved(9))]


def test_a_replacement_knows_the_pause_and_what_was_permitted(bench: Alone) -> None:
    bench.tell(approved(1), outcome(1, failed=False, retry_after=3600.0))
    bench.queue("a message that nobody understands")
    bench.wait_until_ended()
    bench.start()
    bench.tell(approved(1), approved(2))
    assert bench.told("order.ETHUSDT", Permit) == [Permit(approved(1))]
    refused = [(r.correlation_id, r.reason) for r in bench.told("audit", Record)]
    assert refused == [("c2", "RATE_LIMIT")]


def test_an_approval_that_it_died_of_is_handed_to_whoever_can_find_out(bench: Alone) -> None:
    bench.tell(DeadLetter(approved(1)))
    assert bench.told("order.ETHUSDT", Permit, Orphan) == [Orphan(approved(1))]
