"""Any sequence of orders, cancels, books and prints leaves every account right to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.matching_model import (
    CENTRE,
    LOTS,
    MAKER_FEE,
    OPENING,
    RULES,
    SPACING,
    SPOILS,
    TAKER_FEE,
    Model,
    at,
    check_displayed,
)
from thunes.domain.executions import Execution, Order, OrderRequest
from thunes.domain.matching import MatchingEngine
from thunes.domain.orderbook import OrderBook
from thunes.errors import ExchangeError
from thunes.messages import BookChanged, MarketEvent, OrderType, PublicTrade, Side, TimeInForce, TopChanged

D = Decimal
Kind: TypeAlias = tuple[OrderType, TimeInForce]
GTC: Kind = (OrderType.LIMIT, TimeInForce.GTC)
REFUSALS = {-1013, -1100, -1102, -1106, -1111, -2010}

accounts = st.sampled_from(sorted(OPENING))
symbols = st.sampled_from(sorted(RULES))
sides = st.sampled_from(Side)
steps = st.integers(-9, 9)
sizes = st.integers(1, 60)
displayed = st.lists(st.tuples(steps, st.integers(0, 25)), max_size=5)
names = st.integers(0, 9).map("c{}".format)
limit_types = st.sampled_from([*((OrderType.LIMIT, tif) for tif in TimeInForce), (OrderType.LIMIT_MAKER, GTC[1])])


class Matching(RuleBasedStateMachine):
    """Two accounts and two symbols; the model hears what the engine reports and must always agree with it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.model = Model(OPENING)
        self.engine = self.new_engine()
        for account, held in OPENING.items():
            self.engine.open_account(account, {asset: D(amount) for asset, amount in held.items()})

    def new_engine(self) -> MatchingEngine:
        return MatchingEngine(RULES, maker_fee=D(MAKER_FEE), taker_fee=D(TAKER_FEE), closed_limit=20)

    @initialize()
    def markets_open(self) -> None:
        for symbol in RULES:
            bids = tuple((at(symbol, -n), LOTS[symbol] * 9 * n) for n in (1, 2, 5))
            asks = tuple((at(symbol, n), LOTS[symbol] * 9 * n) for n in (1, 2, 5))
            self.show(BookChanged(symbol, self.now_ms, bids, asks, snapshot=True))
            for account in OPENING:
                for side, step in ((Side.BUY, -3), (Side.SELL, 2)):
                    self.place(account, self.limit(symbol, side, 9, f"{side}-{symbol}", step, GTC))

    # orders

    @rule(account=accounts, symbol=symbols, side=sides, size=sizes, name=names)
    def place_market(self, account: str, symbol: str, side: Side, size: int, name: str) -> None:
        quantity = LOTS[symbol] * size
        self.place(account, OrderRequest(symbol, side, OrderType.MARKET, quantity, None, None, client_order_id=name))

    @rule(account=accounts, symbol=symbols, side=sides, size=sizes, name=names, cents=st.integers(0, 999))
    def place_quote_amount(self, account: str, symbol: str, side: Side, size: int, name: str, cents: int) -> None:
        amount = (CENTRE[symbol] * LOTS[symbol] * size).quantize(D("0.00001")) + cents * D("0.00000001")
        self.place(account, OrderRequest(symbol, side, OrderType.MARKET, None, amount, None, client_order_id=name))

    @rule(account=accounts, symbol=symbols, side=sides, size=sizes, name=names, step=steps, kind=limit_types)
    def place_limit(self, account: str, symbol: str, side: Side, size: int, name: str, step: int, kind: Kind) -> None:
        self.place(account, self.limit(symbol, side, size, name, step, kind))

    @rule(account=accounts, symbol=symbols, side=sides, size=sizes, name=names, step=st.integers(1, 5))
    def place_beside_the_market(self, account: str, symbol: str, side: Side, size: int, name: str, step: int) -> None:
        away = -step if side is Side.BUY else step
        self.place(account, self.limit(symbol, side, size, name, away, GTC))

    @rule(account=accounts, symbol=symbols, side=sides, name=names, spoil=st.sampled_from(sorted(SPOILS)))
    def place_spoiled(self, account: str, symbol: str, side: Side, name: str, spoil: str) -> None:
        self.place(account, SPOILS[spoil](self.limit(symbol, side, 9, name, 0, GTC)))

    @rule(account=accounts, symbol=symbols, name=names)
    def cancel(self, account: str, symbol: str, name: str) -> None:
        mine = [o for o in self.model.open_orders() if (o.account, o.symbol) == (account, symbol)]
        expected = [o.order_id for o in mine if o.client_order_id == name]
        if expected:
            done = self.engine.cancel(account, symbol, client_order_id=name, cancel_id="x", now_ms=self.now_ms)
            assert [each.order.order_id for each in done] == expected
            self.model.hear(done)
            return
        before = self.state()
        with pytest.raises(ExchangeError, match="Unknown order sent"):
            self.engine.cancel(account, symbol, client_order_id=name, cancel_id="x", now_ms=self.now_ms)
        assert self.state() == before

    @rule(account=accounts, symbol=symbols)
    def cancel_all(self, account: str, symbol: str) -> None:
        mine = [o.order_id for o in self.model.open_orders() if (o.account, o.symbol) == (account, symbol)]
        if mine:
            done = self.engine.cancel_all(account, symbol, self.now_ms, "x")
            assert [each.order.order_id for each in done] == mine
            self.model.hear(done)
        else:
            with pytest.raises(ExchangeError, match="Unknown order sent"):
                self.engine.cancel_all(account, symbol, self.now_ms, "x")

    # the market

    @rule(symbol=symbols, bids=displayed, asks=displayed, snapshot=st.booleans())
    def book_changes(
        self, symbol: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]], snapshot: bool
    ) -> None:
        def levels(side: list[tuple[int, int]]) -> tuple[tuple[Decimal, Decimal], ...]:
            # A lot and a half: the public market's quantities need not be multiples of anybody's step.
            return tuple((at(symbol, step), LOTS[symbol] * n * D("1.5")) for step, n in side)

        self.show(BookChanged(symbol, self.now_ms, levels(bids), levels(asks), snapshot))

    @rule(symbol=symbols, bid=steps, spread=st.integers(1, 4), sizes=st.tuples(st.integers(0, 20), st.integers(0, 20)))
    def top_changes(self, symbol: str, bid: int, spread: int, sizes: tuple[int, int]) -> None:
        lot = LOTS[symbol]
        top = (at(symbol, bid), lot * sizes[0], at(symbol, bid + spread), lot * sizes[1])
        self.show(TopChanged(symbol, self.now_ms, *top))

    @rule(symbol=symbols, step=steps, size=sizes, seller_took=st.booleans())
    def somebody_trades(self, symbol: str, step: int, size: int, seller_took: bool) -> None:
        quantity = LOTS[symbol] * size * D("1.5")
        event = PublicTrade(symbol, 1, at(symbol, step), quantity, self.now_ms, seller_took)
        executions = self.show(event)
        for side in Side:
            filled = [e.fill.quantity for e in executions if e.fill is not None and e.order.side is side]
            assert sum(filled) <= quantity
        assert all(e.order.price >= event.price for e in executions if e.order.side is Side.BUY)
        assert all(e.order.price <= event.price for e in executions if e.order.side is Side.SELL)

    @precondition(lambda self: self.model.open_orders())
    @rule(choice=st.integers(0, 99), beyond=st.integers(-1, 2), size=sizes)
    def somebody_trades_with_a_resting_order(self, choice: int, beyond: int, size: int) -> None:
        order = self.resting(choice)
        step = -SPACING[order.symbol] if order.side is Side.BUY else SPACING[order.symbol]
        quantity, seller_took = LOTS[order.symbol] * size, order.side is Side.BUY
        price = order.price + beyond * step
        self.show(PublicTrade(order.symbol, 1, price, quantity, self.now_ms, seller_took))

    @precondition(lambda self: self.model.open_orders())
    @rule(choice=st.integers(0, 99), beyond=st.integers(0, 2), size=st.integers(1, 9))
    def the_book_reaches_a_resting_order(self, choice: int, beyond: int, size: int) -> None:
        order = self.resting(choice)
        step = -SPACING[order.symbol] if order.side is Side.BUY else SPACING[order.symbol]
        level = ((order.price + beyond * step, LOTS[order.symbol] * size),)
        bids, asks = ((), level) if order.side is Side.BUY else (level, ())
        self.show(BookChanged(order.symbol, self.now_ms, bids, asks))

    @rule(minutes=st.integers(1, 7))
    def time_passes(self, minutes: int) -> None:
        self.now_ms += minutes * 60_000

    @rule()
    def restart(self) -> None:
        saved, old = self.engine.dump(), self.engine
        self.engine = self.new_engine()
        self.engine.restore(
            saved.orders, saved.balances, saved.next_order_id, saved.next_trade_id, saved.next_execution_id
        )
        assert self.engine.dump() == saved
        self.model.deposited = self.model.held()
        for symbol in RULES:
            bids, asks = old.book(symbol).levels()
            self.show(BookChanged(symbol, self.now_ms, bids, asks, snapshot=True))

    # what holds after every step

    @invariant()
    def accounts_agree_with_the_model(self) -> None:
        self.model.check(self.engine)

    @invariant()
    def nothing_rests_that_could_trade(self) -> None:
        for order in self.model.open_orders():
            book, step = self.engine.book(order.symbol), RULES[order.symbol].step_size
            assert book.walk(order.side, order.remaining, limit=order.price, step=step) == ()

    @invariant()
    def the_book_is_not_crossed(self) -> None:
        for symbol in RULES:
            bid, ask = self.engine.book(symbol).bids.best, self.engine.book(symbol).asks.best
            assert bid is None or ask is None or bid < ask

    # how the steps are done

    def resting(self, choice: int) -> Order:
        orders = self.model.open_orders()
        return orders[choice % len(orders)]

    def limit(self, symbol: str, side: Side, size: int, name: str, step: int, kind: Kind) -> OrderRequest:
        quantity = LOTS[symbol] * size
        return OrderRequest(symbol, side, kind[0], quantity, None, at(symbol, step), kind[1], client_order_id=name)

    def place(self, account: str, request: OrderRequest) -> None:
        before = self.state()
        book_before = self.engine.book(request.symbol).levels()
        refused = self.refusal(account, request)
        assert self.state() == before
        if refused is None:
            executions = self.engine.place(account, request, self.now_ms)
            self.model.hear(executions)
            assert not any(e.fill.is_maker for e in executions if e.fill is not None)
            self.check_taken(request, executions, book_before)
            return
        assert refused.code in REFUSALS
        self.model.check_refused(account, request, refused)
        with pytest.raises(ExchangeError) as again:
            self.engine.place(account, request, self.now_ms)
        assert again.value.message == refused.message
        assert self.state() == before

    def refusal(self, account: str, request: OrderRequest) -> ExchangeError | None:
        try:
            assert self.engine.place(account, request, self.now_ms, validate_only=True) == ()
        except ExchangeError as error:
            return error
        return None

    def check_taken(self, request: OrderRequest, executions: Sequence[Execution], before: Any) -> None:
        """What was taken left the displayed book, and no amount asked for was exceeded."""
        took = {e.fill.price: e.fill.quantity for e in executions if e.fill is not None}
        facing = dict(before[1] if request.side is Side.BUY else before[0])
        left = {price: quantity - took.get(price, D(0)) for price, quantity in facing.items()}
        bids, asks = self.engine.book(request.symbol).levels()
        assert dict(asks if request.side is Side.BUY else bids) == {p: q for p, q in left.items() if q}
        assert (bids if request.side is Side.BUY else asks) == (before[0] if request.side is Side.BUY else before[1])
        order = executions[-1].order
        if request.quote_quantity is not None:
            assert order.cumulative_quote <= request.quote_quantity
        if request.time_in_force is TimeInForce.FOK:
            assert order.executed in (0, order.quantity)
        if request.order_type is OrderType.LIMIT_MAKER:
            assert not took

    def show(self, event: MarketEvent) -> tuple[Execution, ...]:
        before = [order.order_id for order in self.model.open_orders()]
        untouched = deepcopy(self.engine.book(event.symbol))
        executions = self.engine.market(event)
        self.model.hear(executions)
        if not isinstance(event, PublicTrade):
            untouched.apply(event)
            check_displayed(untouched, self.engine.book(event.symbol), executions)
        assert {e.order.order_id for e in executions} <= set(before)
        assert all(e.fill is not None and e.fill.is_maker for e in executions)
        assert all(e.order.symbol == event.symbol and e.kind == "TRADE" for e in executions)
        for side in Side:
            mine = [e.order for e in executions if e.order.side is side]
            best_first = sorted(mine, key=lambda o: (-o.price if side is Side.BUY else o.price, o.order_id))
            assert mine == best_first
        return executions

    def state(self) -> tuple[Any, ...]:
        books: list[OrderBook] = [self.engine.book(symbol) for symbol in RULES]
        return self.engine.dump(), self.engine.flows(), [book.levels() for book in books]


TestMatching = Matching.TestCase
TestMatching.settings = settings(max_examples=500, stateful_step_count=50, deadline=None, derandomize=True)
