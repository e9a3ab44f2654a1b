"""Plays a source: each event when it is due, minutes closed on time, the place saved, slow listeners waited for.

At speed 0 the market goes in lock-step with its listeners: after every few frames, and after each market second, it
waits until all of them have read what they were sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from thunes.exchange.simulator.clock import MarketClock
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.hub import Hub
from thunes.exchange.simulator.source_protocol import Source
from thunes.messages import BookChanged, MarketEvent

TICK_S = 0.1
"""How often streams that are pushed at intervals are looked after, in wall seconds."""
SAVE_EVERY_S = 0.25
EVENTS_A_TURN = 25
"""Events played before others in the loop get their turn."""
FRAMES_UNCONFIRMED = 12
"""Frames after which speed 0 waits for its listeners; one event may still add a few, and 20 are promised."""
SECOND_MS = 1000


class Player:
    """One run through a source."""

    def __init__(
        self, source: Source, exchange: Exchange, clock: MarketClock, hub: Hub, monotonic: Callable[[], float]
    ) -> None:
        self._source = source
        self._exchange = exchange
        self._market = exchange.parts.market
        self._clock = clock
        self._hub = hub
        self._monotonic = monotonic
        self._events: Iterator[MarketEvent] = iter(())
        self._next: MarketEvent | None = None
        self._minute_ms = 0
        self._saved = monotonic()
        self._turn = 0
        self._barrier_ms = 0

    def prime(self, now_ms: int) -> None:
        """Take the books that the source starts with, so that there is a market before anybody connects."""
        self._minute_ms = self._market.next_minute_ms(now_ms)
        self._events = self._source.play(self._exchange.checkpoint)
        waiting = set(self._market.listings)
        self._pull()
        while isinstance(self._next, BookChanged) and self._next.snapshot and self._next.symbol in waiting:
            waiting.discard(self._next.symbol)
            self._played()
            self._exchange.prime(self._next)
            self._pull()

    def _pull(self) -> None:
        """Look at the next event; the place to go on from stays before it until it is played."""
        self._next = next(self._events, None)

    def _played(self) -> None:
        """The event at hand is about to take effect: a restart goes on behind it."""
        self._exchange.checkpoint = self._source.checkpoint()

    async def run(self) -> None:
        """Return when the source has ended."""
        if self._clock.speed == 0:
            await self._hub.arrival()
        self._clock.restart()
        while self._next is not None:
            event = self._next
            while self._minute_ms <= event.time_ms:
                await self._until(self._minute_ms)
                self._exchange.close_minute(self._minute_ms)
                self._minute_ms += SECOND_MS * 60
                await self._keep_step(0)
            await self._until(event.time_ms)
            self._played()
            self._exchange.apply(event)
            self._pull()
            await self._keep_step(event.time_ms)
        self._exchange.save()

    async def tend(self) -> None:
        """Push what is pushed at intervals and save the place, for ever; at speed 0 playing does that in step."""
        while True:
            await pause(TICK_S)
            if self._clock.speed or self._next is None:
                self._market.flush(self._clock.now_ms(), everything=not self._clock.speed)
            if self._clock.speed and self._monotonic() - self._saved >= SAVE_EVERY_S:
                self._saved = self._monotonic()
                self._exchange.save_if_moved()

    async def _until(self, due_ms: int) -> None:
        """Wait until the market is at `due_ms`."""
        while (left := self._clock.wait_s(due_ms)) > 0:
            await pause(left)
        self._clock.reach(due_ms)
        if self._clock.speed == 0:
            self._market.flush(due_ms)
        self._turn += 1
        if self._turn % EVENTS_A_TURN == 0:
            await pause(0)

    async def _keep_step(self, now_ms: int) -> None:
        """At speed 0, let every listener read before the market goes on."""
        if self._clock.speed:
            return
        if self._hub.unconfirmed() >= FRAMES_UNCONFIRMED or now_ms - self._barrier_ms >= SECOND_MS:
            self._barrier_ms = max(now_ms, self._barrier_ms)
            await self._hub.barrier()


async def pause(seconds: float) -> None:
    """Give the loop's other tasks their turn for so long."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not over.done():  # whoever waited was cancelled in the same turn
            over.set_result(None)

    timer = loop.call_later(seconds, end)
    try:
        await over
    finally:
        timer.cancel()
