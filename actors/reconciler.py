"""ReconcilerActor: alive is not complete, so the books are compared with the exchange.

Receives Reconcile (at start, on every connection of the account stream, from an operator) and a timer, every minute
even when all looks well. Tells Audit what it found and Risk whether trading may go on. A crash loses nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from actors.protocol import Again, Heartbeat, Synced
from actors.runtime.actor import Actor
from actors.world import World
from thunes.domain.books import Books
from thunes.domain.reconciliation import Mismatch, compare
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Reconcile, Record

Received: TypeAlias = Reconcile | Heartbeat | Again

EVERY = 60.0
SOON, LATER = 0.25, 2.0
"""Seconds until the next look: while orders are under way, and while the two sides differ or the exchange is silent."""


class ReconcilerActor(Actor):
    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.rest = world.ports.rest()
        self.assets = sorted({asset for rules in world.rules.values() for asset in (rules.base, rules.quote)})
        self.why = "start"
        self.last: tuple[Mismatch, ...] | None = None

    def on_start(self) -> None:
        self.after(EVERY, "every minute", Heartbeat())
        if self.incarnation:
            self._again(SOON)

    def on_receive(self, message: Any) -> None:
        match message:
            case Reconcile(source):
                self.why = source
            case Heartbeat():
                self.after(EVERY, "every minute", Heartbeat())
                self.why = "timer"
            case Again():
                pass
            case _:
                raise TypeError(f"reconciler does not understand {type(message).__name__}")
        self._compare()

    def _compare(self) -> None:
        """Read the exchange's side between two looks at the books that agree, so that no order was under way."""
        before = self.world.load_books()
        if before.orders or before.opening is None:
            self._again(SOON)
            return
        try:
            balances = {asset: free + locked for asset, (free, locked) in self.rest.account().items()}
            open_ids = [o.client_order_id for s in self.world.symbols for o in self.rest.open_orders(s)]
        except (ExchangeError, NetworkError) as error:
            self.world.log.warning("The account could not be compared with the books (%s); trying again.", error)
            self.tell("risk", Synced(False, f"the exchange does not answer: {error}"))
            self._again(LATER)
            return
        after = self.world.load_books()
        if after.orders or after.balances != before.balances:
            self._again(SOON)
            return
        self._judge(after, balances, open_ids)

    def _judge(self, books: Books, balances: dict[str, Decimal], open_ids: list[str]) -> None:
        found = compare(books.balances, balances, assets=self.assets, exchange_orders=open_ids)
        self.tell("risk", Synced(not found, "; ".join(f"{m.what}: {m.books} / {m.exchange}" for m in found)))
        if not found:
            meta = {"why": self.why, "balances": {asset: balances.get(asset, Decimal(0)) for asset in self.assets}}
            self.tell("audit", Record("RECONCILED", metadata=meta))
        elif found != self.last:
            sides = [{"what": m.what, "books": m.books, "exchange": m.exchange} for m in found]
            self.tell("audit", Record("RECONCILIATION_MISMATCH", metadata={"why": self.why, "differences": sides}))
            self.world.log.error("Books and exchange differ, trading is paused: %s", sides)
        if found:
            self._again(LATER)
        self.last = found

    def _again(self, seconds: float) -> None:
        self.after(seconds, "again", Again())
