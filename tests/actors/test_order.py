"""OrderActor alone, on a wire that answers what the test wants: what it sends, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.order import OrderActor
from actors.protocol import (
    Answered,
    Approved,
    Ask,
    CallOutcome,
    Flush,
    Flushed,
    Halt,
    Lost,
    Permit,
    Refused,
    Replied,
    Request,
    WireReply,
)
from tests.actors.alone import Alone, alone
from thunes.domain.figures import OrderFigures
from thunes.domain.journal import AuditEvent, seal
from thunes.domain.market import ExecutionReport, OrderAnswer
from thunes.domain.orders import OrderState
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import OrderStatus, OrderType, Record, Side, SubmitOrder

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


@dataclass
class ScriptedWire:
    """Answers a `place` at once if the test said how, and everything else never: the test tells what came."""

    replies: list[WireReply] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """(request, correlation id), in order."""

    def place(self, state: OrderState) -> WireReply | None:
        self.calls.append(("place", state.correlation_id))
        return self.replies.pop(0) if self.replies else None

    def query(self, state: OrderState) -> None:
        self.calls.append(("query", state.correlation_id))

    def fills(self, state: OrderState, answer: OrderAnswer) -> None:
        self.calls.append(("fills", state.correlation_id))

    def cancel(self, state: OrderState) -> None:
        self.calls.append(("cancel", state.correlation_id))


@pytest.fixture
def wire() -> ScriptedWire:
    return ScriptedWire()


@pytest.fixture
def bench(tmp_path: Path, wire: ScriptedWire) -> Iterator[Alone]:
    with alone(tmp_path, "order.BTCUSDT", OrderActor, wire=lambda _world, _name: wire) as made:
        made.start()
        made.tell(Flushed())
        yield made


def permit(name: str, side: Side = BUY, *, epoch: int = 0, seq: int = 1) -> Permit:
    order = SubmitOrder(
        name, "BTCUSDT", side, OrderType.LIMIT, D("0.0002"), D(60_000), "cause", "sma", "hash", market_ms=0, price=D(1)
    )
    return Permit(Approved(order, epoch, f"home-{name}", seq))


def resting(name: str, side: Side = BUY) -> OrderAnswer:
    """What the exchange says of an order that it took and that waits."""
    return OrderAnswer(
        symbol="BTCUSDT",
        client_order_id=f"home-{name}",
        order_id=7,
        status=OrderStatus.NEW,
        side=side,
        order_type=OrderType.LIMIT,
        quantity=D("0.0002"),
        price=D(1),
        executed=D(0),
        cumulative_quote=D(0),
        time_ms=1,
        fills=(),
    )


def killed(epoch: int) -> AuditEvent:
    record = Record("KILL_SWITCH_ACTIVATED", metadata={"epoch": epoch})
    return seal(record, seq=1, timestamp=datetime(2025, 1, 1, tzinfo=UTC), git_sha="test", prev_hash="0" * 64)[0]


def journalled(bench: Alone) -> list[tuple[str, str | None]]:
    """(event, reason) of what was told to Audit since the last look."""
    return [(record.event, record.reason) for record in bench.told("audit", Record)]


def test_an_order_is_journalled_as_submitted_and_sent_once(bench: Alone, wire: ScriptedWire) -> None:
    bench.tell(permit("c1"))
    assert wire.calls == [("place", "c1")]
    assert journalled(bench) == [("ORDER_SUBMITTED", None)]


def test_a_permit_that_comes_twice_is_sent_once(bench: Alone, wire: ScriptedWire) -> None:
    bench.tell(permit("c1"), permit("c1"))
    assert wire.calls == [("place", "c1")]
    assert bench.told("breaker", CallOutcome) == [CallOutcome("c1", failed=False, made=False)]


def test_a_permit_that_comes_again_after_its_order_has_ended_is_not_sent(bench: Alone, wire: ScriptedWire) -> None:
    wire.replies = [Refused("c1", ExchangeError(-2010, "no"))]
    bench.tell(permit("c1"), permit("c1"))
    assert wire.calls == [("place", "c1")]


def test_until_the_books_are_read_a_permit_waits(tmp_path: Path, wire: ScriptedWire) -> None:
    with alone(tmp_path, "order.BTCUSDT", OrderActor, wire=lambda _world, _name: wire) as bench:
        bench.start()
        bench.tell(permit("c1"))
        assert bench.told("audit", Flush) == [Flush("order.BTCUSDT")]
        assert wire.calls == []
        bench.tell(Flushed())
        assert wire.calls == [("place", "c1")]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Lost("c1", NetworkError("time-out")), ("ORDER_UNKNOWN", None)),
        (Refused("c1", ExchangeError(-2010, "Duplicate order sent.")), ("ORDER_UNKNOWN", None)),
        (Refused("c1", ExchangeError(-2010, "insufficient balance")), ("ORDER_REJECTED", None)),
        (Answered("c1", resting("c1")), ("ORDER_ACCEPTED", None)),
    ],
    ids=["lost", "sent already", "refused", "answered"],
)
@pytest.mark.parametrize("late", [False, True], ids=["on the spot", "late"])
def test_only_a_refusal_ends_an_order_and_what_is_lost_is_of_unknown_fate(
    bench: Alone, wire: ScriptedWire, reply: WireReply, told: tuple[str, None], late: bool
) -> None:
    wire.replies = [] if late else [reply]
    bench.tell(permit("c1"))
    if late:
        bench.tell(Replied(Request.PLACE, reply))
    assert journalled(bench) == [("ORDER_SUBMITTED", None), told]


def test_an_order_of_unknown_fate_is_asked_for_and_never_sent_again(bench: Alone, wire: ScriptedWire) -> None:
    wire.replies = [Lost("c1", NetworkError("time-out"))]
    bench.tell(permit("c1"), Ask("c1"), permit("c1"))
    assert [call for call in wire.calls if call[0] == "place"] == [("place", "c1")]
    assert ("query", "c1") in wire.calls


@pytest.mark.parametrize("late", [False, True], ids=["report first", "answer first"])
def test_a_report_and_an_answer_of_one_order_tell_its_acceptance_once(bench: Alone, late: bool) -> None:
    report = ExecutionReport(
        "BTCUSDT", "home-c1", 7, "NEW", OrderStatus.NEW, BUY, "LIMIT", D("0.0002"), D(1), D(0), D(0), 1
    )
    both: list[Any] = [report, Replied(Request.PLACE, Answered("c1", resting("c1")))]
    bench.tell(permit("c1"), *(reversed(both) if late else both))
    assert journalled(bench) == [("ORDER_SUBMITTED", None), ("ORDER_ACCEPTED", None)]


@pytest.mark.parametrize(("side", "cancelled"), [(BUY, [("cancel", "c1")]), (SELL, [])])
def test_a_kill_cancels_the_buys_that_wait_and_leaves_the_sells(
    bench: Alone, wire: ScriptedWire, side: Side, cancelled: list[tuple[str, str]]
) -> None:
    wire.replies = [Answered("c1", resting("c1", side))]
    bench.tell(permit("c1", side))
    bench.tell(killed(1))
    assert wire.calls[1:] == cancelled


def test_a_buy_that_was_on_the_wire_at_the_kill_is_cancelled_when_its_answer_comes(
    bench: Alone, wire: ScriptedWire
) -> None:
    bench.tell(permit("c1"))
    bench.tell(killed(1))
    bench.tell(Replied(Request.PLACE, Answered("c1", resting("c1"))))
    assert wire.calls == [("place", "c1"), ("cancel", "c1")]


@pytest.mark.parametrize(("side", "sent"), [(BUY, []), (SELL, [("place", "c1")])])
def test_a_buy_of_an_epoch_before_the_kill_is_withheld_and_a_sell_goes(
    bench: Alone, wire: ScriptedWire, side: Side, sent: list[tuple[str, str]]
) -> None:
    bench.tell(killed(1))
    bench.tell(permit("c1", side, epoch=0))
    assert wire.calls == sent
    assert journalled(bench) == [("ORDER_SUBMITTED", None) if sent else ("ORDER_REJECTED", "STALE_EPOCH")]


def test_a_buy_is_withheld_while_the_disk_has_the_kill_marker(bench: Alone, wire: ScriptedWire) -> None:
    bench.world.home.write_kill("from outside", "test", "now")
    bench.tell(permit("c1"))
    assert wire.calls == []
    assert journalled(bench) == [("ORDER_REJECTED", "KILL_SWITCH")]
    assert bench.told("breaker", CallOutcome) == [CallOutcome("c1", failed=False, made=False)]


def test_once_the_system_stops_nothing_is_sent(bench: Alone, wire: ScriptedWire) -> None:
    bench.tell(Halt())
    bench.tell(permit("c1", SELL))
    assert wire.calls == []
    assert journalled(bench) == [("ORDER_REJECTED", "NOT_READY")]


@pytest.mark.parametrize(
    ("reply", "failed"),
    [
        (Lost("c1", NetworkError("time-out")), True),
        (Refused("c1", ExchangeError(-2010, "no")), False),
        (Answered("c1", resting("c1")), False),
    ],
    ids=["lost", "refused", "answered"],
)
def test_only_a_lost_request_counts_against_the_circuit(
    bench: Alone, wire: ScriptedWire, reply: WireReply, failed: bool
) -> None:
    wire.replies = [reply]
    bench.tell(permit("c1"))
    assert [(o.about, o.failed, o.made) for o in bench.told("breaker", CallOutcome)] == [("c1", failed, True)]


def test_a_clock_that_is_set_makes_no_order_absent_before_its_window_has_run_out(
    bench: Alone, wire: ScriptedWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = bench.world.clock
    began_ns, set_ms = clock.monotonic_ns(), [0]
    passed_ns = [0]
    monkeypatch.setattr(type(clock), "wall_ms", lambda _self: 1_735_689_600_000 + set_ms[0])
    monkeypatch.setattr(type(clock), "monotonic_ns", lambda _self: began_ns + passed_ns[0])
    unknown = Refused("c1", ExchangeError(-2013, "Order does not exist."))
    bench.tell(permit("c1"), Replied(Request.PLACE, Lost("c1", NetworkError("lost"))))
    set_ms[0] = 3_600_000
    for _ in range(3):
        passed_ns[0] += 1_500_000_000
        bench.tell(Replied(Request.QUERY, unknown))
    assert ("ORDER_RESOLVED", None) not in journalled(bench)
    for _ in range(3):
        passed_ns[0] += 1_500_000_000
        bench.tell(Replied(Request.QUERY, unknown))
    assert ("ORDER_RESOLVED", None) in journalled(bench)


def order_figures(bench: Alone) -> OrderFigures:
    found: Any = bench.world.board.figures["order.BTCUSDT"]
    assert isinstance(found, OrderFigures)
    return found


def test_an_order_of_unknown_fate_is_shown_with_the_time_it_was_sent_until_it_is_known(
    bench: Alone, wire: ScriptedWire
) -> None:
    before = bench.world.clock.monotonic_ns() // 1_000_000
    assert (order_figures(bench).unknown, order_figures(bench).unknown_since_ms) == (0, 0)
    wire.replies = [Lost("c1", NetworkError("no answer"))]
    bench.tell(permit("c1"))
    shown = order_figures(bench)
    assert shown.unknown == 1
    assert before <= shown.unknown_since_ms <= bench.world.clock.monotonic_ns() // 1_000_000
    bench.tell(Replied(Request.QUERY, Answered("c1", resting("c1"), 1)))
    assert (order_figures(bench).unknown, order_figures(bench).unknown_since_ms) == (0, 0)


def test_a_latency_is_kept_with_the_decision_that_it_belongs_to(bench: Alone, wire: ScriptedWire) -> None:
    wire.replies = [Answered("c1", resting("c1"), 7_000_000)]
    bench.tell(permit("c1"))
    latency = order_figures(bench).latency_ms
    assert latency is not None
    newest = latency.newest[1]
    assert newest is not None
    assert (newest.value, newest.correlation_id) == (7.0, "c1")
    assert abs(newest.wall_ms - bench.world.clock.wall_ms()) < 60_000
