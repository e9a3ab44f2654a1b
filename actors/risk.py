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

from actors.protocol import Approved, CancelOrder, Flush, Flushed, Halt, Heartbeat, OrderProgress, Synced, TellHolding
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain import protection, risk
from thunes.domain.books import FILLS, KILL_SWITCH, Books, OpenOrder, has_ended, key_of
from thunes.domain.flatten import flatten
from thunes.domain.journal import AuditEvent
from thunes.domain.orders import client_order_id, describe
from thunes.domain.risk_figures import risk_figures
from thunes.domain.undecided import Undecided
from thunes.messages import (
    Kill,
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
    SubmitOrder | Tick | AuditEvent | Kill | Resume | Synced | Halt | Flushed | Heartbeat | TellHolding
)

DAY_MS = 86_400_000
MARKER_SECONDS = 1.0
FIRST_WAIT, LAST_WAIT = 1.0, 60.0
"""Seconds until a stop that was refused is tried again: the first wait, doubled up to the last."""
PUBLISH_NS = 100_000_000
"""Figures that only the market moved are renewed this often: a tick costs no more than it must."""


def _conflate(message: Any) -> object:
    return message.symbol if type(message) is Tick else None


@dataclass(slots=True)
class Unfinished:
    """What one incarnation leaves to the next."""

    undecided: Undecided = field(default_factory=Undecided)
    switches: list[Kill | Resume] = field(default_factory=list)
    """Told before the books were read."""
    flatten: bool = False
    """A kill asked for it, and something is held yet."""
    sent_ns: deque[int] = field(default_factory=deque)


class RiskActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({Kill, Resume, Halt}), conflate=_conflate)

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.unfinished: Unfinished = world.carry.setdefault(name, Unfinished())
        self.undecided = self.unfinished.undecided
        self.state = self._state(Books())
        self.loaded = False
        self.published_ns = 0
        self.day = -1
        self.announced: set[int] = set()
        self.expired: set[str] = set()
        """Orders whose cancel was asked for because their time had run out."""
        self.unprotected: set[str] = set()
        """Symbols whose stop waits for its next try."""
        self.protect_after_ns: dict[str, int] = {}
        self.protect_waits: dict[str, float] = {}
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
            case Kill():
                self._kill(message)
            case Resume():
                self._resume(message)
            case Synced(agreed):
                self.state.synced = agreed and self.loaded
                self._flatten()
                for symbol in self.world.symbols:
                    self._protect(symbol)
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
            case Kill():
                self._kill(message)
            case Resume():
                self._resume(message)

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
        approved = self._approved(order)
        self.decisions["rejected" if reason else "approved", reason or ""] += 1
        record = Record(
            event="TRADE_REJECTED" if reason else "TRADE_APPROVED",
            symbol=order.symbol,
            side=order.side,
            reason=reason,
            correlation_id=order.correlation_id,
            params_hash=order.params_hash,
            risk_snapshot=risk.snapshot(self.state),
            metadata=describe(order, approved.epoch, approved.client_order_id),
            subject=None if reason else approved,
        )
        if reason is None:
            self.state.sent_ns.append(self.world.clock.monotonic_ns())
            self._reserve(approved)
        self.tell("audit", record)

    def _approved(self, order: SubmitOrder) -> Approved:
        return Approved(order, self.state.books.epoch, client_order_id(self.world.identity.home_id, order.key))

    def _reserve(self, approved: Approved) -> None:
        order = approved.order
        self.state.books.reserve(
            OpenOrder(
                correlation_id=order.correlation_id,
                symbol=order.symbol,
                side=order.side,
                order_type=order.order_type,
                quantity=order.quantity,
                reference_price=order.reference_price,
                epoch=approved.epoch,
                seq=0,
                client_order_id=approved.client_order_id,
                leg=order.leg,
                price=order.price,
                stop_price=order.stop_price,
                stop_loss=order.stop_loss,
                take_profit=order.take_profit,
                expires_ms=order.expires_ms,
            )
        )

    # --- what rests on the exchange ---

    def _protect(self, symbol: str) -> None:
        """One step towards the stop that the position asks for, once books and exchange agree."""
        self.unprotected.discard(symbol)
        if not self.state.synced or self.state.halted or symbol not in self.world.rules:
            return
        if self.world.clock.monotonic_ns() < self.protect_after_ns.get(symbol, 0):
            self.unprotected.add(symbol)
            return
        tick = self.state.ticks.get(symbol)
        step = protection.next_step(
            self.state.books,
            self.world.rules[symbol],
            limit_offset=self.world.settings.risk.stop_limit_offset,
            market_ms=tick.market_ms if tick is not None else 0,
            params_hash=self.world.identity.params_hash,
        )
        match step:
            case protection.Remove(keys):
                self._cancel(symbol, keys, "NO_POSITION")
            case protection.Place(order, number):
                self._place_protection(order, number)

    def _place_protection(self, order: SubmitOrder, number: int) -> None:
        """It is on the disk before it goes, as every order; its entry's approval is its decision."""
        approved = self._approved(order)
        metadata = {**describe(order, approved.epoch, approved.client_order_id), "order_id": 0, "protection": number}
        self._reserve(approved)
        record = Record(
            event="ORDER_SUBMITTED",
            symbol=order.symbol,
            side=order.side,
            correlation_id=order.correlation_id,
            params_hash=order.params_hash,
            risk_snapshot=risk.snapshot(self.state),
            metadata=metadata,
            subject=approved,
        )
        self.tell("audit", record)

    def _after_protection(self, event: AuditEvent) -> None:
        """A stop that was refused, or never arrived, is tried again after a pause."""
        symbol = event.symbol or ""
        if event.event in ("ORDER_REJECTED", "ORDER_RESOLVED"):
            wait = self.protect_waits[symbol] = min(LAST_WAIT, 2 * self.protect_waits.get(symbol, FIRST_WAIT / 2))
            self.protect_after_ns[symbol] = self.world.clock.monotonic_ns() + int(wait * 1e9)
        else:
            self.protect_waits.pop(symbol, None)

    def _cancel_expired(self, tick: Tick) -> None:
        """A limit order's time is market time, and the market is heard of here."""
        for order in self.state.books.orders.values():
            if order.symbol == tick.symbol and 0 < order.expires_ms <= tick.market_ms and order.key not in self.expired:
                self.expired.add(order.key)
                self._cancel(order.symbol, (order.key,), "STALE_MARKET_DATA")

    def _cancel(self, symbol: str, keys: tuple[str, ...], reason: str) -> None:
        for key in keys:
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
        if self.state.books.orders:
            self._cancel_expired(tick)
        if tick.symbol in self.unprotected:
            self._protect(tick.symbol)
        if tick.received_ns - self.published_ns > PUBLISH_NS:
            self._publish()

    def _turn_day(self, day: int, market_ms: int) -> None:
        name = datetime.fromtimestamp(market_ms / 1000, UTC).date().isoformat()
        self.day = day
        if name > self.state.books.day:
            self.tell("audit", Record("DAILY_RESET", metadata={"day": name, "market_time": market_ms}))

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
            self._after_protection(event)
        if has_ended(event):
            self.expired.discard(key_of(event))
            self._flatten(event.symbol)
        if event.symbol is not None and (event.event in FILLS or has_ended(event)):
            self._protect(event.symbol)

    def _holdings_changed(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            self._tell_strategy(symbol, OrderProgress(self._holding(symbol)))
            self._protect(symbol)

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
        ticks, halted = self.state.ticks, self.state.halted
        self.state = self._state(self.world.load_books())
        self.state.ticks, self.state.halted, self.loaded = ticks, halted, True
        while self.unfinished.switches:
            switch = self.unfinished.switches[0]
            self._kill(switch) if isinstance(switch, Kill) else self._resume(switch)
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
        cause = risk.breach(self.state)
        meta: dict[str, Any] = {"why": resume.reason, "source": resume.source}
        if cause is not None:
            self.tell("audit", Record("OPERATOR_COMMAND", metadata={**meta, "refused": cause, "command": "resume"}))
            return
        books.kill_active, books.kill_reason, books.kill_since = False, "", ""
        books.epoch += 1
        self.unfinished.flatten = False
        meta["epoch"] = books.epoch
        self.world.home.clear_kill()
        snapshot = risk.snapshot(self.state)
        self.tell("audit", UrgentRecord("KILL_SWITCH_DEACTIVATED", risk_snapshot=snapshot, metadata=meta))

    def _publish(self) -> None:
        self.published_ns = self.world.clock.monotonic_ns()
        self.publish(risk_figures(self.state, self.decisions))
