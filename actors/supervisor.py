"""SupervisorActor: it obeys `thunes/domain/supervision.py`.

Receives Started and Exited of every child, Launch (a restart that was put off), Shutdown, Fatal, Reconnect for all, and
a timer on which it looks for a handler that hangs. Starts and stops children, journals restarts and dead letters, hands
the message that was lost to the replacement, and gives up safely: kill switch on, open orders cancelled, exit status 1.
Nobody restarts it: its end is the process's.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, ClassVar, TypeAlias

from actors.protocol import Fatal, Halt, Launch, LookForHung, OverDue, Shutdown, Stopping
from actors.runtime.actor import Actor, Exited, Started, Stop
from actors.runtime.mailbox import DeadLetter, MailboxPolicy
from actors.runtime.threads import Signal
from actors.world import World
from thunes.domain.orders import Phase
from thunes.domain.supervision import (
    Action,
    AllStarted,
    AllStopped,
    ChildSpec,
    GiveUp,
    StartChild,
    StopChild,
    Supervision,
    Tree,
)
from thunes.errors import BooksUnusable, JournalError
from thunes.messages import Kill, Reconnect, Record

Received: TypeAlias = Started | Exited | Launch | Shutdown | Fatal | Reconnect | OverDue | Stopping | LookForHung

CANCEL_GRACE, MOST_GRACE = 0.3, 3.0
"""Seconds for cancels to be answered before the children are stopped: at least, and while some are not."""


class SupervisorActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({Reconnect}))

    def __init__(self, world: World, name: str, tree: Tree, ready: Signal, ended: Signal) -> None:
        super().__init__(world, name)
        self.core = Supervision(tree, lambda error: isinstance(error, (JournalError, BooksUnusable)), world.chance)
        self.specs = {spec.name: spec for spec in tree.children}
        self.incarnations = dict.fromkeys(self.specs, -1)
        self.alive: set[str] = set()
        self.ready = ready
        self.ended = ended
        self.failure = ""
        self.halting = False
        self.halted_at = 0.0
        self.hang_ns = int(world.settings.supervisor.hang_after * 1e9)
        self.said: Counter[tuple[str, str]] = Counter()

    def on_start(self) -> None:
        self._look_later()
        self._do(self.core.begin())

    def on_receive(self, message: Any) -> None:
        match message:
            case Started(name, incarnation):
                if incarnation == self.incarnations.get(name):
                    self._started(name)
            case Exited():
                self._exited(message)
            case Launch(name):
                self._launch(name)
            case Shutdown():
                self._shut_down()
            case Stopping():
                self._stop_when_cancelled()
            case OverDue(name, incarnation):
                self._over_due(name, incarnation)
            case LookForHung():
                self._look_for_hung()
            case Fatal(why):
                self._give_up(why)
            case Reconnect(symbol, source):
                self._reconnect(symbol, source)
            case _:
                raise TypeError(f"supervisor does not understand {type(message).__name__}")
        self._publish()

    def on_failure(self, *_error: Any) -> None:
        """Without a supervisor nothing may go on."""
        self.world.log.critical("The supervisor failed: %r", self._reason, exc_info=self._reason)
        self.failure = f"the supervisor failed: {self._reason!r}"
        self._mark_kill(self.failure)
        self.ended.set(self.failure)

    # --- children ---

    def _started(self, name: str) -> None:
        if self.halting:
            self._tell_halt(name)  # the incarnation before was told, this one was not
        self._do(self.core.started(name))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartChild(name, delay) if delay:
                    self.after(delay, f"launch.{name}", Launch(name))
                case StartChild(name, _):
                    self._launch(name)
                case StopChild(name):
                    self._stop_child(name)
                case GiveUp(why):
                    self._give_up(why)
                case AllStarted():
                    self.ready.set()
                case AllStopped():
                    self.ended.set(self.failure)

    def _launch(self, name: str) -> None:
        if self.core.status[name] == "starting":
            self._bring_up(name)

    def _bring_up(self, name: str) -> None:
        spec: ChildSpec = self.specs[name]
        self.incarnations[name] += 1
        self.alive.add(name)
        try:
            spec.actor.start(self.world, name, self.incarnations[name])  # type: ignore[attr-defined]
        except Exception as error:
            self.tell(self.name, Exited(name, self.incarnations[name], error, None))

    def _stop_child(self, name: str) -> None:
        if name not in self.alive:
            self.world.timers.cancel(self.name, f"launch.{name}")
            if self.post[name].empty():
                self._do(self.core.exited(name, None, self._now()))
                return
            self._bring_up(name)  # it waits to be started again, and what waits for it is handled first
        if name == "audit":
            self.tell("audit", Record("SYSTEM_STOPPED", metadata={"why": self.failure or "asked to"}))
        self.tell(name, Stop())
        self.after(self.specs[name].shutdown, f"overdue.{name}", OverDue(name, self.incarnations[name]))

    def _over_due(self, name: str, incarnation: int) -> None:
        """A child that does not drain in time is left behind: the exit waits for no hung thread."""
        if name in self.alive and incarnation == self.incarnations[name]:
            self.world.log.error("%s did not stop in time and is left behind.", name)
            self._exited(Exited(name, incarnation, None, None))

    def _exited(self, exit_report: Exited) -> None:
        name, reason = exit_report.name, exit_report.reason
        if name not in self.alive or exit_report.incarnation != self.incarnations[name]:
            return
        self.alive.discard(name)
        restarts = self.core.restarts[name]
        actions = self.core.exited(name, reason, self._now())
        if reason is not None:
            self._tell_of_death(exit_report)
        if self.core.restarts[name] > restarts:
            self._tell_of_restart(exit_report)
        self._do(actions)

    def _tell_of_death(self, exit_report: Exited) -> None:
        """What was in hand is journalled as lost, and handed to whoever comes next."""
        name, message = exit_report.name, exit_report.message
        if message is not None:
            lost = {"actor": name, "message": repr(message)[:500]}
            self.tell("audit", Record("DEAD_LETTER", metadata=lost))
        self.tell(name, DeadLetter(None if type(message) is DeadLetter else message))

    def _tell_of_restart(self, exit_report: Exited) -> None:
        name, reason = exit_report.name, exit_report.reason
        self._log_restart(name, reason)
        meta: dict[str, Any] = {"actor": name, "why": repr(reason)[:500], "restarts": self.core.restarts[name]}
        self.tell("audit", Record("ACTOR_RESTARTED", metadata=meta))

    def _log_restart(self, name: str, reason: BaseException | None) -> None:
        """In full once; what is said again and again, in one line at its 2nd, 4th, 8th ... time."""
        said = self.said[name, repr(reason)] = self.said[name, repr(reason)] + 1
        if said == 1:
            self.world.log.error("%s failed and is restarted: %r", name, reason, exc_info=reason)
        elif said & (said - 1) == 0:
            self.world.log.error("%s failed for the %dth time and is restarted: %r", name, said, reason)

    def _look_later(self) -> None:
        self.after(self.hang_ns / 4e9, "hung", LookForHung())

    def _look_for_hung(self) -> None:
        """A message that is handled for too long hangs its actor, and a system of which a part hangs must not trade."""
        self._look_later()
        now_ns = self.world.clock.monotonic_ns()
        for name in sorted(self.alive):
            box = self.post[name]
            since_ns = box.in_hand_since_ns
            if since_ns and now_ns - since_ns > self.hang_ns:
                oldest_s = (now_ns - min(since_ns, box.oldest_ns() or since_ns)) / 1e9
                self.world.log.critical("%s hangs:\n%s", name, self.world.stack_of(name))
                self._give_up(
                    f"{name} hangs: it handles one message for {(now_ns - since_ns) / 1e9:.1f} s, and the oldest that"
                    f" waits has waited {oldest_s:.1f} s"
                )
                return

    # --- the end ---

    def _shut_down(self) -> None:
        """No new orders, open ones cancelled, then all stop right to left."""
        if self.halting:
            return
        self.halting, self.halted_at = True, self._now()
        self._halt()
        self.after(CANCEL_GRACE, "stop", Stopping())

    def _stop_when_cancelled(self) -> None:
        """Once the cancels are answered, or have had their time."""
        figures = [self.world.board.figures.get(f"order.{symbol}") for symbol in self.world.symbols]
        is_open = any(order.status == Phase.OPEN for found in figures if found is not None for order in found.open)
        if is_open and self._now() < self.halted_at + MOST_GRACE:
            self.after(CANCEL_GRACE, "stop", Stopping())
        else:
            self._do(self.core.stop())

    def _halt(self) -> None:
        for name in self.specs:
            self._tell_halt(name)

    def _tell_halt(self, name: str) -> None:
        if name == "risk" or name.startswith("order."):
            self.tell(name, Halt())

    def _give_up(self, why: str) -> None:
        """Kill switch on in memory at once, on the disk if that is possible, then stop and say why."""
        if self.failure:
            return
        self.failure = why
        self.world.log.critical("Giving up safely: %s", why)
        self.tell("risk", Kill(why, "supervisor"))
        self._mark_kill(why)
        for symbol in self.world.symbols:
            # Its OrderActor cancels too, unless it is the one that cannot.
            self.world.spawn(f"cancel.{symbol}", partial(self.world.ports.cancel_open, symbol))
        self._shut_down()

    def _mark_kill(self, why: str) -> None:
        try:
            self.world.home.write_kill(why, "supervisor", self.world.clock.wall().isoformat())
        except OSError as error:
            self.world.log.critical("The kill marker could not be written (%s); it is on in memory.", error)

    def _reconnect(self, symbol: str | None, source: str) -> None:
        names = [f"stream.{symbol}"] if symbol else [n for n in self.specs if n.startswith("stream.")]
        for name in names:
            if name in self.specs:
                self.tell(name, Reconnect(symbol, source))

    def _now(self) -> float:
        return self.world.clock.monotonic_ns() / 1e9

    def _publish(self) -> None:
        self.publish({name: (self.core.status[name], self.core.restarts[name]) for name in self.specs})
