"""A live venue's REST is never asked more than its allowance, nor before a pause that it asked for is over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thunes.exchange.simulator.live_weight import WINDOW_S, Allowance


def test_what_fits_goes_at_once_and_what_does_not_when_enough_of_it_is_a_minute_old() -> None:
    allowance = Allowance(100)
    allowance.sent(40, 10.0)
    allowance.sent(40, 20.0)

    assert allowance.wait_s(20, 30.0) == 0
    assert allowance.wait_s(21, 30.0) == 40.0
    assert allowance.wait_s(61, 30.0) == 50.0
    assert allowance.wait_s(61, 80.0) == 0


def test_a_request_above_the_whole_allowance_goes_alone() -> None:
    allowance = Allowance(100)
    assert allowance.wait_s(250, 0.0) == 0
    allowance.sent(250, 0.0)

    assert allowance.wait_s(1, 1.0) == WINDOW_S - 1
    assert allowance.wait_s(250, WINDOW_S) == 0


def test_what_others_at_the_address_asked_counts_too_and_only_once() -> None:
    allowance = Allowance(100)
    allowance.sent(20, 0.0)
    allowance.told(90, 1.0)
    allowance.told(90, 2.0)

    assert allowance.wait_s(10, 3.0) == 0
    assert allowance.wait_s(11, 3.0) == 57.0


def test_after_a_refusal_nothing_goes_before_its_pause_is_over_and_a_shorter_one_ends_it_no_sooner() -> None:
    allowance = Allowance(100)
    allowance.refused(300.0, 10.0)
    allowance.refused(1.0, 11.0)

    assert allowance.wait_s(1, 20.0) == 290.0
    assert allowance.wait_s(1, 310.0) == 0


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0, 90)), max_size=40))
def test_no_sixty_seconds_ever_hold_more_than_the_allowance(asked: list[tuple[int, float]]) -> None:
    allowance, now_s, sent = Allowance(100), 0.0, []
    for weight, idle_s in asked:
        now_s += idle_s
        while (left := allowance.wait_s(weight, now_s)) > 0:
            now_s += left
        allowance.sent(weight, now_s)
        sent.append((now_s, weight))

    for end_s, _ in sent:
        # A hair is left out at the far end, where adding up floats may round.
        assert sum(weight for at, weight in sent if end_s - WINDOW_S + 1e-6 < at <= end_s) <= 100
