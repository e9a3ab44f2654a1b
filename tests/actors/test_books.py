"""BooksActor and the projection: a database that is ahead of the journal is made anew."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from actors.books import BooksActor
from actors.protocol import Journaled
from tests.actors.alone import Alone, alone
from tests.e2e.support import wait_for
from thunes.messages import Record
from thunes.storage.journal import JournalFile

D = Decimal


def journal(bench: Alone, *records: Record) -> list[object]:
    """Append these to the home's journal, durable."""
    file = JournalFile.open(bench.world.home.logs, wall=bench.world.clock.wall, git_sha="test")
    appended = [file.append(record) for record in records]
    file.commit()
    file.close()
    return appended


def birth() -> Record:
    return Record("SYSTEM_STARTED", metadata={"opening_balances": {"USDT": D(10_000)}})


def seq(bench: Alone) -> int:
    store = bench.world.ports.open_books()
    try:
        return store.load().seq
    finally:
        store.close()


def test_what_the_journal_has_is_stored_at_the_start_and_as_it_comes(tmp_path: Path) -> None:
    with alone(tmp_path, "books", BooksActor) as bench:
        journal(bench, birth(), Record("HEARTBEAT"))
        bench.start()
        wait_for(lambda: seq(bench) == 2, 10, "the projection")
        bench.tell(Journaled(tuple(journal(bench, Record("HEARTBEAT")))))
        wait_for(lambda: seq(bench) == 3, 10, "the third line")


def test_a_projection_that_is_ahead_of_the_journal_is_made_anew(tmp_path: Path) -> None:
    with alone(tmp_path, "books", BooksActor) as bench:
        journal(bench, birth(), *[Record("DAILY_RESET", metadata={"day": "2025-01-02"})] * 5)
        bench.start()
        wait_for(lambda: seq(bench) == 6, 10, "the projection")
    # The power went: the journal lost what the database had seen.
    lines = bench.world.home.audit_trail.read_bytes().splitlines(keepends=True)
    bench.world.home.audit_trail.write_bytes(b"".join(lines[:2]))
    with alone(tmp_path, "books", BooksActor) as bench:
        assert bench.world.load_books().seq == 2
        bench.start()
        wait_for(lambda: seq(bench) == 2, 10, "the projection made anew")
        journal(bench, Record("DAILY_RESET", metadata={"day": "2025-01-09"}))
        assert bench.world.load_books().day == "2025-01-09"
