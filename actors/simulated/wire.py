"""The simulated wire: every way in which a request to the exchange can end, at seeded moments of virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from actors.protocol import Answered, Lost, Refused, Replied, Request, WireReply
from actors.simulated.exchange import SimulatedExchange
from actors.world import World
from thunes.domain.market import OrderAnswer
from thunes.domain.orders import OrderState
from thunes.errors import ExchangeError, NetworkError

TIMESTAMP_OUTSIDE_WINDOW = -1021
About = tuple[tuple[Request, OrderState], ...]
"""The orders that one request is about, each with what is asked for."""
FASTEST, SLOWEST = 0.0003, 0.004
"""Seconds that a request, or an answer, is on its way when all is well."""


class SimulatedWire:
    """One OrderActor's way to the exchange; every outcome is told later. `placing` sees each order first."""

    def __init__(
        self, world: World, name: str, exchange: SimulatedExchange, placing: Callable[[OrderState], None]
    ) -> None:
        self._post = world.post
        self._name = name
        self._exchange = exchange
        self._placing = placing
        self._timeout = world.settings.exchange.timeout
        self._clock = exchange.scheduler.clock

    def place(self, state: OrderState) -> None:
        self._exchange.scheduler.effect()
        self._placing(state)
        self._send(((Request.PLACE, state),), lambda: (self._exchange.place(state),))
        self._exchange.scheduler.effect()

    def place_pair(self, stop: OrderState, sale: OrderState) -> None:
        self._exchange.scheduler.effect()
        self._placing(stop)
        self._placing(sale)
        both = ((Request.PLACE, stop), (Request.BESIDE, sale))
        self._send(both, lambda: self._exchange.place_pair(stop, sale))
        self._exchange.scheduler.effect()

    def query(self, state: OrderState) -> None:
        self._send(((Request.QUERY, state),), lambda: (self._exchange.query(state),))

    def fills(self, state: OrderState, answer: OrderAnswer) -> None:
        def read() -> tuple[OrderAnswer, ...]:
            return (replace(answer, fills=tuple(self._exchange.fills_of.get(answer.order_id, ()))),)

        self._send(((Request.FILLS, state),), read)

    def cancel(self, state: OrderState) -> None:
        self._send(((Request.CANCEL, state),), lambda: (self._exchange.cancel(state),))

    def _send(self, about: About, call: Callable[[], tuple[OrderAnswer, ...]], again: bool = True) -> None:
        """Let it arrive after a while, or not; tell what became of it after another while, or at the time-out."""
        exchange, rng, faults = self._exchange, self._exchange.rng, self._exchange.faults
        timestamp_ms = self._clock.wall_ms() + exchange.skew_ms
        sent_ns = self._clock.now_ns
        finish = self._finisher(about)
        no_answer = NetworkError("there was no answer in time; ask before sending again.")
        lost = [Lost(state.key, no_answer) for _, state in about]

        def arrive(in_time: bool = True) -> None:
            try:
                exchange.check_timestamp(timestamp_ms)
                answers = call()
            except ExchangeError as error:
                if error.code == TIMESTAMP_OUTSIDE_WINDOW and again and in_time:
                    exchange.skew_ms = self._clock.true_ms() - self._clock.wall_ms()
                    self._send(about, call, again=False)
                    return
                finish(self._way(), [Refused(state.key, error) for _, state in about])
                return
            if rng.random() < faults.answer_lost:
                finish(self._timeout if rng.random() < 0.5 else self._way(), lost)
                return
            took_ns = self._clock.now_ns - sent_ns
            told = zip(about, answers, strict=True)
            finish(self._way(), [Answered(state.key, answer, took_ns) for (_, state), answer in told])

        chance = rng.random()
        if exchange.is_away() or chance < faults.request_lost:
            finish(self._timeout if rng.random() < 0.5 else self._way(), lost)
        elif chance < faults.request_lost + faults.request_late:
            finish(self._way(), lost)
            exchange.scheduler.call_in(rng.uniform(0.2, 8.0), lambda: arrive(in_time=False))
        else:
            exchange.scheduler.call_in(self._way(), arrive)

    def _way(self) -> float:
        return self._exchange.rng.uniform(FASTEST, SLOWEST)

    def _finisher(self, about: About) -> Callable[[float, Sequence[WireReply]], None]:
        """Only the first outcome is told."""
        told = False

        def finish(seconds: float, replies: Sequence[WireReply]) -> None:
            def tell() -> None:
                nonlocal told
                if not told:
                    told = True
                    for (request, _), reply in zip(about, replies, strict=True):
                        self._post.tell(self._name, Replied(request, reply))

            self._exchange.scheduler.call_in(seconds, tell)

        return finish
