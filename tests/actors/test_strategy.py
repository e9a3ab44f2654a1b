"""StrategyActor alone: intents become orders, and refusals do not become floods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import History, OrderProgress
from actors.runtime.actor import Exited, Stop
from actors.runtime.mailbox import MailboxPolicy
from actors.strategy import StrategyActor
from actors.world import World
from tests.e2e.support import wait_for
from tests.venue_in_process import Venue, make_world, rules_of
from thunes.domain.figures import StrategyFigures
from thunes.domain.journal import seal
from thunes.messages import Candle, Intent, Record, Side, SubmitOrder, Tick
from thunes.strategies.base import Holding, Strategy

NAME = "strategy.BTCUSDT"
START = 1_735_689_600_000
D = Decimal


class Eager(Strategy):
    """Wants out on every tick when it holds something, and in on every candle when it does not."""

    name = "eager"
    warmup = 2

    def on_candle(self, candle: Candle, holding: Holding | None) -> Intent | None:
        self.candles += 1
        return Intent(Side.BUY, "CANDLE") if holding is None else None

    def on_tick(self, tick: Tick, holding: Holding | None) -> Intent | None:
        return Intent(Side.SELL, "TICK") if holding is not None else None


def candle(number: int) -> Candle:
    opened = START + number * 60_000
    return Candle("BTCUSDT", "1m", opened, opened + 59_999, D(5), D(5), D(5), D(5), D(1))


@dataclass
class Bench:
    world: World
    venue: Venue
    updates: int = 0

    def tick(self) -> Tick:
        self.updates += 1
        return self.venue.tick("BTCUSDT", self.updates, self.world.clock.monotonic_ns())

    def tell(self, *messages: Any) -> list[SubmitOrder]:
        """Tell the actor, one after the other; the orders that it told to risk since the last call."""
        for message in messages:
            before = self.world.board.handled.get(NAME, 0)
            self.world.post.tell(NAME, message)
            wait_for(lambda before=before: self.world.board.handled.get(NAME, 0) > before, what="the message handled")
        box = self.world.post["risk"]
        told = [box.get().message for _ in range(len(box))]
        return [message for message in told if isinstance(message, SubmitOrder)]

    @property
    def figures(self) -> StrategyFigures:
        return self.world.board.figures[NAME]  # type: ignore[no-any-return]

    def refusal(self, order: SubmitOrder, reason: str) -> Any:
        record = Record("TRADE_REJECTED", symbol="BTCUSDT", reason=reason, correlation_id=order.correlation_id)
        event, _ = seal(record, seq=1, timestamp=self.world.clock.wall(), git_sha="x", prev_hash="0" * 64)
        return event


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    venue = Venue(rules_of("BTCUSDT"))
    world = make_world(tmp_path, venue, strategy=lambda symbol: Eager(symbol, Eager.parameters_type()))
    for name in ("risk", "audit", "supervisor"):
        world.post.register(name, MailboxPolicy())
    world.post.register(NAME, StrategyActor.mailbox_policy)
    StrategyActor.start(world, NAME)
    yield Bench(world, venue)
    world.post.tell(NAME, Stop())
    wait_for(lambda: any(type(x.message) is Exited for x in list(world.post["supervisor"]._queue)), what="its exit")


HELD = Holding(D("0.00019980"), D(60_060))


def test_a_buy_spends_the_quote_per_trade_at_the_ask_rounded_down_to_the_step(bench: Bench) -> None:
    (order,) = bench.tell(bench.tick(), candle(0))
    assert (order.side, order.quantity, order.reference_price) == (Side.BUY, D("0.00016"), D("60000.01"))
    assert order.quantity * order.reference_price <= D(10)


def test_a_sell_takes_all_that_is_sellable(bench: Bench) -> None:
    (order,) = bench.tell(OrderProgress(HELD), bench.tick())
    assert (order.side, order.quantity) == (Side.SELL, D("0.00019"))


def test_before_the_first_tick_there_is_no_price_and_so_no_order(bench: Bench) -> None:
    assert bench.tell(candle(0)) == []


def test_one_intent_at_a_time(bench: Bench) -> None:
    assert len(bench.tell(OrderProgress(HELD), bench.tick(), bench.tick(), bench.tick())) == 1


def test_history_is_fed_and_never_acted_on(bench: Bench) -> None:
    assert bench.tell(bench.tick(), History((candle(0), candle(1)))) == []
    assert (bench.figures.state, bench.figures.candles) == ("ready", 2)


def test_a_candle_that_was_fed_is_not_fed_again(bench: Bench) -> None:
    assert bench.tell(bench.tick(), History((candle(0), candle(1))), candle(1)) == []
    assert bench.figures.candles == 2


def test_a_refused_tick_intent_is_not_asked_for_again_on_every_tick(bench: Bench) -> None:
    (order,) = bench.tell(OrderProgress(HELD), bench.tick())
    assert bench.tell(bench.refusal(order, "CIRCUIT_OPEN"), bench.tick(), bench.tick()) == []
    assert bench.figures.last_decision == "SELL TICK: CIRCUIT_OPEN"


def test_a_refused_exit_is_tried_again_on_the_next_closed_candle(bench: Bench) -> None:
    (order,) = bench.tell(OrderProgress(HELD), bench.tick())
    (again,) = bench.tell(bench.refusal(order, "CIRCUIT_OPEN"), candle(0))
    assert (again.side, again.cause) == (Side.SELL, "TICK")
    assert again.correlation_id != order.correlation_id


def test_a_refusal_for_good_is_not_tried_again(bench: Bench) -> None:
    (order,) = bench.tell(OrderProgress(HELD), bench.tick())
    assert bench.tell(bench.refusal(order, "NO_POSITION"), candle(0)) == []


def test_a_fill_ends_the_intent_and_changes_the_holding(bench: Bench) -> None:
    (order,) = bench.tell(bench.tick(), candle(0))
    (out,) = bench.tell(OrderProgress(HELD, order.correlation_id, "ORDER_FILLED", None, ended=True), bench.tick())
    assert out.side is Side.SELL
    assert bench.figures.last_decision == "SELL TICK"
