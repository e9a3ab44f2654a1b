"""What has to be true of a journal, its database and the exchange once a system has stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.e2e.support import events, folded
from thunes.domain.books import FILLS, Books, has_ended
from thunes.domain.journal import AuditEvent
from thunes.exchange.binance import BinanceRest
from thunes.storage.books import BooksStore
from thunes.storage.segments import verify

DECISIONS = ("TRADE_APPROVED", "TRADE_REJECTED")
PAGE = 1000


def assert_in_step(home: Path, rest: BinanceRest, symbols: Sequence[str]) -> Books:
    """Database, journal and exchange say the same to the last digit; no order is there twice, unasked for, lost."""
    verify(home / "logs")
    lines, books = events(home), folded(home)
    store = BooksStore.at(home / "data" / "thunes.db")
    stored = store.load()
    store.close()
    assert stored == books, "the database is not the fold of the journal"
    assert not books.orders, f"without an end: {list(books.orders)}"
    assert_decided_and_ended_once(lines)
    assert_nothing_was_made_up(lines)
    account = {asset: free + locked for asset, (free, locked) in rest.account().items()}
    for asset, amount in books.balances.items():
        assert account.get(asset, Decimal(0)) == amount, f"{asset}: books {amount}, exchange {account.get(asset)}"
    for symbol in symbols:
        assert_orders_are_ours(symbol, lines, rest)
        assert_trades_are_booked(symbol, lines, rest)
    return books


def assert_decided_and_ended_once(lines: Iterable[AuditEvent]) -> None:
    """One decision for each intent, one end for each approval."""
    lines = list(lines)
    decisions = Counter(e.correlation_id for e in lines if e.event in DECISIONS)
    assert [intent for intent, times in decisions.items() if times > 1] == [], "an intent was decided twice"
    allowed, ends = allowed_orders(lines), Counter(named(e) for e in lines if has_ended(e))
    assert set(ends) == allowed, f"approvals without an end, or ends without one: {set(ends) ^ allowed}"
    assert [order for order, times in ends.items() if times > 1] == [], "an order ended twice"


def assert_nothing_was_made_up(lines: Iterable[AuditEvent]) -> None:
    """The books were right by themselves: a comparison that repairs them would hide what is wrong with them."""
    assert [e.seq for e in lines if e.event == "RECONCILED" and e.metadata.get("adjusted")] == [], "amounts taken over"
    assert [e.seq for e in lines if e.event in FILLS and e.metadata.get("foreign")] == [], "trades written down later"


def assert_orders_are_ours(symbol: str, lines: Iterable[AuditEvent], rest: BinanceRest) -> None:
    sent = Counter(row["clientOrderId"] for row in pages(rest._client.get_all_orders, symbol, "orderId", "orderId"))
    assert [order for order, times in sent.items() if times > 1] == [], "an order is there twice"
    assert set(sent) <= allowed_orders(lines), "an order that nothing allowed"


def assert_trades_are_booked(symbol: str, lines: Iterable[AuditEvent], rest: BinanceRest) -> None:
    booked = sorted(int(e.metadata["trade_id"]) for e in lines if e.event in FILLS and e.symbol == symbol)
    assert booked == [row["id"] for row in pages(rest._client.get_my_trades, symbol, "fromId", "id")]


def allowed_orders(lines: Iterable[AuditEvent]) -> set[str]:
    """Client order ids of the approved orders, and of the protective ones that their approvals allow."""
    allowed = set()
    for event in lines:
        protects = event.event == "ORDER_SUBMITTED" and event.metadata.get("leg")
        if event.event == "TRADE_APPROVED" or protects:
            allowed.add(named(event))
        if protects and (beside := event.metadata.get("profit")):
            allowed.add(str(beside["client_order_id"]))
    return allowed


def named(event: AuditEvent) -> str:
    return str(event.metadata["client_order_id"])


def pages(ask: Any, symbol: str, from_name: str, member: str) -> Iterator[dict[str, Any]]:
    """Every row there is, oldest first."""
    start = 0
    while True:
        rows = ask(symbol=symbol, limit=PAGE, **{from_name: start})
        yield from rows
        if len(rows) < PAGE:
            return
        start = rows[-1][member] + 1
