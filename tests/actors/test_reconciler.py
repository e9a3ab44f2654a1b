"""ReconcilerActor alone, on an account that the test writes: what it finds, and how the books become right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from actors.protocol import Again, Ask, Flush, Flushed, Heartbeat, Synced
from actors.reconciler import ReconcilerActor
from tests.actors.alone import Alone, alone
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import OrderStatus, Reconcile, Record, Side
from thunes.storage.journal import JournalFile

D = Decimal
HOME = "homehome"
STOP_ID = f"{HOME}-c1-s1"


@dataclass
class Account:
    """The exchange's side: what `rest` says is what the test wrote."""

    balances: dict[str, Decimal] = field(default_factory=lambda: {"USDT": D(10_000), "BTC": D(0), "ETH": D(0)})
    open: list[OrderAnswer] = field(default_factory=list)
    trades: list[OwnTrade] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    """Client order ids by order id."""
    fails: Exception | None = None
    clock_looks: int = 0

    def account(self) -> AccountBalances:
        if self.fails is not None:
            raise self.fails
        return {asset: (amount, D(0)) for asset, amount in self.balances.items()}

    def open_orders(self, symbol: str) -> tuple[OrderAnswer, ...]:
        return tuple(order for order in self.open if order.symbol == symbol)

    def own_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[OwnTrade, ...]:
        if symbol != "BTCUSDT":
            return ()
        found = [trade for trade in self.trades if from_id is None or trade.fill.trade_id >= from_id]
        return tuple(found[:limit])

    def sync_clock(self) -> None:
        self.clock_looks += 1

    def order_by_id(self, symbol: str, order_id: int) -> OrderAnswer:
        return answer(self.names[order_id])


def answer(name: str, executed: str = "0") -> OrderAnswer:
    return OrderAnswer(
        "BTCUSDT", name, 7, OrderStatus.NEW, Side.SELL, "STOP_LOSS_LIMIT", D(1), D(90), D(executed), D(0), 1_000
    )  # fmt: skip


def sale(trade_id: int, order_id: int = 99) -> OwnTrade:
    return OwnTrade(order_id, Side.SELL, Fill(trade_id, D(100), D("0.5"), D(50), D(0), "USDT", 1_000, False))


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def cancelled() -> list[str]:
    return []


@pytest.fixture
def bench(tmp_path: Path, account: Account, cancelled: list[str]) -> Iterator[Alone]:
    with alone(tmp_path, "reconciler", ReconcilerActor, rest=lambda: account, cancel_open=cancelled.append) as made:
        birth = {"opening_balances": dict(account.balances), "opening_trades": {"BTCUSDT": 0, "ETHUSDT": 0}}
        write(made, Record("SYSTEM_STARTED", metadata=birth))
        made.start()
        yield made


def write(bench: Alone, *records: Record) -> None:
    """Make these durable, as Audit does."""
    logs = bench.world.home.logs  # type: ignore[attr-defined]
    journal = JournalFile.open(logs, wall=lambda: datetime(2025, 1, 1, tzinfo=UTC), git_sha="test")
    for record in records:
        journal.append(record)
    journal.commit()
    journal.close()


def told(bench: Alone) -> list[Record]:
    return bench.told("audit", Record)


def synced(bench: Alone) -> list[bool]:
    return [message.agreed for message in bench.told("risk", Synced)]


def look(bench: Alone, times: int = 1) -> None:
    for _ in range(times):
        bench.tell(Again())


def live_under(bench: Alone, home_id: str) -> None:
    """As if this were the system of another home."""
    object.__setattr__(bench.world, "identity", replace(bench.world.identity, home_id=home_id))


def bought(bench: Alone, account: Account) -> None:
    """One BTC was bought for 100 and is protected by a stop that rests, and both sides know."""
    approval = {
        "order_type": "MARKET", "quantity": D(1), "reference_price": D(100), "epoch": 0,
        "client_order_id": f"{HOME}-c1", "stop_loss": D("0.1"),
    }  # fmt: skip
    filled = {
        "client_order_id": f"{HOME}-c1", "order_id": 6, "trade_id": 1, "price": D(100), "quantity": D(1),
        "quote_quantity": D(100), "commission": D(0), "commission_asset": "USDT", "base_asset": "BTC",
        "quote_asset": "USDT", "min_sellable": D("0.1"), "executed": D(1), "is_maker": False, "market_time": 1_000,
    }  # fmt: skip
    stop = approval | {
        "client_order_id": STOP_ID, "order_type": "STOP_LOSS_LIMIT", "leg": "s1", "protection": 1, "price": D(90),
        "stop_price": D(90),
    }  # fmt: skip
    accepted = {"client_order_id": STOP_ID, "order_id": 7, "leg": "s1"}
    write(
        bench,
        Record("TRADE_APPROVED", symbol="BTCUSDT", side=Side.BUY, correlation_id="c1", metadata=approval),
        Record("ORDER_FILLED", symbol="BTCUSDT", side=Side.BUY, correlation_id="c1", metadata=filled),
        Record("ORDER_SUBMITTED", symbol="BTCUSDT", side=Side.SELL, correlation_id="c1", metadata=stop),
        Record("ORDER_ACCEPTED", symbol="BTCUSDT", side=Side.SELL, correlation_id="c1", metadata=accepted),
    )
    account.balances = {"USDT": D(9_900), "BTC": D(1), "ETH": D(0)}
    account.open = [answer(STOP_ID)]
    account.trades = [OwnTrade(6, Side.BUY, Fill(1, D(100), D(1), D(100), D(0), "USDT", 1_000, False))]


