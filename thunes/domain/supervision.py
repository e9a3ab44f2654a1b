"""Supervision as OTP has it: an ordered list of child specs under one strategy, as a pure state machine.

`Supervision` is told what happened (`started`, `exited`, `stop`) and answers with what to do. Children start left to
right, each once the one before has said that it started, and stop right to left. A replacement starts only after the
exit report of the incarnation before it. More than `intensity` restarts within `period` seconds, or an error that no
restart can mend, gives up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Strategy(StrEnum):
    """Who goes with a child that failed."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"
    ONE_FOR_ALL = "one_for_all"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child: its name, the class that serves it, and how long (seconds) it may take to drain when stopped."""

    name: str
    actor: type
    shutdown: float = 2.0


@dataclass(frozen=True, slots=True)
class Tree:
    """The whole system as one value."""

    children: tuple[ChildSpec, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 8
    period: float = 30.0
    backoff: float = 0.05
    """Seconds before the first restart of a child; each further one within the period waits twice as long."""


@dataclass(frozen=True, slots=True)
class StartChild:
    name: str
    delay: float


@dataclass(frozen=True, slots=True)
class StopChild:
    name: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: str


@dataclass(frozen=True, slots=True)
class AllStarted:
    pass


@dataclass(frozen=True, slots=True)
class AllStopped:
    pass


Action: TypeAlias = StartChild | StopChild | GiveUp | AllStarted | AllStopped


@dataclass(slots=True)
class Supervision:
    """The supervisor's whole memory. `is_fatal` says which errors no restart can mend."""

    tree: Tree
    is_fatal: Callable[[BaseException], bool]
    status: dict[str, str] = field(default_factory=dict)
    """down, starting, running, leaving; by child."""
    restarts: dict[str, int] = field(default_factory=dict)
    recent: deque[tuple[float, str]] = field(default_factory=deque)
    """(when, whose) of the restarts within the period."""
    stopping: bool = False
    gave_up: bool = False
    booted: bool = False
    _wanted: list[str] = field(default_factory=list)
    """Replacements that wait until all that are leaving have left."""

    def __post_init__(self) -> None:
        self.status = dict.fromkeys(self.names, "down")
        self.restarts = dict.fromkeys(self.names, 0)

    @property
    def names(self) -> list[str]:
        return [spec.name for spec in self.tree.children]

    def begin(self) -> list[Action]:
        """Start the first child."""
        return self._start(self.names[:1])

    def started(self, name: str) -> list[Action]:
        """`name` is up: start the next one that is down, or say that all are up."""
        if self.status[name] != "starting":
            return []
        self.status[name] = "running"
        if self.stopping or self.booted:
            return []
        down = [n for n in self.names if self.status[n] == "down"]
        if down:
            return self._start(down[:1])
        if all(status == "running" for status in self.status.values()):
            self.booted = True
            return [AllStarted()]
        return []

    def exited(self, name: str, reason: BaseException | None, now: float) -> list[Action]:
        """`name` has ended; decide who is started again, and when."""
        leaving, self.status[name] = self.status[name] == "leaving", "down"
        if self.stopping:
            return self._next_to_stop()
        if reason is not None and self.is_fatal(reason):
            return self._give_up(f"{name} failed beyond repair: {reason}")
        if leaving:
            return self._replace_when_all_left(now)
        self._forget_before(now - self.tree.period)
        if len(self.recent) >= self.tree.intensity:
            return self._give_up(
                f"{len(self.recent)} restarts within {self.tree.period:g} s, the last of {name}: {reason}"
            )
        return self._restart(name, now)

    def stop(self) -> list[Action]:
        """Stop all, right to left."""
        if self.stopping:
            return []
        self.stopping = True
        return self._next_to_stop()

    def _restart(self, name: str, now: float) -> list[Action]:
        self.restarts[name] += 1
        self.recent.append((now, name))
        affected = self._affected(name)
        leaving: list[Action] = []
        for other in reversed(affected):
            if other != name and self.status[other] in ("running", "starting"):
                self.status[other] = "leaving"
                leaving.append(StopChild(other))
        self._wanted = [n for n in self.names if n in {*self._wanted, *affected}]
        return leaving + self._replace_when_all_left(now)

    def _affected(self, name: str) -> list[str]:
        names = self.names
        if self.tree.strategy is Strategy.ONE_FOR_ALL:
            return names
        if self.tree.strategy is Strategy.REST_FOR_ONE:
            return names[names.index(name) :]
        return [name]

    def _replace_when_all_left(self, now: float) -> list[Action]:
        if any(status == "leaving" for status in self.status.values()):
            return []
        wanted, self._wanted = self._wanted, []
        return self._start(wanted, delays=[self._backoff(name, now) for name in wanted])

    def _backoff(self, name: str, now: float) -> float:
        times = sum(1 for when, who in self.recent if who == name and when >= now - self.tree.period)
        return float(self.tree.backoff * 2 ** max(0, times - 1)) if times else 0.0

    def _start(self, names: Sequence[str], delays: Sequence[float] = ()) -> list[Action]:
        for name in names:
            self.status[name] = "starting"
        padded = [*delays, *([0.0] * (len(names) - len(delays)))]
        return [StartChild(name, delay) for name, delay in zip(names, padded, strict=True)]

    def _next_to_stop(self) -> list[Action]:
        if any(status == "leaving" for status in self.status.values()):
            return []
        for name in reversed(self.names):
            if self.status[name] in ("running", "starting"):
                self.status[name] = "leaving"
                return [StopChild(name)]
        return [AllStopped()]

    def _give_up(self, why: str) -> list[Action]:
        if self.gave_up:
            return []
        self.gave_up = True
        return [GiveUp(why)]

    def _forget_before(self, when: float) -> None:
        while self.recent and self.recent[0][0] < when:
            self.recent.popleft()
