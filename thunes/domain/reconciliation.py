"""Comparing what the books say with what the exchange says, and what repairs the difference.

Pure. The exchange is right: trades that the books lack are replayed into them, orders that the two see differently are
asked about, and what came or went without a trade (a deposit) is taken over once it has stayed the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thunes.domain.books import Books
from thunes.domain.instances import home_of
from thunes.domain.market import OrderAnswer, OwnTrade
from thunes.domain.orders import Event, smallest_sellable
from thunes.domain.symbol_rules import SymbolRules

TOLERANCE = Decimal("0.00001")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Account:
    """The exchange's side: totals (free and locked) by asset, open orders, and trades beyond the books' `compared`."""

    balances: Mapping[str, Decimal]
    orders: tuple[OrderAnswer, ...]
    trades: Mapping[str, tuple[OwnTrade, ...]]
    newest: Mapping[str, int]
    """By symbol, the newest trade's id: the next comparison goes on behind it."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing on which the two sides differ, both sides in words."""

    what: str
    books: str
    exchange: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison came to; `mismatches` is empty when the sides agree."""

    mismatches: tuple[Mismatch, ...] = ()
    ask: tuple[tuple[str, str], ...] = ()
    """(symbol, key) of orders under way that the exchange sees differently."""
    foreign: tuple[tuple[str, OwnTrade], ...] = ()
    """(symbol, trade) that belong to no order under way, by trade id."""
    strays: tuple[str, ...] = ()
    """Symbols where an order of ours is open that the books know nothing of any more."""
    adjusted: tuple[tuple[str, Decimal], ...] = ()
    """(asset, exchange less books) beyond the tolerance."""

    @property
    def only_balances(self) -> bool:
        """Whether nothing but amounts differ: what a deposit or a withdrawal leaves."""
        return bool(self.adjusted) and not (self.ask or self.foreign or len(self.mismatches) > len(self.adjusted))


def settled(books: Books) -> bool:
    """Whether nothing is on its way: every order under way is one that the exchange has taken and that rests."""
    return all(order.rests and order.order_id for order in books.orders.values())


def compare(books: Books, account: Account, *, assets: Iterable[str], home_id: str) -> Found:
    """Differences in trades, open orders and the totals of `assets` beyond TOLERANCE."""
    ask, differing = _orders_under_way(books, account)
    foreign, missing = _trades(books, account)
    strays, unknown = _orders_not_ours(books, account, home_id)
    adjusted = tuple(
        (asset, account.balances.get(asset, ZERO) - books.balances.get(asset, ZERO)) for asset in sorted(set(assets))
    )
    adjusted = tuple((asset, amount) for asset, amount in adjusted if abs(amount) > TOLERANCE)
    amounts = tuple(
        Mismatch(asset, str(books.balances.get(asset, ZERO)), str(account.balances.get(asset, ZERO)))
        for asset, _ in adjusted
    )
    return Found((*amounts, *differing, *missing, *unknown), ask, foreign, strays, adjusted)


def _orders_under_way(books: Books, account: Account) -> tuple[tuple[tuple[str, str], ...], list[Mismatch]]:
    there = {order.client_order_id: order for order in account.orders}
    ask, found = [], []
    for order in books.orders.values():
        answer = there.get(order.client_order_id)
        if answer is not None and answer.executed == order.executed:
            continue
        ask.append((order.symbol, order.key))
        exchange = "not open" if answer is None else f"open, {answer.executed} executed"
        found.append(Mismatch(f"order {order.client_order_id}", f"open, {order.executed} executed", exchange))
    return tuple(ask), found


def _trades(books: Books, account: Account) -> tuple[tuple[tuple[str, OwnTrade], ...], list[Mismatch]]:
    ours = {(order.symbol, order.order_id) for order in books.orders.values()}
    foreign, found = [], []
    for symbol, trades in account.trades.items():
        if symbol not in books.compared:
            continue  # it was not traded here before: what the account did with it is not ours to know
        for trade in trades:
            if books.has_counted(symbol, trade.fill.trade_id):
                continue
            if (symbol, trade.order_id) not in ours:
                foreign.append((symbol, trade))
            words = f"{trade.side} {trade.fill.quantity} at {trade.fill.price}"
            found.append(Mismatch(f"trade {trade.fill.trade_id} of {symbol}", "unknown", words))
        ids = {trade.fill.trade_id for trade in trades}
        lost = sorted(books.counted.get(symbol, frozenset()) - ids)
        found += [Mismatch(f"trade {trade_id} of {symbol}", "counted", "unknown") for trade_id in lost]
    return tuple(foreign), found


def _orders_not_ours(books: Books, account: Account, home_id: str) -> tuple[tuple[str, ...], list[Mismatch]]:
    """Open orders that the books do not have: our own from before, another system's, somebody's by hand."""
    ours = {order.client_order_id for order in books.orders.values()}
    strays, found = [], []
    for order in account.orders:
        if order.client_order_id in ours:
            continue
        home = home_of(order.client_order_id)
        who = f"open, of another system with home {home}" if home and home != home_id else "open"
        found.append(Mismatch(f"order {order.client_order_id}", "unknown", who))
        if home == home_id:
            strays.append(order.symbol)
    return tuple(dict.fromkeys(strays)), found


def replay(trade: OwnTrade, order: OrderAnswer, rules: SymbolRules) -> Event:
    """The journal's line of a trade that no order under way accounts for, as the books count it."""
    fill = trade.fill
    meta = {
        "client_order_id": order.client_order_id,
        "order_id": trade.order_id,
        "foreign": True,
        "trade_id": fill.trade_id,
        "price": fill.price,
        "quantity": fill.quantity,
        "quote_quantity": fill.quote_quantity,
        "commission": fill.commission,
        "commission_asset": fill.commission_asset,
        "base_asset": rules.base,
        "quote_asset": rules.quote,
        "min_sellable": smallest_sellable(rules, fill.price),
        "executed": fill.quantity,
        "is_maker": fill.is_maker,
        "market_time": fill.time_ms,
    }
    return Event("ORDER_FILLED", meta)


def taken_over(found: Found, books: Books, rules: Mapping[str, SymbolRules]) -> dict[str, Any]:
    """What a RECONCILED line says of amounts that came or went without a trade, and of positions that they cut."""
    changes = dict(found.adjusted)
    cut = {}
    for symbol, position in books.positions.items():
        if symbol not in rules or rules[symbol].base not in changes:
            continue
        held = books.balances.get(rules[symbol].base, ZERO) + changes[rules[symbol].base]
        if held < position.quantity:
            left = max(ZERO, held)
            least = smallest_sellable(rules[symbol], position.entry_price)
            cut[symbol] = {"quantity": left, "is_open": left >= least and left > 0}
    return {"adjusted": changes, **({"positions": cut} if cut else {})}
