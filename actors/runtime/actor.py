"""The actor base: Pykka's loop on a mailbox that belongs to a name, with one exit report for every kind of end."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from pykka._actor import ActorInbox

from actors.runtime.mailbox import DeadLetter, Mailbox, MailboxPolicy

if TYPE_CHECKING:
    from actors.world import World


@dataclass(frozen=True, slots=True)
class Started:
    """`on_start` returned: the next child may start."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """An actor has ended: `reason` is None after a stop that was asked for; `message` is what it was handling."""

    name: str
    incarnation: int
    reason: BaseException | None
    message: Any


@dataclass(frozen=True, slots=True)
class Stop:
    """Handle what is queued before this, then end."""


class Actor(pykka.ThreadingActor):
    """A thin shell around a pure core: it receives, asks the core, tells the next one.

    A subclass declares its mailbox's policy in `mailbox_policy`. Whatever ends it (an error in `on_start` or in a
    handler, under `tell` or under `ask`, or a Stop) the supervisor gets exactly one `Exited`; the mailbox is left as it
    is for the replacement.
    """

    use_daemon_thread = True
    mailbox_policy: ClassVar[MailboxPolicy] = MailboxPolicy()

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__()
        self.world = world
        self.name = name
        self.incarnation = incarnation
        self.post = world.post
        self.mailbox: Mailbox = world.post[name]
        self.actor_inbox: ActorInbox = self.mailbox
        self.handled = 0
        self._reason: BaseException | None = None
        self._handling: Any = None
        # The reference copied the inbox that Pykka made; it has to point to the name's mailbox.
        self._actor_ref = pykka.ActorRef(self)

    def tell(self, name: str, message: Any) -> None:
        self.post.tell(name, message)

    def after(self, seconds: float, key: str, message: Any) -> None:
        """Tell `message` to ourselves in `seconds` of wall time; setting the same key again moves it."""
        self.world.timers.after(seconds, self.name, key, message)

    def publish(self, figures: Any) -> None:
        """Replace the figures that others read of this actor."""
        self.world.board.figures[self.name] = figures

    def bury(self, message: Any) -> None:
        """Do what the death of the incarnation before may have left undone of `message`; often nothing."""

    def _start_actor_loop(self) -> None:
        self.world.start_loop(self)

    def _actor_loop_setup(self) -> None:
        self.mailbox.in_hand_since_ns = self.world.clock.monotonic_ns()  # a start that hangs is found as a handler is
        try:
            self.on_start()
        except BaseException:
            self._handle_failure(*sys.exc_info())
        self.mailbox.in_hand_since_ns = 0
        if self._reason is None:
            self.tell("supervisor", Started(self.name, self.incarnation))

    def _handle_receive(self, message: Any) -> Any:
        self._handling = message
        try:
            if type(message) is Stop:
                self._stop()
                return None
            if type(message) is DeadLetter:
                self.bury(message.message)
                answer = None
            else:
                answer = super()._handle_receive(message)
        except Exception:
            self._handle_failure(*sys.exc_info())
            raise
        except BaseException as error:
            # Pykka would take a SystemExit, or a panic of a library, for a reason to stop every actor there is.
            self._handle_failure(*sys.exc_info())
            raise RuntimeError(f"{self.name} ended by {error!r}") from error
        self._handling = None
        self.handled += 1
        self.world.board.handled[self.name] = self.handled
        return answer

    def _handle_failure(
        self,
        _exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End. The supervisor logs why: it knows how often that has been said already."""
        if self._reason is None and exception_value is not None:
            self._reason = exception_value
            pykka.ActorRegistry.unregister(self._actor_ref)
            self.actor_stopped.set()

    def _actor_loop_teardown(self) -> None:
        self.mailbox.in_hand_since_ns = 0
        handling = None if type(self._handling) is Stop else self._handling
        self.tell("supervisor", Exited(self.name, self.incarnation, self._reason, handling))
