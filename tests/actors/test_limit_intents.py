"""StrategyActor alone: an intent with a limit becomes a LIMIT order with an end, and gives way to an exit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from actors.protocol import CancelOrder, OrderProgress
from actors.runtime.actor import Stop
from actors.runtime.mailbox import MailboxPolicy
from actors.strategy import StrategyActor
from tests.actors.test_strategy import NAME, Bench, candle
from tests.e2e.support import wait_for
from tests.venue_in_process import Venue, make_world, rules_of
from thunes.messages import Candle, Intent, OrderType, Side, Tick
from thunes.strategies.base import Holding, Strategy

D = Decimal
ENTRY = Intent(Side.BUY, "DIP", limit_price=D("59000.019"), good_for=90.0, stop_loss=D("0.02"), take_profit=D("0.05"))


class Patient(Strategy):
    """Wants in at a limit on every candle, and out on every tick that finds it holding something."""

    name = "patient"
    warmup = 0
    entry = ENTRY

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        self.candles += 1
        return self.entry if holding is None else None

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        return Intent(Side.SELL, "OUT") if holding is not None else None


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    venue = Venue(rules_of("BTCUSDT"))
    world = make_world(tmp_path, venue, strategy=lambda symbol: Patient(symbol, Patient.parameters_type()))
    for name in ("risk", "audit", "supervisor", "order.BTCUSDT"):
        world.post.register(name, MailboxPolicy())
    world.post.register(NAME, StrategyActor.mailbox_policy)
    StrategyActor.start(world, NAME)
    yield Bench(world, venue)
    world.post.tell(NAME, Stop())
    wait_for(lambda: len(world.post[NAME]) == 0, what="its end")


def test_a_limit_is_on_the_grid_with_its_terms_its_quantity_and_its_end_in_market_time(bench: Bench) -> None:
    (order,) = bench.tell(bench.tick(), candle(0))
    assert (order.order_type, order.price) == (OrderType.LIMIT, D("59000.01"))
    assert order.quantity == D("0.00016")  # what risk.quote_per_trade buys at the limit
    assert order.expires_ms == order.market_ms + 90_000
    assert (order.stop_loss, order.take_profit) == (D("0.02"), D("0.05"))


def test_a_limit_without_a_time_of_its_own_has_the_settings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patient, "entry", Intent(Side.BUY, "DIP", limit_price=D(59_000)))
    (order,) = bench.tell(bench.tick(), candle(0))
    assert order.expires_ms == order.market_ms + int(bench.world.settings.risk.limit_good_for * 1000)


def test_a_market_order_never_ends_by_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patient, "entry", Intent(Side.BUY, "NOW", good_for=5.0))
    (order,) = bench.tell(bench.tick(), candle(0))
    assert (order.order_type, order.price, order.expires_ms) == (OrderType.MARKET, None, 0)


def test_an_exit_has_what_is_left_of_a_resting_entry_cancelled_and_is_decided_anew(bench: Bench) -> None:
    (entry,) = bench.tell(bench.tick(), candle(0))
    held = Holding(D("0.0001"), D(59_000))
    assert bench.tell(OrderProgress(held, entry.correlation_id, "ORDER_PARTIALLY_FILLED"), bench.tick()) == []
    box = bench.world.post["order.BTCUSDT"]
    assert box.get().message == CancelOrder(entry.correlation_id, "STALE_EPOCH")
    bench.tell(OrderProgress(held, entry.correlation_id, "ORDER_CANCELED", ended=True))
    (leave,) = bench.tell(candle(1), bench.tick())
    assert (leave.side, leave.cause, leave.order_type) == (Side.SELL, "OUT", OrderType.MARKET)
