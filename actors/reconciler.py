"""ReconcilerActor: alive is not complete, so the books are compared with the exchange, and repaired after it.

Receives Reconcile (at start, on every connection of the account stream, from an operator, from whoever heard what does
not fit) and a timer, every minute even when all looks well. Reads orders, trades, balances and the exchange's clock;
tells Audit what it found and what repairs it, OrderActor which orders to ask about, Risk whether trading may go on.
What differs is looked at twice, because something may have been on its way; what nothing repairs throws the kill
switch. A crash loses nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeAlias

from actors.protocol import Again, Ask, Flush, Flushed, Heartbeat, Synced
from actors.runtime.actor import Actor
from actors.world import World
from thunes.domain.books import Books
from thunes.domain.instances import home_of
from thunes.domain.market import OwnTrade
from thunes.domain.reconciliation import Account, Found, compare, replay, settled, taken_over
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Reconcile, Record

Received: TypeAlias = Reconcile | Heartbeat | Again | Flushed

EVERY = 60.0
SOON, LATER = 0.25, 2.0
"""Seconds until the next look: while orders are under way, and while the two sides differ or the exchange is silent."""
STEADY = 3
"""Looks in a row at which amounts differ by the same before they are taken over as they are."""
RESTLESS = 4
"""Looks in a row that differ, each in another way, before trading is paused all the same."""
LASTING = 5
"""Looks in a row that differ, each after a wait for what repairs it, before the kill switch is thrown."""
PAGE = 1000


class ReconcilerActor(Actor):
    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.rest = world.ports.rest()
        self.assets = sorted({asset for rules in world.rules.values() for asset in (rules.base, rules.quote)})
        self.why = "start"
        self.seen: Found | None = None
        """What the last look found, and how often in a row."""
        self.times = 0
        self.differing = 0
        """Looks in a row that found something."""
        self.waited = False
        """Whether this look comes after a wait: others come as often as somebody asks."""
        self.unrepaired = 0
        """Looks after a wait, in a row, that found something all the same."""
        self.wait = SOON
        self.repairing = False
        self.take_over = False

    def on_start(self) -> None:
        self.after(EVERY, "every minute", Heartbeat())
        if self.incarnation:
            self._flush()  # what the incarnation before told to be written comes first

    def on_receive(self, message: Any) -> None:
        self.waited = type(message) is Again
        match message:
            case Reconcile(source, take_over):
                self.why, self.take_over = source, self.take_over or take_over
            case Heartbeat():
                self.after(EVERY, "every minute", Heartbeat())
                self.why = "timer"
                with suppress(ExchangeError, NetworkError):
                    self.rest.sync_clock()
            case Again():
                pass
            case Flushed(incarnation):
                if incarnation != self.incarnation:
                    return
                self.repairing = False
            case _:
                raise TypeError(f"reconciler does not understand {type(message).__name__}")
        if not self.repairing:
            self._look()

    # --- both sides at one moment ---

    def _look(self) -> None:
        """Read the exchange's side between two looks at the books that agree, so that nothing was on its way."""
        before = self.world.load_books()
        if before.opening is None or not settled(before):
            self._while_under_way()
            return
        try:
            account = self._account(before)
        except (ExchangeError, NetworkError) as error:
            self.world.log.warning("The account could not be compared with the books (%s); trying again.", error)
            self.tell("risk", Synced(False, f"the exchange does not answer: {error}"))
            pause = error.retry_after if isinstance(error, ExchangeError) else None
            self._again(max(LATER, pause or 0.0))
            return
        after = self.world.load_books()
        if (after.orders, after.balances, after.counted) != (before.orders, before.balances, before.counted):
            self._while_under_way()
            return
        self.wait = SOON
        self._judge(after, account)

    def _while_under_way(self) -> None:
        self._again(self.wait)
        self.wait = min(LATER, self.wait * 1.5)

    def _account(self, books: Books) -> Account:
        rest, symbols = self.rest, self.world.symbols
        trades = {symbol: self._trades(symbol, books) for symbol in symbols}
        return Account(
            balances={asset: free + locked for asset, (free, locked) in rest.account().items()},
            orders=tuple(order for symbol in symbols for order in rest.open_orders(symbol)),
            trades=trades,
            newest={
                symbol: max((trade.fill.trade_id for trade in found), default=books.compared.get(symbol, 0))
                for symbol, found in trades.items()
            },
        )

    def _trades(self, symbol: str, books: Books) -> tuple[OwnTrade, ...]:
        """The account's trades that were not compared yet. A symbol that is new here begins with what there is."""
        if symbol not in books.compared:
            return self.rest.own_trades(symbol, limit=PAGE)
        trades: list[OwnTrade] = []
        from_id = books.compared[symbol] + 1
        while True:
            page = self.rest.own_trades(symbol, from_id=from_id, limit=PAGE)
            trades += page
            if len(page) < PAGE:
                return tuple(trades)
            from_id = page[-1].fill.trade_id + 1

    # --- what follows from it ---

    def _judge(self, books: Books, account: Account) -> None:
        found = compare(books, account, assets=self.assets, home_id=self.world.identity.home_id)
        self.times = self.times + 1 if found == self.seen else 1
        self.seen = found
        self.differing = self.differing + 1 if found.mismatches else 0
        if not found.mismatches:
            self.unrepaired = 0
            self._agreed(account, {})
            return
        for symbol, key in found.ask:
            self.tell(f"order.{symbol}", Ask(key))
        if self.times == 1 and self.differing < RESTLESS:
            self._again(SOON)
            return
        self._differ(found)
        if self.times >= STEADY and found.only_balances:
            self._agreed(account, taken_over(found, books, self.world.rules))
        elif found.foreign:
            self._replay(found)
        else:
            self._again(LATER)

    def _agreed(self, account: Account, changes: dict[str, Any]) -> None:
        """The two sides agree, or will once `changes`, which the line takes down, are in the books."""
        shown = {asset: account.balances.get(asset, 0) for asset in self.assets}
        meta = {"why": self.why, "balances": shown, "trades": account.newest, **changes}
        self.tell("audit", Record("RECONCILED", metadata=meta))
        if changes:
            self._flush()
        else:
            self.take_over = False
            self.tell("risk", Synced(True))

    def _differ(self, found: Found) -> None:
        words = "; ".join(f"{m.what}: {m.books} / {m.exchange}" for m in found.mismatches)
        self.unrepaired += self.waited
        self.tell("risk", Synced(False, words, lasting=self.unrepaired >= LASTING))
        if self.times > 2:
            return
        sides = [{"what": m.what, "books": m.books, "exchange": m.exchange} for m in found.mismatches]
        self.tell("audit", Record("RECONCILIATION_MISMATCH", metadata={"why": self.why, "differences": sides}))
        self.world.log.error("Books and exchange differ, trading is paused: %s", words)
        for symbol in found.strays:
            self.world.log.error("%s: an order of ours is open that has ended in the books: cancelling.", symbol)
            self.world.ports.cancel_open(symbol)

    def _replay(self, found: Found) -> None:
        """Write down the trades that the books lack, by trade id; then look again."""
        try:
            records = [self._replayed(symbol, trade) for symbol, trade in found.foreign]
        except (ExchangeError, NetworkError) as error:
            self.world.log.warning("Trades could not be read (%s); trying again.", error)
            self._again(LATER)
            return
        if not all(records):
            self._again(LATER)
            return
        for record in records:
            if record is not None:
                self.tell("audit", record)
        self._flush()

    def _replayed(self, symbol: str, trade: OwnTrade) -> Record | None:
        """None for a trade of another system's: whose books would be right then, nobody can say."""
        order = self.rest.order_by_id(symbol, trade.order_id)
        home, own = home_of(order.client_order_id), self.world.identity.home_id
        if home and home != own and not self.take_over:
            self.world.log.error("Another system (home %s) trades on this account: stop one of the two, then", home)
            self.world.log.error("`thunes reconcile` takes over what it traded.")
            return None
        event = replay(trade, order, self.world.rules[symbol])
        signal = order.client_order_id[len(own) + 1 :][:20] if home == own else None
        return Record(event.name, symbol=symbol, side=trade.side, correlation_id=signal, metadata=event.metadata)

    def _flush(self) -> None:
        self.repairing = True
        self.tell("audit", Flush(self.name, self.incarnation))

    def _again(self, seconds: float) -> None:
        self.after(seconds, "again", Again())
