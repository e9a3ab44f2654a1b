"""AlertActor: what people have to be told is on the disk before it is sent, and is sent until they have it.

Receives journalled events, Outcome of each message that was sent, and timers. Tells nobody of this house: the messenger
has an event loop and a thread of its own, so that no chat that is slow or away costs trading anything. A crash loses
nothing: the outbox knows the last event that it has heard of, and what came after is read from the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from actors.protocol import Heartbeat, SendAgain, StreamMissing, Summarise
from actors.runtime.actor import Actor
from actors.world import Outbox, World
from thunes.alerts.alert import Alert, Level, Outcome
from thunes.alerts.delivery import Delivery, QuietHours, text_of
from thunes.alerts.wording import alert_of, found_again, lost
from thunes.domain.figures import AlertFigures
from thunes.domain.journal import AuditEvent
from thunes.errors import OutboxUnusable
from thunes.messages import Report

Received: TypeAlias = AuditEvent | Outcome | Alert | Heartbeat | SendAgain | StreamMissing | Summarise | Report

LOOK_SECONDS = 5.0
"""How often it is looked what was held back, and what has been late for too long."""
MISSING_SECONDS = 30.0
SUMMARY_SECONDS = 300.0
"""Market time after midnight: what was under way then has ended."""
LAST_SECONDS = 2.5
"""How long a stop waits for the last messages; the rest is told after the next start."""
BATCH = 256
END = 2**62
"""Beyond every line of the journal."""


@dataclass(slots=True)
class Unfinished:
    """What one incarnation leaves to the next."""

    delivery: Delivery
    missing: set[str] = field(default_factory=set)
    """Streams that are away."""
    told_missing: set[str] = field(default_factory=set)


class AlertActor(Actor):
    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        settings, messenger = world.settings.alerts, world.ports.messenger
        fresh = Delivery(
            {chat: Level[settings.level_of(int(chat.partition(":")[2])).upper()] for chat in messenger.chats},
            messenger.second,
            QuietHours.parse(settings.quiet_hours),
            world.chance,
        )
        self.unfinished: Unfinished = world.carry.setdefault(name, Unfinished(fresh))
        self.delivery = self.unfinished.delivery
        self.outbox: Outbox | None = None
        self.waiting: list[Alert] = []
        self.notes: dict[str, int] = {}
        self.seq = 0
        self.stopping = False

    def on_start(self) -> None:
        self.world.ports.messenger.start()
        if not self.delivery.channels:
            self._be_deaf()
            return
        with self._bearing_the_disk():
            self._look()
            self._empty()

    def on_receive(self, message: Any) -> None:
        if not isinstance(message, Received):
            raise TypeError(f"alert does not understand {type(message).__name__}")
        if not self.delivery.channels:
            return
        with self._bearing_the_disk():
            self._understand(message)
            if self.mailbox.empty() or len(self.waiting) >= BATCH:
                self._empty()

    def _understand(self, message: Received) -> None:
        match message:
            case AuditEvent():
                self._hear(message)
            case Outcome():
                self._ended(message)
            case Alert():
                self._summed_up(message)
            case SendAgain():
                pass  # what may go goes below
            case StreamMissing(stream):
                self._missing(stream)
            case Summarise():
                self._summarise()
            case Report():
                self._make_summary(self._note("day_began") or 0, END)
            case Heartbeat():
                self._look()

    def on_stop(self) -> None:
        """Give the last words, of a give-up above all, a moment to get out."""
        clock, messenger = self.world.clock, self.world.ports.messenger
        self.stopping = True
        until = clock.monotonic_ns() + int(LAST_SECONDS * 1e9)
        with self._bearing_the_disk():
            self._empty()
            while self.delivery.under_way() and messenger.wait((until - clock.monotonic_ns()) / 1e9):
                while not self.mailbox.empty():
                    letter = self.mailbox.get()
                    if isinstance(letter.message, Outcome):
                        self._ended(letter.message)
                self._send()
        messenger.stop()
        if self.outbox is not None:
            self.outbox.close()

    def on_failure(self, *_error: Any) -> None:
        if self.outbox is not None:
            self.outbox.close()

    def bury(self, message: Any) -> None:
        """The journal has the events; what became of a message that was sent is known from nowhere else."""
        if isinstance(message, Outcome | Alert):
            self.on_receive(message)

    @contextmanager
    def _bearing_the_disk(self) -> Iterator[None]:
        """An outbox that cannot be used keeps nobody from trading: alerts wait in memory until it can be opened."""
        try:
            yield
        except OutboxUnusable as error:
            self.world.log.error("%s Alerts wait in memory until then.", error)
            if self.outbox is not None:
                self.outbox.close()
            self.outbox = None
            self._publish()

    # --- what is heard ---

    def _be_deaf(self) -> None:
        """Nobody is to be told anything, so nothing is kept; who is told again some day is not told of these days."""
        with self._bearing_the_disk():
            self.outbox = self.world.ports.open_outbox()
            self.outbox.forget(self.outbox.waiting())
            self.outbox.keep([], 0, seq=0, day_ended=0)
            self._publish()

    def _open(self) -> None:
        """The outbox, and what the journal has since it last heard; a new one begins with what it is told."""
        self.outbox = self.world.ports.open_outbox()
        if gone := set(self.outbox.waiting()) - set(self.delivery.channels):
            dropped, names = self.outbox.forget(gone), ", ".join(sorted(gone))
            self.world.log.warning("Nobody listens on %s any more: %d alerts are dropped.", names, dropped)
        if self.outbox.note("day_ended"):
            self._summarise_later()
        if heard := self.outbox.note("seq"):
            self._catch_up(heard)

    def _catch_up(self, heard: int) -> None:
        """From the journal, unless it is another than the one that the outbox knows."""
        newest = next(iter(self.world.ports.read_journal(max(0, heard - 1))), None)
        if newest is None or newest.seq > heard + 1:
            self.world.log.error("The alerts' outbox is ahead of the journal (seq %d): it goes on from here.", heard)
            return
        self.seq = max(self.seq, heard)
        for event in self.world.ports.read_journal(heard):
            self._hear(event)

    def _hear(self, event: AuditEvent) -> None:
        if event.seq <= self.seq:
            return  # a crash of Audit's tells some twice
        self.seq = self.notes["seq"] = event.seq
        match event.event:
            case "STREAM_DISCONNECTED" | "STREAM_STALE":
                self._away(_stream(event))
            case "STREAM_CONNECTED":
                self._back(_stream(event))
            case "SYSTEM_STARTED":
                self.unfinished.missing.clear()
            case "DAILY_RESET":
                self._day_ended(event)
        try:
            alert = alert_of(event)
        except Exception:
            # A line that cannot be put in words must not stop the trading at every restart.
            self.world.log.exception("%s, line %d of the journal, cannot be put in words.", event.event, event.seq)
            alert = Alert(
                Level.WARNING, f"UNSAID {event.event}", f"{event.event}: see line {event.seq} of the journal."
            )
        if alert is not None:
            self.waiting.append(alert)

    def _away(self, stream: str) -> None:
        if stream not in self.unfinished.missing:
            self.unfinished.missing.add(stream)
            self.after(MISSING_SECONDS, f"missing.{stream}", StreamMissing(stream))

    def _back(self, stream: str) -> None:
        self.unfinished.missing.discard(stream)
        self.world.timers.cancel(self.name, f"missing.{stream}")
        if stream in self.unfinished.told_missing:
            self.unfinished.told_missing.discard(stream)
            self.waiting.append(found_again(stream))

    def _missing(self, stream: str) -> None:
        if stream in self.unfinished.missing:
            self.unfinished.told_missing.add(stream)
            self.waiting.append(lost(stream, MISSING_SECONDS))

    # --- the day ---

    def _day_ended(self, event: AuditEvent) -> None:
        """A day's summary is due from its end on, so that a stop in between does not lose it."""
        began = self._note("day_began")
        if began is not None:
            self.notes |= {"day_ended": event.seq, "summary_from": began}
            self._summarise_later()
        self.notes["day_began"] = event.seq

    def _summarise_later(self) -> None:
        speed = self.world.settings.speed if self.world.settings.run.venue == "sim" else 1.0
        self.after(SUMMARY_SECONDS / speed if speed else 0.0, "summary", Summarise())

    def _summarise(self) -> None:
        """Read and drawn elsewhere; told to ourselves as an alert."""
        began, ended = self._note("summary_from"), self._note("day_ended")
        if began is None or not ended:
            return
        self._make_summary(began, ended)

    def _make_summary(self, began: int, ended: int) -> None:
        make: Callable[[int, int], Alert] = self.world.ports.summary

        def summarise() -> None:
            self.tell(self.name, make(began, ended))

        self.world.spawn("alert.summary", summarise)

    def _summed_up(self, summary: Alert) -> None:
        self.waiting.append(summary)
        if summary.key == f"SUMMARY {self._note('summary_from')}":
            self.notes["day_ended"] = 0

    def _note(self, name: str) -> int | None:
        if name in self.notes:
            return self.notes[name]
        return None if self.outbox is None else self.outbox.note(name)

    # --- what is told ---

    def _empty(self) -> None:
        """Onto the disk with what was heard, and from there on its way."""
        self._keep()
        self._send()
        self._publish()

    def _keep(self) -> None:
        if self.outbox is None or not (self.waiting or self.notes):
            return
        chosen = [(alert, self.delivery.audience(alert)) for alert in self.waiting]
        self.outbox.keep(chosen, self.world.clock.wall_ms(), **self.notes)
        if hold := max((alert.hold_s for alert in self.waiting), default=0.0):
            self.after(hold, "held", SendAgain())
        self.waiting.clear()
        self.notes.clear()

    def _send(self) -> None:
        if self.outbox is None:
            return
        clock, messenger = self.world.clock, self.world.ports.messenger
        now_ms = END if self.stopping else clock.wall_ms()  # nothing more comes that could be waited for
        for channel in self.delivery.channels:
            if not self.delivery.may_send(channel, clock.monotonic_ns()):
                continue
            due = self.outbox.next(channel, now_ms, self.delivery.least(channel, clock.wall()))
            if due:
                numbers = tuple(each.number for each in due)
                messenger.send(channel, numbers, text_of(due), due[0].picture)
                self.delivery.sending(channel, numbers)  # not before: what is under way must have an end

    def _ended(self, outcome: Outcome) -> None:
        channel = outcome.channel
        wait = self.delivery.ended(outcome, self.world.clock.monotonic_ns())
        if not outcome.done:
            self.after(wait, f"again.{channel}", SendAgain())
            failures = self.delivery.lines[channel].failures
            if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
                self.world.log.warning("%s was not told (%s) for the %dth time.", channel, outcome.why, failures)
        if self.outbox is not None:
            done = self.outbox.told if outcome.done else self.outbox.not_told
            done(channel, outcome.numbers)

    def _look(self) -> None:
        self.after(LOOK_SECONDS, "look", Heartbeat())
        if self.outbox is None:
            self._open()
        assert self.outbox is not None  # or it was raised why not
        before_ms = self.world.clock.wall_ms() - int(self.world.settings.alerts.second_after * 1000)
        late = self.outbox.escalate(tuple(self.delivery.chats), tuple(self.delivery.second), before_ms)
        if late:
            self.world.log.warning("%d critical alerts are late on Telegram and go to the second channels.", late)

    def _publish(self) -> None:
        kept = 0 if self.outbox is None else self.outbox.pending()
        ignored = self.world.ports.messenger.ignored
        self.publish(AlertFigures(kept + len(self.waiting), dict(self.delivery.sent), ignored))


def _stream(event: AuditEvent) -> str:
    return str(event.metadata.get("stream") or event.symbol or "account")
