"""RiskActor alone: what it reserves, and what the kill switch does to its decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Flushed, Heartbeat, Synced
from actors.risk import RiskActor
from actors.runtime.mailbox import DeadLetter
from tests.actors.alone import SYMBOLS, Alone, alone
from thunes.domain.journal import AuditEvent, seal
from thunes.messages import Kill, OrderType, Record, Resume, Side, SubmitOrder, Tick, UrgentRecord
from thunes.storage.journal import JournalFile

D = Decimal
PRICES = {"BTCUSDT": D("60000.00"), "ETHUSDT": D("2600.00")}
QUANTITIES = {"BTCUSDT": D("0.00020"), "ETHUSDT": D("0.0050")}


def event(seq: int, record: Record) -> AuditEvent:
    return seal(record, seq=seq, timestamp=datetime(2025, 1, 1, tzinfo=UTC), git_sha="test", prev_hash="0" * 64)[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    """RiskActor with 10,000 USDT, a price for each symbol, and one position slot."""
    with alone(tmp_path, "risk", RiskActor, {"THUNES_RISK__MAX_POSITIONS": "1"}) as made:
        made.start()
        made.tell(Flushed())
        birth = Record("SYSTEM_STARTED", metadata={"opening_balances": {"USDT": D(10_000)}})
        made.tell(event(1, birth), Synced(True), *(tick(made, symbol) for symbol in SYMBOLS))
        made.told("audit", Record)
        yield made


def tick(bench: Alone, symbol: str) -> Tick:
    price, now_ns = PRICES[symbol], bench.world.clock.monotonic_ns()
    return Tick(symbol, price, D(1), price, D(1), 1, market_ms=1_735_689_600_000, received_ns=now_ns)


def buy(name: str, symbol: str) -> SubmitOrder:
    price, quantity = PRICES[symbol], QUANTITIES[symbol]
    return SubmitOrder(
        name, symbol, Side.BUY, OrderType.MARKET, quantity, price, "cause", "sma", "hash", market_ms=1_735_689_600_000
    )


def decisions(bench: Alone) -> list[tuple[str | None, str | None]]:
    """(correlation id, reason) of each decision since the last look; an approval has no reason."""
    return [(r.correlation_id, r.reason) for r in bench.told("audit", Record) if r.event.startswith("TRADE_")]


def test_an_approval_holds_its_slot_before_anything_is_known_of_its_order(bench: Alone) -> None:
    bench.tell(buy("c1", "BTCUSDT"), buy("c2", "ETHUSDT"), buy("c3", "BTCUSDT"))
    assert decisions(bench) == [("c1", None), ("c2", "POSITION_LIMIT"), ("c3", "DUPLICATE_SYMBOL")]


def test_the_end_of_an_order_without_a_fill_gives_the_slot_back(bench: Alone) -> None:
    bench.tell(buy("c1", "BTCUSDT"))
    end = Record("ORDER_REJECTED", symbol="BTCUSDT", side=Side.BUY, correlation_id="c1", metadata={"by": "exchange"})
    bench.tell(event(2, end), buy("c2", "ETHUSDT"))
    assert decisions(bench) == [("c1", None), ("c2", None)]


def test_the_exchanges_name_of_an_order_follows_from_its_signal(bench: Alone) -> None:
    bench.tell(buy("c1", "BTCUSDT"))
    (record,) = bench.told("audit", Record)
    home = bench.world.identity.home_id
    assert record.subject.client_order_id == record.metadata["client_order_id"] == f"{home}-c1"


def switched(bench: Alone) -> list[tuple[str, Any]]:
    """(event, epoch) of each use of the kill switch since the last look, all of them urgent."""
    return [(record.event, record.metadata["epoch"]) for record in bench.told("audit", UrgentRecord)]


def test_a_kill_and_a_resume_each_begin_an_epoch_and_are_urgent(bench: Alone) -> None:
    bench.tell(Kill("drill", "test"))
    assert switched(bench) == [("KILL_SWITCH_ACTIVATED", 1)]
    bench.tell(Kill("again", "test"))
    assert switched(bench) == []
    bench.tell(Resume("over", "test"))
    assert switched(bench) == [("KILL_SWITCH_DEACTIVATED", 2)]


def test_a_kill_holds_from_the_next_message_on_and_an_approval_names_the_epoch_that_it_was_given_in(
    bench: Alone,
) -> None:
    bench.tell(Kill("drill", "test"), buy("c1", "BTCUSDT"))
    assert decisions(bench) == [("c1", "KILL_SWITCH")]
    bench.tell(Resume("over", "test"), buy("c2", "BTCUSDT"))
    (record,) = bench.told("audit", Record)
    assert (record.event, record.subject.epoch) == ("TRADE_APPROVED", 2)


def test_until_books_and_exchange_agree_nothing_is_approved(bench: Alone) -> None:
    bench.tell(Synced(False, "a difference"), buy("c1", "BTCUSDT"))
    assert decisions(bench) == [("c1", "NOT_SYNCED")]


def test_a_marker_that_somebody_sets_after_a_resume_is_a_newer_kill(bench: Alone) -> None:
    home = bench.world.home
    bench.tell(Kill("drill", "test"), Resume("over", "test"))
    home.write_kill("from outside", "test", "now")
    resumed = UrgentRecord("KILL_SWITCH_DEACTIVATED", metadata={"why": "over", "source": "test", "epoch": 2})
    bench.tell(event(2, resumed))
    assert home.kill_active()
    bench.tell(Heartbeat())
    assert switched(bench)[-1] == ("KILL_SWITCH_ACTIVATED", 3)


def filled() -> Record:
    """The exchange's last word on the order c1."""
    meta = {
        "client_order_id": "x", "order_id": 1, "trade_id": 1, "price": D(60_000), "quantity": D("0.0002"),
        "quote_quantity": D(12), "commission": D(0), "commission_asset": "USDT", "base_asset": "BTC",
        "quote_asset": "USDT", "min_sellable": D("0.0001"), "executed": D("0.0002"), "is_maker": False,
        "market_time": 1_735_689_600_000,
    }  # fmt: skip
    return Record("ORDER_FILLED", symbol="BTCUSDT", side=Side.BUY, correlation_id="c1", metadata=meta)


