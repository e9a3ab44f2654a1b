"""The supervisor's rules, without an actor."""

from __future__ import annotations

from thunes.domain.supervision import (
    AllStarted,
    AllStopped,
    ChildSpec,
    GiveUp,
    StartChild,
    StopChild,
    Strategy,
    Supervision,
    Tree,
)

NAMES = ("a", "b", "c")
BOOM = RuntimeError("boom")


def supervision(strategy: Strategy = Strategy.ONE_FOR_ONE, intensity: int = 3) -> Supervision:
    children = tuple(ChildSpec(name, object) for name in NAMES)
    tree = Tree(children, strategy, intensity)
    return Supervision(tree, is_fatal=lambda error: isinstance(error, OSError), chance=lambda: 0.5)


def booted(strategy: Strategy = Strategy.ONE_FOR_ONE, intensity: int = 3) -> Supervision:
    core = supervision(strategy, intensity)
    core.begin()
    for name in NAMES:
        core.started(name)
    return core


def test_children_start_left_to_right_each_after_the_one_before() -> None:
    core = supervision()
    assert core.begin() == [StartChild("a", 0.0)]
    assert core.started("a") == [StartChild("b", 0.0)]
    assert core.started("b") == [StartChild("c", 0.0)]
    assert core.started("c") == [AllStarted()]


def test_children_stop_right_to_left_each_after_the_exit_of_the_one_before() -> None:
    core = booted()
    assert core.stop() == [StopChild("c")]
    assert core.exited("c", None, 0) == [StopChild("b")]
    assert core.exited("b", None, 0) == [StopChild("a")]
    assert core.exited("a", None, 0) == [AllStopped()]
    assert core.stop() == []


def test_one_for_one_replaces_only_the_one_that_failed() -> None:
    core = booted()
    assert core.exited("b", BOOM, 0) == [StartChild("b", 0.05)]
    assert core.restarts == {"a": 0, "b": 1, "c": 0}


def test_rest_for_one_replaces_only_once_all_later_ones_have_left() -> None:
    core = booted(Strategy.REST_FOR_ONE)
    assert core.exited("b", BOOM, 0) == [StopChild("c")]
    assert core.exited("c", None, 0) == [StartChild("b", 0.05)]
    assert core.started("b") == [StartChild("c", 0.0)]
    assert core.started("c") == []


def test_one_for_all_stops_all_and_starts_all_in_order() -> None:
    core = booted(Strategy.ONE_FOR_ALL)
    assert core.exited("b", BOOM, 0) == [StopChild("c"), StopChild("a")]
    assert core.exited("a", None, 0) == []
    assert core.exited("c", None, 0) == [StartChild("a", 0.0)]
    assert core.started("a") == [StartChild("b", 0.05)]
    assert core.started("b") == [StartChild("c", 0.0)]


def test_each_restart_within_the_period_waits_twice_as_long() -> None:
    core = booted()
    delays = []
    for now in (0.0, 1.0, 2.0):
        (action,) = core.exited("b", BOOM, now)
        assert isinstance(action, StartChild)
        delays.append(action.delay)
        core.started("b")
    assert delays == [0.05, 0.1, 0.2]


def test_more_restarts_than_the_intensity_within_the_period_give_up() -> None:
    core = booted()
    for now in (0, 1, 2):
        core.exited("b", BOOM, now)
        core.started("b")
    (action,) = core.exited("b", BOOM, 3)
    assert isinstance(action, GiveUp)
    assert "boom" in action.why


def test_restarts_that_are_older_than_the_period_do_not_count() -> None:
    core = booted()
    for now in (0, 40, 80, 120):
        assert core.exited("b", BOOM, now) == [StartChild("b", 0.05)]
        core.started("b")


def test_an_error_that_no_restart_mends_gives_up_at_once() -> None:
    core = booted()
    (action,) = core.exited("a", OSError("disk full"), 0)
    assert action == GiveUp("a failed beyond repair: disk full")


def test_a_child_that_fails_in_its_start_is_started_again_before_the_next_one() -> None:
    core = supervision()
    core.begin()
    assert core.exited("a", BOOM, 0) == [StartChild("a", 0.05)]
    assert core.started("a") == [StartChild("b", 0.0)]


def test_while_stopping_what_ended_is_not_started_again() -> None:
    core = booted()
    core.stop()
    assert core.exited("c", None, 0) == [StopChild("b")]


def test_an_error_that_no_restart_mends_gives_up_while_stopping_too() -> None:
    core = booted()
    core.stop()
    assert core.exited("c", OSError("disk full"), 0) == [
        GiveUp("c failed beyond repair: disk full"),
        StopChild("b"),
    ]


def test_a_child_that_fails_while_all_stop_handles_what_waits_for_it_first() -> None:
    core = booted()
    core.stop()
    for now in range(3):
        assert core.exited("c", BOOM, now) == [StopChild("c")]
    assert core.exited("c", BOOM, 3) == [GiveUp("c does not stop in order: boom"), StopChild("b")]
    assert core.restarts["c"] == 3


def test_a_child_that_fails_before_its_turn_to_stop_is_up_again_for_it() -> None:
    core = booted()
    core.stop()
    assert core.exited("a", BOOM, 0) == [StartChild("a", 0.0)]
    assert core.exited("c", None, 0) == [StopChild("b")]
    assert core.exited("b", None, 0) == [StopChild("a")]
    assert core.exited("a", None, 0) == [AllStopped()]
