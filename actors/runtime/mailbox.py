"""Mailboxes: one for each name, with a policy; what is queued outlives the actor that reads it.

Pykka's own inbox is a `queue.Queue`: slow, unbounded, and emptied when its actor dies. This one keeps Pykka's three
methods (`put`, `get`, `empty`) and adds a control lane, conflation and a bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Any

import pykka
from pykka._envelope import Envelope


class Letter(Envelope[Any]):
    """An envelope that knows when it was posted, and under which key a newer one may replace its message."""

    __slots__ = ("at_ns", "key")

    def __init__(self, message: Any, reply_to: pykka.Future[Any] | None = None, at_ns: int = 0) -> None:
        super().__init__(message, reply_to)
        self.at_ns = at_ns
        self.key: object = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The incarnation before died while it handled `message`: the first that its replacement reads, before all else."""

    message: Any


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """How a mailbox treats what is sent to it; the default keeps everything, in order.

    `control`: message types that overtake all others. `conflate`: a key (or None) for a message; a newer message of the
    same key replaces the queued one in its place. `limit`: how many ordinary messages may wait; past it the oldest that
    is not `essential` is dropped and counted.
    """

    control: frozenset[type] = frozenset()
    conflate: Callable[[Any], object] | None = None
    limit: int | None = None
    essential: Callable[[Any], bool] = lambda _message: False


class Mailbox:
    """A serial queue that any thread may put into and one actor reads.

    `overflow` and `conflated` count what the policy dropped or replaced.
    """

    def __init__(self, name: str, policy: MailboxPolicy, now_ns: Callable[[], int]) -> None:
        self.name = name
        self.policy = policy
        self.overflow = 0
        self.conflated = 0
        self.in_hand_since_ns = 0
        """When the message that is being handled was taken out; 0 while none is."""
        self._now_ns = now_ns
        self._control: deque[Letter] = deque()
        self._queue: deque[Letter] = deque()
        self._waiting: dict[object, Letter] = {}
        self._lock = Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._closed = False

    def tell(self, message: Any) -> None:
        self.put(Letter(message, None, self._now_ns()))

    def put(self, envelope: Envelope[Any], /) -> None:
        """Queue an envelope under the policy; one wake-up token is given for each that adds to the queue."""
        letter = envelope if isinstance(envelope, Letter) else Letter(envelope.message, envelope.reply_to)
        policy, message = self.policy, letter.message
        with self._lock:
            if self._closed:
                self._refuse(letter)
                return
            if type(message) in policy.control:
                self._control.append(letter)
            elif type(message) is DeadLetter:
                self._control.appendleft(letter)
            elif policy.conflate is not None and (key := policy.conflate(message)) is not None:
                queued = self._waiting.get(key)
                if queued is not None:
                    queued.message = message
                    self.conflated += 1
                    return
                letter.key = key
                self._waiting[key] = letter
                self._queue.append(letter)
            elif policy.limit is not None and len(self._queue) >= policy.limit and self._make_room(message):
                self._queue.append(letter)
                return  # it took the place, and the token, of the one that was dropped
            elif policy.limit is not None and len(self._queue) >= policy.limit and not policy.essential(message):
                return  # all that wait are essential, so the newcomer is the one to go
            else:
                self._queue.append(letter)
        self._wake.put(None)

    def get(self) -> Letter:
        """The next envelope, waiting for one if there is none."""
        self.in_hand_since_ns = 0
        self._wake.get()
        self.in_hand_since_ns = self._now_ns()
        with self._lock:
            if self._control:
                return self._control.popleft()
            letter = self._queue.popleft()
            if letter.key is not None:
                del self._waiting[letter.key]
            return letter

    def empty(self) -> bool:
        return not self._queue and not self._control

    def __len__(self) -> int:
        return len(self._queue) + len(self._control)

    def oldest_ns(self) -> int:
        """When the message that has waited longest was posted; 0 when none waits.

        Without the lock: looking at a deque's end is one step, and a scrape must not queue up behind a flood.
        """
        heads = []
        for lane in (self._control, self._queue):
            with suppress(IndexError):  # read by its actor meanwhile
                heads.append(lane[0].at_ns)
        return min(heads, default=0)

    def close(self) -> int:
        """Refuse what waits and what comes; return how many waiting messages were dropped."""
        with self._lock:
            self._closed = True
            left = [*self._control, *self._queue]
            self._control.clear()
            self._queue.clear()
            self._waiting.clear()
            for letter in left:
                self._refuse(letter)
        return len(left)

    def reopen(self) -> None:
        with self._lock:
            self._closed = False
            self._wake = SimpleQueue()

    def _make_room(self, message: Any) -> bool:
        """Drop the oldest waiting message that may go; count it, or the newcomer when none may."""
        self.overflow += 1
        essential = self.policy.essential
        for index, letter in enumerate(self._queue):
            if not essential(letter.message):
                del self._queue[index]
                return True
        if essential(message):
            self.overflow -= 1
        return False

    def _refuse(self, letter: Letter) -> None:
        if letter.reply_to is not None:
            error = pykka.ActorDeadError(f"{self.name} has stopped")
            letter.reply_to.set_exception((type(error), error, None))
