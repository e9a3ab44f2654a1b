"""What an exchange showed, off its recorded frames alone, and whether fills could have been had there.

Shares nothing with the product's own book, capture or matching: frames are read anew, levels are kept by update id.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thunes.domain.executions import NEW, TRADE, Execution, Order
from thunes.messages import OrderType, Side

ZERO = Decimal(0)
RISES = {(OrderType.STOP_LOSS, Side.BUY), (OrderType.STOP_LOSS_LIMIT, Side.BUY)} | {
    (OrderType.TAKE_PROFIT, Side.SELL),
    (OrderType.TAKE_PROFIT_LIMIT, Side.SELL),
}
"""What waits for the price to rise to its stop (rest-api.md, "New order")."""


class TooGood(AssertionError):
    """A fill that the frames do not allow."""


@dataclass(frozen=True)
class Print:
    """A public trade."""

    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


class RecordedBook:
    """The book by its frames, less what takers took from each level since a frame last named it."""

    def __init__(self) -> None:
        self.shown: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        """Bids under BUY, asks under SELL: whose orders rest there."""
        self._prices: dict[Side, list[Decimal]] = {Side.BUY: [], Side.SELL: []}
        self.taken: dict[tuple[Side, Decimal], Decimal] = {}
        self._depth_id = -1
        self._top: tuple[int, Decimal, Decimal] | None = None
        self._early: list[dict[str, Any]] = []

    def read(self, line: bytes) -> Print | None:
        """Take over one captured line; what was printed, if it was a trade."""
        frame = json.loads(line.partition(b" ")[2])
        if "stream" not in frame:
            self._snapshot(frame)
            return None
        data = frame["data"]
        if data.get("e") == "trade":
            return Print(Decimal(data["p"]), Decimal(data["q"]), data["m"])
        if self._depth_id < 0:
            self._early.append(data)
        elif data["u"] > self._depth_id:
            self._change(data)
        return None

    def _snapshot(self, frame: dict[str, Any]) -> None:
        self._depth_id = frame["lastUpdateId"]
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            self.shown[side] = {Decimal(price): Decimal(quantity) for price, quantity in frame[name]}
            self._prices[side] = sorted(self.shown[side])
        for data in self._early:
            if data["u"] > self._depth_id:
                self._change(data)

    def _change(self, data: dict[str, Any]) -> None:
        if data.get("e") == "depthUpdate":
            self._depth(data)
            return
        bid, ask = Decimal(data["b"]), Decimal(data["a"])
        self._top = data["u"], bid, ask
        for side, best, quantity in ((Side.BUY, bid, data["B"]), (Side.SELL, ask, data["A"])):
            while self._prices[side] and better(side, first := self.best(side), best):
                self._name(side, first, ZERO)
            self._name(side, best, Decimal(quantity))

    def _depth(self, data: dict[str, Any]) -> None:
        """A difference older than the best prices known says nothing of those, nor of what would beat them."""
        self._depth_id = data["u"]
        newer = self._top if self._top is not None and self._top[0] > data["u"] else None
        for side, name, best in ((Side.BUY, "b", newer and newer[1]), (Side.SELL, "a", newer and newer[2])):
            for price, quantity in ((Decimal(price), Decimal(quantity)) for price, quantity in data[name]):
                if best is None or better(side, best, price):
                    self._name(side, price, quantity)

    def _name(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        self.taken.pop((side, price), None)
        known = price in self.shown[side]
        if quantity and not known:
            insort(self._prices[side], price)
        elif known and not quantity:
            del self.shown[side][price], self._prices[side][bisect_left(self._prices[side], price)]
        if quantity:
            self.shown[side][price] = quantity

    def left(self, side: Side, price: Decimal) -> Decimal:
        """What is displayed there and nobody took."""
        return self.shown[side].get(price, ZERO) - self.taken.get((side, price), ZERO)

    def levels(self, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
        """What can be had of those who rest on `side`, best first."""
        prices = self._prices[side]
        for price in reversed(prices) if side is Side.BUY else prices:
            if (left := self.left(side, price)) > 0:
                yield price, left

    def best(self, side: Side) -> Decimal:
        return self._prices[side][-1 if side is Side.BUY else 0]

    def take(self, taker: Side, quantity: Decimal, worst: Decimal) -> Decimal:
        """Take the best there is and no worse than `worst`; the worst price that it came to. Raises TooGood."""
        rests, missing, price = other(taker), quantity, ZERO
        for price, left in self.levels(rests):
            if better(rests, worst, price):
                break
            part = min(left, missing)
            self.taken[rests, price] = self.taken.get((rests, price), ZERO) + part
            missing -= part
            if not missing:
                return price
        raise TooGood(f"{taker} of {quantity} at {worst} or better, where {quantity - missing} could be had")


def other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def better(side: Side, price: Decimal, than: Decimal) -> bool:
    """Whether an order that rests on `side` at `price` goes before one at `than`."""
    return price > than if side is Side.BUY else price < than


@dataclass
class Waiting:
    """An order in the queue at its price."""

    order: Order
    ahead: Decimal


class Audit:
    """Follows frames and executions, and raises TooGood at the first fill that beats what was shown."""

    def __init__(self) -> None:
        self.book = RecordedBook()
        self.resting: dict[int, Waiting] = {}
        self.stops: dict[int, Order] = {}
        self.seen: dict[str, int] = {"taken": 0, "resting, by the book": 0, "resting, by the tape": 0, "triggered": 0}
        self.queued: Decimal = ZERO
        """What stood ahead of resting orders when they came."""

    def market(self, lines: Iterable[bytes], executions: Iterable[Execution]) -> None:
        """Frames that came, and what the engine did at the last of them."""
        printed = None
        for line in lines:
            printed = self.book.read(line)
            if printed is not None:
                reach = {Side.BUY: printed.quantity, Side.SELL: printed.quantity}
        for each in executions:
            if each.kind == NEW:
                self._triggered(each.order, printed)
            elif each.fill is None:
                self._over(each)
            elif not each.fill.is_maker:
                self._taken(each)
            elif printed is None:
                self._by_the_book(each)
            else:
                self._by_the_tape(each, printed, reach)
        if printed is not None:
            self._move_up(printed)

    def asked(self, executions: Iterable[Execution]) -> None:
        """What came of an order or a cancel, between two frames."""
        for each in executions:
            order = each.order
            if each.kind == NEW:
                self._opened(order)
            elif each.kind == TRADE:
                self._taken(each)
            else:
                self._over(each)

    def _opened(self, order: Order) -> None:
        if order.waits:
            self.stops[order.order_id] = order
        elif order.price:
            self._queue(order)

    def _queue(self, order: Order) -> None:
        """What is displayed at its price when it comes goes before it."""
        ahead = self.book.left(order.side, order.price)
        self.resting[order.order_id] = Waiting(order, ahead)
        self.queued += ahead

    def _over(self, each: Execution) -> None:
        self.resting.pop(each.order.order_id, None)
        self.stops.pop(each.order.order_id, None)

    def _triggered(self, order: Order, printed: Print | None) -> None:
        stop = self.stops.pop(order.order_id)
        rises = (stop.order_type, stop.side) in RISES
        if printed is None or (printed.price < stop.stop_price if rises else printed.price > stop.stop_price):
            raise TooGood(f"order {order.order_id} went off at {printed}, its stop is {stop.stop_price}")
        self.seen["triggered"] += 1
        if order.price:
            self._queue(order)

    def _taken(self, each: Execution) -> None:
        """A taker pays what the best levels left asked, not more and not less."""
        order, fill = each.order, each.fill
        assert fill is not None
        if order.price and better(order.side, fill.price, order.price):
            raise TooGood(f"order {order.order_id} at {order.price} paid {fill.price}")
        worst = self.book.take(order.side, fill.quantity, fill.price)
        assert worst == fill.price, f"order {order.order_id} paid {fill.price} where {worst} could be had"
        self.seen["taken"] += 1
        self._filled(order)

    def _by_the_book(self, each: Execution) -> None:
        """At its own price, against what the other side shows at it or beyond."""
        order, fill = each.order, each.fill
        assert fill is not None
        self._at_its_price(order, fill.price)
        self.book.take(order.side, fill.quantity, order.price)
        self.seen["resting, by the book"] += 1
        self._filled(order)

    def _by_the_tape(self, each: Execution, printed: Print, reach: dict[Side, Decimal]) -> None:
        """At its own price, by what was traded beyond it, or at it after all that stood ahead."""
        order, fill = each.order, each.fill
        assert fill is not None
        self._at_its_price(order, fill.price)
        waiting = self.resting[order.order_id]
        could = reach[order.side]
        if not better(order.side, order.price, printed.price):
            same_side = printed.buyer_is_maker is (order.side is Side.BUY)
            at_it = printed.price == order.price and same_side
            could = min(could, max(ZERO, printed.quantity - waiting.ahead)) if at_it else ZERO
        if fill.quantity > could:
            raise TooGood(f"order {order.order_id}: {fill.quantity} of {printed}, {waiting.ahead} stood ahead of it")
        reach[order.side] -= fill.quantity
        self.seen["resting, by the tape"] += 1
        self._filled(order)

    def _at_its_price(self, order: Order, price: Decimal) -> None:
        if price != order.price:
            raise TooGood(f"order {order.order_id} rests at {order.price} and was filled at {price}")

    def _filled(self, order: Order) -> None:
        if not order.status.is_open:
            self.resting.pop(order.order_id, None)

    def _move_up(self, printed: Print) -> None:
        """What traded stands ahead no more: all of it where the trade went beyond."""
        for waiting in self.resting.values():
            order = waiting.order
            if better(order.side, order.price, printed.price):
                waiting.ahead = ZERO
            elif printed.price == order.price and printed.buyer_is_maker is (order.side is Side.BUY):
                waiting.ahead = max(ZERO, waiting.ahead - printed.quantity)
