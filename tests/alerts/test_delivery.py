"""Who is told of what and when again: levels, quiet hours, waits, and what a message reads like."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from thunes.alerts.alert import Alert, Due, Level, Outcome
from thunes.alerts.delivery import FIRST_WAIT_S, LONGEST_WAIT_S, REFUSED_WAIT_S, Delivery, QuietHours, text_of

ALL, LOUD = "telegram:1", "telegram:-2"
S = 1_000_000_000


def delivery(quiet: str = "", second: tuple[str, ...] = ("webhook",), **chats: Level) -> Delivery:
    return Delivery(chats or {ALL: Level.INFO, LOUD: Level.CRITICAL}, second, QuietHours.parse(quiet), lambda: 0.5)


def alert(level: Level) -> Alert:
    return Alert(level, "A", "a")


def failed(kind: str = "failed", wait_s: float = 0.0) -> Outcome:
    return Outcome(ALL, (1,), False, kind, "why", wait_s)


def at(text: str) -> datetime:
    return datetime.combine(datetime(2026, 11, 23), time.fromisoformat(text), UTC)


@pytest.mark.parametrize(
    ("level", "audience"), [(Level.INFO, (ALL,)), (Level.WARNING, (ALL,)), (Level.CRITICAL, (ALL, LOUD))]
)
def test_a_chat_hears_from_its_level_upwards(level: Level, audience: tuple[str, ...]) -> None:
    assert delivery().audience(alert(level)) == audience


def test_without_a_chat_the_second_channels_hear_what_is_critical_at_once() -> None:
    alone = Delivery({}, ("webhook", "email"), None, lambda: 0.5)
    assert [alone.audience(alert(level)) for level in (Level.WARNING, Level.CRITICAL)] == [(), ("webhook", "email")]


@pytest.mark.parametrize(
    ("hours", "now", "silent"),
    [
        ("22:00-07:00", "21:59", False),
        ("22:00-07:00", "22:00", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("01:00-02:00", "01:30", True),
        ("01:00-02:00", "02:00", False),
        ("03:00-03:00", "03:00", False),
        ("", "03:00", False),
    ],
)
def test_in_quiet_hours_chats_hear_only_what_is_critical(hours: str, now: str, silent: bool) -> None:
    quiet = delivery(hours)
    assert quiet.least(ALL, at(now)) == (Level.CRITICAL if silent else Level.INFO)
    assert quiet.least("webhook", at(now)) == Level.INFO


@pytest.mark.parametrize("text", ["22", "22:00", "22:00-", "25:00-07:00", "22:0-07:00", "a-b", "22:00-07:60"])
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|must be in"):
        QuietHours.parse(text)


def test_one_message_at_a_time_is_under_way_on_each_channel() -> None:
    one = delivery()
    one.sending(ALL, (1,))
    assert (one.may_send(ALL, 0), one.may_send(LOUD, 0), one.under_way()) == (False, True, True)
    assert one.ended(Outcome(ALL, (1,), True, "sent"), 0) == 0
    assert (one.may_send(ALL, 0), one.under_way()) == (True, False)


def test_it_waits_longer_each_time_up_to_a_limit_and_shortly_again_after_a_success() -> None:
    one = delivery()
    waits = [one.ended(failed(), 0) for _ in range(9)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (FIRST_WAIT_S, LONGEST_WAIT_S)
    assert not one.may_send(ALL, int((LONGEST_WAIT_S - 0.1) * S))
    assert one.may_send(ALL, int(LONGEST_WAIT_S * S))
    one.ended(Outcome(ALL, (1,), True, "sent"), 0)
    assert one.ended(failed(), 0) == FIRST_WAIT_S


def test_it_waits_as_long_as_it_was_asked_to() -> None:
    one = delivery()
    assert one.ended(failed("limited", 37.0), 0) == 37.0
    assert (one.may_send(ALL, 36 * S), one.may_send(ALL, 37 * S)) == (False, True)


def test_a_chat_that_will_not_hear_is_asked_again_for_ever_but_seldom() -> None:
    one = delivery()
    assert max(one.ended(failed("refused"), 0) for _ in range(40)) == REFUSED_WAIT_S


def test_outcomes_are_counted_by_kind_of_channel() -> None:
    one = delivery()
    for outcome in (
        failed(),
        failed("limited"),
        Outcome(LOUD, (1,), True, "sent"),
        Outcome("webhook", (1,), True, "sent"),
    ):
        one.ended(outcome, 0)
    assert dict(one.sent) == {
        ("telegram", "failed"): 1, ("telegram", "limited"): 1, ("telegram", "sent"): 1, ("webhook", "sent"): 1,
    }  # fmt: skip


def test_a_message_has_a_line_for_each_alert_with_its_count() -> None:
    noon_ms = 1_700_000_000_000
    text = text_of(
        [
            Due(1, Level.CRITICAL, "Killed.", 1, noon_ms, noon_ms),
            Due(2, Level.WARNING, "Restarted.", 100, noon_ms - 60_000, noon_ms),
        ]
    )
    first, second = text.splitlines()
    assert first.endswith(" 14.11. 22:13:20 Killed.")
    assert second.endswith(" 14.11. 22:13:20 Restarted. (100 times since 14.11. 22:12:20)")
    assert first[0] != second[0]
