"""Timers tell a message once, when it is due; one of the same name and key takes the place of the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.runtime.clock import SystemClock
from actors.runtime.threads import ThreadTimers
from tests.e2e.support import wait_for

SOON, LATER, LAST = 0.01, 0.02, 0.04

Told = list[tuple[str, object]]


@pytest.fixture
def told() -> Told:
    return []


class Hand(SystemClock):
    """Stands still until the test has set its timers, however long that takes."""

    passed_ns = 0

    def monotonic_ns(self) -> int:
        return self.passed_ns


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def timers(told: Told, clock: Hand) -> Iterator[ThreadTimers]:
    made = ThreadTimers(clock, lambda name, message: told.append((name, message)))
    made.clock = clock  # type: ignore[attr-defined]
    yield made
    made.stop()


def until_last(timers: ThreadTimers, told: Told) -> Told:
    """All that was told before a message that is due after all others."""
    timers.after(LAST, "test", "last", "last")
    timers.clock.passed_ns = 10**9  # type: ignore[attr-defined]
    wait_for(lambda: ("test", "last") in told, 10, "the last timer")
    return told[: told.index(("test", "last"))]


def test_messages_come_when_they_are_due_not_in_the_order_they_were_asked_for(timers: ThreadTimers, told: Told) -> None:
    timers.after(LATER, "a", "one", 1)
    timers.after(SOON, "b", "two", 2)
    assert until_last(timers, told) == [("b", 2), ("a", 1)]


@pytest.mark.parametrize(("first", "second"), [(SOON, LATER), (LATER, SOON)])
def test_setting_a_timer_again_moves_it_so_that_it_fires_once(
    timers: ThreadTimers, told: Told, first: float, second: float
) -> None:
    timers.after(first, "a", "watchdog", "first")
    timers.after(second, "a", "watchdog", "second")
    assert until_last(timers, told) == [("a", "second")]


def test_one_key_of_two_names_is_two_timers(timers: ThreadTimers, told: Told) -> None:
    timers.after(SOON, "a", "watchdog", 1)
    timers.after(LATER, "b", "watchdog", 2)
    assert until_last(timers, told) == [("a", 1), ("b", 2)]


def test_a_cancelled_timer_tells_nothing(timers: ThreadTimers, told: Told) -> None:
    timers.after(SOON, "a", "watchdog", 1)
    timers.cancel("a", "watchdog")
    assert until_last(timers, told) == []
