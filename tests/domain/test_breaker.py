"""The circuit hands out permits and is told outcomes."""

from __future__ import annotations

from thunes.domain.breaker import Circuit, Transition

SECOND = 1_000_000_000


def circuit() -> Circuit:
    return Circuit("test", fail_max=5, reset_timeout=60)


def opened() -> Circuit:
    made = circuit()
    for _ in range(5):
        made.failed("a", 0)
    return made


def test_a_closed_circuit_permits_everything() -> None:
    made = circuit()
    assert all(made.permit("a", now)[0] for now in range(100))


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    made = circuit()
    assert [made.failed("a", 0) for _ in range(5)] == [[], [], [], [], [Transition("closed", "open")]]
    assert (made.state, made.trips) == ("open", 1)
    assert made.permit("a", 59 * SECOND) == (False, [])


def test_a_success_forgets_the_failures_before_it() -> None:
    made = circuit()
    for _ in range(4):
        made.failed("a", 0)
    made.succeeded("a")
    for _ in range(4):
        made.failed("a", 0)
    assert made.state == "closed"


def test_a_half_open_circuit_has_exactly_one_permit_out() -> None:
    made = opened()
    answers = [made.permit("a", 60 * SECOND) for _ in range(100)]
    assert answers[0] == (True, [Transition("open", "half-open")])
    assert not any(allowed for allowed, _ in answers[1:])


def test_a_trial_that_succeeds_closes_it() -> None:
    made = opened()
    made.permit("a", 60 * SECOND)
    assert made.succeeded("a") == [Transition("half-open", "closed")]
    assert made.permit("a", 60 * SECOND) == (True, [])


def test_a_trial_that_fails_opens_it_for_another_time_out() -> None:
    made = opened()
    made.permit("a", 60 * SECOND)
    assert made.failed("a", 60 * SECOND) == [Transition("half-open", "open")]
    assert made.trips == 2
    assert made.permit("a", 119 * SECOND) == (False, [])
    assert made.permit("a", 120 * SECOND)[0]


def test_a_permit_that_was_not_used_may_be_given_again() -> None:
    made = opened()
    made.permit("a", 60 * SECOND)
    made.withdraw("a")
    assert made.permit("a", 60 * SECOND) == (True, [])


def test_outcomes_of_other_calls_do_not_end_a_trial() -> None:
    made = opened()
    made.permit("a", 60 * SECOND)
    assert (made.succeeded("b"), made.failed("b", 61 * SECOND)) == ([], [])
    made.withdraw("b")
    assert made.permit("c", 61 * SECOND) == (False, [])
    assert made.succeeded("a") == [Transition("half-open", "closed")]


def test_a_trial_whose_outcome_never_comes_is_lost_after_the_time_out() -> None:
    made = opened()
    made.permit("a", 60 * SECOND)
    assert made.permit("b", 119 * SECOND) == (False, [])
    assert made.permit("b", 120 * SECOND) == (True, [])
    assert made.permit("c", 120 * SECOND) == (False, [])
    assert made.succeeded("a") == []
    assert made.succeeded("b") == [Transition("half-open", "closed")]


def test_late_outcomes_do_not_move_an_open_circuit() -> None:
    made = opened()
    assert made.succeeded("a") == []
    assert made.failed("a", 1) == []
    assert (made.state, made.trips) == ("open", 1)


def test_a_reset_closes_it_at_once() -> None:
    made = opened()
    assert made.reset() == [Transition("open", "closed")]
    assert made.permit("a", 1) == (True, [])
