"""A start asks again where an answer was lost, and takes a clear "no" for an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from thunes.errors import ExchangeError, NetworkError, OperatorError
from thunes.insist import TRIES, insist

LOST = NetworkError("lost")
LATER = ExchangeError(-1003, "too many", 429, retry_after=2.0)


@dataclass
class Venue:
    """Fails with each of these, then answers."""

    errors: list[Exception]
    waits: list[float] = field(default_factory=list)
    asked: int = 0

    def ask(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


def test_a_lost_answer_is_asked_for_again_and_later_each_time() -> None:
    venue = Venue([LOST, LOST, LOST])
    assert insist(venue.ask, venue.wait) == "answer"
    assert venue.waits == [0.5, 1.0, 2.0]


def test_the_pause_that_a_venue_asks_for_is_kept() -> None:
    venue = Venue([LATER])
    assert insist(venue.ask, venue.wait) == "answer"
    assert venue.waits == [2.0]


def test_after_the_last_try_the_error_is_the_answer() -> None:
    venue = Venue([LOST] * TRIES)
    with pytest.raises(NetworkError):
        insist(venue.ask, venue.wait)
    assert (venue.asked, len(venue.waits)) == (TRIES, TRIES - 1)


@pytest.mark.parametrize(
    "error",
    [ExchangeError(-2015, "Invalid API-key"), OperatorError("no"), ExchangeError(-1003, "banned", 418, retry_after=60)],
)
def test_a_clear_no_is_not_asked_for_twice(error: Exception) -> None:
    venue = Venue([error])
    with pytest.raises(type(error)):
        insist(venue.ask, venue.wait)
    assert (venue.asked, venue.waits) == (1, [])


def test_a_stop_ends_the_waiting() -> None:
    venue = Venue([LOST, LOST])
    with pytest.raises(NetworkError):
        insist(venue.ask, lambda _seconds: True)
    assert venue.asked == 1
