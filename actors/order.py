"""OrderActor: one symbol's orders, from a permit to their last event.

Receives Permit, Orphan, execution reports, replies of the wire (on the spot or as messages: both go the same way), Ask
(time to ask about an order of unknown fate), the kill switch, Halt. Tells Audit every event and Breaker the outcome of
each call. A crash loses nothing: every approval without a terminal event is asked for at the exchange by client order
id, and none is sent late. A permit that comes twice is sent once.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, ClassVar, TypeAlias

from actors.protocol import (
    Answered,
    Ask,
    CallOutcome,
    Flush,
    Flushed,
    Halt,
    Lost,
    Orphan,
    Permit,
    Refused,
    Replied,
    Request,
    WireReply,
)
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain import order_beginnings, orders
from thunes.domain.books import OpenOrder
from thunes.domain.figures import OrderFigures
from thunes.domain.histogram import ORDER_LATENCY_MS, TICK_TO_ORDER_MS, Recorder
from thunes.domain.journal import AuditEvent
from thunes.domain.market import ExecutionReport, OrderAnswer
from thunes.domain.orders import Observed, OrderState, Phase
from thunes.errors import ExchangeError
from thunes.messages import Kill, Record, Side

Received: TypeAlias = Permit | Orphan | ExecutionReport | Replied | Ask | AuditEvent | Halt | Flushed

ORDER_DOES_NOT_EXIST = -2013
DUPLICATE_ORDER = "Duplicate order sent."
RECV_WINDOW_MS = 5_000 + 1_000
"""How long after it was sent a request may be taken: its window, and the second that its timestamp may be ahead."""
FIRST_ASK, LAST_ASK, OPEN_ASK = 0.2, 5.0, 30.0


class OrderActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({AuditEvent, Halt}))

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.symbol = name.partition(".")[2]
        self.rules = world.rules[self.symbol]
        self.wire = world.ports.wire(world, name)
        self.orders: dict[str, OrderState] = {}
        self.sent_ms: dict[str, int] = {}
        self.waits: dict[str, float] = {}
        self.early: list[Permit] = []
        self.cancelling: set[str] = set()
        self.ended: deque[str] = deque(maxlen=64)
        """Those whose end may not be on the disk yet."""
        self.recovered = False
        self.seen_seq = 0
        """Approvals up to this line of the journal have been acted on, here or by an incarnation before."""
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
            case Ask(correlation_id):
                self._ask(correlation_id)
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
        order, known = approved.order, self.orders.get(permit.approved.order.correlation_id)
        acted_on = known.phase is not Phase.APPROVED if known is not None else approved.seq <= self.seen_seq
        self.seen_seq = max(self.seen_seq, approved.seq)
        if acted_on:
            self._unused(order.correlation_id)
            return
        state = order_beginnings.approved(order, approved.client_order_id, approved.epoch)
        self.orders[state.correlation_id] = state
        reason = self._withhold(state)
        if reason is not None:
            self._unused(state.correlation_id)
            self._follow(orders.withheld(state, reason))
            return
        self._send(state, order.market_ms, order.tick_ns)

    def _unused(self, correlation_id: str) -> None:
        self.tell("breaker", CallOutcome(correlation_id, failed=False, made=False))

    def _withhold(self, state: OrderState) -> str | None:
        """Why this must not be sent after all, looked at immediately before each send."""
        if self.halted:
            return "NOT_READY"
        if state.side is Side.SELL:
            return None
        if state.epoch < self.epoch:
            return "STALE_EPOCH"
        if self.world.home.kill_active():
            self.tell("risk", Kill(self.world.home.kill_reason(), "marker"))
            return "KILL_SWITCH"
        return None

    def _send(self, state: OrderState, market_ms: int, tick_ns: int) -> None:
        state = self._follow(orders.submitted(state, market_ms))
        self.placed[state.order_type, state.side] += 1
        self.sent_ms[state.correlation_id] = self._now_ms()
        if tick_ns:
            self.tick_to_order.observe((self.world.clock.monotonic_ns() - tick_ns) / 1e6)
        self._take(Request.PLACE, self.wire.place(state))

    # --- what the exchange says ---

    def _take(self, request: Request, reply: WireReply | None) -> None:
        """A reply that the wire gave on the spot; one that comes later is told as Replied."""
        if reply is not None:
            self._replied(request, reply)

    def _replied(self, request: Request, reply: WireReply) -> None:
        self._tell_breaker(reply)
        state = self.orders.get(reply.correlation_id)
        if state is None:
            return
        match request:
            case Request.PLACE:
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
                self.latency.observe(took_ns / 1e6)
                self._observe(state, answer)
            case Refused(_, error) if DUPLICATE_ORDER not in error.message:
                self.rejected[str(error.code)] += 1
                self.world.log.warning("%s: order %s refused: %s", self.symbol, state.client_order_id, error)
                self._follow(orders.refused(state, error))
            case Refused(_, error) | Lost(_, error):
                # The request may have been sent again before it was lost, so its window is counted from now.
                self.sent_ms[state.correlation_id] = self._now_ms()
                self._unknown(state, str(error))

    def _answered(self, state: OrderState, reply: WireReply) -> None:
        match reply:
            case Answered(_, answer):
                self._observe(state, answer)
            case Refused(_, error) if error.code == ORDER_DOES_NOT_EXIST:
                self._absent(state)
            case Refused(_, error) | Lost(_, error):
                self._unknown(state, str(error))

    def _fills_read(self, state: OrderState, reply: WireReply) -> None:
        observed = orders.observe(state, reply.answer, self.rules) if isinstance(reply, Answered) else None
        if observed is not None:
            state = self._follow(observed)
            self._look_after(state)
        if observed is None or observed.fills_missing:
            self._ask_in(FIRST_ASK, state.correlation_id)

    def _cancelled(self, state: OrderState, reply: WireReply) -> None:
        """A refused cancel means that the order has ended, or never was: only a query tells which."""
        if isinstance(reply, Answered):
            self._observe(state, reply.answer)
        else:
            self.cancelling.discard(state.correlation_id)
            self._ask_in(FIRST_ASK, state.correlation_id)

    def _reported(self, report: ExecutionReport) -> None:
        for state in self.orders.values():
            if state.client_order_id == report.client_order_id:
                if state.phase is not Phase.DONE:
                    self._observe(state, report.as_answer())
                return

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
        self._ask_in(OPEN_ASK, state.correlation_id)
        if self.halted or (self.killed and state.side is Side.BUY):
            self._cancel(state)  # it was on the wire when the switch was thrown

    def _unknown(self, state: OrderState, why: str) -> None:
        if state.phase is not Phase.OPEN:
            self._follow(orders.unknown(state, why))
        self._ask_in(self.waits.get(state.correlation_id, FIRST_ASK), state.correlation_id)

    def _absent(self, state: OrderState) -> None:
        if state.phase is Phase.OPEN:
            self._ask_in(LAST_ASK, state.correlation_id)  # it was there: the query lags
            return
        if state.phase is not Phase.UNKNOWN:
            state = self._follow(orders.unknown(state, "not found when asked for"))
        sent_ms = self.sent_ms[state.correlation_id]
        state = self._follow(orders.absent(state, self._now_ms(), sent_ms, RECV_WINDOW_MS))
        if state.phase is not Phase.DONE:
            self._ask_in(1.1, state.correlation_id)

    def _ask(self, correlation_id: str) -> None:
        state = self.orders.get(correlation_id)
        if state is None or state.phase is Phase.DONE:
            return
        if state.phase is Phase.APPROVED:
            state = self._follow(orders.unknown(state, "found without an end at start"))
        wait = self.waits.get(correlation_id, FIRST_ASK)
        self.waits[correlation_id] = min(LAST_ASK, wait * 2)
        self._take(Request.QUERY, self.wire.query(state))

    def _now_ms(self) -> int:
        """For ages alone: nobody sets this clock, so a window has run out when it says so."""
        return self.world.clock.monotonic_ns() // 1_000_000

    def _ask_in(self, seconds: float, correlation_id: str) -> None:
        self.after(seconds, f"ask.{correlation_id}", Ask(correlation_id))

    # --- starting, stopping, the kill switch ---

    def _recover(self) -> None:
        """Every approval without a terminal event that is not under way here is asked for; none is sent late."""
        books = self.world.load_books()
        if not self.recovered:
            self.epoch, self.killed = max(self.epoch, books.epoch), books.kill_active
            self.seen_seq = books.seq
        for order in books.orders.values():
            if order.symbol == self.symbol and order.correlation_id not in (*self.orders, *self.ended):
                self._resume_order(order)
        self.recovered = True
        early, self.early = self.early, []
        for permit in early:
            self._permitted(permit)

    def _resume_order(self, order: OpenOrder) -> None:
        state = order_beginnings.found_open(order)
        self.orders[state.correlation_id] = state
        # The crash was before now, so whatever was sent was sent before now.
        self.sent_ms[state.correlation_id] = self._now_ms()
        self._ask_in(FIRST_ASK, state.correlation_id)

    def _kill_switch(self, event: AuditEvent) -> None:
        epoch = int(event.metadata["epoch"])
        if epoch <= self.epoch:
            return  # read from the books already
        self.epoch, self.killed = epoch, event.event == "KILL_SWITCH_ACTIVATED"
        if self.killed:
            self._cancel_open(Side.BUY)

    def _halt(self) -> None:
        self.halted = True
        self._cancel_open(Side.BUY, Side.SELL)

    def _cancel_open(self, *sides: Side) -> None:
        for state in self.orders.values():
            if state.side in sides and state.phase is Phase.OPEN:
                self._cancel(state)

    def _cancel(self, state: OrderState) -> None:
        if state.correlation_id not in self.cancelling:
            self.cancelling.add(state.correlation_id)
            self.wire.cancel(state)

    # --- what follows ---

    def _follow(self, observed: Observed) -> OrderState:
        """Keep the new state and journal what happened."""
        state = observed.state
        for event in observed.events:
            self.tell(
                "audit",
                Record(
                    event.name,
                    symbol=state.symbol,
                    side=state.side,
                    reason=event.reason,
                    correlation_id=state.correlation_id,
                    metadata=event.metadata,
                ),
            )
        if state.phase is Phase.DONE:
            self.ended.append(state.correlation_id)
            for held in (self.orders, self.sent_ms, self.waits):
                held.pop(state.correlation_id, None)
            self.cancelling.discard(state.correlation_id)
        else:
            self.orders[state.correlation_id] = state
        return state

    def _tell_breaker(self, reply: WireReply) -> None:
        failed = isinstance(reply, Lost)
        retry_after = 0.0
        if isinstance(reply, Refused):
            error: ExchangeError = reply.error
            retry_after = error.retry_after or 0.0
        self.tell("breaker", CallOutcome(reply.correlation_id, failed, True, self.wire.used_weight, retry_after))

    def _publish(self) -> None:
        live = tuple(self.orders.values())
        self.publish(
            OrderFigures(
                symbol=self.symbol,
                epoch=self.epoch,
                open=tuple(order_beginnings.shown(state) for state in live),
                unknown=sum(1 for state in live if state.phase in (Phase.UNKNOWN, Phase.APPROVED)),
                placed=dict(self.placed),
                rejected=dict(self.rejected),
                latency_ms=self.latency.histogram(),
                tick_to_order_ms=self.tick_to_order.histogram(),
            )
        )
