"""A second opinion on the matching engine: accounts kept from execution reports alone, with arithmetic of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.sample_market import rules
from thunes.domain.executions import Execution, Fill, Order, OrderRequest
from thunes.domain.filters import SymbolRules
from thunes.domain.matching import MatchingEngine
from thunes.domain.orderbook import OrderBook
from thunes.errors import ExchangeError
from thunes.messages import OrderStatus, OrderType, Side

D = Decimal

RULES: Mapping[str, SymbolRules] = {
    "ABCXYZ": rules(
        "ABCXYZ",
        PRICE_FILTER={"minPrice": "97", "maxPrice": "103", "tickSize": "0.01"},
        PERCENT_PRICE_BY_SIDE={"bidMultiplierDown": "0.98", "askMultiplierUp": "1.02"},
        LOT_SIZE={"minQty": "0.06", "maxQty": "3", "stepSize": "0.001"},
        NOTIONAL={"minNotional": "8", "maxNotional": "250", "applyMaxToMarket": True},
        MARKET_LOT_SIZE={"minQty": "0.12", "maxQty": "2.5", "stepSize": "0.0025"},
        MAX_NUM_ORDERS={"maxNumOrders": 4},
        MAX_POSITION={"maxPosition": "24"},
    ),
    "DEFABC": rules(
        "DEFABC",
        without=("NOTIONAL", "MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE"),
        PRICE_FILTER={"minPrice": "0.00003", "maxPrice": "0", "tickSize": "0.00003"},
        PERCENT_PRICE={"multiplierUp": "1.1", "multiplierDown": "0.9", "avgPriceMins": 0},
        LOT_SIZE={"minQty": "0.00007", "maxQty": "0", "stepSize": "0.00007"},
        MIN_NOTIONAL={"minNotional": "0.003", "applyToMarket": False, "avgPriceMins": 0},
        MAX_NUM_ORDERS={"maxNumOrders": 3},
    ),
}
"""ABC is the base asset of one symbol and the quote asset of the other; steps are odd, and amounts need truncation."""

OPENING = {
    "ann": {"XYZ": "3000", "ABC": "20", "DEF": "900"},
    "bob": {"XYZ": "217.12345678", "ABC": "1.5", "DEF": "40"},
}
CENTRE = {"ABCXYZ": D(100), "DEFABC": D("0.00300")}
SPACING = {"ABCXYZ": D("0.27"), "DEFABC": D("0.00003")}
LOTS = {"ABCXYZ": D("0.055"), "DEFABC": D("0.49007")}

MAKER_FEE, TAKER_FEE = "0.00075", "0.0011"
SATOSHI = 10**8

Spoil = Callable[[OrderRequest], OrderRequest]
SPOILS: dict[str, Spoil] = {
    "odd quantity": lambda r: replace(r, quantity=(r.quantity or D(1)) + D("0.00001")),
    "odd price": lambda r: replace(r, price=(r.price or D(1)) + D("0.00001")),
    "too fine": lambda r: replace(r, quantity=(r.quantity or D(1)) + D("0.000000001")),
    "no quantity": lambda r: replace(r, quantity=D(0)),
    "negative": lambda r: replace(r, quantity=D(-1)),
    "huge": lambda r: replace(r, quantity=D(10) ** 12),
    "tiny": lambda r: replace(r, quantity=RULES[r.symbol].step_size),
    "missing": lambda r: replace(r, quantity=None, quote_quantity=None),
    "both": lambda r: replace(r, quantity=D(1), quote_quantity=D(20)),
    "far": lambda r: replace(r, price=CENTRE[r.symbol] * 2),
    "unnamed": lambda r: replace(r, client_order_id=""),
}
"""Ways to make an order that must be refused."""


def at(symbol: str, step: int) -> Decimal:
    return CENTRE[symbol] + step * SPACING[symbol]


def truncated(amount: Fraction) -> Fraction:
    return Fraction(int(amount * SATOSHI), SATOSHI)


class Model:
    """What every account has and every order did, as its execution reports tell."""

    def __init__(self, opening: Mapping[str, Mapping[str, str]]) -> None:
        self.accounts = tuple(opening)
        self.totals = {
            (account, asset): Fraction(amount) for account, held in opening.items() for asset, amount in held.items()
        }
        self.deposited = self.held()
        self.orders: dict[int, Order] = {}
        self.quotes: defaultdict[int, Fraction] = defaultdict(Fraction)
        self.next_execution = 1
        self.next_trade = dict.fromkeys(RULES, 1)

    def held(self) -> dict[str, Fraction]:
        """Of each asset, what all accounts have together."""
        assets = {asset for _, asset in self.totals}
        return {each: sum((t for (_, a), t in self.totals.items() if a == each), Fraction(0)) for each in assets}

    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if order.status.is_open]

    def hear(self, executions: Iterable[Execution]) -> None:
        """Takes reports in, each checked against what was known before it."""
        for execution in executions:
            assert execution.execution_id == self.next_execution
            self.next_execution += 1
            before, after = self.orders.get(execution.order.order_id), execution.order
            assert (before is None) == (execution.kind == "NEW")
            assert (execution.fill is not None) == (execution.kind == "TRADE")
            if before is None:
                check_accepted(after, self.open_orders())
                self._check_position(after)
            else:
                assert before.status.is_open
                executed = Fraction(before.executed) + (Fraction(execution.fill.quantity) if execution.fill else 0)
                assert Fraction(after.executed) == executed
            if execution.fill is not None:
                self._trade(after, execution.fill)
            self.orders[after.order_id] = after
            self._check_status(after, execution)

    def check_refused(self, account: str, request: OrderRequest, refusal: ExchangeError) -> None:
        """A refusal for the account's own state has to be true of that state."""
        mine = [order for order in self.open_orders() if order.account == account]
        if refusal.message == "Duplicate order sent.":
            assert request.client_order_id in {order.client_order_id for order in mine}
        if "insufficient balance" in refusal.message and request.price is not None and request.quantity is not None:
            buys, symbol_rules = request.side is Side.BUY, RULES[request.symbol]
            asset = symbol_rules.quote if buys else symbol_rules.base
            needed = Fraction(request.quantity) * (Fraction(request.price) if buys else 1)
            assert self.totals[account, asset] - self._locked()[account, asset] < needed

    def _check_position(self, order: Order) -> None:
        limit, base = RULES[order.symbol].max_position, RULES[order.symbol].base
        if limit and order.side is Side.BUY:
            mine = [o for o in self.open_orders() if (o.account, o.symbol) == (order.account, order.symbol)]
            to_come = sum((o.remaining for o in mine if o.side is Side.BUY), D(0))
            assert self.totals[order.account, base] + Fraction(to_come + order.quantity) <= Fraction(limit)

    def _trade(self, order: Order, fill: Fill) -> None:
        symbol_rules, buys = RULES[order.symbol], order.side is Side.BUY
        assert fill.trade_id == self.next_trade[order.symbol]
        self.next_trade[order.symbol] += 1
        check_within_limit(order, fill)
        quantity, price = Fraction(fill.quantity), Fraction(fill.price)
        quote = truncated(price * quantity)
        rate = Fraction(MAKER_FEE if fill.is_maker else TAKER_FEE)
        fee = truncated((quantity if buys else quote) * rate)
        assert quantity > 0
        assert quantity % Fraction(symbol_rules.step_size) == 0
        assert (Fraction(fill.quote_quantity), Fraction(fill.commission)) == (quote, fee)
        assert fill.commission_asset == (symbol_rules.base if buys else symbol_rules.quote)
        base, spent = (quantity - fee, -quote) if buys else (-quantity, quote - fee)
        self.totals[order.account, symbol_rules.base] += base
        self.totals[order.account, symbol_rules.quote] += spent
        self.quotes[order.order_id] += quote

    def _check_status(self, order: Order, execution: Execution) -> None:
        assert 0 <= order.executed <= order.quantity
        assert Fraction(order.cumulative_quote) == self.quotes[order.order_id]
        assert (order.status is OrderStatus.FILLED) == (order.executed == order.quantity)
        if order.status is OrderStatus.NEW:
            assert order.executed == 0
        if order.status is OrderStatus.PARTIALLY_FILLED:
            assert order.executed > 0
        if execution.kind in ("CANCELED", "EXPIRED"):
            assert order.status.value == execution.kind
        assert bool(order.expiry_reason) == (order.status is OrderStatus.EXPIRED)

    def check(self, engine: MatchingEngine) -> None:
        """The engine's balances and orders are the model's, to the last digit."""
        locked = self._locked()
        for account in self.accounts:
            for asset, balance in engine.balances(account).items():
                assert balance.free >= 0
                assert balance.locked >= 0
                assert Fraction(balance.free) + Fraction(balance.locked) == self.totals[account, asset]
                assert Fraction(balance.locked) == locked[account, asset]
                assert balance.free.as_tuple().exponent >= -8  # type: ignore[operator]
            mine = {order.order_id: order for order in self.open_orders() if order.account == account}
            assert {o.order_id: (o.status, o.executed) for o in engine.open_orders(account)} == {
                order_id: (o.status, o.executed) for order_id, o in mine.items()
            }
        self._check_conservation(engine)

    def _locked(self) -> defaultdict[tuple[str, str], Fraction]:
        locked: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for order in self.open_orders():
            left = Fraction(order.quantity) - Fraction(order.executed)
            if order.side is Side.BUY:
                locked[order.account, RULES[order.symbol].quote] += truncated(Fraction(order.price) * left)
            else:
                locked[order.account, RULES[order.symbol].base] += left
        return locked

    def _check_conservation(self, engine: MatchingEngine) -> None:
        held, flows = self.held(), engine.flows()
        assert set(flows) == set(held)
        for asset, flow in flows.items():
            assert Fraction(flow.deposited) == self.deposited[asset]
            assert held[asset] + Fraction(flow.fees) + Fraction(flow.market) == self.deposited[asset]


