"""The account's side of a simulated exchange: orders, fills and what is said of them, in virtual time.

The matching engine is the embedded exchange's own. What fails is drawn from the seed: requests that never arrive or
arrive late, orders that are taken and whose answer is lost, reports that are lost, doubled or late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random

import orjson

from actors.runtime.simulation import Scheduler
from actors.simulated.answers import as_answer, as_fill
from actors.simulated.faults import NONE, Faults
from actors.simulated.market import SPEED, UPDATE_SECONDS, Socket, SymbolMarket
from thunes.domain.executions import Execution, OrderRequest
from thunes.domain.figures import ExchangeFigures
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.domain.matching import MatchingEngine
from thunes.domain.order_lists import PairRequest
from thunes.domain.orders import OrderState
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import ExchangeError, NetworkError
from thunes.exchange.simulator import rules as listed
from thunes.exchange.simulator.events import execution_report
from thunes.messages import Candle, OrderType, PublicTrade, Side

ACCOUNT = "simulated"
FEE = Decimal("0.001")
OPENING = Decimal(10_000)
RECV_WINDOW_MS, AHEAD_MS = 5_000, 1_000
LAG_MS = 500


class SimulatedExchange:
    """One venue with one account. `reached` is called with the client order id of every order that it takes."""

    def __init__(self, symbols: Sequence[str], scheduler: Scheduler, faults: Faults, seed: str) -> None:
        self.rules: Mapping[str, SymbolRules] = listed.symbol_rules(listed.entries(symbols))
        self.engine = MatchingEngine(self.rules, maker_fee=FEE, taker_fee=FEE)
        assets = {asset for rules in self.rules.values() for asset in (rules.base, rules.quote)}
        self.engine.open_account(ACCOUNT, {a: OPENING if a == "USDT" else Decimal(0) for a in sorted(assets)})
        self.scheduler = scheduler
        self.faults = faults
        self.rng = Random(f"exchange {seed}")
        self.markets = {
            symbol: SymbolMarket(self.rules[symbol], self.engine, scheduler, lambda: self.faults, self._happened, seed)
            for symbol in symbols
        }
        self.account_sockets: list[Socket] = []
        self.fills: dict[tuple[str, int], tuple[str, Fill]] = {}
        """Every fill of the account's, with its order's client id, by symbol and trade id."""
        self.fills_of: dict[int, list[Fill]] = {}
        self.own_trades: dict[tuple[str, int], OwnTrade] = {}
        self.reached: Callable[[str], None] = lambda _client_order_id: None
        self.skew_ms = 0
        """What the client believes that the exchange's clock is ahead of its own."""
        self.away_until_ns = 0
        """Until then nothing reaches it."""
        self.update_seconds = UPDATE_SECONDS
        self.closed = False
        """The market stands still: what rests is not filled any more."""
        self._taken_ns: dict[str, int] = {}
        scheduler.call_in(self.update_seconds, self._update)

    def _update(self) -> None:
        if self.closed:
            return
        for market in self.markets.values():
            market.update()
        self.scheduler.call_in(self.update_seconds, self._update)

    def recover(self) -> None:
        """Nothing fails from now on, and every connection hears again."""
        self.faults, self.away_until_ns = NONE, 0
        for socket in self.sockets():
            socket.deaf_until_ns = 0

    def sockets(self) -> list[Socket]:
        return [*self.account_sockets, *(s for market in self.markets.values() for s in market.sockets)]

    def is_away(self) -> bool:
        return self.scheduler.clock.now_ns < self.away_until_ns

    # --- orders, at the moment when a request arrives ---

    def check_timestamp(self, timestamp_ms: int) -> None:
        """As the exchange does: not from the future, and not older than the request's window."""
        now_ms = self.scheduler.clock.true_ms()
        if timestamp_ms > now_ms + AHEAD_MS or now_ms - timestamp_ms > RECV_WINDOW_MS:
            raise ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")

    def place(self, state: OrderState) -> OrderAnswer:
        self._may_refuse()
        executions = self.engine.place(ACCOUNT, as_request(state), self.markets[state.symbol].now_ms())
        self._took(state)
        return as_answer(executions[-1].order, self._happened(executions))

    def place_pair(self, stop: OrderState, sale: OrderState) -> tuple[OrderAnswer, ...]:
        self._may_refuse()
        request = PairRequest(as_request(sale), as_request(stop), f"{stop.client_order_id}o")
        _, executions = self.engine.place_pair(ACCOUNT, request, self.markets[stop.symbol].now_ms())
        self._took(stop)
        self._took(sale)
        self._happened(executions)
        return tuple(as_answer(each.order) for each in executions)

    def _may_refuse(self) -> None:
        chance = self.rng.random()
        if chance < self.faults.rejected:
            raise ExchangeError(-2010, "Account has insufficient balance for requested action.")
        if chance < self.faults.rejected + self.faults.rate_limited:
            raise ExchangeError(-1003, "Too many requests.", status=429, retry_after=1.0)

    def _took(self, state: OrderState) -> None:
        self._taken_ns[state.client_order_id] = self.scheduler.clock.now_ns
        self.reached(state.client_order_id)

    def by_hand(self, symbol: str, side: Side, quantity: Decimal, client_order_id: str) -> None:
        """Somebody trades on the account without us; refused as anybody's order is."""
        request = OrderRequest(
            symbol, side, OrderType.MARKET, quantity, None, None, client_order_id=client_order_id
        )  # fmt: skip
        with suppress(ExchangeError):
            self._happened(self.engine.place(ACCOUNT, request, self.markets[symbol].now_ms()))

    def cancelled_by_hand(self, symbol: str) -> None:
        """Somebody cancels our oldest open order."""
        for order in self.engine.open_orders(ACCOUNT, symbol)[:1]:
            now_ms = self.markets[symbol].now_ms()
            self._happened(self.engine.cancel(ACCOUNT, symbol, order_id=order.order_id, cancel_id="web", now_ms=now_ms))

    def query(self, state: OrderState) -> OrderAnswer:
        order = self.engine.order(ACCOUNT, state.symbol, client_order_id=state.client_order_id)
        age_ms = (self.scheduler.clock.now_ns - self._taken_ns[state.client_order_id]) / 1e6
        if age_ms < LAG_MS and self.rng.random() < self.faults.query_lags:
            raise ExchangeError(-2013, "Order does not exist.")
        return as_answer(order)

    def cancel(self, state: OrderState) -> OrderAnswer:
        done = self.engine.cancel(
            ACCOUNT, state.symbol, client_order_id=state.client_order_id, cancel_id="cancel",
            now_ms=self.markets[state.symbol].now_ms(),
        )  # fmt: skip
        self._happened(done)
        return as_answer(done[0].order)

    def cancel_all(self, symbol: str) -> None:
        if self.engine.open_orders(ACCOUNT, symbol):
            self._happened(self.engine.cancel_all(ACCOUNT, symbol, self.markets[symbol].now_ms(), "cancel"))

    def _happened(self, executions: Sequence[Execution]) -> list[Fill]:
        """Take the fills down and report every change; the fills."""
        fills = []
        for execution in executions:
            self._report(execution)
        for execution in executions:
            if execution.fill is not None:
                fill, order = as_fill(execution.fill), execution.order
                fills.append(fill)
                self.fills[order.symbol, fill.trade_id] = (order.client_order_id, fill)
                self.fills_of.setdefault(order.order_id, []).append(fill)
                self.own_trades[order.symbol, fill.trade_id] = OwnTrade(order.order_id, order.side, fill)
        return fills

    def _report(self, execution: Execution) -> None:
        """Tell the account's sockets, unless this one is lost; sometimes twice, sometimes late."""
        rng, faults = self.rng, self.faults
        if rng.random() < faults.report_lost:
            return
        frame = orjson.dumps({"subscriptionId": 0, "event": execution_report(execution, 1)})
        times = 2 if rng.random() < faults.report_doubled else 1
        for _ in range(times):
            late = rng.uniform(0.1, 3.0) if rng.random() < faults.report_late else 0.0
            self.scheduler.call_in(0.0005 + 0.003 * rng.random() + late, lambda: self._tell_account(frame))

    def _tell_account(self, frame: bytes) -> None:
        for socket in list(self.account_sockets):
            socket.send(frame)

    def open_ids(self) -> list[str]:
        return [order.client_order_id for order in self.engine.open_orders(ACCOUNT)]

    def balances(self) -> dict[str, Decimal]:
        return {asset: balance.total for asset, balance in self.engine.balances(ACCOUNT).items()}


