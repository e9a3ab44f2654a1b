"""Supervision as OTP has it: an ordered list of child specs under one strategy, as a pure state machine.

`Supervision` is told what happened (`started`, `exited`, `stop`) and answers with what to do. Children start left to
right, each once the one before has said that it started, and stop right to left. A replacement starts only after the
exit report of the incarnation before it. More than `intensity` restarts within `period` seconds (a burst), more than
`sustained` within an hour (a slow loop), or an error that no restart can mend, gives up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeAlias

HOUR = 3600.0


class Strategy(StrEnum):
    """Who goes with a child that failed."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"
    ONE_FOR_ALL = "one_for_all"


class Restart(StrEnum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    """Only if it failed."""
    TEMPORARY = "temporary"
    """Never."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child: its name, the class that serves it, when it is started again, its mailbox's policy (the runtime's
    business), and how long (seconds) it may take to drain when stopped.
    """

    name: str
    actor: type
    restart: Restart = Restart.PERMANENT
    mailbox: Any = None
    shutdown: float = 2.0


@dataclass(frozen=True, slots=True)
class Tree:
    """The whole system as one value."""

    children: tuple[ChildSpec, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 8
    period: float = 30.0
    sustained: int = 60
    """Restarts within an hour."""
    backoff: float = 0.05
    """Seconds, give or take half, before the first restart of a child; each further one within the period waits twice
    as long, but none longer than `longest`.
    """
    longest: float = 5.0

    def with_patience(self, restarts: int) -> Tree:
        """The same tree, which bears so many restarts."""
        return replace(self, intensity=restarts, sustained=restarts)


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
    """The supervisor's whole memory. `is_fatal` says which errors no restart can mend, `chance` spreads the waits."""

    tree: Tree
    is_fatal: Callable[[BaseException], bool]
    chance: Callable[[], float]
    status: dict[str, str] = field(default_factory=dict)
    """down, starting, running, leaving, left (for good); by child."""
    restarts: dict[str, int] = field(default_factory=dict)
    recent: deque[tuple[float, str]] = field(default_factory=deque)
    """(when, whose) of the restarts within the last hour."""
    stopping: bool = False
    gave_up: bool = False
    booted: bool = False
    _wanted: list[str] = field(default_factory=list)
    """Replacements that wait until all that are leaving have left, and the ones before them are up."""
    _delays: dict[str, float] = field(default_factory=dict)

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
        return self._go_on()

    def _go_on(self) -> list[Action]:
        """Whoever comes next, now that one is up, or has left for good."""
        if self.stopping or any(status == "leaving" for status in self.status.values()):
            return []
        if self._wanted:
            return self._replace_when_all_left()
        if self.booted:
            return []
        down = [n for n in self.names if self.status[n] == "down"]
        if down:
            return self._start(down[:1])
        if all(status in ("running", "left") for status in self.status.values()):
            self.booted = True
            return [AllStarted()]
        return []

    def exited(self, name: str, reason: BaseException | None, now: float) -> list[Action]:
        """`name` has ended; decide who is started again, and when."""
        leaving, self.status[name] = self.status[name] == "leaving", "down"
        if self.stopping:
            return self._exited_while_all_stop(name, reason, now, leaving)
        if reason is not None and self.is_fatal(reason):
            return self._give_up(f"{name} failed beyond repair: {reason}")
        if leaving:
            return self._replace_when_all_left()
        if not self._comes_back(name, reason):
            self.status[name] = "left"
            return self._go_on()
        for most, seconds in ((self.tree.intensity, self.tree.period), (self.tree.sustained, HOUR)):
            if self._restarts_since(now - seconds) >= most:
                return self._give_up(f"{most} restarts within {seconds:g} s, and then {name}: {reason}")
        return self._restart(name, now)

    def _exited_while_all_stop(
        self, name: str, reason: BaseException | None, now: float, leaving: bool
    ) -> list[Action]:
        """One that failed before it had handled what waits for it, or will, is to do that yet; in its own turn."""
        if reason is None:
            return self._next_to_stop()
        if self.is_fatal(reason):
            return self._give_up(f"{name} failed beyond repair: {reason}") + self._next_to_stop()
        if self._restarts_since(now - self.tree.period) >= self.tree.intensity:
            return self._give_up(f"{name} does not stop in order: {reason}") + self._next_to_stop()
        self.restarts[name] += 1
        self.recent.append((now, name))
        if leaving:
            self.status[name] = "leaving"
            return [StopChild(name)]
        return self._start([name])

    def _comes_back(self, name: str, reason: BaseException | None) -> bool:
        restart = next(spec.restart for spec in self.tree.children if spec.name == name)
        return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and reason is not None)

    def _restarts_since(self, when: float) -> int:
        while self.recent and self.recent[0][0] < when - HOUR:
            self.recent.popleft()
        return sum(1 for at, _ in self.recent if at >= when)

    def stop(self) -> list[Action]:
        """Stop all, right to left."""
        if self.stopping:
            return []
        self.stopping = True
        return self._next_to_stop()

    def _restart(self, name: str, now: float) -> list[Action]:
        self.restarts[name] += 1
        self.recent.append((now, name))
        self._delays[name] = self._backoff(name, now)
        affected = self._affected(name)
        leaving: list[Action] = []
        for other in reversed(affected):
            if other != name and self.status[other] in ("running", "starting"):
                self.status[other] = "leaving"
                leaving.append(StopChild(other))
        there = {n for n in affected if n == name or self.status[n] not in ("down", "left")}
        self._wanted = [n for n in self.names if n in {*self._wanted, *there}]
        return leaving + self._replace_when_all_left()

    def _affected(self, name: str) -> list[str]:
        names = self.names
        if self.tree.strategy is Strategy.ONE_FOR_ALL:
            return names
        if self.tree.strategy is Strategy.REST_FOR_ONE:
            return names[names.index(name) :]
        return [name]

    def _replace_when_all_left(self) -> list[Action]:
        if any(status == "leaving" for status in self.status.values()):
            return []
        together = len(self._wanted) if self.tree.strategy is Strategy.ONE_FOR_ONE else 1
        wanted, self._wanted = self._wanted[:together], self._wanted[together:]
        return self._start(wanted)

    def _backoff(self, name: str, now: float) -> float:
        times = sum(1 for when, who in self.recent if who == name and when >= now - self.tree.period)
        doubled = self.tree.backoff * 2 ** min(times - 1, 30)
        return float(min(self.tree.longest, doubled) * (0.5 + self.chance()))

    def _start(self, names: Sequence[str]) -> list[Action]:
        for name in names:
            self.status[name] = "starting"
        return [StartChild(name, self._delays.pop(name, 0.0)) for name in names]

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
