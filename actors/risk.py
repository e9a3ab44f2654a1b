"""RiskActor: nothing is bought that the limits do not allow.

Receives SubmitOrder, Tick, journalled events, Kill, Resume, Synced, Halt. Tells every decision to Audit and to no one
else. A crash loses nothing: positions, reservations and the kill switch are read back from projection and journal, and
the intent or kill that was in hand goes to the replacement.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from actors.guard import Guard
from actors.protocol import Approved, CancelOrder, Flush, Flushed, Halt, Heartbeat, OrderProgress, Synced, TellHolding
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain import order_beginnings, protection, risk
from thunes.domain.books import FILLS, KILL_SWITCH, Books, has_ended, key_of
from thunes.domain.flatten import flatten
from thunes.domain.journal import AuditEvent
from thunes.domain.orders import client_order_id, describe
from thunes.domain.risk_figures import risk_figures
from thunes.domain.undecided import Undecided
from thunes.messages import (
    Kill,
    Pause,
    Reconcile,
    Record,
    Resume,
    Side,
    SubmitOrder,
    Tick,
    UrgentRecord,
)
from thunes.strategies.base import Holding

Received: TypeAlias = (
    SubmitOrder | Tick | AuditEvent | Kill | Resume | Pause | Synced | Halt | Flushed | Heartbeat | TellHolding
)

DAY_MS = 86_400_000
MARKER_SECONDS = 1.0
PUBLISH_NS = 100_000_000
"""Figures that only the market moved are renewed this often: a tick costs no more than it must."""


def _conflate(message: Any) -> object:
    return message.symbol if type(message) is Tick else None


@dataclass(slots=True)
class Unfinished:
    """What one incarnation leaves to the next."""

    undecided: Undecided = field(default_factory=Undecided)
    switches: list[Kill | Resume | Pause] = field(default_factory=list)
    """Told before the books were read."""
    flatten: bool = False
    """A kill asked for it, and something is held yet."""
    sent_ns: deque[int] = field(default_factory=deque)


class RiskActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({Kill, Resume, Pause, Halt}), conflate=_conflate)

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.unfinished: Unfinished = world.carry.setdefault(name, Unfinished())
        self.undecided = self.unfinished.undecided
        self.state = self._state(Books())
        self.loaded = False
        self.published_ns = 0
        self.day = -1
        self.announced: set[int] = set()
        self.guard = Guard(world.clock, world.identity.params_hash, self._place_stop, self._cancel)
        self.decisions: Counter[tuple[str, str]] = Counter()

    def on_start(self) -> None:
        self.tell("audit", Flush(self.name, self.incarnation))
        self.after(MARKER_SECONDS, "marker", Heartbeat())
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Tick():
                self._tick(message)
                return
            case SubmitOrder():
                self._submitted(message)
            case AuditEvent():
                self._apply(message)
            case Kill() | Resume() | Pause():
                self._turn(message)
            case Synced():
                self._synced(message)
            case Flushed(incarnation):
                # A crash of Audit's says it twice, and the incarnation before may have asked as well.
                if self.loaded or incarnation != self.incarnation:
                    return
                self._load()
            case TellHolding(symbol):
                self._tell_strategy(symbol, OrderProgress(self._holding(symbol)))
            case Heartbeat():
                self._look_for_marker()
            case Halt():
                self.state.halted = True
            case _:
                raise TypeError(f"risk does not understand {type(message).__name__}")
        self._publish()

    def bury(self, message: Any) -> None:
        """An intent that killed its judge is refused, a kill or a resume is carried out; the rest is on the disk."""
        match message:
            case SubmitOrder():
                self.undecided.in_hand.append(message)
                if self.loaded:
                    self._settle()
            case Kill() | Resume() | Pause():
                self._turn(message)

    # --- decisions ---

    def _submitted(self, order: SubmitOrder) -> None:
        if self.loaded:
            self._decide(order)
        else:
            self.undecided.waiting.append(order)

    def _settle(self) -> None:
        for order, somebody_died in self.undecided.settle(self.world.ports.read_journal):
            if somebody_died:
                self._conclude(order, "NOT_READY")
            else:
                self._decide(order)

    def _decide(self, order: SubmitOrder) -> None:
        self._conclude(order, risk.refusal(self.state, order, self.world.clock.monotonic_ns()))

    def _conclude(self, order: SubmitOrder, reason: str | None) -> None:
        self.decisions["rejected" if reason else "approved", reason or ""] += 1
        if reason is None:
            self.state.sent_ns.append(self.world.clock.monotonic_ns())
        self._write("TRADE_REJECTED" if reason else "TRADE_APPROVED", order, reason)

    def _place_stop(self, order: SubmitOrder, number: int) -> None:
        """Its entry's approval is its decision, and its line is on the disk before it goes, as every order's."""
        self._write("ORDER_SUBMITTED", order, None, order_id=0, protection=number)

    def _write(self, event: str, order: SubmitOrder, reason: str | None, **more: Any) -> None:
        """Tell Audit of a decision; without a reason against it the order may go, and is reserved from now on."""
        books, snapshot = self.state.books, risk.snapshot(self.state)
        approved = self._approval(order)
        name = approved.client_order_id
        if reason is None:
            for each, its_name in approved.orders:
                books.reserve(order_beginnings.reserved(each, its_name, books.epoch))
        record = Record(
            event=event,
            symbol=order.symbol,
            side=order.side,
            reason=reason,
            correlation_id=order.correlation_id,
            params_hash=order.params_hash,
            risk_snapshot=snapshot,
            metadata=describe(order, books.epoch, name, approved.profit_id) | more,
            subject=None if reason else approved,
        )
        self.tell("audit", record)

    def _approval(self, order: SubmitOrder) -> Approved:
        home, profit = self.world.identity.home_id, order.profit
        profit_id = client_order_id(home, profit.key) if profit is not None else ""
        name = client_order_id(home, order.key)
        return Approved(order, self.state.books.epoch, name, profit_id=profit_id)

    def _cancel(self, symbol: str, key: str, reason: str) -> None:
        self.tell(f"order.{symbol}", CancelOrder(key, reason))

    # --- the market and the books ---

    def _tick(self, tick: Tick) -> None:
        self.state.ticks[tick.symbol] = tick
        if not self.loaded:
            return
        day = tick.market_ms // DAY_MS
        if day > self.day and tick.market_ms:
            self._turn_day(day, tick.market_ms)
        if self.state.books.holding(tick.symbol) is not None:
            self._check_limits()
        self.guard.tick(tick, self.state)
        if tick.received_ns - self.published_ns > PUBLISH_NS:
            self._publish()

    def _turn_day(self, day: int, market_ms: int) -> None:
        name = datetime.fromtimestamp(market_ms / 1000, UTC).date().isoformat()
        self.day = day
        if name > self.state.books.day:
            meta = {"day": name, "market_time": market_ms, "equity": self.state.equity()}
            self.tell("audit", Record("DAILY_RESET", metadata=meta))

    def _apply(self, event: AuditEvent) -> None:
        if not self.loaded:
            return  # it is on the disk already, so the load that is under way will see it
        if event.event in KILL_SWITCH:
            self._switched(event)
        self.state.books.apply(event)
        self.undecided.seq = self.state.books.seq
        self._announce_positions()
        self._check_limits()
        leg = bool(event.metadata.get("leg"))
        if event.event in FILLS or has_ended(event) or (leg and event.event == "ORDER_ACCEPTED"):
            self._tell_progress(event)
        if event.event == "RECONCILED":
            self._holdings_changed(event.metadata.get("positions", ()))
        if leg and (has_ended(event) or event.event == "ORDER_ACCEPTED"):
            self.guard.heard(event)
        if has_ended(event):
            self.guard.ended(key_of(event))
            if event.event != "ORDER_REJECTED":
                self._flatten(event.symbol)  # what was refused is tried again with the next look at the marker
        if event.symbol is not None and (event.event in FILLS or has_ended(event)):
            self.guard.protect(event.symbol, self.state)

    def _synced(self, message: Synced) -> None:
        self.state.synced = message.agreed and self.loaded
        if message.agreed or message.lasting:
            self.state.mismatch = message.why
        if self.state.mismatch:
            self._kill(Kill(risk.DIFFER + self.state.mismatch, "reconciler"))
        self._flatten()
        for symbol in self.world.symbols:
            self.guard.protect(symbol, self.state)

    def _holdings_changed(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            self._tell_strategy(symbol, OrderProgress(self._holding(symbol)))
            self.guard.protect(symbol, self.state)

    def _tell_progress(self, event: AuditEvent) -> None:
        progress = OrderProgress(
            holding=self._holding(event.symbol or ""),
            correlation_id=event.correlation_id,
            event=event.event,
            reason=event.reason,
            ended=has_ended(event) and not event.metadata.get("leg"),
        )
        self._tell_strategy(event.symbol or "", progress)

    def _tell_strategy(self, symbol: str, progress: OrderProgress) -> None:
        if symbol in self.world.symbols:
            self.tell(f"strategy.{symbol}", progress)

    def _holding(self, symbol: str) -> Holding | None:
        position = self.state.books.holding(symbol)
        if position is None:
            return None
        return Holding(position.quantity, position.entry_price, protection.resting_limit(self.state.books, symbol))

    def _announce_positions(self) -> None:
        for change in self.state.books.pending.values():
            if change.fill_seq in self.announced:
                continue
            self.announced.add(change.fill_seq)
            meta = {
                "fill_seq": change.fill_seq,
                "quantity": change.quantity,
                "entry_price": change.entry_price,
                "pnl": change.pnl,
                "market_time": change.market_ms,
            }
            self.tell(
                "audit",
                Record(change.event, symbol=change.symbol, correlation_id=change.correlation_id, metadata=meta),
            )

    def _state(self, books: Books) -> risk.RiskState:
        world = self.world
        return risk.RiskState(world.settings.risk, world.rules, books, sent_ns=self.unfinished.sent_ns)

    def _load(self) -> None:
        before, self.state = self.state, self._state(self.world.load_books())
        self.state.ticks, self.state.halted, self.loaded = before.ticks, before.halted, True
        self.state.mismatch = before.mismatch or risk.mismatch_killed_for(self.state.books)
        while self.unfinished.switches:
            switch = self.unfinished.switches[0]
            self._turn(switch)
            del self.unfinished.switches[0]
        self._announce_positions()
        self._settle()
        self.undecided.seq = self.state.books.seq
        orders = self.state.books.orders.values()
        for symbol in self.world.symbols:
            open_ids = tuple(order.correlation_id for order in orders if order.symbol == symbol and not order.leg)
            self._tell_strategy(symbol, OrderProgress(self._holding(symbol), under_way=open_ids))
        self._look_for_marker()
        self.tell("reconciler", Reconcile("risk"))

    # --- the kill switch ---

    def _turn(self, switch: Kill | Resume | Pause) -> None:
        match switch:
            case Kill():
                self._kill(switch)
            case Resume():
                self._resume(switch)
            case Pause():
                self._pause(switch)

    def _switched(self, event: AuditEvent) -> None:
        """It is on the disk. What a later kill or resume has overtaken in memory changes nothing here any more."""
        books, meta = self.state.books, event.metadata
        if int(meta["epoch"]) < books.epoch:
            return
        # A resume took the marker away when it was given; one that is there now is a newer kill, from outside.
        if event.event == "KILL_SWITCH_ACTIVATED":
            self.world.home.write_kill(str(meta["why"]), str(meta["source"]), str(event.timestamp))

    def _check_limits(self) -> None:
        if not self.state.books.kill_active and (why := risk.breach(self.state)) is not None:
            self._kill(Kill(why, "risk"))

    def _look_for_marker(self) -> None:
        self.after(MARKER_SECONDS, "marker", Heartbeat())
        if self.loaded:
            self._flatten()
        if self.loaded and not self.state.books.kill_active and self.world.home.kill_active():
            self._kill(Kill(self.world.home.kill_reason(), "marker"))

    def _kill(self, kill: Kill) -> None:
        """In memory at once, on the disk by way of Audit; a second one changes nothing, but may still flatten."""
        books = self.state.books
        self.unfinished.flatten = self.unfinished.flatten or kill.flatten
        if not self.loaded:
            self.unfinished.switches.append(kill)  # until then nothing is approved, and the epoch is not known
            return
        self._flatten()
        if books.kill_active:
            return
        since = self.world.clock.wall().isoformat()
        books.kill_active, books.kill_reason, books.kill_since = True, kill.reason, since
        books.epoch += 1
        meta = {"why": kill.reason, "source": kill.source, "epoch": books.epoch, "since": since}
        snapshot = risk.snapshot(self.state)
        self.tell("audit", UrgentRecord("KILL_SWITCH_ACTIVATED", risk_snapshot=snapshot, metadata=meta))

    def _flatten(self, symbol: str | None = None) -> None:
        """Ask ourselves to sell what is held, whenever books and exchange agree, until nothing is held."""
        if not self.unfinished.flatten or not self.state.synced:
            return
        buys = any(order.side == Side.BUY for order in self.state.books.orders.values())
        self.unfinished.flatten = buys or bool(self.state.books.open_positions)
        orders, left = flatten(self.state, self.world.ids.new, self.world.identity.params_hash)
        for order in orders:
            if symbol in (None, order.symbol):
                self.tell(self.name, order)
        for name in left:
            self.world.log.warning("%s cannot be flattened: no price, or too little to sell.", name)

    def _resume(self, resume: Resume) -> None:
        books = self.state.books
        if not self.loaded:
            self.unfinished.switches.append(resume)
            return
        if not books.kill_active:
            return
        cause = risk.breach(self.state) or self._unmark()
        meta: dict[str, Any] = {"why": resume.reason, "source": resume.source}
        if cause is not None:
            self.world.log.warning("The resume is refused: %s.", cause)
            self.tell("audit", Record("OPERATOR_COMMAND", metadata={**meta, "refused": cause, "command": "resume"}))
            return
        books.kill_active, books.kill_reason, books.kill_since = False, "", ""
        books.epoch += 1
        self.unfinished.flatten = False
        meta["epoch"] = books.epoch
        snapshot = risk.snapshot(self.state)
        self.tell("audit", UrgentRecord("KILL_SWITCH_DEACTIVATED", risk_snapshot=snapshot, metadata=meta))

    def _pause(self, pause: Pause) -> None:
        """In memory at once; a second one changes nothing."""
        if not self.loaded:
            self.unfinished.switches.append(pause)
        elif self.state.books.paused is not pause.lasts:
            self.state.books.paused = pause.lasts
            meta = {"command": "pause" if pause.lasts else "unpause", "source": pause.source}
            self.tell("audit", Record("OPERATOR_COMMAND", metadata=meta))

    def _unmark(self) -> str | None:
        """Take the marker away; in words why it is still there, and then the kill holds."""
        try:
            self.world.home.clear_kill()
        except OSError as error:
            return f"the kill marker cannot be taken away ({error})"
        return None

    def _publish(self) -> None:
        self.published_ns = self.world.clock.monotonic_ns()
        self.publish(risk_figures(self.state, self.decisions))
