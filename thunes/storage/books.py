"""The books in a database: a projection of the journal, with the seq that it has applied.

`BooksStore.save` writes what an event changed and the event's seq in one transaction, so a restart that replays from
there applies every event exactly once. Amounts are text: a database's own numbers would round them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import peewee
from playhouse.db_url import connect

from thunes.domain.books import FILLS, Books, OpenOrder, Position, PositionChange, has_ended, let_go
from thunes.domain.journal import AuditEvent
from thunes.errors import BooksUnusable


class Row(peewee.Model):
    """One keyed part of the books (a position, a balance, an open order ...) as JSON with decimals as text."""

    part = peewee.CharField()
    key = peewee.CharField()
    value = peewee.TextField()

    class Meta:
        table_name = "books"
        primary_key = peewee.CompositeKey("part", "key")


class OrderRow(peewee.Model):
    """Every order that was allowed, and the last that was heard of it."""

    client_order_id = peewee.CharField(primary_key=True)
    correlation_id = peewee.CharField(index=True)
    symbol = peewee.CharField(index=True)
    side = peewee.CharField()
    order_type = peewee.CharField()
    quantity = peewee.TextField()
    status = peewee.CharField(index=True)
    seq = peewee.BigIntegerField()

    class Meta:
        table_name = "orders"


class FillRow(peewee.Model):
    """Every fill, once: (symbol, trade id) is the key."""

    symbol = peewee.CharField()
    trade_id = peewee.BigIntegerField()
    correlation_id = peewee.CharField(index=True)
    side = peewee.CharField()
    price = peewee.TextField()
    quantity = peewee.TextField()
    quote_quantity = peewee.TextField()
    commission = peewee.TextField()
    commission_asset = peewee.CharField()
    market_ms = peewee.BigIntegerField()
    seq = peewee.BigIntegerField()

    class Meta:
        table_name = "fills"
        primary_key = peewee.CompositeKey("symbol", "trade_id")


class TradeRow(peewee.Model):
    """Every closed position and what it earned, in quote currency net of fees."""

    fill_seq = peewee.BigIntegerField(primary_key=True)
    symbol = peewee.CharField(index=True)
    quantity = peewee.TextField()
    entry_price = peewee.TextField()
    pnl = peewee.TextField()
    closed_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "trades"


MODELS = (Row, OrderRow, FillRow, TradeRow)

KEYED: tuple[tuple[str, Any], ...] = (
    ("positions", Position),
    ("orders", OpenOrder),
    ("pending", PositionChange),
    ("balances", Decimal),
    ("fees", Decimal),
    ("marks", Decimal),
    ("compared", int),
    ("counted", frozenset[int]),
)
SCALARS = tuple(f.name for f in fields(Books) if f.name not in {name for name, _ in KEYED})


class BooksStore:
    """The database of one home. One thread at a time; every actor that reads the books opens its own."""

    def __init__(self, url: str) -> None:
        """Open `url` (peewee's database URL).

        SQLite is put into WAL mode. Its last transactions may be gone after a power cut, and that is enough: the
        journal has them, and the seq says where to read on.
        """
        pragmas = {"journal_mode": "wal", "synchronous": "normal", "busy_timeout": 5000}
        self._database = connect(url, **({"pragmas": pragmas} if url.startswith("sqlite") else {}))
        self._saved: dict[tuple[str, str], str] = {}
        # Models are shared by all threads and stores, so none is bound to a database: each query is told its own.
        try:
            with self._usable():
                self._database.connect(reuse_if_open=True)
                for model in MODELS:
                    peewee.SchemaManager(model, self._database).create_all(safe=True)
        except BooksUnusable:
            self._database.close()
            raise

    @classmethod
    def at(cls, path: Path) -> BooksStore:
        """The SQLite file at `path`, made if there is none."""
        return cls(f"sqlite:///{path}")

    def load(self) -> Books:
        """The books as of the last seq that was applied."""
        with self._usable():
            rows: list[tuple[str, str, str]] = list(Row.select().tuples().bind(self._database))  # type: ignore[arg-type]
        self._saved = {(part, key): value for part, key, value in rows}
        books = Books()
        kinds = dict(KEYED)
        for part, key, value in rows:
            if part == "books":
                kind = {f.name: f.type for f in fields(Books)}[key]
                setattr(books, key, _decode(value, _SCALAR_TYPES[str(kind)]))
            else:
                getattr(books, part)[int(key) if part == "pending" else key] = _decode(value, kinds[part])
        return books

    def save(self, books: Books, events: Sequence[AuditEvent]) -> None:
        """Store what `events` made of the books, with their last seq, in one transaction."""
        now = dict(_rows(books))
        with self._usable(), self._database.atomic():
            changed = [
                (part, key, value) for (part, key), value in now.items() if self._saved.get((part, key)) != value
            ]
            for chunk in peewee.chunked(changed, 100):
                Row.replace_many(  # type: ignore[no-untyped-call]
                    chunk, fields=[Row.part, Row.key, Row.value]
                ).execute(self._database)
            for part, key in self._saved.keys() - now.keys():
                Row.delete().where((Row.part == part) & (Row.key == key)).execute(self._database)
            for event in events:
                _history(self._database, event)
        self._saved = now

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except peewee.DatabaseError as error:
            raise BooksUnusable(
                f"The books' database cannot be used ({error}); free the disk and start again."
            ) from error


_SCALAR_TYPES: dict[str, Any] = {
    "int": int,
    "bool": bool,
    "str": str,
    "Decimal": Decimal,
    "dict[str, Decimal] | None": dict[str, Decimal] | None,
}


def _rows(books: Books) -> Iterable[tuple[tuple[str, str], str]]:
    for name in SCALARS:
        yield ("books", name), _encode(getattr(books, name))
    for part, _ in KEYED:
        for key, value in getattr(books, part).items():
            yield (part, str(key)), _encode(value)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decode(value: str, kind: Any) -> Any:
    return msgspec.json.decode(value, type=kind)


def _history(database: peewee.Database, event: AuditEvent) -> None:
    """Rows for people and reports; the books themselves do not read them."""
    meta, cid = event.metadata, event.correlation_id
    for order in let_go(event):
        OrderRow.insert(
            correlation_id=cid,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=str(order.quantity),
            status="APPROVED",
            seq=event.seq,
        ).on_conflict_ignore().execute(database)
    if event.event in FILLS:
        names = ("price", "quantity", "quote_quantity", "commission", "commission_asset", "trade_id")
        row = {name: meta[name] for name in names}
        row |= {"market_ms": meta["market_time"], "symbol": event.symbol, "side": event.side}
        FillRow.insert(correlation_id=cid or "", seq=event.seq, **row).on_conflict_ignore().execute(database)
    elif event.event == "POSITION_CLOSED":
        row = {name: meta[name] for name in ("fill_seq", "quantity", "entry_price", "pnl")}
        TradeRow.insert(symbol=event.symbol, closed_ms=meta["market_time"], **row).on_conflict_ignore().execute(
            database
        )
    if event.event in FILLS or has_ended(event) or event.event in ("ORDER_ACCEPTED", "ORDER_UNKNOWN"):
        status = event.event.removeprefix("ORDER_")
        named = OrderRow.client_order_id == meta["client_order_id"]
        OrderRow.update(status=status, seq=event.seq).where(named).execute(database)
