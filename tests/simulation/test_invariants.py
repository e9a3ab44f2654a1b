"""Each invariant of the simulation notices what it is there for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Frame
from actors.runtime.mailbox import Letter
from actors.simulated.faults import NONE
from actors.simulated.invariants import SENTENCES, Invariants
from actors.simulated.runs import restless, settings
from actors.simulated.system import SimulatedSystem
from thunes.domain.journal import AuditEvent, seal
from thunes.domain.orders import OrderState
from thunes.messages import OrderType, Record, Side, SubmitOrder

D = Decimal


@dataclass
class Bench:
    """A system that came to rest, and what its invariants hear from here on."""

    system: SimulatedSystem

    @property
    def invariants(self) -> Invariants:
        return self.system.invariants

    def violated(self) -> list[str]:
        found = [violation.name for violation in self.invariants.violations]
        self.invariants.violations.clear()
        return found

    def line(self, name: str, **members: Any) -> AuditEvent:
        """The journal's next line, as it would be."""
        books = self.invariants.books
        record = Record(name, **members)
        moment = datetime(2025, 1, 2, tzinfo=UTC)
        return seal(record, seq=books.seq + 1, timestamp=moment, git_sha="x", prev_hash=self.invariants.head)[0]

    def write(self, name: str, **members: Any) -> None:
        self.invariants.durable(self.line(name, **members))

    def ask(self, name: str) -> None:
        self.invariants.told(
            SubmitOrder(name, "BTCUSDT", Side.BUY, OrderType.MARKET, D(1), D(1), "cause", "s", "h", market_ms=0)
        )

    def approve(self, name: str, symbol: str = "BTCUSDT", quantity: str = "0.0001") -> None:
        meta = {
            "order_type": "MARKET", "quantity": D(quantity), "reference_price": D(60_000), "epoch": 0,
            "client_order_id": f"id-{name}",
        }  # fmt: skip
        self.ask(name)
        self.write("TRADE_APPROVED", symbol=symbol, side=Side.BUY, correlation_id=name, metadata=meta)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(SimulatedSystem(1, settings(), tmp_path, restless(1), NONE)) as system:
        for _ in range(400):
            system.scheduler.step()
        system.end_process()
        made = Bench(system)
        assert made.violated() == []
        made.invariants.books.orders.clear()
        made.invariants.books.positions.clear()
        yield made


def order(name: str, side: Side = Side.BUY) -> OrderState:
    return OrderState(name, f"id-{name}", "BTCUSDT", side, OrderType.MARKET, D(1), None, 0)


def test_every_invariant_has_a_sentence_and_they_are_the_ones_that_are_promised() -> None:
    assert set(SENTENCES) == {
        "durable approval", "no order twice", "positions are fills", "limits", "one decision", "kill holds", "chain",
        "no message lost", "one incarnation", "bounded", "ends quiet", "not taken is not taken", "people are told",
    }  # fmt: skip
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_an_order_without_an_approval_on_the_disk(bench: Bench) -> None:
    bench.invariants.placing(order("never-asked-for"))
    assert bench.violated() == ["durable approval"]
    bench.approve("asked-for")
    bench.invariants.placing(order("asked-for"))
    assert bench.violated() == []


def test_an_order_that_is_sent_or_taken_again(bench: Bench) -> None:
    bench.approve("c1")
    bench.invariants.placing(order("c1"))
    bench.system.exchange.reached("id-c1")
    assert bench.violated() == []
    bench.invariants.placing(order("c1"))
    bench.system.exchange.reached("id-c1")
    assert bench.violated() == ["no order twice"] * 2


@pytest.mark.parametrize("end", [("ORDER_REJECTED", {}), ("ORDER_RESOLVED", {"found": False})], ids=lambda end: end[0])
def test_an_order_that_ended_as_never_taken_and_is_taken(bench: Bench, end: tuple[str, dict[str, Any]]) -> None:
    name, meta = end
    bench.write(name, correlation_id="c1", metadata={**meta, "client_order_id": "id-c1"})
    assert bench.violated() == []
    bench.system.exchange.reached("id-c1")
    assert bench.violated() == ["not taken is not taken"]
    bench.system.exchange.reached("id-c2")
    bench.write("ORDER_RESOLVED", correlation_id="c2", metadata={"client_order_id": "id-c2", "found": True})
    assert bench.violated() == []
    bench.write(name, correlation_id="c2", metadata={**meta, "client_order_id": "id-c2"})
    assert bench.violated() == ["not taken is not taken"]


def test_decisions_that_are_two_or_that_nobody_asked_for(bench: Bench) -> None:
    bench.approve("c1")
    assert bench.violated() == []
    bench.write("TRADE_REJECTED", reason="COOL_DOWN", correlation_id="c1")
    bench.write("TRADE_REJECTED", reason="COOL_DOWN", correlation_id="nobodys")
    assert bench.violated() == ["one decision"] * 2


def test_an_intent_without_a_decision_at_the_end(bench: Bench) -> None:
    bench.ask("forgotten")
    bench.invariants.at_the_end(process_died=False)
    assert "one decision" in bench.violated()
    bench.invariants.at_the_end(process_died=True)
    assert "one decision" not in bench.violated()


