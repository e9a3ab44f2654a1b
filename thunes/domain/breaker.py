"""A circuit breaker that never waits: it hands out permits and is told outcomes.

pybreaker is the state machine. Its own `call` would hold its lock while a request is under way, and its open state
reads the wall clock, so outcomes are reported to it afterwards and the time-out is kept here, on the clock that is
handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pybreaker

SUCCESS_THRESHOLD = 1


class _Failure(Exception):
    """What a failed call is reported as."""


def _fail() -> None:
    raise _Failure


@dataclass(frozen=True, slots=True)
class Transition:
    """The circuit went from one state to another: closed, half-open or open."""

    old: str
    new: str


class Circuit:
    """One exchange's circuit. After `fail_max` failures in a row it opens; `reset_timeout` seconds later one permit is
    given out as a trial (half-open), whose outcome closes or opens it again.

    Calls are named by what they are about (`who`): while the circuit is half-open or open, the outcomes of other calls,
    permitted before it opened, prove nothing. A trial without an outcome for `reset_timeout` is lost, and another may
    be tried.
    """

    def __init__(self, name: str, *, fail_max: int, reset_timeout: float) -> None:
        self.name = name
        self.reset_timeout = reset_timeout
        self.trips = 0
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=fail_max, reset_timeout=reset_timeout, success_threshold=SUCCESS_THRESHOLD, name=name
        )
        self._opened_ns = 0
        self._trial = ""
        self._trial_ns = 0

    @property
    def state(self) -> str:
        return self._breaker.current_state

    def permit(self, who: str, now_ns: int) -> tuple[bool, list[Transition]]:
        """Whether a call may be made now. A half-open circuit has at most one permit out."""
        changes: list[Transition] = []
        if self.state == "open" and now_ns - self._opened_ns >= self.reset_timeout * 1e9:
            changes = self._become(self._breaker.half_open)
        if self.state == "closed":
            return True, changes
        if self.state == "open" or (self._trial and now_ns - self._trial_ns < self.reset_timeout * 1e9):
            return False, changes
        self._trial, self._trial_ns = who, now_ns
        return True, changes

    def withdraw(self, who: str) -> None:
        """A permit was not used: no call was made."""
        if who == self._trial:
            self._trial = ""

    def succeeded(self, who: str) -> list[Transition]:
        return self._become(lambda: self._breaker.call(lambda: None)) if self._counts(who) else []

    def failed(self, who: str, now_ns: int) -> list[Transition]:
        if not self._counts(who):
            return []
        changes = self._become(self._report_failure)
        if self.state == "open":
            self.trips += 1
            self._opened_ns = now_ns
        return changes

    def reset(self) -> list[Transition]:
        """Close it by hand."""
        self._trial = ""
        return self._become(self._breaker.close)

    def _counts(self, who: str) -> bool:
        """Whether the outcome of a call about `who` says something now; the trial's ends the trial."""
        if self.state == "closed":
            return True
        if self.state == "open" or who != self._trial:
            return False
        self._trial = ""
        return True

    def _report_failure(self) -> None:
        try:
            self._breaker.call(_fail)
        except (_Failure, pybreaker.CircuitBreakerError):
            return

    def _become(self, change: Callable[[], Any]) -> list[Transition]:
        old = self.state
        change()
        return [Transition(old, self.state)] if self.state != old else []
