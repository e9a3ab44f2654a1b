"""A mailbox keeps what its policy says it keeps."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pykka
import pytest

from actors.runtime.mailbox import Letter, Mailbox, MailboxPolicy


@dataclass(frozen=True)
class Price:
    symbol: str
    value: int


@dataclass(frozen=True)
class Urgent:
    what: str


def box(policy: MailboxPolicy | None = None) -> Mailbox:
    ticking = itertools.count(1)
    return Mailbox("test", policy or MailboxPolicy(), lambda: next(ticking))


def drain(mailbox: Mailbox) -> list[object]:
    return [mailbox.get().message for _ in range(len(mailbox))]


def test_messages_come_out_in_the_order_they_went_in() -> None:
    mailbox = box()
    for number in range(5):
        mailbox.tell(number)
    assert drain(mailbox) == [0, 1, 2, 3, 4]


def test_control_overtakes_everything_that_is_queued() -> None:
    mailbox = box(MailboxPolicy(control=frozenset({Urgent})))
    mailbox.tell("first")
    mailbox.tell(Urgent("kill"))
    mailbox.tell("second")
    mailbox.tell(Urgent("resume"))
    assert drain(mailbox) == [Urgent("kill"), Urgent("resume"), "first", "second"]


def test_a_newer_message_of_the_same_key_takes_the_place_of_the_queued_one() -> None:
    mailbox = box(MailboxPolicy(conflate=lambda m: m.symbol if isinstance(m, Price) else None))
    for message in (Price("BTC", 1), "candle", Price("ETH", 1), Price("BTC", 2), Price("BTC", 3)):
        mailbox.tell(message)
    assert drain(mailbox) == [Price("BTC", 3), "candle", Price("ETH", 1)]
    assert mailbox.conflated == 2


def test_a_conflated_key_starts_anew_once_it_was_read() -> None:
    mailbox = box(MailboxPolicy(conflate=lambda m: m.symbol))
    mailbox.tell(Price("BTC", 1))
    assert mailbox.get().message == Price("BTC", 1)
    mailbox.tell(Price("BTC", 2))
    assert drain(mailbox) == [Price("BTC", 2)]
    assert mailbox.conflated == 0


def test_two_hundred_into_a_hundred_keeps_the_newest_hundred_and_counts_the_rest() -> None:
    mailbox = box(MailboxPolicy(limit=100))
    for number in range(200):
        mailbox.tell(number)
        assert len(mailbox) <= 100
    assert mailbox.overflow == 100
    assert drain(mailbox) == list(range(100, 200))


def test_an_essential_message_is_never_the_one_that_is_dropped() -> None:
    mailbox = box(MailboxPolicy(limit=3, essential=lambda m: m == "closed candle"))
    for message in ("closed candle", "a", "b", "c", "d", "closed candle"):
        mailbox.tell(message)
    assert drain(mailbox) == ["closed candle", "d", "closed candle"]


def test_a_full_box_of_essential_messages_drops_the_newcomer_that_is_not() -> None:
    mailbox = box(MailboxPolicy(limit=2, essential=lambda m: m == "closed candle"))
    for message in ("closed candle", "closed candle", "tick"):
        mailbox.tell(message)
    assert drain(mailbox) == ["closed candle", "closed candle"]
    assert mailbox.overflow == 1


def test_the_age_is_that_of_the_message_that_has_waited_longest() -> None:
    mailbox = box(MailboxPolicy(control=frozenset({Urgent})))
    assert mailbox.oldest_ns() == 0
    mailbox.tell("first")
    mailbox.tell(Urgent("kill"))
    assert mailbox.oldest_ns() == 1
    mailbox.get()
    assert mailbox.oldest_ns() == 1


def test_a_closed_mailbox_answers_every_ask_with_an_error() -> None:
    mailbox = box()
    before, after = pykka.ThreadingFuture[object](), pykka.ThreadingFuture[object]()
    mailbox.put(Letter("queued", before))
    assert mailbox.close() == 1
    mailbox.put(Letter("late", after))
    for future in (before, after):
        with pytest.raises(pykka.ActorDeadError, match="test has stopped"):
            future.get(timeout=1)
    assert mailbox.empty()
