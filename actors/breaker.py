"""BreakerActor: one circuit for the exchange, and its budgets: nothing is permitted while the exchange wants a pause.

It hears of a pause with the outcome of an order's own call, and sees in the exchange's figures what any other request
was told, and whether the account's order count has room for one more.

Receives Approved (from Audit, so it is on the disk) and CallOutcome. Tells OrderActor a Permit, or Audit the refusal,
which frees the reservation. A crash forgets the circuit's count: it starts closed. The approval in hand is then an
orphan: OrderActor finds out whether it came that far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from actors.protocol import Approved, CallOutcome, Orphan, Permit
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain.breaker import Circuit, Transition
from thunes.domain.figures import BreakerFigures
from thunes.messages import Record, ResetBreaker

Received: TypeAlias = Approved | CallOutcome | ResetBreaker

CIRCUIT = "BinanceAPI"
EVENTS = {"open": "CIRCUIT_OPENED", "half-open": "CIRCUIT_HALF_OPENED", "closed": "CIRCUIT_CLOSED"}


@dataclass(slots=True)
class Remembered:
    """What one incarnation leaves to the next."""

    seen_seq: int = 0
    """The last approval that came here: one that comes again is not permitted again."""
    quiet_until_ns: int = 0
    """The exchange asked for a pause until then."""


class BreakerActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({ResetBreaker}))

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        settings = world.settings.breaker
        self.circuit = Circuit(CIRCUIT, fail_max=settings.fail_max, reset_timeout=settings.reset_timeout)
        self.remembered: Remembered = world.carry.setdefault(name, Remembered())

    def on_start(self) -> None:
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Approved():
                self._permit(message)
            case CallOutcome():
                self._outcome(message)
            case ResetBreaker():
                self._tell(self.circuit.reset())
            case _:
                raise TypeError(f"breaker does not understand {type(message).__name__}")
        self._publish()

    def bury(self, message: Any) -> None:
        if isinstance(message, Approved):
            self.tell(f"order.{message.order.symbol}", Orphan(message))

    def _permit(self, approved: Approved) -> None:
        if approved.seq <= self.remembered.seen_seq:
            return  # a crash of Audit's passed it on twice
        self.remembered.seen_seq = approved.seq
        now_ns = self.world.clock.monotonic_ns()
        if now_ns < max(self.remembered.quiet_until_ns, self.world.ports.exchange_figures().orders_held_until_ns):
            self._refuse(approved, "RATE_LIMIT")
            return
        allowed, changes = self.circuit.permit(approved.order.key, now_ns)
        self._tell(changes)
        if allowed:
            self.tell(f"order.{approved.order.symbol}", Permit(approved))
        else:
            self._refuse(approved, "CIRCUIT_OPEN")

    def _refuse(self, approved: Approved, reason: str) -> None:
        for order, client_order_id in approved.orders:
            meta = {"by": "thunes", "client_order_id": client_order_id, "order_id": 0}
            record = Record(
                "ORDER_REJECTED",
                symbol=order.symbol,
                side=order.side,
                reason=reason,
                correlation_id=order.correlation_id,
                metadata=meta | ({"leg": order.leg} if order.leg else {}),
            )
            self.tell("audit", record)

    def _outcome(self, outcome: CallOutcome) -> None:
        now_ns = self.world.clock.monotonic_ns()
        if outcome.made and outcome.retry_after:
            until_ns = now_ns + int(outcome.retry_after * 1e9)
            self.remembered.quiet_until_ns = max(self.remembered.quiet_until_ns, until_ns)
        if not outcome.made:
            self.circuit.withdraw(outcome.about)
        elif outcome.failed:
            self._tell(self.circuit.failed(outcome.about, now_ns))
        else:
            self._tell(self.circuit.succeeded(outcome.about))

    def _tell(self, changes: list[Transition]) -> None:
        for change in changes:
            self.world.log.warning("Circuit breaker %s state changed: %s -> %s", CIRCUIT, change.old, change.new)
            meta = {"breaker": CIRCUIT, "old": change.old, "new": change.new}
            self.tell("audit", Record(EVENTS[change.new], metadata=meta))

    def _publish(self) -> None:
        self.publish(BreakerFigures(CIRCUIT, self.circuit.state, self.circuit.trips))