def test_sides_that_agree_are_written_down_with_the_place_to_go_on_from(bench: Alone, account: Account) -> None:
    bought(bench, account)
    bench.tell(Reconcile("operator"))
    (record,) = told(bench)
    assert (record.event, record.metadata["why"]) == ("RECONCILED", "operator")
    assert record.metadata["trades"] == {"BTCUSDT": 1, "ETHUSDT": 0}
    assert synced(bench) == [True]


def test_a_stop_that_rests_does_not_keep_the_sides_from_being_compared_and_an_order_on_its_way_does(
    bench: Alone, account: Account
) -> None:
    bought(bench, account)
    entry = {
        "order_type": "MARKET", "quantity": D(1), "reference_price": D(100), "epoch": 0,
        "client_order_id": f"{HOME}-c2",
    }  # fmt: skip
    write(bench, Record("TRADE_APPROVED", symbol="ETHUSDT", side=Side.BUY, correlation_id="c2", metadata=entry))
    look(bench, 3)
    assert (told(bench), synced(bench)) == ([], [])


def test_one_look_that_differs_is_no_mismatch_yet(bench: Alone, account: Account) -> None:
    account.balances["USDT"] = D(9_000)
    look(bench)
    assert (told(bench), synced(bench)) == ([], [])
    account.balances["USDT"] = D(10_000)
    look(bench)
    assert [record.event for record in told(bench)] == ["RECONCILED"]


def test_what_differs_twice_is_journalled_once_with_both_sides_and_pauses_trading(
    bench: Alone, account: Account
) -> None:
    account.open = [answer("web_1")]
    look(bench, 4)
    (record,) = told(bench)
    assert record.event == "RECONCILIATION_MISMATCH"
    assert record.metadata["differences"] == [{"what": "order web_1", "books": "unknown", "exchange": "open"}]
    assert synced(bench) == [False, False, False]
    account.open = []
    look(bench)
    assert synced(bench) == [True]


def test_sides_that_differ_in_another_way_each_time_pause_trading_as_well(bench: Alone, account: Account) -> None:
    for amount in range(4):
        account.balances["USDT"] = D(amount)
        look(bench)
    assert synced(bench) == [False]


def test_an_order_that_the_exchange_sees_differently_is_asked_about_at_once(bench: Alone, account: Account) -> None:
    bought(bench, account)
    account.open = []
    look(bench)
    assert bench.told("order.BTCUSDT", Ask) == [Ask("c1-s1")]


def test_a_position_closed_by_hand_is_replayed_trade_by_trade_and_then_the_sides_agree(
    bench: Alone, account: Account
) -> None:
    bought(bench, account)
    account.open = [answer(STOP_ID)]
    account.balances = {"USDT": D(10_000), "BTC": D(0), "ETH": D(0)}
    account.trades += [sale(2), sale(3)]
    account.names[99] = "web_1"
    look(bench, 2)
    mismatch, *fills = told(bench)
    assert mismatch.event == "RECONCILIATION_MISMATCH"
    assert [(r.event, r.metadata["trade_id"], r.correlation_id) for r in fills] == [
        ("ORDER_FILLED", 2, None),
        ("ORDER_FILLED", 3, None),
    ]
    look(bench, 2)  # until they are on the disk nothing is compared, or they would be told again
    assert told(bench) == []
    write(bench, *fills)
    bench.tell(Flushed())
    (agreed,) = told(bench)
    assert (agreed.event, agreed.metadata["trades"]["BTCUSDT"]) == ("RECONCILED", 3)
    assert synced(bench)[-1] is True
    assert bench.world.load_books().holding("BTCUSDT") is None


def test_a_late_fill_of_our_own_is_replayed_under_its_signal(bench: Alone, account: Account) -> None:
    account.trades = [sale(1)]
    account.names[99] = f"0a1b2c3d-{'5' * 20}-s1"
    live_under(bench, "0a1b2c3d")
    look(bench, 2)
    (fill,) = [record for record in told(bench) if record.event == "ORDER_FILLED"]
    assert (fill.metadata["client_order_id"], fill.correlation_id) == (account.names[99], "5" * 20)


