"""One symbol of the embedded exchange: its rules, the public book and tape, and the users' orders that rest on it."""

from __future__ import annotations

from decimal import Decimal

from thunes.domain.executions import Order
from thunes.domain.filters import EIGHT_PLACES, EXACT, ZERO, SymbolRules
from thunes.domain.orderbook import OrderBook
from thunes.domain.resting import RestingOrders
from thunes.domain.tape import Tape

DEFAULT_MINUTES = 5


class SymbolMarket:
    """What the matching engine keeps of a symbol."""

    __slots__ = ("book", "halted", "resting", "rules", "tape", "waiting")

    def __init__(self, rules: SymbolRules) -> None:
        self.rules = rules
        self.book = OrderBook()
        self.halted = False
        """Whether the book is not known to be the market's: nothing trades until the next snapshot."""
        self.tape = Tape(rules.avg_price_minutes or rules.percent_price_minutes or DEFAULT_MINUTES)
        self.resting = RestingOrders()
        self.waiting: dict[int, None] = {}
        """Ids of the orders that wait for their stop price, oldest first."""

    def add(self, order: Order) -> None:
        """An open order waits for its stop price, or rests."""
        if order.waits:
            self.waiting[order.order_id] = None
        else:
            self.resting.add(order)

    def remove(self, order: Order) -> None:
        """What `add` did, undone."""
        if order.waits:
            del self.waiting[order.order_id]
        else:
            self.resting.remove(order)

    def last_price(self) -> Decimal:
        """Of the newest public trade; before the first, the middle of the book or its only side; else 0."""
        if self.tape.last_price:
            return self.tape.last_price
        known = [price for price in (self.book.bids.best, self.book.asks.best) if price is not None]
        return sum(known, ZERO) / len(known) if known else ZERO

    def average_price(self) -> Decimal:
        """Volume-weighted over the symbol's minutes of public trades, to 8 decimals; before the first, `last_price`."""
        return EXACT.quantize(self.tape.average_price() or self.last_price(), EIGHT_PLACES)
