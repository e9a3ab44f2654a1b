"""The one module that makes threads."""

from __future__ import annotations

import heapq
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from actors.runtime.clock import Clock

if TYPE_CHECKING:
    from actors.runtime.actor import Actor

log = logging.getLogger(__name__)

Spawn = Callable[[str, Callable[[], None]], None]


def spawn(name: str, function: Callable[[], None]) -> None:
    """Run `function` in a daemon thread of its own: an exit waits for no hung thread."""
    threading.Thread(target=_guarded(name, function), name=name, daemon=True).start()


def run_loop(actor: Actor) -> None:
    """Run an actor's loop in a thread that has its name."""
    spawn(actor.name, actor._actor_loop)


def stack_of(name: str) -> str:
    """Where the thread called `name` is at this moment, as a traceback's lines; empty when there is none."""
    frames = sys._current_frames()
    for thread in reversed(threading.enumerate()):
        if thread.name == name and thread.ident in frames:
            return "".join(traceback.format_stack(frames[thread.ident]))
    return ""


def _guarded(name: str, function: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            function()
        except Exception:
            log.exception("The thread %s ended by an error; what it served is no longer served.", name)

    return run


class Signal:
    """Something that happens once and that the main thread waits for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._value: Any = None

    def set(self, value: Any = None) -> None:
        """Say that it happened; only the first value counts."""
        if not self._event.is_set():
            self._value = value
            self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        return self._event.wait(seconds)

    @property
    def value(self) -> Any:
        return self._value


class ThreadTimers:
    """One thread that delivers messages when they are due, in wall time.

    A timer is known by its (name, key): setting it again moves it, so a restarted actor never has two.
    """

    def __init__(self, clock: Clock, deliver: Callable[[str, Any], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._heap: list[tuple[int, int, str, str, Any]] = []
        self._valid: dict[tuple[str, str], int] = {}
        self._tie = count(1)
        self._changed = threading.Condition()
        self._running = False
        self._started = False

    def after(self, seconds: float, name: str, key: str, message: Any) -> None:
        """Tell `message` to `name` once, `seconds` from now; an earlier timer of the same name and key is forgotten."""
        with self._changed:
            tie = next(self._tie)
            self._valid[name, key] = tie
            due = self._clock.monotonic_ns() + int(seconds * 1e9)
            heapq.heappush(self._heap, (due, tie, name, key, message))
            self._changed.notify()
            if not self._started:
                self._started = self._running = True
                spawn("timers", self._run)

    def cancel(self, name: str, key: str) -> None:
        with self._changed:
            self._valid.pop((name, key), None)

    def stop(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._running and (wait := self._seconds_to_next()) != 0:
                    self._changed.wait(wait)
                if not self._running:
                    return
                _, tie, name, key, message = heapq.heappop(self._heap)
                if self._valid.get((name, key)) != tie:
                    continue
                del self._valid[name, key]
            self._deliver(name, message)

    def _seconds_to_next(self) -> float | None:
        if not self._heap:
            return None
        return max(0, self._heap[0][0] - self._clock.monotonic_ns()) / 1e9
