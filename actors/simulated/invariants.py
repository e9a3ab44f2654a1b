"""What must hold in every simulated system after every step: each invariant with a name and a sentence.

`Invariants` hears of what becomes durable, of what is handed to the wire and of what the exchange takes, keeps books of
its own from that, and takes down each violation; it raises nothing, because a failure inside an actor would look like a
crash that the supervisor mends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from actors.runtime.simulation import ParkingMailbox
from actors.simulated.exchange import SimulatedExchange
from actors.world import World
from thunes.domain.books import FILLS, KILL_SWITCH, ZERO, Books, has_ended, let_go
from thunes.domain.journal import GENESIS, AuditEvent
from thunes.domain.orders import OrderState
from thunes.domain.undecided import DECISIONS
from thunes.messages import Side, SubmitOrder

MOST_QUEUED = 5_000

SENTENCES: Mapping[str, str] = {
    "durable approval": "No order is handed to the wire without its approval on the disk.",
    "no order twice": "No client order id is handed to the wire twice, or taken by the exchange twice.",
    "not taken is not taken": "No order that ended as rejected, or as not found, was or is ever taken by the exchange.",
    "positions are fills": "Every fill in the journal is one of the exchange's, once, and the balances are their sum.",
    "limits": "No approval exceeds a limit, what is under way included.",
    "one decision": "Every intent has exactly one decision, and every decision an intent.",
    "kill holds": "After a kill's acknowledgement, or under its marker, no BUY is handed to the wire before a resume.",
    "chain": "The journal's lines follow each other in seq and hash, and verify at the end.",
    "no message lost": "Each mailbox accounts for every message that was put into it.",
    "one incarnation": "No name is served by two actors at once.",
    "bounded": "No mailbox holds more than its limit.",
    "people are told": "Of every fill in the journal the operator's chat hears, whatever fails and dies in between.",
    "ends quiet": "When nothing goes wrong any more, nothing stays under way, and books and exchange agree.",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold, and how that showed."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {SENTENCES[self.name]} {self.detail}"


class Invariants:
    """The books of one simulated home, across the processes that serve it."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.violations: list[Violation] = []
        self.books = Books()
        self.allowed: set[str] = set()
        """Client order ids that a line on the disk lets go."""
        self.decided: set[str] = set()
        self.events: Counter[str] = Counter()
        self._exchange = exchange
        self._exchange.reached = self._reached
        self._intents: set[str] = set()
        self._placed: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._not_taken: set[str] = set()
        """Client order ids of which a line says that the exchange has never taken them."""
        self._journalled: set[tuple[str, int]] = set()
        self._sums: dict[str, Decimal] = {}
        self.head = GENESIS
        self._approvals_ns: list[int] = []
        self._killed = False
        """Whether a kill holds on the disk."""
        self.acknowledged = False

    def new_process(self, world: World) -> None:
        """Another process serves the home: its mailboxes and actors are new."""
        self.world = world
        self.acknowledged = False
        self._approvals_ns.clear()

    def violated(self, name: str, detail: str) -> None:
        self.violations.append(Violation(name, detail))

    # --- what happens ---

    def told(self, message: Any) -> None:
        """Somebody told risk something."""
        if type(message) is SubmitOrder:
            self._intents.add(message.correlation_id)

    def durable(self, event: AuditEvent) -> None:
        """A line is on the disk."""
        self.events[event.event] += 1
        if event.seq != self.books.seq + 1 or event.prev_hash != self.head:
            self.violated("chain", f"seq {event.seq} follows {self.books.seq}.")
        self.head = event.hash
        if event.event in DECISIONS:
            self._decision(event)
        self.allowed.update(order.client_order_id for order in let_go(event))
        if event.event in FILLS:
            self._fill(event)
        elif event.event in ("ORDER_REJECTED", "ORDER_RESOLVED"):
            self._resolved(event)
        elif event.event in KILL_SWITCH:
            self._switched(event)
        self.books.apply(event)
        if event.event in FILLS and self.books.opening is not None:
            self._compare_sums()
        if event.event == "SYSTEM_STARTED" and not self._sums:
            self._sums = dict(self.books.opening or {})

    def placing(self, state: OrderState) -> None:
        """An OrderActor hands an order to the wire."""
        self._placed[state.client_order_id] += 1
        if state.client_order_id not in self.allowed:
            self.violated("durable approval", f"{state.client_order_id} was sent.")
        if self._placed[state.client_order_id] > 1:
            self.violated("no order twice", f"{state.client_order_id} was handed to the wire again.")
        if state.side is Side.BUY and ((self._killed and self.acknowledged) or self.world.home.kill_active()):
            self.violated("kill holds", f"{state.client_order_id} of epoch {state.epoch} was sent.")

    def _reached(self, client_order_id: str) -> None:
        self._taken[client_order_id] += 1
        if self._taken[client_order_id] > 1:
            self.violated("no order twice", f"the exchange took {client_order_id} again.")
        if client_order_id in self._not_taken:
            self.violated("not taken is not taken", f"the exchange took {client_order_id} after all.")

    def _resolved(self, event: AuditEvent) -> None:
        if not has_ended(event):
            return
        client_order_id = event.metadata["client_order_id"]
        self._not_taken.add(client_order_id)
        if self._taken[client_order_id]:
            self.violated("not taken is not taken", f"{event.event} of {client_order_id}, which the exchange has.")

    def _switched(self, event: AuditEvent) -> None:
        if int(event.metadata["epoch"]) <= self.books.epoch:
            self.violated("kill holds", f"{event.event} begins no new epoch after {self.books.epoch}.")
        self._killed = event.event == "KILL_SWITCH_ACTIVATED"
        self.acknowledged = False

    def _decision(self, event: AuditEvent) -> None:
        cid = event.correlation_id or ""
        if cid in self.decided:
            self.violated("one decision", f"{cid} was decided again: {event.event}.")
        if cid not in self._intents:
            self.violated("one decision", f"nobody asked for {cid}.")
        self.decided.add(cid)
        if event.event == "TRADE_APPROVED" and event.side is Side.BUY:
            self._check_limits(event)

    def _check_limits(self, event: AuditEvent) -> None:
        """On the books as they were when this line was written, which is later than when risk decided."""
        limits, books = self.world.settings.risk, self.books
        meta = event.metadata
        notional = Decimal(meta["quantity"]) * max(Decimal(meta["reference_price"]), Decimal(meta.get("price") or 0))
        buys = [order for order in books.orders.values() if order.side == Side.BUY]
        slots = {p.symbol for p in books.open_positions} | {order.symbol for order in buys} | {event.symbol}
        if len(slots) > limits.max_positions:
            self.violated("limits", f"{sorted(map(str, slots))} are more than {limits.max_positions} positions.")
        exposure = sum((p.cost for p in books.open_positions), ZERO) + sum((o.notional for o in buys), ZERO)
        if exposure + notional > limits.max_exposure:
            self.violated("limits", f"{exposure + notional} is more than may be exposed.")
        if notional > limits.max_notional:
            self.violated("limits", f"{notional} is more than one order may be worth.")
        if event.symbol in {order.symbol for order in buys}:
            self.violated("limits", f"two entries in {event.symbol} at once.")
        now_ns = self.world.clock.monotonic_ns()
        self._approvals_ns = [ns for ns in self._approvals_ns if now_ns - ns < 59_000_000_000] + [now_ns]
        if len(self._approvals_ns) > limits.max_orders_per_minute:
            self.violated("limits", "more approvals in a minute than are allowed.")

    def _fill(self, event: AuditEvent) -> None:
        meta, symbol = event.metadata, event.symbol or ""
        key = (symbol, int(meta["trade_id"]))
        true = self._exchange.fills.get(key)
        same = true is not None and (true[0], true[1].quantity, true[1].price, true[1].commission) == (
            meta["client_order_id"],
            Decimal(meta["quantity"]),
            Decimal(meta["price"]),
            Decimal(meta["commission"]),
        )
        if not same:
            self.violated("positions are fills", f"the exchange made no fill {key} like seq {event.seq}.")
        if key in self._journalled:
            self.violated("positions are fills", f"fill {key} is in the journal twice.")
        self._journalled.add(key)
        if true is not None:
            rules, fill, sign = self._exchange.rules[symbol], true[1], 1 if event.side is Side.BUY else -1
            for asset, amount in (
                (rules.base, sign * fill.quantity),
                (rules.quote, -sign * fill.quote_quantity),
                (fill.commission_asset, -fill.commission),
            ):
                self._sums[asset] = self._sums.get(asset, ZERO) + amount

    def _compare_sums(self) -> None:
        if self._sums != self.books.balances:
            self.violated("positions are fills", f"{self.books.balances} is not the sum of fills {self._sums}.")

    # --- after every step ---

    def after_step(self, name: str) -> None:
        box = self.world.post.boxes.get(name)
        if isinstance(box, ParkingMailbox):
            queued = len(box)
            if box.puts != box.gets + queued + box.conflated + box.overflow:
                self.violated("no message lost", f"{name}: {box.puts} put, {box.gets} read, {queued} queued.")
            limit = box.policy.limit
            if queued > (limit or MOST_QUEUED) and not self._may_hold_more(box):
                self.violated("bounded", f"{name} holds {queued}.")
        if self._exchange.scheduler.overlaps:
            self.violated("one incarnation", f"{self._exchange.scheduler.overlaps} had two.")
        if self._killed and not self.acknowledged:
            figures = self.world.board.figures
            orders = [figures.get(f"order.{symbol}") for symbol in self.world.symbols]
            self.acknowledged = all(o is not None and o.epoch >= self.books.epoch for o in orders)

    def _may_hold_more(self, box: ParkingMailbox) -> bool:
        """What steers an actor, and what may never be dropped, does not count against the limit."""
        limit = box.policy.limit
        return limit is not None and (
            len(box._queue) <= limit or all(box.policy.essential(letter.message) for letter in box._queue)
        )

    # --- at the end ---

    def at_the_end(self, process_died: bool) -> None:
        """Nothing goes wrong any more and all has been given its time."""
        missing = self._intents - self.decided
        if missing and not process_died:
            self.violated("one decision", f"{sorted(missing)[:3]} have none.")
        if why := self.unrest():
            self.violated("ends quiet", why)

    def unrest(self) -> str:
        """What has not come to rest, or is not as the exchange has it, in words; empty when all is well."""
        left = [order.client_order_id for order in self.books.orders.values() if not order.leg]
        if left:
            return f"{left} have not ended."
        true = self._exchange.balances()
        if {a: true[a] for a in self.books.balances} != self.books.balances:
            return f"the books say {self.books.balances}, the exchange {true}."
        stops = sorted(order.client_order_id for order in self.books.orders.values())
        resting = sorted(self._exchange.open_ids())
        if stops != resting:
            return f"the stops {stops} are under way, and at the exchange {resting}."
        return ""
