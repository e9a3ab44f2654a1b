"""What goes wrong around a simulated system, at moments drawn from the seed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Protocol

from actors.protocol import Approved, Permit, Replied
from actors.runtime.simulation import Scheduler
from actors.simulated.disk import Disk
from actors.simulated.exchange import SimulatedExchange
from actors.simulated.faults import Faults
from actors.simulated.market import Socket
from actors.world import World
from thunes.domain.filters import ZERO, round_down
from thunes.messages import Kill, Reconnect, ResetBreaker, Resume, Side, SubmitOrder

CRASH_AFTER = (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10)
"""A handler dies at its start, or at one of the first things that it does to the outside."""
ON_THE_ROAD = (SubmitOrder, Approved, Permit, Replied)
DURING_SECONDS = 15.0
"""A run's one-time faults come somewhere in its first so many virtual seconds."""


class Home(Protocol):
    """The system under it (`actors.simulated.system.SimulatedSystem`)."""

    symbols: tuple[str, ...]
    scheduler: Scheduler
    exchange: SimulatedExchange
    disk: Disk
    world: World


class Chaos:
    """Sets its own next moments until `stop`."""

    def __init__(self, home: Home, faults: Faults, rng: Random) -> None:
        self._home = home
        self._random = rng
        self._stopped = False
        self._process_killed = False
        self._by_hand = 0
        self._ambush: tuple[type, Callable[[], None]] | None = None
        self._slow = ["risk", "audit", "breaker", *(f"order.{symbol}" for symbol in home.symbols)]
        for every, happen in (
            (faults.crash_every, self._crash),
            (faults.hold_every, self._hold),
            (faults.outage_every, self._outage),
            (faults.gap_every, self._gap),
            (faults.disconnect_every, self._disconnect),
            (faults.stale_every, self._stale),
            (faults.jump_every, self._jump),
            (faults.kill_every, self._kill),
            (faults.marker_every, self._mark),
            (faults.reconnect_every, self._operate),
            (faults.by_hand_every, self._trade_by_hand),
        ):
            if every:
                self._again(every, happen)
        for probability, happen in (
            (faults.disk_fails, self._fail_disk),
            (faults.power_cut, self._cut_power),
            (faults.process_killed, self._kill_process),
        ):
            if rng.random() < probability:
                self._once(rng.uniform(0.5, DURING_SECONDS), happen)

    def stop(self) -> None:
        self._stopped = True
        self._home.scheduler.doomed.clear()

    def process_is_killed(self) -> bool:
        killed, self._process_killed = self._process_killed, False
        return killed

    def _again(self, every: float, happen: Callable[[], None]) -> None:
        def now() -> None:
            if not self._stopped:
                happen()
                self._again(every, happen)

        self._home.scheduler.call_in(self._random.expovariate(1 / every), now)

    def _once(self, seconds: float, happen: Callable[[], None]) -> None:
        def now() -> None:
            if not self._stopped:
                happen()

        self._home.scheduler.call_in(seconds, now)

    def _tell(self, name: str, message: object) -> None:
        self._home.world.post.tell(name, message)

    # --- actors ---

    def _crash(self) -> None:
        if names := self._children():
            self._home.scheduler.doomed[self._random.choice(names)] = self._random.choice(CRASH_AFTER)

    def _hold(self) -> None:
        if names := self._children():
            self._home.scheduler.hold(self._random.choice(names), self._random.uniform(0.001, 0.3))

    def _children(self) -> list[str]:
        return [name for name in self._home.scheduler.live if name != "supervisor"]

    # --- connections ---

    def _socket(self) -> Socket | None:
        sockets = self._home.exchange.sockets()
        return self._random.choice(sockets) if sockets else None

    def _deafen(self, seconds: float) -> None:
        if (socket := self._socket()) is not None:
            socket.deaf_until_ns = self._home.scheduler.clock.now_ns + int(seconds * 1e9)

    def _outage(self) -> None:
        seconds = self._random.uniform(0.3, 2.5)
        self._home.exchange.away_until_ns = self._home.scheduler.clock.now_ns + int(seconds * 1e9)

    def _gap(self) -> None:
        self._deafen(self._random.uniform(0.1, 1.5))

    def _stale(self) -> None:
        self._deafen(60.0)

    def _disconnect(self) -> None:
        if (socket := self._socket()) is not None:
            socket.drop("the connection was lost")

    # --- clock, operator ---

    def _jump(self) -> None:
        """Somebody, or NTP, sets the machine's clock."""
        self._home.scheduler.clock.ahead_ms = self._random.choice((0, 0, 700, -700, 4_000, -4_000, 30_000, -30_000))

    def _kill(self) -> None:
        """When the next order has come so far, because that is where a kill has to hold; somebody may be slow then."""
        self._at_the_next(lambda: self._tell("risk", Kill("drill", "simulation", flatten=self._random.random() < 0.3)))
        self._once(self._random.uniform(0.2, 1.5), lambda: self._tell("risk", Resume("over", "simulation")))

    def _mark(self) -> None:
        """A kill from outside, as when nobody answers."""
        self._at_the_next(lambda: setattr(self._home.disk, "reason", "from outside"))
        self._once(self._random.uniform(1.5, 3.0), lambda: self._tell("risk", Resume("over", "simulation")))

    def _at_the_next(self, happen: Callable[[], None]) -> None:
        self._ambush = (self._random.choice(ON_THE_ROAD), happen)

    def saw(self, message: object) -> None:
        """Somebody was told something."""
        if self._ambush is None or type(message) is not self._ambush[0]:
            return
        _, happen = self._ambush
        self._ambush = None
        self._once(self._random.uniform(0, 0.0002), happen)
        if self._random.random() < 0.7:
            self._home.scheduler.hold(self._random.choice(self._slow), self._random.uniform(0.001, 0.05))

    def _operate(self) -> None:
        self._tell("supervisor", Reconnect(None, "simulation"))
        self._tell("breaker", ResetBreaker("simulation"))

    def _trade_by_hand(self) -> None:
        symbol, chance = self._random.choice(self._home.symbols), self._random.random()
        if chance < 0.3:
            self._home.exchange.cancelled_by_hand(symbol)
            return
        self._by_hand += 1
        price = self._home.exchange.engine.book(symbol).best_bid
        quantity = round_down(Decimal(8) / price[0], self._home.exchange.rules[symbol].step_size) if price else ZERO
        side = Side.BUY if chance < 0.5 else Side.SELL
        self._home.exchange.by_hand(symbol, side, quantity, f"web_{self._by_hand}")

    # --- disk and process ---

    def _fail_disk(self) -> None:
        self._home.disk.failing = self._random.choice((errno.EIO, errno.ENOSPC))

    def _cut_power(self) -> None:
        self._home.disk.syncs_to_cut = self._random.randrange(20)

    def _kill_process(self) -> None:
        self._process_killed = True
