"""AlertActor: nothing that people have to know is lost, whatever dies in between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.alert import AlertActor
from actors.protocol import Heartbeat, SendAgain, StreamMissing, Summarise
from actors.runtime.mailbox import DeadLetter
from tests.actors.alone import Alone, alone, exits
from thunes.alerts.alert import Alert, Level, Outcome
from thunes.alerts.outbox import Outbox
from thunes.domain.journal import AuditEvent
from thunes.errors import OutboxUnusable
from thunes.messages import Record, Report, Side
from thunes.storage.journal import JournalFile

CHAT, HOOK = "telegram:1", "webhook"


@dataclass
class Chat:
    """A messenger whose messages end when the test says so."""

    chats: tuple[str, ...] = (CHAT,)
    second: tuple[str, ...] = (HOOK,)
    ignored: int = 3
    sent: list[tuple[str, tuple[int, ...], str, bytes | None]] = field(default_factory=list)

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def send(self, *message: Any) -> None:
        self.sent.append(message)

    def wait(self, _seconds: float) -> bool:
        return False

    def texts(self, channel: str = CHAT) -> list[str]:
        return [text for name, _, text, _ in self.sent if name == channel]


class Bench:
    def __init__(self, made: Alone, chat: Chat) -> None:
        self.made, self.chat, self.tell = made, chat, made.tell
        self.journal: JournalFile = made.world.ports.open_journal()  # type: ignore[assignment]

    def write(self, event: str, **more: Any) -> AuditEvent:
        """A line on the disk, of which nobody is told."""
        line = self.journal.append(Record(event, **more))
        self.journal.commit()
        return line

    def hear(self, event: str, **more: Any) -> AuditEvent:
        line = self.write(event, **more)
        self.tell(line)
        return line

    def answer(self, *, done: bool = True, kind: str = "sent", wait_s: float = 0.0) -> None:
        channel, numbers, _, _ = self.chat.sent[-1]
        self.tell(Outcome(channel, numbers, done, kind, "", wait_s))

    def figures(self) -> Any:
        return self.made.world.board.figures["alert"]


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def bench(tmp_path: Path, chat: Chat) -> Iterator[Bench]:
    with alone(tmp_path, "alert", AlertActor, messenger=chat) as made:
        made.start()
        bench = Bench(made, chat)
        yield bench
        bench.journal.close()


def restart(bench: Bench, lost: Any = None) -> None:
    """Its thread ends as in a crash, and the next incarnation takes over."""
    bench.made.queue(object())  # not understood
    bench.made.wait_until_ended()
    bench.made.queue(DeadLetter(lost))
    bench.made.start()
    bench.tell(SendAgain())


def killed(bench: Bench, tell: bool = True) -> AuditEvent:
    meta = {"why": "the cat", "source": "test", "epoch": 1}
    return (bench.hear if tell else bench.write)("KILL_SWITCH_ACTIVATED", metadata=meta)


def test_it_is_on_the_disk_before_it_is_sent(bench: Bench) -> None:
    seen = []
    send = bench.chat.send

    def look(*message: Any) -> None:
        outbox = Outbox(bench.made.world.home.outbox)  # type: ignore[attr-defined]
        seen.append((outbox.pending(), outbox.note("seq")))
        outbox.close()
        send(*message)

    bench.chat.send = look  # type: ignore[method-assign]
    event = killed(bench)
    assert seen == [(1, event.seq)]
    assert "the cat" in bench.chat.texts()[0]


def test_one_at_a_time_and_in_order(bench: Bench) -> None:
    for n in range(4):
        bench.hear("RODAGE_VERDICT", metadata={"verdict": f"verdict {n}"})
    assert len(bench.chat.sent) == 1
    bench.answer()
    first, text = bench.chat.texts()
    assert "verdict 0" in first
    assert text.index("verdict 1") < text.index("verdict 2") < text.index("verdict 3")


def test_what_failed_is_sent_again_when_its_time_has_come(bench: Bench) -> None:
    killed(bench)
    bench.answer(done=False, kind="limited", wait_s=3600)
    bench.tell(SendAgain())
    assert len(bench.chat.sent) == 1
    assert bench.figures().pending == 1
    assert bench.figures().sent == {("telegram", "limited"): 1}


def test_what_it_was_not_told_before_its_death_it_reads_from_the_journal(bench: Bench) -> None:
    killed(bench)
    bench.answer()
    unheard = bench.write("PARAMETER_DECAY", metadata={"why": "unheard"})
    restart(bench)
    assert "unheard" in bench.chat.texts()[1]
    bench.tell(unheard)  # and then it comes by post as well
    bench.answer()
    assert len(bench.chat.sent) == 2
    assert bench.figures().pending == 0


def test_what_is_under_way_at_its_death_is_not_sent_twice(bench: Bench) -> None:
    killed(bench)
    restart(bench)
    assert len(bench.chat.sent) == 1
    bench.answer()
    assert (bench.figures().pending, len(bench.chat.sent)) == (0, 1)


def test_an_outcome_that_it_died_of_still_counts(bench: Bench) -> None:
    killed(bench)
    channel, numbers, _, _ = bench.chat.sent[-1]
    restart(bench, Outcome(channel, numbers, True, "sent"))
    assert (bench.figures().pending, len(bench.chat.sent)) == (0, 1)


def test_a_new_home_is_not_told_of_what_was_before(tmp_path: Path, chat: Chat) -> None:
    with alone(tmp_path, "alert", AlertActor, messenger=chat) as made:
        bench = Bench(made, chat)
        killed(bench, tell=False)
        made.start()
        bench.hear("CIRCUIT_CLOSED")
        assert ["KILL" in text for text in chat.texts()] == [False]
        bench.journal.close()


def test_an_outbox_that_knows_another_journal_goes_on_from_here(tmp_path: Path, chat: Chat) -> None:
    with alone(tmp_path, "alert", AlertActor, messenger=chat) as made:
        outbox = Outbox(made.world.home.outbox)  # type: ignore[attr-defined]
        outbox.keep([], 0, seq=1_000)
        outbox.close()
        made.start()
        bench = Bench(made, chat)
        killed(bench)
        assert len(chat.sent) == 1
        bench.journal.close()


def test_a_hundred_restarts_are_one_message(bench: Bench) -> None:
    for n in range(100):
        bench.hear("ACTOR_RESTARTED", metadata={"actor": "stream.BTCUSDT", "why": "x", "restarts": n})
    assert (bench.chat.sent, bench.figures().pending) == ([], 1)


def test_a_stream_that_stays_away_is_told_and_so_is_its_return(bench: Bench) -> None:
    gone = {"symbol": "BTCUSDT", "metadata": {"stream": "BTCUSDT"}}
    bench.hear("STREAM_DISCONNECTED", **gone)
    bench.hear("STREAM_CONNECTED", **gone)
    bench.tell(StreamMissing("BTCUSDT"))
    assert bench.chat.sent == []
    bench.hear("STREAM_STALE", **gone)
    bench.tell(StreamMissing("BTCUSDT"))
    assert "No BTCUSDT stream" in bench.chat.texts()[0]
    bench.answer()
    bench.hear("STREAM_CONNECTED", **gone)
    assert "BTCUSDT stream is back" in bench.chat.texts()[1]


def test_a_line_that_cannot_be_put_in_words_is_told_by_its_number_and_stops_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "thunes.test")
    broken = bench.hear("ORDER_FILLED", side=Side.BUY, symbol="BTCUSDT", metadata={"quantity": "many"})
    assert f"line {broken.seq}" in bench.chat.texts()[0]
    assert exits(bench.made) == []


def test_late_critical_ones_go_to_the_second_channel(tmp_path: Path, chat: Chat) -> None:
    with alone(tmp_path, "alert", AlertActor, {"THUNES_ALERTS__SECOND_AFTER": "0"}, messenger=chat) as made:
        made.start()
        bench = Bench(made, chat)
        killed(bench)
        assert chat.texts(HOOK) == []
        bench.tell(Heartbeat())
        assert "the cat" in chat.texts(HOOK)[0]
        bench.journal.close()


def test_a_day_is_summed_up_once_even_by_the_next_incarnation(tmp_path: Path, chat: Chat) -> None:
    asked = []

    def summary(began: int, ended: int) -> Alert:
        asked.append((began, ended))
        return Alert(Level.INFO, f"SUMMARY {began}", "the day", picture=b"png")

    with alone(tmp_path, "alert", AlertActor, messenger=chat, summary=summary) as made:
        made.start()
        bench = Bench(made, chat)
        first = bench.hear("DAILY_RESET", metadata={"day": "2026-11-22", "market_time": 1})
        bench.tell(Summarise())
        assert asked == []
        second = bench.hear("DAILY_RESET", metadata={"day": "2026-11-23", "market_time": 2})
        restart(bench)
        bench.tell(Summarise())
        bench.tell(SendAgain())
        assert asked == [(first.seq, second.seq)]
        assert chat.sent[0][2:] == (chat.texts()[0], b"png")
        bench.tell(Summarise())
        assert asked == [(first.seq, second.seq)]
        bench.tell(Report())
        bench.tell(SendAgain())
        assert asked[1][0] == second.seq
        bench.journal.close()


def test_an_outbox_that_cannot_be_opened_keeps_nobody_from_trading(tmp_path: Path, chat: Chat) -> None:
    well: list[bool] = []

    def open_outbox() -> Outbox:
        if not well:
            raise OutboxUnusable("The alerts' outbox cannot be used (full); free the disk and start again.")
        return Outbox(tmp_path / "other.db")

    with alone(tmp_path, "alert", AlertActor, messenger=chat, open_outbox=open_outbox) as made:
        made.start()
        bench = Bench(made, chat)
        killed(bench)
        assert (chat.sent, bench.figures().pending, exits(made)) == ([], 1, [])
        well.append(True)
        bench.tell(Heartbeat())
        assert "the cat" in chat.texts()[0]
        bench.journal.close()


def test_what_a_full_disk_did_not_take_is_told_once_there_is_room(tmp_path: Path, chat: Chat) -> None:
    full = [True]

    class Full(Outbox):
        def keep(self, *args: Any, **notes: int) -> None:
            if full:
                raise OutboxUnusable("The alerts' outbox cannot be used (full); free the disk and start again.")
            super().keep(*args, **notes)

    with alone(tmp_path, "alert", AlertActor, messenger=chat, open_outbox=lambda: Full(tmp_path / "o.db")) as made:
        made.start()
        bench = Bench(made, chat)
        killed(bench)
        bench.hear("CIRCUIT_OPENED")
        assert (chat.sent, bench.figures().pending, exits(made)) == ([], 2, [])
        full.clear()
        bench.tell(Heartbeat())
        assert "the cat" in chat.texts()[0]
        outbox = Outbox(tmp_path / "o.db")
        assert (outbox.pending(), outbox.note("seq")) == (2, bench.journal.seq)
        outbox.close()
        bench.journal.close()


def test_where_nobody_listens_nothing_is_kept_and_old_things_are_not_told_later(tmp_path: Path) -> None:
    with alone(tmp_path, "alert", AlertActor, messenger=Chat()) as made:
        made.start()
        bench = Bench(made, Chat())
        killed(bench)
        bench.journal.close()
    with alone(tmp_path, "alert", AlertActor, messenger=Chat(chats=(), second=())) as made:
        made.start()
        bench = Bench(made, Chat())
        bench.hear("CIRCUIT_OPENED")
        assert bench.figures().pending == 0
        bench.journal.close()
    again = Chat()
    with alone(tmp_path, "alert", AlertActor, messenger=again) as made:
        made.start()
        bench = Bench(made, again)
        bench.hear("CIRCUIT_CLOSED")
        assert ["closed" in text for text in again.texts()] == [True]
        assert "KILL" not in again.texts()[0]
        assert "circuit breaker open" not in again.texts()[0].lower()
        bench.journal.close()


def test_figures_say_who_was_ignored(bench: Bench) -> None:
    bench.tell(SendAgain())
    assert bench.figures().ignored == 3


def test_what_it_does_not_understand_is_an_error(bench: Bench) -> None:
    restart(bench)
    assert [type(each.reason) for each in exits(bench.made)] == [TypeError]
