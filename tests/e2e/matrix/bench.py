"""One exchange and one THUNES as processes, told by a test what to order and what to suffer."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.e2e.matrix.agreement import assert_in_step
from tests.e2e.matrix.control import Control
from tests.e2e.matrix.journal import Follower
from tests.e2e.matrix.market import write
from tests.e2e.matrix.script import FOLDER
from tests.e2e.support import Exchange, Thunes, clean_environment, exchange, thunes
from thunes.control.client import RunningSystem
from thunes.domain.books import FILLS, has_ended
from thunes.domain.journal import AuditEvent
from thunes.errors import ExchangeError
from thunes.messages import Side
from thunes.storage.books import BooksStore
from thunes.storage.home import Home

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "LTCUSDT", "XRPUSDT")
SPEED = 120
"""A candle closes every half second of wall time."""
TIMEOUT = 3.0
CONFIG = f"""
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 100000
max_positions = 12
max_notional = 10000
max_exposure = 100000
max_drawdown = 1
price_collar = 1
[breaker]
fail_max = 10000
[exchange]
timeout = {TIMEOUT}
[stream]
watchdog = 2
"""
ORDERED, LIFTED = "1", "4"
"""What a MARKET order is for, and what is held before a SELL: more than two levels of the ladder."""
PATIENCE = 60.0
ORDER_DOES_NOT_EXIST = -2013


def until(
    condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "a condition", *, every: float = 0.01
) -> Any:
    """The condition's first true value, looked at a hundred times a second; an assertion that names it otherwise.

    What asks the exchange is looked at less often: its request weight is THUNES's too.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        threading.Event().wait(every)
    return value


@dataclass(frozen=True, slots=True)
class Told:
    """One order that the script was told to make, and what risk decided."""

    symbol: str
    decision: AuditEvent

    @property
    def approved(self) -> bool:
        return self.decision.event == "TRADE_APPROVED"

    @property
    def key(self) -> str:
        return str(self.decision.correlation_id)

    @property
    def client_order_id(self) -> str:
        return str(self.decision.metadata["client_order_id"])


