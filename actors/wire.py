"""The live wire: one order's requests to the exchange, with every way they can end as a value.

`place`, `query` and `fills` are made on the spot, in the actor's own thread: no extra hop, at most `exchange.timeout`.
A cancel goes over a connection and a thread of its own, never behind a slow request; its outcome comes as a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from actors.protocol import Answered, Lost, Refused, Replied, Request, WireReply
from actors.world import TradingRest, World
from thunes.domain.market import OrderAnswer
from thunes.domain.orders import OrderState
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Side


class LiveWire:
    """One OrderActor's way to the exchange. Not shared between threads but for `cancel`."""

    def __init__(self, world: World, name: str, make_rest: Callable[[], TradingRest]) -> None:
        self._world = world
        self._name = name
        self._make_rest = make_rest
        self._rest = make_rest()
        self._cancels: TradingRest | None = None

    def place(self, state: OrderState) -> WireReply:
        """Send the order, once; an entry only if no kill is marked when its last byte goes."""
        unless = self._world.home.kill_active if state.side is Side.BUY else None

        def send() -> OrderAnswer:
            return self._rest.place(
                symbol=state.symbol,
                side=state.side,
                order_type=state.order_type,
                quantity=state.quantity,
                price=state.price,
                stop_price=state.stop_price,
                client_order_id=state.client_order_id,
                unless=unless,
            )

        return self._attempt(state, send)

    def place_pair(self, stop: OrderState, sale: OrderState) -> tuple[WireReply, ...]:
        """Send a stop and the sale beside it, once, in one request; what became of each."""

        def send() -> tuple[OrderAnswer, ...]:
            assert sale.price is not None
            assert stop.price is not None
            assert stop.stop_price is not None
            of_sale, of_stop = self._rest.place_oco(
                stop.symbol,
                stop.side,
                stop.quantity,
                take_profit=sale.price,
                stop_price=stop.stop_price,
                stop_limit=stop.price,
                list_id=f"{stop.client_order_id}o",
                take_profit_id=sale.client_order_id,
                stop_id=stop.client_order_id,
            )
            return of_stop, of_sale

        return self._attempts(send, stop, sale)

    def query(self, state: OrderState) -> WireReply:
        """What the exchange knows of the order, by client order id."""
        return self._attempt(state, lambda: self._rest.order(state.symbol, state.client_order_id))

    def fills(self, state: OrderState, answer: OrderAnswer) -> WireReply:
        """`answer` again, with the order's fills from the account's trades."""

        def read() -> OrderAnswer:
            trades = self._rest.my_trades(state.symbol, order_id=answer.order_id)
            return replace(answer, fills=tuple(fill for _, fill in trades))

        return self._attempt(state, read)

    def cancel(self, state: OrderState) -> None:
        """Cancel from another thread; the name is told Replied."""

        def cancel() -> OrderAnswer:
            rest = self._cancels = self._cancels or self._make_rest()
            return rest.cancel(state.symbol, state.client_order_id)

        def run() -> None:
            reply = self._attempt(state, cancel)
            self._world.post.tell(self._name, Replied(Request.CANCEL, reply))

        self._world.spawn(f"{self._name}.cancel", run)

    def _attempt(self, state: OrderState, call: Callable[[], OrderAnswer]) -> WireReply:
        return self._attempts(lambda: (call(),), state)[0]

    def _attempts(self, call: Callable[[], tuple[OrderAnswer, ...]], *states: OrderState) -> tuple[WireReply, ...]:
        """One request about these orders; what became of each."""
        before = self._world.clock.monotonic_ns()
        try:
            answers = call()
        except ExchangeError as error:
            return tuple(Refused(state.key, error) for state in states)
        except NetworkError as error:
            return tuple(Lost(state.key, error) for state in states)
        took_ns = self._world.clock.monotonic_ns() - before
        return tuple(Answered(state.key, answer, took_ns) for state, answer in zip(states, answers, strict=True))
