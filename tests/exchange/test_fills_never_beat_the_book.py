"""Fills on recorded frames, each against what the frames showed: no better price, no more, no sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tests.exchange.conftest import SHARED
from tests.exchange.recorded_truth import Audit, TooGood
from thunes.domain import admission
from thunes.domain.executions import Execution, OrderRequest
from thunes.domain.matching import MatchingEngine
from thunes.domain.orderbook import OrderBook
from thunes.errors import ExchangeError
from thunes.exchange.simulator import capture, rules
from thunes.exchange.simulator.capture import Capture
from thunes.messages import Levels, OrderType, Side, TimeInForce

CAPTURE = SHARED / "binance-spot-capture"
FILES = {symbol: CAPTURE / f"{symbol}-2024-08-08.jsonl.gz" for symbol in ("BTCUSDT", "ETHUSDT")}
captured = pytest.mark.skipif(not CAPTURE.is_dir(), reason=f"{CAPTURE} with captured frames is absent")

ACCOUNT = "default"
TICK = Decimal("0.01")
MOST = {"BTCUSDT": 1.3, "ETHUSDT": 2.5}
ORDERS_PER_EVENT = 0.05
MOST_OPEN = 40
STOP_WITHIN = Decimal("0.0001")
"""How far from the best price a stop may be, as a share of it: about what it moves in a few seconds."""
KINDS = (
    *(OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER),
    *(OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT),
)
TIMES = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


@dataclass
class Trader:
    """A stream of orders drawn from a seed, around the best prices."""

    symbol: str
    step: Decimal
    random: Random
    most: float
    """The power of ten of its greatest order: more than the best ten levels hold."""
    placed: int = 0

    def request(self, audit: Audit) -> OrderRequest:
        side, kind = self.random.choice(list(Side)), self.random.choice(KINDS)
        by_quote = kind is OrderType.MARKET and self.random.random() < 0.3
        quantity = self._quantity()
        timed = kind in (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
        stop = self._stop(audit, side, kind) if kind.is_conditional else None
        self.placed += 1
        return OrderRequest(
            symbol=self.symbol,
            side=side,
            order_type=kind,
            quantity=None if by_quote else quantity,
            quote_quantity=quantity * audit.book.best(side) // 1 if by_quote else None,
            price=self._price(audit, side, kind, stop),
            time_in_force=self.random.choice(TIMES) if timed else TimeInForce.GTC,
            client_order_id=f"o{self.placed}",
            stop_price=stop,
        )

    def _quantity(self) -> Decimal:
        """As many small ones as great ones."""
        return (Decimal(10 ** self.random.uniform(-3, self.most)) // self.step + 1) * self.step

    def _stop(self, audit: Audit, side: Side, kind: OrderType) -> Decimal:
        is_stop = kind in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
        above = is_stop is (side is Side.BUY)
        near = audit.book.best(Side.SELL if above else Side.BUY)
        away = self.random.randint(1, int(near * STOP_WITHIN / TICK)) * TICK
        return near + away if above else near - away

    def _price(self, audit: Audit, side: Side, kind: OrderType, stop: Decimal | None) -> Decimal | None:
        if kind in (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT):
            return None
        near = stop if stop is not None else audit.book.best(side)
        ticks = self.random.choice((0, 0, 0, 1, -1, -5, -30, 60, 300))
        return near + ticks * TICK * (1 if side is Side.BUY else -1)


def audited(symbol: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> Audit:
    """Play all frames of a symbol with orders between them; raises TooGood at a fill that beats the book."""
    typed = rules.symbol_rules(rules.entries([symbol]))
    engine = MatchingEngine(typed, maker_fee=Decimal("0.001"), taker_fee=Decimal("0.001"))
    engine.open_account(ACCOUNT, {typed[symbol].base: Decimal(10**6), typed[symbol].quote: Decimal(10**10)})
    random = Random(seed)
    trader, audit = Trader(symbol, typed[symbol].step_size, random, MOST[symbol]), Audit()
    read: list[bytes] = []
    monkeypatch.setattr(capture, "lines", tapped(read))
    for event in Capture(FILES[symbol], symbol):
        executions = engine.market(event)
        audit.market(read, executions)
        read.clear()
        if random.random() < ORDERS_PER_EVENT:
            audit.asked(acted(engine, trader, audit, event.time_ms))
    return audit


def tapped(read: list[bytes]) -> Callable[[Path], Iterator[tuple[int, bytes]]]:
    """The lines of a file as the product gets them, which are known to the audit by the time it has them."""
    original = capture.lines

    def lines(path: Path) -> Iterator[tuple[int, bytes]]:
        for row, line in original(path):
            read.append(line)
            yield row, line

    return lines


def acted(engine: MatchingEngine, trader: Trader, audit: Audit, now_ms: int) -> tuple[Execution, ...]:
    """Place an order, or cancel one where many are open; one that is refused has done nothing."""
    open_orders = engine.open_orders(ACCOUNT)
    if len(open_orders) >= MOST_OPEN:
        order = trader.random.choice(open_orders)
        return engine.cancel(ACCOUNT, trader.symbol, order_id=order.order_id, cancel_id="c", now_ms=now_ms)
    try:
        return engine.place(ACCOUNT, trader.request(audit), now_ms)
    except ExchangeError:
        return ()


@captured
@pytest.mark.parametrize(("symbol", "seed"), [("BTCUSDT", 1), ("BTCUSDT", 2), ("ETHUSDT", 3)])
def test_no_fill_beats_what_the_recorded_frames_showed(symbol: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = audited(symbol, monkeypatch, seed)
    assert all(count >= 30 for count in audit.seen.values()), audit.seen
    assert audit.queued > 100


def never_consumed(_book: OrderBook, _side: Side, _takes: Levels) -> None:
    """What was taken is there for the next one."""


def whole_at_the_touch(
    book: OrderBook, side: Side, quantity: Decimal, *, limit: Decimal | None = None, step: Decimal = Decimal(0)
) -> Levels:
    """Everything at the best price, however little is there."""
    best = book.facing(side).best
    if best is None or (limit is not None and not book.facing(side).reaches(limit)):
        return ()
    return ((best, quantity),)


honest_plan = admission.plan


def first_in_the_queue(*args: object) -> admission.Plan:
    return replace(honest_plan(*args), queue_ahead=Decimal(0))  # type: ignore[arg-type]


@captured
@pytest.mark.parametrize(
    ("where", "name", "flattering"),
    [
        (OrderBook, "consume", never_consumed),
        (OrderBook, "walk", whole_at_the_touch),
        (admission, "plan", first_in_the_queue),
        (admission, "reaches", lambda _order, _price: True),
    ],
    ids=["depth is never consumed", "all at the touch", "nobody ahead", "stops at once"],
)
def test_a_matching_engine_that_flatters_is_found_out(
    where: object, name: str, flattering: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, flattering)
    with pytest.raises(TooGood):
        audited("BTCUSDT", monkeypatch, seed=1)
