"""The entry point: `python -m thunes.supervisor`, the same as `thunes run`.

The one module of this half that knows the other: it turns settings into a world, plants the tree in it, waits for a
signal, and says at the end what was done.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from actors.protocol import Fatal, Shutdown
from actors.runtime.clock import RandomIds, SystemClock, chance
from actors.runtime.post import Post
from actors.runtime.threads import Signal, ThreadTimers, run_loop, spawn, stack_of
from actors.tree import plant, tree
from actors.wire import LiveWire
from actors.world import Identity, Ports, World
from thunes import __version__
from thunes.account import check_alone, check_key
from thunes.build import git_sha
from thunes.commands import PostCommands
from thunes.connections import Clock, Connections, ignore
from thunes.control.server import ControlServer
from thunes.domain.books import Books
from thunes.domain.figures import SystemFigures
from thunes.domain.filters import SymbolRules
from thunes.errors import JournalBroken, JournalError, OperatorError, ThunesError
from thunes.exchange.keys import to_hide
from thunes.insist import insist
from thunes.live import LiveView
from thunes.log import set_up_logging
from thunes.messages import Kill, Reconnect, Record
from thunes.notify import ServiceManager
from thunes.people import People
from thunes.settings import WITH_KEYS, Settings
from thunes.storage.books import BooksStore
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile, read_events, verify
from thunes.strategies.base import params_hash
from thunes.strategies.loader import load as load_strategy
from thunes.summary import summary
from thunes.system import Sources, machine_figures, read_figures
from thunes.terminal import console
from thunes.venue import EMBEDDED, Endpoints

log = logging.getLogger("thunes")

T = TypeVar("T")

STOPPED_SECONDS = 9.0
REFRESH_SECONDS = 0.25
SWITCH_SECONDS = 0.0005


def run(settings: Settings, path: Path) -> int:
    """Trade until told to stop; the exit status of the contract: 0 done, 1 failed or gave up safely.

    Raises OperatorError (exit 2) before anything is started when the home or a port cannot be had.
    """
    # A thread that wakes up for an order must not wait five milliseconds for one that renews a table.
    sys.setswitchinterval(SWITCH_SECONDS)
    home = Home(path)
    shown = settings.run.log or ("live" if sys.stdout.isatty() else "plain")
    system = System(settings, home, shown)
    if settings.run.venue in WITH_KEYS:
        system.check_account(system.connections.endpoints())  # before anything is written
    home.prepare()
    with home.lock():
        set_up_logging(home.log, shown)
        try:
            system.start()
            status = system.wait()
        finally:
            system.close()
    return status or system.report()


def examine(settings: Settings, path: Path, *, as_json: bool, send_test: bool = False) -> int:
    """`thunes doctor`: look at everything that a start needs; 1 where something is wrong, else 0."""
    from thunes.doctor import examination as doctor
    from thunes.doctor.opening import open_venue
    from thunes.doctor.patient import Patient

    home, venue = Home(path), settings.run.venue

    def connect(where: Home) -> Connections:
        return connections(settings, where, SystemClock())

    key = connect(home).endpoints().api_key if venue in WITH_KEYS else ""
    patient = Patient(
        settings=settings,
        home=home,
        environ=os.environ,
        account=account_name(venue, key),
        open_venue=partial(open_venue, settings, home, os.environ, connect),
        spawn=spawn,
        monotonic_ns=SystemClock().monotonic_ns,
        send_test=send_test,
    )
    log.addHandler(logging.NullHandler())  # what is wrong is said in the findings, once
    return doctor.examine(patient, console(os.environ), as_json=as_json)


def connections(
    settings: Settings, home: Home, clock: Clock, on_event: Callable[[str, str], None] = ignore
) -> Connections:
    return Connections(settings, home, os.environ, clock, spawn=spawn, make_signal=Signal, on_event=on_event)


@dataclass(slots=True)
class Asked:
    """What signals asked for; the main thread carries it out, because a handler must not send a message."""

    stop: str = ""
    reconnect: bool = False
    kill: bool = False

    def install(self) -> None:
        def asked_to_stop(number: int, _frame: Any) -> None:
            self.stop = self.stop or signal.Signals(number).name

        def asked_to_reconnect(_number: int, _frame: Any) -> None:
            self.reconnect = True

        def asked_to_kill(_number: int, _frame: Any) -> None:
            self.kill = True

        signal.signal(signal.SIGTERM, asked_to_stop)
        signal.signal(signal.SIGINT, asked_to_stop)
        signal.signal(signal.SIGUSR1, asked_to_reconnect)
        signal.signal(signal.SIGUSR2, asked_to_kill)


class System:
    """One running system: its venue, its world, its tree and its doors, from start to report."""

    def __init__(self, settings: Settings, home: Home, shown: str) -> None:
        self.settings = settings
        self.venue = settings.run.venue
        self.symbols = settings.run.symbols
        self.home = home
        self.shown = shown
        self.clock = SystemClock()
        self.ids = RandomIds()
        self.asked = Asked()
        self.manager = ServiceManager.of(os.environ, os.getpid(), self.clock.monotonic_ns)
        self.console = console(os.environ)
        self.post = Post(self.clock.monotonic_ns)
        self.timers = ThreadTimers(self.clock, self.post.tell)
        self.started_ns = self.clock.monotonic_ns()
        self.connections = connections(settings, home, self.clock, self._exchange_said)
        self.control: ControlServer | None = None
        self.ready = self.ended = Signal()
        self.failure = ""
        self.opened: JournalFile | None = None

    # --- start ---

    def start(self) -> None:
        self.asked.install()
        endpoints = self.connections.endpoints()
        if self.venue not in WITH_KEYS:
            self.check_account(endpoints)
        self.people = self._people()
        set_up_logging(
            self.home.log, self.shown, (endpoints.api_key, *to_hide(endpoints.api_secret), *self.people.secrets)
        )
        self.home_id = self.home.claim(self.venue, account_name(self.venue, endpoints.api_key), self.ids.new)
        self.world = self._world(endpoints)
        self.doors = self._open_doors(endpoints)
        self.opened = self._journal()
        specs = tree(self.world.symbols)
        self.ready, self.ended = plant(self.world, specs, Record("SYSTEM_STARTED", metadata=self._birth()))

    def _people(self) -> People:
        return People(
            self.settings.alerts,
            os.environ,
            self.home,
            self.clock,
            self.ids.new,
            self.figures,
            PostCommands(self.post.tell),
            strategy_in_words(self.settings),
            lambda outcome: self.post.tell("alert", outcome),
            spawn,
            Event,
        )

    def check_account(self, endpoints: Endpoints) -> None:
        """OperatorError for a key that may withdraw or may not trade, and where another THUNES is on the account."""
        rest = self.connections.make_rest(endpoints)
        self._insist(rest.sync_clock)
        self._insist(lambda: check_key(rest, self.venue))
        owner = self.home.read_owner()
        self._insist(lambda: check_alone(rest, self.symbols, owner[2] if owner is not None else ""))

    def _insist(self, ask: Callable[[], T]) -> T:
        """The venue's answer, unless somebody wants the end meanwhile."""
        return insist(ask, lambda seconds: self.ended.wait(seconds) or bool(self.asked.stop))

    def _exchange_said(self, event: str, why: str) -> None:
        if event == "source_ended":
            self.asked.stop = self.asked.stop or "the source has ended"
        elif event == "source_failed":
            self.failure = why
            self.asked.stop = self.asked.stop or why

    def _world(self, endpoints: Endpoints) -> World:
        settings, clock = self.settings, self.clock
        self.rest = self.connections.make_rest(endpoints)
        self._insist(self.rest.sync_clock)
        rules = self._insist(self._rules)
        strategy, parameters = load_strategy(settings.run.strategy), settings.strategy_parameters()
        sha = git_sha()
        database = settings.database.url or f"sqlite:///{self.home.database.resolve()}"
        ports = Ports(
            open_journal=self._take_journal,
            read_journal=partial(read_events, self.home.logs),
            open_books=lambda: BooksStore(database),
            rest=lambda: self.connections.make_rest(endpoints),
            wire=lambda world, name: LiveWire(world, name, lambda: self.connections.make_rest(endpoints)),
            market_socket=self.connections.market_socket(endpoints),
            account_socket=self.connections.account_socket(endpoints, lambda: self.rest),
            strategy=lambda symbol: strategy(symbol, parameters),
            cancel_open=lambda symbol: self.connections.make_rest(endpoints).cancel_all(symbol),
            exchange_figures=lambda: self.rest.figures,
            machine_figures=partial(machine_figures, self.home.path),
            open_outbox=self.people.open_outbox,
            messenger=self.people.messenger,
            summary=self.people.summary,
        )
        return World(
            settings=settings,
            symbols=self.symbols,
            identity=Identity(__version__, sha, self.home_id, self.venue, params_hash(parameters)),
            home=self.home,
            rules=rules,
            post=self.post,
            clock=clock,
            ids=self.ids,
            timers=self.timers,
            ports=ports,
            start_loop=run_loop,
            spawn=spawn,
            stack_of=stack_of,
            chance=chance,
            log=log,
        )

    def _journal(self) -> JournalFile:
        return JournalFile.open(self.home.logs, wall=self.clock.wall, git_sha=self.world.identity.git_sha)

    def _take_journal(self) -> JournalFile:
        """The journal that was verified before anything started, once; after a crash of its actor, anew."""
        opened, self.opened = self.opened, None
        return opened or self._journal()

    def _rules(self) -> dict[str, SymbolRules]:
        entries = self.rest.exchange_info(self.symbols)
        missing = [symbol for symbol in self.symbols if symbol not in entries]
        if missing:
            raise OperatorError(f"The venue does not list {', '.join(missing)}; see --symbols.")
        return {symbol: SymbolRules.from_exchange_info(entry) for symbol, entry in entries.items()}

    def _birth(self) -> dict[str, Any]:
        """What the journal's first line of this run says; at the very first, with what the account held."""
        meta: dict[str, Any] = {
            "version": __version__,
            "venue": self.venue,
            "symbols": list(self.symbols),
            "params_hash": self.world.identity.params_hash,
        }
        if self._books().opening is None:
            assets = {asset for rules in self.world.rules.values() for asset in (rules.base, rules.quote)}
            held = self._insist(self.rest.account)
            meta["opening_balances"] = {a: sum(held.get(a, (Decimal(0),))) for a in sorted(assets)}
            meta["opening_trades"] = {symbol: self._newest_trade(symbol) for symbol in self.symbols}
        return meta

    def _newest_trade(self, symbol: str) -> int:
        trades = self._insist(lambda: self.rest.own_trades(symbol, limit=1))
        return max((trade.fill.trade_id for trade in trades), default=0)

    def _books(self) -> Books:
        """The books as they are on the disk; JournalBroken names the line that does not verify."""
        try:
            return self.world.load_books()
        except JournalBroken:
            verify(self.home.logs)  # it counts lines, which reading on from a seq does not
            raise

    def _open_doors(self, endpoints: Endpoints) -> str:
        """Serve metrics and control, and leave word of where they are for `thunes status` and `thunes kill`."""
        settings = self.settings
        self.control = ControlServer(
            self.figures,
            PostCommands(self.post.tell),
            host=settings.http.host,
            metrics_port=settings.run.metrics_port,
            console_port=settings.run.console_port,
            token=self.home.control_token(self.ids.new),
            allowed_hosts=settings.http.allowed_hosts,
            spawn=spawn,
            journal_after=self._journal_after,
            watch=lambda: (self.clock.monotonic_ns(), self.clock.thread_cpu_ns()),
        )
        metrics, console = self.control.start()
        self.home.write_run(
            {
                "venue": self.venue,
                "host": settings.http.host,
                "metrics_port": metrics,
                "console_port": console,
                "exchange": endpoints.rest,
                "exchange_pid": self.connections.exchange.pid if self.connections.exchange is not None else 0,
            }
        )
        host = settings.http.host
        return f"metrics http://{host}:{metrics}/metrics   status http://{host}:{console}/api/status"

    def _journal_after(self, seq: int, limit: int) -> list[dict[str, Any]]:
        return [event.model_dump(mode="json") for event in islice(read_events(self.home.logs, seq), limit)]

    def figures(self) -> SystemFigures:
        return read_figures(
            Sources(
                venue=self.venue,
                version=__version__,
                git_sha=self.world.identity.git_sha,
                symbols=self.world.symbols,
                figures=self.world.board.figures,
                handled=self.world.board.handled,
                boxes=self.post.boxes,
                exchange=lambda: self.rest.figures,
                now_ns=self.clock.monotonic_ns,
                started_ns=self.started_ns,
                ready=self.ready.is_set,
                machine=partial(machine_figures, self.home.path),
            )
        )

    # --- run ---

    def wait(self) -> int:
        """Show what happens until something asks for the end; then stop in order. 1 when it gave up."""
        places = [self.doors, f"journal {self.home.audit_trail}   log {self.home.log}"]
        with self._view(places) as refresh:
            deadline = self._deadline()
            while not self.ended.wait(REFRESH_SECONDS):
                refresh()
                if self.manager.listens:
                    self.manager.tell(self.figures(), self.post["supervisor"], started=self.ready.is_set())
                if not self.asked.stop and deadline is not None and self.clock.monotonic_ns() >= deadline:
                    self.asked.stop = "the duration is over"
                if self.asked.stop:
                    break
                self._serve_signals()
        return self._stop()

    @contextmanager
    def _view(self, places: Sequence[str]) -> Iterator[Callable[[], None]]:
        """The table that updates, or the places said once; gives what renews it."""
        if self.shown != "live":
            for place in places:
                log.info(place)
            yield lambda: None
            return
        with LiveView(self.figures, places, self.console) as view:
            yield view.refresh

    def _deadline(self) -> int | None:
        seconds = self.settings.run.duration
        return None if seconds is None else self.clock.monotonic_ns() + int(seconds * 1e9)

    def _serve_signals(self) -> None:
        if self.asked.reconnect:
            self.asked.reconnect = False
            self.post.tell("supervisor", Reconnect(None, "SIGUSR1"))
        if self.asked.kill:
            self.asked.kill = False
            self.post.tell("risk", Kill("SIGUSR2", "signal"))
        if self.connections.exchange is not None:
            try:
                self.connections.exchange.revive()
            except ThunesError as error:
                self.failure = f"The embedded exchange could not be started again: {error}"
                self.asked.stop = self.failure

    def _stop(self) -> int:
        self.manager.stopping(self.ended.value or self.asked.stop)
        if not self.ended.is_set():
            log.info("Stopping: %s.", self.asked.stop)
            self.post.tell("supervisor", Fatal(self.failure) if self.failure else Shutdown())
            if not self.ended.wait(STOPPED_SECONDS):
                log.error("The actors did not stop in time; leaving them behind.")
                return 1
        if self.ended.value:
            print(f"Gave up safely: {self.ended.value}", file=sys.stderr)
            return 1
        return 0

    def close(self) -> None:
        self.timers.stop()
        if self.control is not None:
            self.control.stop(1.0)
        if self.connections.exchange is not None:
            self.connections.exchange.stop()
        self.home.clear_run()

    def report(self) -> int:
        """Say what was done, with the chain verified; 1 when it does not verify."""
        try:
            verification = verify(self.home.logs)
        except JournalError as error:
            print(error, file=sys.stderr)
            return 1
        self.console.print(summary(self.figures(), verification))
        return 0


def strategy_in_words(settings: Settings) -> dict[str, str]:
    """The strategy and each of its parameters, for people."""
    parameters = settings.strategy_parameters()
    said = {name: str(value) for name, value in parameters.model_dump().items()}
    return {"strategy": settings.run.strategy, "interval": settings.strategy.interval, **said} | {
        "hash": params_hash(parameters)
    }


def account_name(venue: str, api_key: str) -> str:
    """Whose account a home belongs to, without saying the key."""
    return "embedded" if venue in EMBEDDED else hashlib.sha256(api_key.encode()).hexdigest()[:12]


if __name__ == "__main__":
    from thunes.cli import run_main

    sys.exit(run_main())
