"""One simulated home: the tree on a disk and an exchange that fail, process after process, until it ends quiet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from actors.protocol import Shutdown
from actors.runtime.simulation import Scheduler, digest_of
from actors.simulated.chaos import Chaos
from actors.simulated.disk import Disk
from actors.simulated.exchange import SimulatedExchange, SimulatedRest
from actors.simulated.faults import Faults
from actors.simulated.invariants import Invariants, Violation
from actors.simulated.market import Socket
from actors.simulated.people import People
from actors.simulated.wire import SimulatedWire
from actors.tree import plant, tree
from actors.world import Identity, Ports, World
from thunes.domain.books import FILLS
from thunes.domain.figures import ExchangeFigures, MachineFigures
from thunes.domain.supervision import Tree
from thunes.errors import JournalError
from thunes.messages import Record, Resume
from thunes.settings import Settings
from thunes.storage.journal import verify
from thunes.strategies.base import Strategy, params_hash

SLICE = 0.05
"""Virtual seconds between two looks at whether the process still lives."""
CALM_UPDATE_SECONDS = 1.0
CALM_SECONDS, CALM_SLICE, CALM_MESSAGES = 240.0, 2.0, 50_000
"""How long, and how many messages, a system may take to come to rest once nothing goes wrong."""
MOST_AT_ONCE = 1_000
"""Messages that may follow from each other before a mailbox is found empty."""

silent = logging.getLogger("thunes.simulated")
silent.addHandler(logging.NullHandler())
silent.propagate = False


@dataclass(slots=True)
class Outcome:
    """What one seed came to. `digest` is the same for the same seed, whatever the machine."""

    seed: int
    messages: int
    digest: str
    violations: tuple[Violation, ...]
    tail: tuple[str, ...]
    """What was handled last, when something was violated."""
    processes: int
    crashes: int
    virtual_s: float
    events: dict[str, int] = field(default_factory=dict)


class SimulatedSystem:
    """Make one for each seed; `run` runs it. `logs` is an empty directory for its journal."""

    def __init__(
        self,
        seed: int,
        settings: Settings,
        logs: Path,
        strategy: Callable[[str], Strategy],
        faults: Faults,
        *,
        trace: bool = True,
        specs: Tree | None = None,
    ) -> None:
        self.seed = seed
        self.settings = settings
        self.symbols = settings.run.symbols
        self.strategy = strategy
        self.specs = specs or tree(self.symbols)
        self.scheduler = Scheduler(seed, trace=trace)
        self.exchange = SimulatedExchange(self.symbols, self.scheduler, faults, str(seed))
        self.invariants = Invariants(self.exchange)
        self.disk = Disk(logs, self.scheduler, Random(f"disk {seed}"), self.invariants.durable)
        self.people = People(self.scheduler, Random(f"people {seed}"))
        self.processes = 0
        self.killed_processes = 0
        self._chance = Random(f"chance {seed}").random
        self.boot()
        self.chaos = Chaos(self, faults, Random(f"chaos {seed}"))
        self.scheduler.on_put = self._told

    def _told(self, message: Any) -> None:
        self.invariants.told(message)
        self.chaos.saw(message)

    # --- processes ---

    def boot(self) -> None:
        """A process starts on what is on the disk."""
        self.processes += 1
        self.world = self._world()
        self.invariants.new_process(self.world)
        meta: dict[str, Any] = {"process": self.processes}
        if self.invariants.books.opening is None:
            meta["opening_balances"] = self.exchange.balances()
            meta["opening_trades"] = dict.fromkeys(self.symbols, 0)
        self.ready, self.ended = plant(self.world, self.specs, Record("SYSTEM_STARTED", metadata=meta))

    def end_process(self) -> None:
        """Gone, from one step to the next."""
        self.scheduler.drop_all()
        for socket in self.exchange.sockets():
            socket.close()

    def restart(self) -> None:
        """The process died, or ended by itself; another one is started on what it left."""
        self.killed_processes += 1
        self.end_process()
        self.disk.cut_power() if self.disk.was_cut else self.disk.mend()
        self.boot()
        self._resume()

    def _resume(self) -> None:
        self.world.post.tell("risk", Resume("the cause was looked at", "simulation"))

    # --- running ---

    def run(self, messages: int) -> Outcome:
        """At least so many messages with faults; then a calm in which all must come to rest; then the end."""
        while self.scheduler.steps < messages and not self.invariants.violations:
            self._run(SLICE)
            if self._died():
                self.restart()
        if not self.invariants.violations:
            self._come_to_rest()
        return self._outcome()

    def _run(self, seconds: float) -> None:
        scheduler, after_step, violations = self.scheduler, self.invariants.after_step, self.invariants.violations
        until = scheduler.clock.now_ns + int(seconds * 1e9)
        while scheduler.clock.now_ns < until and scheduler.step():
            after_step(scheduler.running)
            if violations or self.disk.was_cut:
                return

    def _died(self) -> bool:
        if self.disk.was_cut or self.chaos.process_is_killed():
            return True
        return self.ended.is_set()

    def _come_to_rest(self) -> None:
        """Nothing fails any more: what is unknown is found out, and nothing new is asked for."""
        self.chaos.stop()
        self.exchange.recover()
        self.people.failing = 0.0
        self.exchange.update_seconds = CALM_UPDATE_SECONDS
        self.disk.mend()
        clock, until = self.scheduler.clock, self.scheduler.clock.now_ns + int(CALM_SECONDS * 1e9)
        most = self.scheduler.steps + CALM_MESSAGES
        while clock.now_ns < until and self.scheduler.steps < most and not self.invariants.violations:
            self._run(CALM_SLICE)
            if self.ended.is_set():
                self.restart()
            elif self._at_rest():
                break
        else:
            self.invariants.violated("ends quiet", f"it does not come to rest: {self._unrest()}")
        filled = sum(self.invariants.events[name] for name in FILLS)
        if not self.invariants.violations and self.people.fills() != filled:
            self.invariants.violated("people are told", f"of {filled} fills it heard of {self.people.fills()}")
        self._shut_down()

    def _at_rest(self) -> bool:
        return not self._unrest() and self._falls_idle() and not self._unrest()

    def _unrest(self) -> str:
        """What is still under way."""
        risk = self.world.board.figures.get("risk")
        away = [spec.name for spec in self.specs.children if spec.name not in self.scheduler.live]
        if away or not self.ready.is_set():
            return f"not all actors are up: {away}"
        if risk is None or not risk.synced:
            return "books and exchange are not in step"
        if why := self.invariants.unrest():
            return why
        alerts = self.world.board.figures.get("alert")
        if alerts is None or alerts.pending:
            return "people have not been told everything"
        circuit = self.world.board.figures["breaker"].state
        return "" if risk.kill_active or circuit == "closed" else f"the circuit is {circuit}"

    def _falls_idle(self) -> bool:
        """Whether every mailbox is read empty between two updates of the market."""
        for _ in range(MOST_AT_ONCE):
            if self.scheduler.idle:
                return True
            self.scheduler.step()
        return False

    def _shut_down(self) -> None:
        # A fill after OrderActor has stopped is the next process's to find.
        self.exchange.closed = True
        self.world.post.tell("supervisor", Shutdown())
        for _ in range(200):
            self._run(0.1)
            if self.ended.is_set() or self.invariants.violations:
                break
        if self.invariants.violations:
            return
        if not self.ended.is_set():
            self.invariants.violated("ends quiet", f"it did not stop: {self.scheduler.live} live on.")
        elif self.ended.value:
            self.invariants.violated("ends quiet", f"it gave up: {self.ended.value}")
        self.invariants.at_the_end(process_died=self.killed_processes > 0)
        try:
            verify(self.disk.logs)
        except JournalError as error:
            self.invariants.violated("chain", str(error))

    def _outcome(self) -> Outcome:
        scheduler = self.scheduler
        books = self.invariants.books
        parts = (
            scheduler.digest(),
            self.invariants.head,
            str(books.seq),
            str(sorted(self.exchange.balances().items())),
        )
        return Outcome(
            seed=self.seed,
            messages=scheduler.steps,
            digest=digest_of(parts),
            violations=tuple(self.invariants.violations),
            tail=tuple(map(str, scheduler.tail)) if self.invariants.violations else (),
            processes=self.processes,
            crashes=scheduler.crashes,
            virtual_s=scheduler.clock.now_ns / 1e9,
            events=dict(self.invariants.events),
        )

    def close(self) -> None:
        """The last process is gone, and what its people kept."""
        self.end_process()
        self.people.close()

    # --- the world ---

    def _world(self) -> World:
        scheduler, exchange, disk = self.scheduler, self.exchange, self.disk
        post = scheduler.new_post()
        ports = Ports(
            open_journal=disk.open_journal,
            read_journal=disk.read_journal,
            open_books=disk.open_books,
            rest=lambda: SimulatedRest(exchange),
            wire=lambda world, name: SimulatedWire(world, name, exchange, self.invariants.placing),
            market_socket=self._market_socket,
            account_socket=partial(Socket, scheduler, exchange.account_sockets),
            strategy=self.strategy,
            cancel_open=exchange.cancel_all,
            exchange_figures=lambda: ExchangeFigures(0, float(exchange.skew_ms)),
            machine_figures=lambda: MachineFigures(0, 0),
            open_outbox=self.people.open_outbox,
            messenger=self.people,
            summary=self.people.summary,
        )
        return World(
            settings=self.settings,
            symbols=self.symbols,
            identity=Identity(
                "0", "simulation", "simulate", "sim", params_hash(self.strategy(self.symbols[0]).parameters)
            ),
            home=disk,
            rules=dict(exchange.rules),
            post=post,
            clock=scheduler.clock,
            ids=scheduler.ids,
            timers=scheduler,
            ports=ports,
            start_loop=scheduler.add,
            spawn=lambda _name, function: function(),
            stack_of=lambda _name: "",
            chance=self._chance,
            log=silent,
        )

    def _market_socket(self, streams: Sequence[str], **callbacks: Any) -> Socket:
        symbol = streams[0].partition("@")[0].upper()
        return Socket(self.scheduler, self.exchange.markets[symbol].sockets, **callbacks)