def as_request(state: OrderState) -> OrderRequest:
    return OrderRequest(
        state.symbol, state.side, state.order_type, state.quantity, None, state.price,
        client_order_id=state.client_order_id, stop_price=state.stop_price,
    )  # fmt: skip


class SimulatedRest:
    """What actors read on the spot (`actors.world.Rest`, without orders, which go over the wire)."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange

    def klines(self, symbol: str, _interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        self._may_fail()
        candles = self._exchange.markets[symbol].candles
        return tuple(candles[-limit:] if start_ms is None else [c for c in candles if c.open_ms >= start_ms][:limit])

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        self._may_fail()
        trades = self._exchange.markets[symbol].trades
        return tuple(trades[-limit:] if from_id is None else [t for t in trades if t.trade_id >= from_id][:limit])

    def account(self) -> AccountBalances:
        self._may_fail()
        return {a: (b.free, b.locked) for a, b in self._exchange.engine.balances(ACCOUNT).items()}

    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]:
        self._may_fail()
        return tuple(as_answer(order) for order in self._exchange.engine.open_orders(ACCOUNT, symbol))

    def own_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[OwnTrade, ...]:
        self._may_fail()
        trades = [trade for (of, _), trade in sorted(self._exchange.own_trades.items()) if of == symbol]
        if from_id is None:
            return tuple(trades[-limit:])
        return tuple(trade for trade in trades if trade.fill.trade_id >= from_id)[:limit]

    def order_by_id(self, symbol: str, order_id: int) -> OrderAnswer:
        self._may_fail()
        return as_answer(self._exchange.engine.order(ACCOUNT, symbol, order_id=order_id))

    def sync_clock(self) -> None:
        self._may_fail()

    @property
    def figures(self) -> ExchangeFigures:
        return ExchangeFigures(0, float(self._exchange.skew_ms))

    def _may_fail(self) -> None:
        self._exchange.scheduler.effect()
        if self._exchange.is_away() or self._exchange.rng.random() < self._exchange.faults.rest_lost:
            raise NetworkError("the connection was lost; it is tried again.")


__all__ = ["SPEED", "SimulatedExchange", "SimulatedRest"]
