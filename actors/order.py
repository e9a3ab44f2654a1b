"""OrderActor: one symbol's orders, from a permit to their last event.

Receives Permit, Orphan, execution reports, replies of the wire (on the spot or as messages: both go the same way), Ask
(time to ask about an order of unknown fate), CancelOrder, the kill switch, Halt. Tells Audit every event and Breaker
the outcome of each call. A crash loses nothing: every order that was allowed and has no terminal event is asked for at
the exchange by client order id, and none is sent late. A permit that comes twice is sent once. An exit waits until the
exchange has let go of what the protective orders hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from actors.inquiry import Inquiry
from actors.protocol import (
    Answered,
    Approved,
    Ask,
    CallOutcome,
    CancelOrder,
    Flush,
    Flushed,
    Halt,
    Lost,
    Orphan,
    Permit,
    Refused,
    Replied,
    Request,
    Synced,
    WireReply,
)
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain import order_beginnings, orders
from thunes.domain.figures import OrderFigures
from thunes.domain.histogram import ORDER_LATENCY_MS, TICK_TO_ORDER_MS, Recorder
from thunes.domain.journal import AuditEvent
from thunes.domain.market import ExecutionReport, OrderAnswer
from thunes.domain.order_desk import FIRST_ASK, Desk
from thunes.domain.orders import Observed, OrderState, Phase
from thunes.errors import ExchangeError, HeldBack, KilledMeanwhile
from thunes.messages import Kill, Reconcile, Record, Side

Received: TypeAlias = Permit | Orphan | ExecutionReport | Replied | Ask | CancelOrder | AuditEvent | Halt | Flushed

ORDER_DOES_NOT_EXIST = -2013
DUPLICATE_ORDER = "Duplicate order sent."
INSUFFICIENT_BALANCE = "insufficient balance"
OPEN_ASK = 30.0


class OrderActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({AuditEvent, Halt}))

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.symbol = name.partition(".")[2]
        self.rules = world.rules[self.symbol]
        self.wire = world.ports.wire(world, name)
        self.desk = Desk()
        self.inquiry = Inquiry(self.desk, self._now_ms, self._ask_in, self._follow)
        self.early: list[Permit] = []
        self.held: dict[str, Permit] = {}
        """Exits that wait until no protective order holds what they sell."""
        self.misfits: set[tuple[str, str]] = set()
        self.recovered = False
        self.seen_seq = 0
        """What was allowed up to this line of the journal has been acted on, here or by an incarnation before."""
        self.halted = False
        self.killed = False
        self.epoch = 0
        self.placed: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[str] = Counter()
        self.latency = Recorder(ORDER_LATENCY_MS)
        self.tick_to_order = Recorder(TICK_TO_ORDER_MS)

    def on_start(self) -> None:
        self.tell("audit", Flush(self.name, self.incarnation))
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Permit():
                self._permitted(message)
            case Orphan():
                self.tell("audit", Flush(self.name, self.incarnation))
            case ExecutionReport():
                self._reported(message)
            case Replied(request, reply):
                self._replied(request, reply)
            case Ask(key):
                self._ask(key)
            case CancelOrder(key, reason):
                self._unwant(key, reason)
            case AuditEvent():
                self._kill_switch(message)
            case Halt():
                self._halt()
            case Flushed(incarnation):
                if incarnation == self.incarnation:
                    self._recover()
            case _:
                raise TypeError(f"{self.name} does not understand {type(message).__name__}")
        self._publish()

    # --- from a permit to the wire ---

    def _permitted(self, permit: Permit) -> None:
        if not self.recovered:
            self.early.append(permit)
            return
        approved = permit.approved
        order = approved.order
        known = self.desk.known(each.key for each, _ in approved.orders)
        acted_on = any(s.phase is not Phase.APPROVED for s in known) if known else approved.seq <= self.seen_seq
        self.seen_seq = max(self.seen_seq, approved.seq)
        if acted_on:
            self._unused(order.key)
            return
        for state in order_beginnings.approved(approved.orders, approved.epoch):
            self.desk.keep(state)
            self.world.timers.cancel(self.name, f"ask.{state.key}")
        legs = () if order.leg or order.side is Side.BUY else self.desk.legs()
        if legs and not self.halted:
            self.held[order.key] = permit
            for leg in legs:
                self._unwant(leg.key, "NO_POSITION")
            return
        self._send_or_withhold(approved)

    def _send_or_withhold(self, approved: Approved) -> None:
        states = self.desk.known(order.key for order, _ in approved.orders)
        if any(state.phase is not Phase.APPROVED for state in states):
            self._unused(approved.order.key)  # asked for meanwhile, and what was asked for is not sent any more
            return
        reason = self._withhold(states[0])
        if reason is not None:
            self._unused(approved.order.key)
            for state in states:
                self._follow(orders.withheld(state, reason))
            return
        self._send(states, approved.order.market_ms, approved.order.tick_ns)

    def _release(self, leg: OrderState) -> None:
        """A protective order has ended. An exit that waited for it is sent, unless that one sold in its place."""
        if leg.executed:
            for key in self.held:
                self.desk.unwanted[key] = "NO_POSITION"
        if self.desk.legs():
            return
        held, self.held = self.held, {}
        for permit in held.values():
            self._send_or_withhold(permit.approved)

    def _unused(self, key: str) -> None:
        self.tell("breaker", CallOutcome(key, failed=False, made=False))

    def _withhold(self, state: OrderState) -> str | None:
        """Why this must not be sent after all, looked at immediately before each send."""
        if self.halted:
            return "NOT_READY"
        if state.key in self.desk.unwanted:
            return self.desk.unwanted[state.key]
        if state.side is Side.SELL:
            return None
        if state.epoch < self.epoch:
            return "STALE_EPOCH"
        if self.world.home.kill_active():
            self.tell("risk", Kill(self.world.home.kill_reason(), "marker"))
            return "KILL_SWITCH"
        return None

    def _send(self, states: Sequence[OrderState], market_ms: int, tick_ns: int) -> None:
        """One order, or a stop and the sale beside it, in one request."""
        for state in states:
            self._follow(orders.submitted(state, market_ms))
            self.placed[state.order_type, state.side] += 1
            self.inquiry.sent(state.key)
        if tick_ns:
            took_ns = self.world.clock.monotonic_ns() - tick_ns
            self.tick_to_order.observe(took_ns / 1e6, states[0].correlation_id, self.world.clock.wall_ms())
        first, *beside = self.desk.known(state.key for state in states)
        if not beside:
            self._take(Request.PLACE, self.wire.place(first))
            return
        replies = self.wire.place_pair(first, *beside)
        if replies is not None:
            for request, reply in zip((Request.PLACE, Request.BESIDE), replies, strict=True):
                self._replied(request, reply)

    # --- what the exchange says ---

    def _take(self, request: Request, reply: WireReply | None) -> None:
        """A reply that the wire gave on the spot; one that comes later is told as Replied."""
        if reply is not None:
            self._replied(request, reply)

    def _replied(self, request: Request, reply: WireReply) -> None:
        if request is not Request.BESIDE:
            self._tell_breaker(reply)
        state = self.desk.under_way.get(reply.key)
        if state is None:
            return
        match request:
            case Request.PLACE | Request.BESIDE:
                self._placed(state, reply)
            case Request.QUERY:
                self._answered(state, reply)
            case Request.FILLS:
                self._fills_read(state, reply)
            case Request.CANCEL:
                self._cancelled(state, reply)

    def _placed(self, state: OrderState, reply: WireReply) -> None:
        match reply:
            case Answered(_, answer, took_ns):
                self.latency.observe(took_ns / 1e6, state.correlation_id, self.world.clock.wall_ms())
                self._observe(state, answer)
            case Refused(_, KilledMeanwhile()):
                self._follow(orders.withheld(state, "KILL_SWITCH"))
            case Refused(_, HeldBack()):
                self._follow(orders.withheld(state, "RATE_LIMIT"))
            case Refused(_, error) if DUPLICATE_ORDER not in error.message:
                self.rejected[str(error.code)] += 1
                self.world.log.warning("%s: order %s refused: %s", self.symbol, state.client_order_id, error)
                self._follow(orders.refused(state, error))
                if INSUFFICIENT_BALANCE in error.message:
                    self._doubt(f"order {state.client_order_id} was refused: {error.message}")
            case Refused(_, error) | Lost(_, error):
                # The request may have been sent again before it was lost, so its window is counted from now.
                self.inquiry.sent(state.key)
                self.inquiry.unknown(state, str(error))

    def _doubt(self, why: str) -> None:
        """The books had what the exchange says is not there: nothing more is decided on them until both agree."""
        self.tell("risk", Synced(False, why))
        self.tell("reconciler", Reconcile(why))

    def _answered(self, state: OrderState, reply: WireReply) -> None:
        match reply:
            case Answered(_, answer):
                self._observe(state, answer)
            case Refused(_, error) if error.code == ORDER_DOES_NOT_EXIST:
                self.inquiry.absent(state)
            case Refused(_, error) | Lost(_, error):
                self.inquiry.unknown(state, str(error))

    def _fills_read(self, state: OrderState, reply: WireReply) -> None:
        observed = orders.observe(state, reply.answer, self.rules) if isinstance(reply, Answered) else None
        if observed is not None:
            state = self._follow(observed)
            self._look_after(state)
        if observed is None or observed.fills_missing:
            self._ask_in(FIRST_ASK, state.key)

    def _cancelled(self, state: OrderState, reply: WireReply) -> None:
        """A refused cancel means that the order has ended, or never was: only a query tells which."""
        if isinstance(reply, Answered):
            self._observe(state, reply.answer)
        else:
            self.desk.cancelling.discard(state.key)
            self._ask_in(FIRST_ASK, state.key)

    def _reported(self, report: ExecutionReport) -> None:
        state = self.desk.by_client_id(report.client_order_id)
        if state is not None:
            self._observe(state, report.as_answer())
        elif self.recovered:
            # Not ours, or of long ago: only a comparison of both sides' trades and balances tells what it means.
            self.tell("reconciler", Reconcile(f"a report of order {report.client_order_id}, which is not under way"))

    def _observe(self, state: OrderState, answer: OrderAnswer) -> None:
        observed = orders.observe(state, answer, self.rules)
        state = self._follow(observed)
        self._look_after(state)
        if observed.fills_missing:
            self._take(Request.FILLS, self.wire.fills(state, answer))

    def _look_after(self, state: OrderState) -> None:
        """An open order is asked about now and then: a report may be lost on a healthy stream."""
        if state.phase is not Phase.OPEN:
            return
        self._ask_in(OPEN_ASK, state.key)
        stopped = (self.halted and not state.leg) or (self.killed and state.side is Side.BUY)
        if stopped or state.key in self.desk.unwanted:
            self._cancel(state)  # it was on the wire when the switch was thrown, or the cancel was lost

    def _ask(self, key: str) -> None:
        state = self.inquiry.next(key)
        if state is not None:
            self._take(Request.QUERY, self.wire.query(state))

    def _now_ms(self) -> int:
        return self.world.clock.monotonic_ns() // 1_000_000

    def _ask_in(self, seconds: float, key: str) -> None:
        self.after(seconds, f"ask.{key}", Ask(key))

    # --- starting, stopping, the kill switch ---

    def _recover(self) -> None:
        """Every approval without a terminal event that is not under way here is asked for; none is sent late."""
        books = self.world.load_books()
        if not self.recovered:
            self.epoch, self.killed = max(self.epoch, books.epoch), books.kill_active
            self.seen_seq = books.seq
        for order in books.orders.values():
            if order.symbol == self.symbol and not self.desk.knows(order.key):
                self.inquiry.resume(order_beginnings.found_open(order))
        self.recovered = True
        early, self.early = self.early, []
        for permit in early:
            self._permitted(permit)

    def _kill_switch(self, event: AuditEvent) -> None:
        epoch = int(event.metadata["epoch"])
        if epoch <= self.epoch:
            return  # read from the books already
        self.epoch, self.killed = epoch, event.event == "KILL_SWITCH_ACTIVATED"
        if self.killed:
            self._cancel_open(Side.BUY)

    def _halt(self) -> None:
        """Nothing new; what is open is cancelled but for the stops, so that no position is left without."""
        self.halted = True
        for permit in list(self.held.values()):
            self._send_or_withhold(permit.approved)
        self.held.clear()
        self._cancel_open(Side.BUY, Side.SELL)

    def _cancel_open(self, *sides: Side) -> None:
        for state in self.desk.open_on(*sides):
            self._cancel(state)

    def _unwant(self, key: str, reason: str) -> None:
        """Cancel it now if it is open, as soon as it is open otherwise, and do not send it if it was not sent yet."""
        if key in self.desk.ended:
            return
        self.desk.unwanted[key] = reason
        state = self.desk.under_way.get(key)
        if state is not None and state.phase is Phase.OPEN:
            self._cancel(state)

    def _cancel(self, state: OrderState) -> None:
        if state.key not in self.desk.cancelling:
            self.desk.cancelling.add(state.key)
            self.wire.cancel(state)

    # --- what follows ---

    def _follow(self, observed: Observed) -> OrderState:
        """Keep the new state and journal what happened."""
        state = observed.state
        for event in observed.events:
            self._record(event.name, state, event.reason, event.metadata)
        if observed.misfit:
            self._misfit(state, observed.misfit)
        else:
            self.desk.keep(state)
        if state.phase is Phase.DONE and state.leg and observed.events:
            self._release(state)
        return state

    def _misfit(self, state: OrderState, why: str) -> None:
        """The exchange says what cannot be: nothing is guessed, trading pauses until both sides agree again."""
        if (state.key, why) not in self.misfits:
            self.misfits.add((state.key, why))
            self.world.log.error("%s: order %s does not fit: %s", self.symbol, state.client_order_id, why)
            meta = {"client_order_id": state.client_order_id, "books": f"{state.phase} {state.executed}", "why": why}
            self._record("RECONCILIATION_MISMATCH", state, None, meta)
            self.tell("risk", Synced(False, why))
        self.tell("reconciler", Reconcile(f"order {state.client_order_id}: {why}"))

    def _record(self, name: str, state: OrderState, reason: str | None, metadata: Mapping[str, Any]) -> None:
        record = Record(
            name,
            symbol=state.symbol,
            side=state.side,
            reason=reason,
            correlation_id=state.correlation_id,
            metadata=metadata,
        )
        self.tell("audit", record)

    def _tell_breaker(self, reply: WireReply) -> None:
        failed = isinstance(reply, Lost)
        made = not (isinstance(reply, Refused) and isinstance(reply.error, HeldBack))
        retry_after = 0.0
        if isinstance(reply, Refused):
            error: ExchangeError = reply.error
            retry_after = error.retry_after or 0.0
        self.tell("breaker", CallOutcome(reply.key, failed, made, retry_after))

    def _publish(self) -> None:
        live, doubtful = tuple(self.desk.under_way.values()), self.desk.doubtful()
        self.publish(
            OrderFigures(
                symbol=self.symbol,
                epoch=self.epoch,
                open=tuple(order_beginnings.shown(state) for state in live),
                unknown=len(doubtful),
                unknown_since_ms=min((self.desk.sent_ms.get(state.key, 0) for state in doubtful), default=0),
                placed=dict(self.placed),
                rejected=dict(self.rejected),
                latency_ms=self.latency.histogram(),
                tick_to_order_ms=self.tick_to_order.histogram(),
            )
        )
