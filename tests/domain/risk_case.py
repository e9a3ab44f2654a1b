"""An order that may go, the state of risk that lets it, and each thing that can speak against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from thunes.domain.books import Books, OpenOrder, Position
from thunes.domain.risk import RiskState, refusal
from thunes.domain.symbol_rules import SymbolRules
from thunes.messages import OrderType, Side, SubmitOrder, Tick

D = Decimal
NOW_NS = 500_000_000_000
MARKET_MS = 1_735_689_600_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


class Limits(NamedTuple):
    max_daily_loss: Decimal = D(20)
    max_positions: int = 3
    max_notional: Decimal = D(50)
    max_exposure: Decimal = D(150)
    max_drawdown: Decimal = D("0.1")
    max_orders_per_minute: int = 30
    price_collar: Decimal = D("0.02")
    cool_down: float = 3600.0
    stale_after: float = 5.0


def rules(symbol: str) -> SymbolRules:
    return SymbolRules(
        symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.01"),
        step_size=D("0.001"),
        min_quantity=D("0.001"),
        market_max=D(50),
        min_notional=D(5),
        apply_min_to_market=True,
        percent_filter="PERCENT_PRICE_BY_SIDE",
        buy_percent=(D("0.99"), D("1.01")),
    )


def tick(symbol: str = "BTCUSDT", bid: str = "99.99", ask: str = "100") -> Tick:
    return Tick(symbol, D(bid), D(9), D(ask), D(9), 1, MARKET_MS, NOW_NS)


BUY = SubmitOrder(
    "c1", "BTCUSDT", Side.BUY, OrderType.MARKET, D("0.1"), D(100), "cause", "sma", "hash", market_ms=MARKET_MS
)
LIMIT = replace(BUY, order_type=OrderType.LIMIT, price=D(100))
SELL = replace(BUY, side=Side.SELL, reference_price=D("99.99"))


def under_way(symbol: str = "ETHUSDT", side: Side = Side.BUY, quantity: str = "0.1", price: str = "100") -> OpenOrder:
    return OpenOrder(symbol, symbol, side, "MARKET", D(quantity), D(price), 0, 2, f"home-{symbol}")


@dataclass
class Case:
    """An order that may go, until something is made to speak against it."""

    order: SubmitOrder = BUY
    limits: Limits = field(default_factory=Limits)
    now_ns: int = NOW_NS
    state: RiskState = field(init=False)

    def __post_init__(self) -> None:
        opening = {"USDT": D(1000), "BTC": D(1)}
        self.state = RiskState(
            limits=self.limits,
            rules={symbol: rules(symbol) for symbol in SYMBOLS},
            books=Books(seq=1, opening=dict(opening), balances=dict(opening)),
            synced=True,
            ticks={"BTCUSDT": tick()},
        )

    def hold(self, symbol: str = "BTCUSDT", quantity: str = "0.1", cost: str = "10") -> None:
        self.state.books.positions[symbol] = Position(symbol, D(quantity), D(cost), is_open=True)

    def reserve(self, order: OpenOrder) -> None:
        self.state.books.reserve(order)

    def alter(self, **members: Any) -> None:
        self.order = replace(self.order, **members)

    @property
    def reason(self) -> str | None:
        return refusal(self.state, self.order, self.now_ns)


def selling(quantity: str = "0.1") -> Case:
    case = Case(replace(SELL, quantity=D(quantity)))
    case.hold()
    return case


Fault = Callable[[Case], None]


def not_synced(case: Case) -> None:
    case.state.synced = False


def stopping(case: Case) -> None:
    case.state.halted = True


def killed(case: Case) -> None:
    case.state.books.kill_active = True


def lost_today(case: Case) -> None:
    case.state.books.realised_today = D(-20)


def slots_taken(case: Case) -> None:
    for symbol in SYMBOLS[1:]:
        case.hold(symbol, cost="1")


def lost_lately(case: Case) -> None:
    case.state.books.last_loss_ms = MARKET_MS - 1000


def held_already(case: Case) -> None:
    case.hold("BTCUSDT")


def nothing_held(case: Case) -> None:
    case.order = SELL


def too_large(case: Case) -> None:
    case.alter(quantity=D("0.501"))


def too_exposed(case: Case) -> None:
    case.hold("ETHUSDT", cost="145")


def too_often(case: Case) -> None:
    case.state.sent_ns.extend([case.now_ns] * 30)


def far_from_market(case: Case) -> None:
    case.alter(reference_price=D("102.01"))


def market_silent(case: Case) -> None:
    case.state.ticks["BTCUSDT"] = replace(tick(), received_ns=case.now_ns - 5_000_000_001)


def no_money(case: Case) -> None:
    case.state.books.balances = {"USDT": D("9.99"), "BTC": D("0.099")}


def not_listed(case: Case) -> None:
    case.state.ticks["DOGEUSDT"] = case.state.ticks["BTCUSDT"]
    case.alter(symbol="DOGEUSDT")


def off_the_step(case: Case) -> None:
    case.alter(quantity=case.order.quantity + D("0.0005"))


def off_the_tick(case: Case) -> None:
    case.order = replace(LIMIT, price=D("100.001"))


def beyond_the_percent_band(case: Case) -> None:
    case.order = replace(LIMIT, price=D("101.5"))


def too_little(case: Case) -> None:
    case.alter(quantity=D("0.049"))


def more_than_one_market_order_takes(case: Case) -> None:
    case.state.rules = {"BTCUSDT": replace(rules("BTCUSDT"), market_max=D("0.05"))}


def more_base_than_the_exchange_lets_one_hold(case: Case) -> None:
    case.state.rules = {"BTCUSDT": replace(rules("BTCUSDT"), max_position=D("1.05"))}


FAULTS: dict[str, Fault] = {
    "NOT_SYNCED": not_synced,
    "NOT_READY": stopping,
    "KILL_SWITCH": killed,
    "DAILY_LOSS_LIMIT": lost_today,
    "POSITION_LIMIT": slots_taken,
    "COOL_DOWN": lost_lately,
    "DUPLICATE_SYMBOL": held_already,
    "NO_POSITION": nothing_held,
    "MAX_NOTIONAL": too_large,
    "EXPOSURE_LIMIT": too_exposed,
    "ORDER_RATE": too_often,
    "PRICE_COLLAR": far_from_market,
    "STALE_MARKET_DATA": market_silent,
    "INSUFFICIENT_BALANCE": no_money,
    "UNKNOWN_SYMBOL": not_listed,
    "FILTER_PRICE": off_the_tick,
    "FILTER_PERCENT_PRICE_BY_SIDE": beyond_the_percent_band,
    "FILTER_LOT_SIZE": off_the_step,
    "FILTER_NOTIONAL": too_little,
    "FILTER_MARKET_LOT_SIZE": more_than_one_market_order_takes,
    "FILTER_MAX_POSITION": more_base_than_the_exchange_lets_one_hold,
}
"""What speaks against a BUY, by the reason that risk gives; in the order in which risk looks."""