def check_accepted(order: Order, open_orders: Sequence[Order]) -> None:
    """What the symbol's filters ask of any order, written out once more."""
    symbol_rules = RULES[order.symbol]
    quantity, price = Fraction(order.quantity), Fraction(order.price)
    is_market = order.order_type is OrderType.MARKET
    mine = [o for o in open_orders if (o.account, o.symbol) == (order.account, order.symbol)]
    assert order.status is OrderStatus.NEW
    assert quantity % Fraction(symbol_rules.step_size) == 0
    assert quantity >= Fraction(symbol_rules.min_quantity)
    assert not symbol_rules.max_quantity or quantity <= Fraction(symbol_rules.max_quantity)
    assert len(mine) < symbol_rules.max_num_orders
    assert order.client_order_id not in {o.client_order_id for o in open_orders if o.account == order.account}
    if is_market:
        assert price == 0
        assert not symbol_rules.market_step or quantity % Fraction(symbol_rules.market_step) == 0
        assert quantity >= Fraction(symbol_rules.market_min)
        assert not symbol_rules.market_max or quantity <= Fraction(symbol_rules.market_max)
    else:
        assert price % Fraction(symbol_rules.tick_size) == 0
        assert price >= Fraction(symbol_rules.min_price)
        assert not symbol_rules.max_price or price <= Fraction(symbol_rules.max_price)
        assert price * quantity >= Fraction(symbol_rules.min_notional)
        assert not symbol_rules.max_notional or price * quantity <= Fraction(symbol_rules.max_notional)


def check_within_limit(order: Order, fill: Fill) -> None:
    """A taker never trades beyond its limit, a maker at its own price exactly."""
    if fill.is_maker:
        assert fill.price == order.price
    elif order.order_type is not OrderType.MARKET:
        assert fill.price <= order.price if order.side is Side.BUY else fill.price >= order.price


def check_displayed(before: OrderBook, after: OrderBook, executions: Sequence[Execution]) -> None:
    """What resting orders got is what the levels that reached them lost."""
    for side in Side:
        fills = [e for e in executions if e.fill is not None and e.order.side is side]
        got = sum((e.fill.quantity for e in fills if e.fill is not None), D(0))
        lost = {price: q - after.facing(side).quantity(price) for price, q in before.facing(side)}
        assert sum(lost.values(), D(0)) == got
        for price in (price for price, quantity in lost.items() if quantity):
            assert any(price <= e.order.price if side is Side.BUY else price >= e.order.price for e in fills)