@dataclass
class Bench:
    """Orders of one side are looked at; those of the other come before or after."""

    side: Side
    folder: Path
    venue: Exchange
    flags: tuple[str, ...]
    env: dict[str, str]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    asking: threading.Lock = field(default_factory=threading.Lock)
    system: Thunes = field(init=False)
    _running: AbstractContextManager[Thunes] | None = None

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.control = Control(self.venue.ready["control"])
        self.journal = Follower(self.home / "logs")
        self.rest = self.venue.rest()

    # --- the process ---

    def start(self) -> None:
        self._running = thunes(self.home, *self.flags, env=self.env)
        self.system = self._running.__enter__()
        until(self.system.is_ready, what="readiness")

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def post(self, path: str, body: dict[str, Any]) -> None:
        RunningSystem(Home(self.home)).post(path, body)

    # --- orders ---

    def write(self, symbol: str, kind: str, side: Side | None = None, **more: Any) -> str:
        """Tell the script, and wait for nothing; the name under which its order can be found."""
        cause = f"CELL-{next(self.numbers)}"
        self._write(symbol, {"side": side or self.side, "kind": kind, "cause": cause, "good_for": 1_800, **more})
        return cause

    def _write(self, symbol: str, told: dict[str, Any]) -> None:
        file = self.folder / "script" / f"{symbol}.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"try": next(self.numbers), "quantity": ORDERED, **told}))
        fresh.replace(file)

    def tell(self, symbol: str, kind: str, side: Side | None = None, **more: Any) -> Told:
        """Tell the script until risk has decided; what was asked for while another order was under way is dropped."""
        told = {"side": side or self.side, "kind": kind, "cause": f"CELL-{next(self.numbers)}", "good_for": 1_800}

        def decided() -> AuditEvent | None:
            self._write(symbol, {**told, **more})
            try:
                return self.decision(str(told["cause"]), 3.0)
            except AssertionError:
                return None

        return Told(symbol, until(decided, what=f"a decision on {kind} {symbol}"))

    def order(self, symbol: str, kind: str, side: Side | None = None, **more: Any) -> Told:
        """Tell the script until risk approves: on a busy machine a tick may be stale, or a comparison under way."""
        reasons: list[str | None] = []
        deadline = time.monotonic() + PATIENCE
        while not (told := self.tell(symbol, kind, side, **more)).approved:
            reasons.append(told.decision.reason)
            assert time.monotonic() < deadline, f"{kind} {symbol} was refused {len(reasons)} times: {set(reasons)}"
        return told

    def decision(self, cause: str, seconds: float = PATIENCE) -> AuditEvent:
        found = until(lambda: self.journal.decision(cause), seconds, f"a decision on {cause}")
        assert isinstance(found, AuditEvent)
        return found

    def prepare(self, symbol: str) -> None:
        """Hold nothing before a BUY, and enough before a SELL."""
        self.flat(symbol)
        if self.side is Side.SELL:
            self.lift(symbol)

    def lift(self, symbol: str) -> None:
        """Hold something; an order that is refused because the exchange wants a pause is ordered again."""

        def holds() -> bool:
            self.ended(self.order(symbol, "market", Side.BUY, quantity=LIFTED))
            return self.journal.books.holding(symbol) is not None

        until(holds, what=f"a position in {symbol}")

    def flat(self, symbol: str) -> None:
        """Cancel what rests, and sell what is held: an exit does not wait for an order that rests."""

        def nothing_left() -> bool:
            if self.journal.is_flat(symbol):
                return True
            self.write(symbol, "all", Side.SELL)
            try:
                return bool(until(lambda: self.journal.is_flat(symbol), 2.0))
            except AssertionError:
                return False

        until(nothing_left, what=f"an end of all in {symbol}")

    def ended(self, told: Told) -> None:
        if not told.approved:
            return
        until(lambda: any(has_ended(e) for e in self.journal.of(told.key)), what=f"the end of {told.client_order_id}")

    def known(self, told: Told) -> None:
        """Its fate is known: the exchange has it, or it has ended."""

        def settled() -> bool:
            return any(e.event == "ORDER_ACCEPTED" or has_ended(e) for e in self.journal.of(told.key))

        until(settled, what=f"certainty about {told.client_order_id}")

    def partly_filled(self, told: Told) -> None:
        until(
            lambda: any(e.event == "ORDER_PARTIALLY_FILLED" for e in self.journal.of(told.key)),
            what=f"a part of {told.client_order_id}",
        )

    # --- what has to be true ---

    def agrees(self, told: Told) -> str:
        """How the order ended; an assertion where the journal and the exchange do not say the same of it."""
        lines = self.journal.of(told.key)
        if not told.approved:
            assert self.at_exchange(told) is None, "a refused order is at the exchange"
            return f"refused: {told.decision.reason}"
        ends = [e for e in lines if has_ended(e)]
        assert len(ends) == 1, [e.event for e in lines]
        order = self.at_exchange(told)
        fills = (e.metadata for e in lines if e.event in FILLS)
        booked = {(meta["trade_id"], Decimal(meta["quantity"]), Decimal(meta["price"])) for meta in fills}
        if order is None:
            assert ends[0].event in ("ORDER_REJECTED", "ORDER_RESOLVED"), ends[0].event
            assert not booked
            return "never there" if ends[0].event == "ORDER_RESOLVED" else f"rejected {ends[0].reason or ''}".strip()
        with self.asking:
            trades = self.rest.my_trades(told.symbol, order_id=order.order_id)
        assert booked == {(fill.trade_id, fill.quantity, fill.price) for _, fill in trades}
        assert ends[0].event == f"ORDER_{order.status}", (ends[0].event, order.status)
        return str(order.status).lower()

    def at_exchange(self, told: Told) -> Any:
        with self.asking:
            try:
                return self.rest.order(told.symbol, told.client_order_id)
            except ExchangeError as error:
                if error.code != ORDER_DOES_NOT_EXIST:
                    raise
                return None

    def assert_symbol_agrees(self, symbol: str) -> None:
        """Database, journal and exchange hold the same of the symbol's base asset."""
        base = symbol.removesuffix("USDT")
        with self.asking:
            free, locked = self.rest.account()[base]
        self.journal.events()
        assert self.journal.books.balances[base] == free + locked, f"{base}: books and exchange differ"
        until(lambda: self._stored().get(base) == free + locked, 5.0, f"the database's {base}")

    def _stored(self) -> dict[str, Decimal]:
        store = BooksStore.at(self.home / "data" / "thunes.db")
        try:
            return store.load().balances
        finally:
            store.close()

    def close(self) -> None:
        """Stop in order; then all three sides of the books are the same to the last digit."""
        assert self.system.stop() == 0, self.system.said()
        self.end()
        assert_in_step(self.home, self.rest, SYMBOLS)


@contextmanager
def bench(folder: Path, side: Side, *, swings: bool = False) -> Iterator[Bench]:
    """A running bench; its processes are gone afterwards."""
    (folder / "script").mkdir(parents=True)
    source = write(folder / "market", SYMBOLS, side, swings=swings)
    config = folder / "config.toml"
    config.write_text(CONFIG)
    symbols = ",".join(SYMBOLS)
    flags = ("--symbols", symbols, "--source", str(source), "--speed", str(SPEED), "--control-port", "0")
    with exchange(folder / "exchange", *flags) as venue:
        env = clean_environment(
            THUNES_API_KEY=venue.ready["api_key"],
            THUNES_API_SECRET=venue.ready["api_secret"],
            THUNES_EXCHANGE__REST_URL=venue.ready["rest"],
            THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"],
            THUNES_EXCHANGE__WS_API_URL=venue.ready["ws_api"],
            **{FOLDER: str(folder / "script")},
        )
        strategy = str(Path(__file__).with_name("script.py"))
        told = ("--venue", "testnet", "--symbols", symbols, "--config", str(config), "--strategy", strategy)
        made = Bench(side, folder, venue, told, env)
        try:
            made.start()
            yield made
        finally:
            made.end()