@pytest.mark.parametrize(
    ("first", "second", "quantity"),
    [("BTCUSDT", "ETHUSDT", "0.0001"), ("BTCUSDT", "BTCUSDT", "0.0001"), ("", "BTCUSDT", "0.0005")],
    ids=["more positions", "two entries", "more exposure"],
)
def test_approvals_beyond_a_limit(bench: Bench, first: str, second: str, quantity: str) -> None:
    if first:
        bench.approve("c1", first)
        assert bench.violated() == []
    bench.approve("c2", second, quantity)
    assert set(bench.violated()) == {"limits"}


def test_lines_that_do_not_follow_each_other(bench: Bench) -> None:
    line = bench.line("HEARTBEAT")
    bench.invariants.durable(line)
    assert bench.violated() == []
    bench.invariants.durable(line)
    assert bench.violated() == ["chain"]


def test_a_fill_that_the_exchange_did_not_make(bench: Bench) -> None:
    bench.approve("c1")
    meta = {
        "client_order_id": "id-c1", "order_id": 1, "trade_id": 999, "price": D(1), "quantity": D(1),
        "quote_quantity": D(1), "commission": D(0), "commission_asset": "USDT", "base_asset": "BTC",
        "quote_asset": "USDT", "min_sellable": D(1), "executed": D(1), "is_maker": False, "market_time": 0,
    }  # fmt: skip
    bench.write("ORDER_FILLED", symbol="BTCUSDT", side=Side.BUY, correlation_id="c1", metadata=meta)
    assert set(bench.violated()) == {"positions are fills"}


def test_a_buy_after_the_acknowledgement_and_a_kill_without_an_epoch(bench: Bench) -> None:
    bench.approve("c1")
    bench.approve("c2", "BTCUSDT")
    bench.violated()
    epoch = bench.invariants.books.epoch
    bench.write("KILL_SWITCH_ACTIVATED", metadata={"epoch": epoch + 1})
    bench.invariants.placing(order("c1"))
    assert bench.violated() == []  # not acknowledged yet
    figures = bench.invariants.world.board.figures
    for symbol in bench.system.symbols:
        figures[f"order.{symbol}"] = replace(figures[f"order.{symbol}"], epoch=epoch + 1)
    bench.invariants.after_step("")
    bench.invariants.placing(order("c2"))
    assert bench.violated() == ["kill holds"]
    bench.write("KILL_SWITCH_DEACTIVATED", metadata={"epoch": epoch + 1})
    assert bench.violated() == ["kill holds"]


def test_a_buy_under_the_marker(bench: Bench) -> None:
    bench.approve("c1")
    bench.system.disk.reason = "from outside"
    bench.invariants.placing(order("c1"))
    assert bench.violated() == ["kill holds"]


def test_a_mailbox_that_cannot_account_for_a_message_or_holds_too_many_and_a_name_served_twice(bench: Bench) -> None:
    post = bench.system.scheduler.new_post()
    box: Any = post.register("stream.BTCUSDT", bench.system.specs.children[-2].mailbox)
    bench.invariants.world = replace(bench.invariants.world, post=post)
    bench.invariants.after_step("stream.BTCUSDT")
    assert bench.violated() == []
    box.puts += 1
    bench.invariants.after_step("stream.BTCUSDT")
    assert bench.violated() == ["no message lost"]
    box._queue.extend(Letter(Frame(b"", 0)) for _ in range(box.policy.limit + 1))
    box.puts += box.policy.limit
    bench.invariants.after_step("stream.BTCUSDT")
    assert bench.violated() == ["bounded"]
    bench.system.scheduler.overlaps.append("risk")
    bench.invariants.after_step("")
    assert bench.violated() == ["one incarnation"]


def test_orders_left_and_balances_that_differ_at_the_end(bench: Bench) -> None:
    bench.invariants.at_the_end(process_died=True)
    assert bench.violated() == []
    bench.approve("c1")
    bench.invariants.at_the_end(process_died=True)
    assert bench.violated() == ["ends quiet"]
    bench.invariants.books.orders.clear()
    bench.invariants.books.balances["USDT"] += 1
    bench.invariants.at_the_end(process_died=True)
    assert bench.violated() == ["ends quiet"]


def test_a_stop_that_only_the_books_know_at_the_end(bench: Bench) -> None:
    meta = {
        "order_type": "STOP_LOSS_LIMIT", "quantity": D(1), "reference_price": D(1), "epoch": 0,
        "client_order_id": "id-c1-s1", "leg": "s1", "protection": 1,
    }  # fmt: skip
    bench.write("ORDER_SUBMITTED", symbol="BTCUSDT", side=Side.SELL, correlation_id="c1", metadata=meta)
    bench.invariants.placing(replace(order("c1", Side.SELL), client_order_id="id-c1-s1", leg="s1"))
    assert bench.violated() == []
    bench.invariants.at_the_end(process_died=True)
    assert bench.violated() == ["ends quiet"]