def bought(bench: Alone) -> None:
    """The books hold a position in BTCUSDT."""
    bench.tell(buy("c1", "BTCUSDT"))
    bench.tell(event(2, filled()))
    bench.told("audit", Record)


def test_a_flatten_that_comes_while_books_and_exchange_differ_sells_once_they_agree(bench: Alone) -> None:
    bought(bench)
    bench.tell(Synced(False, "a difference"))
    bench.tell(Kill("drill", "test", flatten=True), Kill("again", "test"))
    assert decisions(bench) == []
    bench.tell(Synced(True))
    assert [reason for _, reason in decisions(bench)] == [None]


def test_a_flatten_whose_sell_was_refused_sells_when_books_and_exchange_agree_again(bench: Alone) -> None:
    bought(bench)
    # The kill overtakes the difference, and its sell does not.
    bench.tell(Synced(False, "a difference"), Kill("drill", "test", flatten=True))
    assert [reason for _, reason in decisions(bench)] == ["NOT_SYNCED"]
    bench.tell(Synced(True), Synced(True))
    assert [reason for _, reason in decisions(bench)] == [None, "DUPLICATE_SYMBOL"]
    bench.tell(Resume("over", "test"), Synced(True))
    assert decisions(bench) == []


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test looks at the marker."""
    monkeypatch.setattr("actors.risk.MARKER_SECONDS", 3600.0)


def test_a_flatten_that_the_exchange_refuses_is_tried_again_with_the_next_look_and_not_at_once(
    no_timer: None, bench: Alone
) -> None:
    bought(bench)
    bench.tell(Kill("drill", "test", flatten=True))
    ((name, _),) = decisions(bench)
    bench.tell(Heartbeat())
    assert decisions(bench) == []  # it is under way
    bench.tell(event(3, Record("ORDER_REJECTED", symbol="BTCUSDT", side=Side.SELL, correlation_id=name)))
    assert decisions(bench) == []
    bench.tell(Heartbeat())
    assert [reason for _, reason in decisions(bench)] == [None]


def test_books_that_are_read_are_not_read_again(bench: Alone) -> None:
    bench.tell(Kill("drill", "test"), buy("c1", "BTCUSDT"), Flushed(), buy("c2", "BTCUSDT"))
    assert decisions(bench) == [("c1", "KILL_SWITCH"), ("c2", "KILL_SWITCH")]


def test_an_intent_that_its_judge_died_of_is_refused_once(bench: Alone) -> None:
    bench.tell(DeadLetter(buy("c1", "BTCUSDT")), buy("c2", "BTCUSDT"))
    assert decisions(bench) == [("c1", "NOT_READY"), ("c2", None)]


def test_intents_that_come_before_the_books_are_read_wait_for_them(tmp_path: Path) -> None:
    with alone(tmp_path, "risk", RiskActor) as made:
        made.start()
        made.tell(buy("c1", "BTCUSDT"), buy("c2", "ETHUSDT"))
        assert decisions(made) == []
        made.tell(Flushed())
        assert decisions(made) == [("c1", "NOT_SYNCED"), ("c2", "NOT_SYNCED")]


@pytest.mark.parametrize("number", [D("NaN"), D("Infinity"), D("-Infinity"), D("sNaN")])
@pytest.mark.parametrize("member", ["quantity", "reference_price"])
def test_an_intent_whose_numbers_are_none_is_refused_and_can_be_journalled(
    bench: Alone, member: str, number: Decimal
) -> None:
    bench.tell(replace(buy("c1", "BTCUSDT"), **{member: number}), buy("c2", "BTCUSDT"))
    records = bench.told("audit", Record)
    assert [(r.correlation_id, r.reason) for r in records] == [("c1", "FILTER_LOT_SIZE"), ("c2", None)]
    assert event(9, records[0]).metadata[member] == str(number)


def test_kill_and_resume_that_come_before_the_books_are_read_are_carried_out_in_their_order(tmp_path: Path) -> None:
    with alone(tmp_path, "risk", RiskActor) as made:
        made.start()
        made.tell(Kill("first", "test"), Resume("over", "test"), Kill("second", "test"))
        assert switched(made) == []
        made.tell(Flushed())
        assert [name.removeprefix("KILL_SWITCH_") for name, _ in switched(made)] == [
            "ACTIVATED",
            "DEACTIVATED",
            "ACTIVATED",
        ]


def test_a_flatten_sells_what_a_buy_on_the_wire_brings_afterwards(bench: Alone) -> None:
    bench.tell(buy("c1", "BTCUSDT"))
    bench.tell(Kill("drill", "test", flatten=True))
    assert [reason for _, reason in decisions(bench)] == [None]
    bench.tell(event(2, filled()))
    assert [reason for _, reason in decisions(bench)] == [None]


DIFFERENCE = Synced(False, "order web_1: unknown / open", lasting=True)


def switches(bench: Alone) -> list[tuple[str, Any]]:
    """(event, why) of each use of the kill switch since the last look, and of each resume that was refused."""
    told = bench.told("audit", UrgentRecord, Record)
    return [(r.event, r.metadata.get("refused", r.metadata["why"])) for r in told if not r.event.startswith("TRADE_")]


def test_a_difference_that_lasts_kills_and_there_is_no_resume_until_books_and_exchange_agree(bench: Alone) -> None:
    bench.tell(Synced(False, "order web_1: unknown / open"))
    assert switches(bench) == []
    bench.tell(DIFFERENCE, DIFFERENCE)
    cause = "books and exchange differ: order web_1: unknown / open"
    (record,) = bench.told("audit", UrgentRecord)
    assert (record.event, record.metadata["why"]) == ("KILL_SWITCH_ACTIVATED", cause)
    assert record.metadata["source"] == "reconciler"
    bench.tell(Resume("all is well", "test"), Synced(False, "the exchange does not answer"), Resume("now?", "test"))
    assert switches(bench) == [("OPERATOR_COMMAND", cause)] * 2
    bench.tell(Synced(True))
    bench.tell(Resume("repaired", "test"), buy("c1", "BTCUSDT"))
    assert [event for event, _ in switches(bench)] == ["KILL_SWITCH_DEACTIVATED"]


def test_a_difference_that_lasts_outlives_the_actor(tmp_path: Path) -> None:
    with alone(tmp_path, "risk", RiskActor) as made:
        made.start()
        made.tell(DIFFERENCE, Flushed())
        assert [event for event, _ in switches(made)] == ["KILL_SWITCH_ACTIVATED"]
        made.tell(Resume("all is well", "test"))
        assert [event for event, _ in switches(made)] == ["OPERATOR_COMMAND"]


def test_a_kill_by_the_reconciler_of_before_the_start_waits_for_an_agreement_of_now(tmp_path: Path) -> None:
    why = "books and exchange differ: order web_1: unknown / open"
    with alone(tmp_path, "risk", RiskActor) as made:
        journalled(made, UrgentRecord("KILL_SWITCH_ACTIVATED", metadata={"why": why, "since": "now", "epoch": 1}))
        made.start()
        made.tell(Flushed(), Resume("all is well", "test"))
        assert switches(made) == [("OPERATOR_COMMAND", why)]
        made.tell(Synced(True))
        made.tell(Resume("repaired", "test"))
        assert [event for event, _ in switches(made)] == ["KILL_SWITCH_DEACTIVATED"]


def journalled(bench: Alone, record: Record) -> None:
    """As a run before this one left it."""
    logs = bench.world.home.logs  # type: ignore[attr-defined]
    journal = JournalFile.open(logs, wall=lambda: datetime(2025, 1, 1, tzinfo=UTC), git_sha="test")
    journal.append(record)
    journal.commit()
    journal.close()


def test_a_marker_that_cannot_be_taken_away_keeps_the_kill_on(no_timer: None, bench: Alone) -> None:
    (bench.world.home.kill_file / "inside").mkdir(parents=True)  # type: ignore[attr-defined]
    bench.tell(Heartbeat())
    assert [event for event, _ in switches(bench)] == ["KILL_SWITCH_ACTIVATED"]
    bench.tell(Resume("all is well", "test"), buy("c1", "BTCUSDT"))
    ((name, why),) = switches(bench)
    assert (name, "cannot be taken away" in why) == ("OPERATOR_COMMAND", True)
    assert bench.world.home.kill_active()


@pytest.mark.parametrize("make", ["touch", "mkdir"])
def test_whatever_is_in_the_marker_s_place_is_a_kill_that_a_resume_ends(
    no_timer: None, bench: Alone, make: str
) -> None:
    getattr(bench.world.home.kill_file, make)()  # type: ignore[attr-defined]
    bench.tell(Heartbeat())
    (record,) = bench.told("audit", UrgentRecord)
    bench.tell(event(2, record))  # as Audit does once it is on the disk
    bench.tell(Resume("over", "test"))
    assert [name for name, _ in switches(bench)] == ["KILL_SWITCH_DEACTIVATED"]
    assert not bench.world.home.kill_active()
