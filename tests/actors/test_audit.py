"""AuditActor alone: on the disk before anybody is told, and after a crash neither lost nor there twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.audit import AuditActor
from actors.protocol import Approved, Flush, Flushed
from actors.runtime.mailbox import DeadLetter
from tests.actors.alone import Alone, alone, exits
from thunes.messages import OrderType, Record, Side, SubmitOrder
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile, read_events, verify

ONE = Decimal(1)


def approval(name: str) -> Record:
    order = SubmitOrder(name, "ETHUSDT", Side.BUY, OrderType.MARKET, ONE, ONE, "cause", "sma", "hash", market_ms=0)
    return Record("TRADE_APPROVED", symbol="ETHUSDT", correlation_id=name, subject=Approved(order, 0, f"home-{name}"))


def correlation_ids(bench: Alone) -> list[str | None]:
    """Of the journal's lines, in its order."""
    return [event.correlation_id for event in read_events(logs(bench))]


def logs(bench: Alone) -> Path:
    assert isinstance(bench.world.home, Home)
    return bench.world.home.logs


def passed_on(bench: Alone) -> list[str]:
    return [approved.order.correlation_id for approved in bench.told("breaker", Approved)]


def failing_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose first call fails instead."""
    failures = [RuntimeError("as the test wants it")]

    def call(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return function(*arguments)

    return call


@contextmanager
def auditing(home: Path, sync: Callable[[int], None] = os.fdatasync) -> Iterator[Alone]:
    """AuditActor on a journal that is made durable by `sync`."""

    def wall() -> datetime:
        moment: datetime = bench.world.carry.get("wall", bench.world.clock.wall)()
        return moment

    def journal() -> JournalFile:
        return JournalFile.open(logs(bench), wall=wall, git_sha="test", sync=sync)

    with alone(home, "audit", AuditActor, open_journal=journal) as bench:
        yield bench


def test_while_an_approval_is_made_durable_the_breaker_has_not_heard_of_it(tmp_path: Path) -> None:
    heard: list[int] = []
    with auditing(tmp_path, lambda _fd: heard.append(len(bench.world.post["breaker"]))) as bench:
        bench.start()
        bench.tell(approval("c1"))
        assert set(heard) == {0}
        assert passed_on(bench) == ["c1"]


def test_a_flush_is_answered_only_after_all_before_it_is_durable_and_passed_on(tmp_path: Path) -> None:
    answered: list[int] = []
    with auditing(tmp_path, lambda _fd: answered.append(len(bench.world.post["risk"]))) as bench:
        bench.queue(approval("c1"), Flush("risk"), approval("c2"))
        bench.start()
        bench.tell(approval("c3"))
        assert answered[0] == 0
        assert bench.told("risk", Flushed) == [Flushed()]
        assert passed_on(bench) == ["c1", "c2", "c3"]


def test_all_that_is_queued_is_made_durable_at_once(tmp_path: Path) -> None:
    syncs: list[int] = []
    with auditing(tmp_path, syncs.append) as bench:
        bench.queue(*(approval(f"c{number}") for number in range(100)))
        bench.start()
        bench.tell(Flush("risk"))
        assert len(passed_on(bench)) == 100
        assert len(syncs) < 10


def test_a_batch_that_no_file_has_yet_outlives_a_crash(tmp_path: Path) -> None:
    with auditing(tmp_path) as bench:
        bench.queue(approval("c1"), "a message that nobody understands", approval("c2"))
        bench.start()
        bench.wait_until_ended()
        assert correlation_ids(bench) == []
        assert passed_on(bench) == []
        bench.start()
        bench.tell(Flush("risk"))
        assert correlation_ids(bench) == ["c1", "c2"]
        assert passed_on(bench) == ["c1", "c2"]
        assert verify(logs(bench)).events == 2


def test_a_batch_that_the_file_has_already_is_not_there_twice_after_a_crash(tmp_path: Path) -> None:
    def sync(fd: int) -> None:
        bench.world.carry.get("sync", os.fdatasync)(fd)

    with auditing(tmp_path, sync) as bench:
        bench.start()
        bench.tell(Flush("risk"))
        bench.world.carry["sync"] = failing_once(os.fdatasync)
        bench.queue(approval("c1"))
        bench.wait_until_ended()
        (report,) = exits(bench)
        assert correlation_ids(bench) == ["c1"]
        assert passed_on(bench) == []
        bench.start()
        bench.tell(DeadLetter(report.message), approval("c2"))
        assert correlation_ids(bench) == ["c1", "c2"]
        assert passed_on(bench) == ["c1", "c2"]
        assert verify(logs(bench)).events == 2


def test_a_record_that_was_in_hand_when_it_died_is_taken_by_the_replacement(tmp_path: Path) -> None:
    with auditing(tmp_path) as bench:
        bench.start()
        bench.tell(approval("c1"))
        bench.told("breaker")
        bench.world.carry["wall"] = failing_once(bench.world.clock.wall)
        bench.queue(approval("c2"))
        bench.wait_until_ended()
        (report,) = exits(bench)
        assert correlation_ids(bench) == ["c1"]
        bench.start()
        bench.tell(DeadLetter(report.message))
        assert correlation_ids(bench) == ["c1", "c2"]
        assert passed_on(bench) == ["c2"]
