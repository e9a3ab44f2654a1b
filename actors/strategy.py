"""StrategyActor: one symbol's strategy, from candles and ticks to intents.

Receives ticks (the newest replaces one that waits), closed candles, History (candles that no socket brought: fed, never
acted on), refusals and OrderProgress. Tells Risk SubmitOrder. A crash loses the indicators' state: the replacement
reads the candles anew from the exchange.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, TypeAlias

from actors.protocol import CancelOrder, History, OrderProgress, TellHolding
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain.figures import StrategyFigures
from thunes.domain.filters import round_down, sellable
from thunes.domain.journal import AuditEvent
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Candle, Intent, OrderType, Side, SubmitOrder, Tick
from thunes.strategies.base import Holding

Received: TypeAlias = Tick | Candle | History | AuditEvent | OrderProgress

PASSING = frozenset(
    {"NOT_SYNCED", "NOT_READY", "STALE_MARKET_DATA", "CIRCUIT_OPEN", "RATE_LIMIT", "ORDER_RATE", "STALE_EPOCH"}
)
"""Refusals that pass by themselves: a refused exit is tried again on the next closed candle."""


def _conflate(message: Any) -> object:
    return message.symbol if type(message) is Tick else None


class StrategyActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(conflate=_conflate)

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.symbol = name.partition(".")[2]
        self.rules = world.rules[self.symbol]
        self.strategy = world.ports.strategy(self.symbol)
        self.holding: Holding | None = None
        self.wanted: Intent | None = None
        self.tick: Tick | None = None
        self.last_candle_ms = 0
        self.under_way: str | None = None
        self.refused = False
        """A tick's intent that was refused waits for the next closed candle: ticks come in floods."""
        self.exit_again: Intent | None = None
        self.decision = ""
        self.decided_ms = 0
        self.candles = 0

    def on_start(self) -> None:
        self.tell("risk", TellHolding(self.symbol))
        if self.incarnation:
            self._read_candles()
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Tick():
                self._tick(message)
                return
            case Candle():
                self._candle(message)
            case History(candles):
                for candle in candles:
                    self._feed(candle)
            case AuditEvent():
                self._refused(message)
            case OrderProgress():
                self._progress(message)
            case _:
                raise TypeError(f"{self.name} does not understand {type(message).__name__}")
        self._publish()

    # --- the market ---

    def _tick(self, tick: Tick) -> None:
        self.tick = tick
        intent = self.strategy.on_tick(tick, self.holding)
        if intent is not None and not self.refused:
            self._want(intent, tick.market_ms)
            self._publish()

    def _candle(self, candle: Candle) -> None:
        if candle.open_ms <= self.last_candle_ms:
            return
        intent = self._feed(candle)
        self.refused = False
        if intent is None and self.holding is not None:
            intent = self.exit_again
        self.exit_again = None
        if intent is not None:
            self._want(intent, candle.close_ms + 1)

    def _feed(self, candle: Candle) -> Intent | None:
        if candle.open_ms <= self.last_candle_ms:
            return None
        self.last_candle_ms = candle.open_ms
        self.candles += 1
        return self.strategy.on_candle(candle, self.holding)

    def _read_candles(self) -> None:
        try:
            candles = self.world.ports.rest().klines(self.symbol, self.world.settings.strategy.interval, limit=1000)
        except (ExchangeError, NetworkError) as error:
            self.world.log.warning("%s: candles could not be read (%s); warming up from live ones.", self.symbol, error)
            return
        for candle in candles:
            if candle.closed:
                self._feed(candle)

    # --- intents and what becomes of them ---

    def _want(self, intent: Intent, market_ms: int) -> None:
        if self.tick is None:
            return
        if self.under_way is not None:
            self._give_way(intent, self.under_way)
            return
        order = self._order(intent, self.tick, max(market_ms, self.tick.market_ms))
        self.under_way = order.correlation_id
        self.decision, self.decided_ms = f"{intent.side} {intent.cause}", order.market_ms
        self.wanted = intent
        self.tell("risk", order)

    def _order(self, intent: Intent, tick: Tick, market_ms: int) -> SubmitOrder:
        """What the intent may cost or sell, rounded down to the exchange's steps."""
        displayed = tick.ask if intent.side is Side.BUY else tick.bid
        limit = None if intent.limit_price is None else round_down(intent.limit_price, self.rules.tick_size)
        quantity = intent.quantity
        if quantity is None:
            quantity = self._quantity(intent.side, limit or displayed)
        good_for = self.world.settings.risk.limit_good_for if intent.good_for is None else intent.good_for
        return SubmitOrder(
            correlation_id=self.world.ids.new(),
            symbol=self.symbol,
            side=intent.side,
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            quantity=quantity,
            reference_price=displayed,
            cause=intent.cause,
            strategy=self.strategy.name,
            params_hash=self.world.identity.params_hash,
            market_ms=market_ms,
            price=limit,
            stop_loss=intent.stop_loss,
            take_profit=intent.take_profit,
            expires_ms=0 if limit is None else market_ms + int(good_for * 1000),
            tick_ns=tick.received_ns,
        )

    def _give_way(self, intent: Intent, key: str) -> None:
        """An exit does not wait for an entry that rests: what is left of that is cancelled, then it is decided anew."""
        if intent.side is Side.SELL and self.wanted is not None and self.wanted.limit_price is not None:
            self.tell(f"order.{self.symbol}", CancelOrder(key, "STALE_EPOCH"))

    def _quantity(self, side: Side, price: Decimal) -> Decimal:
        if side is Side.BUY:
            return round_down(self.world.settings.risk.quote_per_trade / price, self.rules.step_size)
        return sellable(self.rules, self.holding.quantity, price) if self.holding is not None else Decimal(0)

    def _refused(self, event: AuditEvent) -> None:
        if event.correlation_id == self.under_way:
            self._ended(event.reason or "", filled=False, passing=event.reason in PASSING)

    def _progress(self, progress: OrderProgress) -> None:
        self.holding = progress.holding
        if progress.under_way is not None and self.under_way not in progress.under_way:
            self.under_way = None  # it ended while risk was away
        if progress.ended and progress.correlation_id == self.under_way:
            filled = progress.event == "ORDER_FILLED"
            outcome = progress.reason or progress.event.removeprefix("ORDER_").lower()
            self._ended(outcome, filled=filled, passing=not filled)

    def _ended(self, outcome: str, *, filled: bool, passing: bool) -> None:
        self.under_way = None
        self.refused = not filled
        assert self.wanted is not None
        self.decision = f"{self.wanted.side} {self.wanted.cause}: {outcome}"
        if self.wanted.side is Side.SELL and self.holding is not None and passing:
            self.exit_again = self.wanted

    def _publish(self) -> None:
        self.publish(
            StrategyFigures(
                symbol=self.symbol,
                strategy=self.strategy.name,
                state=self.strategy.state,
                last_decision=self.decision,
                last_decision_ms=self.decided_ms,
                params_hash=self.world.identity.params_hash,
                candles=self.candles,
            )
        )