def test_a_deposit_is_taken_over_after_it_has_stayed_the_same(bench: Alone, account: Account) -> None:
    account.balances["USDT"] = D(11_000)
    look(bench, 2)
    assert [record.event for record in told(bench)] == ["RECONCILIATION_MISMATCH"]
    look(bench)
    (adopted,) = told(bench)
    assert (adopted.event, adopted.metadata["adjusted"]) == ("RECONCILED", {"USDT": D(1_000)})
    assert True not in synced(bench)
    write(bench, adopted)
    bench.tell(Flushed())
    assert synced(bench) == [True]
    assert bench.world.load_books().balances["USDT"] == D(11_000)


def test_an_amount_that_differs_while_an_order_does_too_is_not_taken_over(bench: Alone, account: Account) -> None:
    account.balances["USDT"] = D(11_000)
    account.open = [answer("web_1")]
    look(bench, 6)
    assert [record.event for record in told(bench)] == ["RECONCILIATION_MISMATCH"]


def test_trades_of_another_system_are_taken_over_only_when_the_operator_says_so(bench: Alone, account: Account) -> None:
    account.trades = [sale(1)]
    account.names[99] = f"ffffffff-{'5' * 20}"
    look(bench, 4)
    assert [record.event for record in told(bench)] == ["RECONCILIATION_MISMATCH"]
    assert set(synced(bench)) == {False}
    bench.tell(Reconcile("http", take_over=True))
    assert [record.event for record in told(bench)] == ["ORDER_FILLED"]


def test_an_order_of_ours_that_has_ended_in_the_books_and_is_open_is_cancelled(
    bench: Alone, account: Account, cancelled: list[str]
) -> None:
    account.open = [answer(f"0a1b2c3d-{'5' * 20}")]
    live_under(bench, "0a1b2c3d")
    look(bench, 4)
    assert cancelled == ["BTCUSDT"]


@pytest.mark.parametrize(
    "error", [NetworkError("no answer"), ExchangeError(-1003, "Too many requests.", 429, retry_after=30.0)]
)
def test_an_exchange_that_does_not_answer_pauses_trading(bench: Alone, account: Account, error: Exception) -> None:
    account.fails = error
    look(bench)
    assert (told(bench), synced(bench)) == ([], [False])


def test_a_replacement_waits_for_what_its_predecessor_told_to_be_written(tmp_path: Path, account: Account) -> None:
    with alone(tmp_path, "reconciler", ReconcilerActor, rest=lambda: account) as made:
        write(made, Record("SYSTEM_STARTED", metadata={"opening_balances": dict(account.balances)}))
        made.incarnation = 0
        made.start()
        made.tell(Reconcile("risk"), Flushed(0))
        assert made.told("audit", Record, Flush) == [Flush("reconciler", 1)]
        made.tell(Flushed(1))
        assert [record.event for record in told(made)] == ["RECONCILED"]


def test_the_minute_looks_at_the_exchanges_clock_too(bench: Alone, account: Account) -> None:
    bench.tell(Heartbeat())
    assert account.clock_looks == 1
    assert [record.metadata["why"] for record in told(bench)] == ["timer"]


def test_trades_beyond_one_page_are_read_to_the_last(
    bench: Alone, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.reconciler.PAGE", 2)
    account.trades = [sale(n) for n in range(1, 6)]
    account.names[99] = "web_1"
    look(bench, 2)
    ids = [record.metadata["trade_id"] for record in told(bench) if record.event == "ORDER_FILLED"]
    assert ids == [1, 2, 3, 4, 5]


def lasting(bench: Alone) -> list[bool]:
    return [message.lasting for message in bench.told("risk", Synced)]


def test_a_difference_that_nothing_repairs_is_told_as_lasting_until_the_sides_agree(
    bench: Alone, account: Account
) -> None:
    account.open = [answer("web_1")]
    look(bench, 7)
    assert lasting(bench) == [False] * 4 + [True] * 2
    account.open = []
    look(bench)
    account.open = [answer("web_2")]
    look(bench, 2)
    assert lasting(bench) == [False, False]


def test_looks_that_somebody_asks_for_do_not_make_a_difference_last(bench: Alone, account: Account) -> None:
    account.open = [answer("web_1")]
    bench.tell(*(Reconcile("operator") for _ in range(20)))
    assert set(lasting(bench)) == {False}


def test_a_deposit_is_taken_over_before_it_lasts(bench: Alone, account: Account) -> None:
    account.balances["USDT"] = D(11_000)
    look(bench, 3)
    assert set(lasting(bench)) == {False}
