"""What actors tell each other inside the house; `thunes.messages` has what the world may say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from thunes.domain.journal import AuditEvent
from thunes.domain.market import OrderAnswer
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Candle, SubmitOrder
from thunes.strategies.base import Holding


@dataclass(frozen=True, slots=True)
class Approved:
    """An order that may go, and the journal has it: whoever reads this may act on it."""

    order: SubmitOrder
    epoch: int
    client_order_id: str
    seq: int = 0
    """Its line in the journal: who has acted on it once knows it when it comes again."""
    profit_id: str = ""
    """The client order id of the sale beside a stop, which the same line allows."""

    @property
    def orders(self) -> tuple[tuple[SubmitOrder, str], ...]:
        """All that it lets go, in one request, each with its client order id: one order, or a stop and its sale."""
        main, profit = (self.order, self.client_order_id), self.order.profit
        return (main,) if profit is None else (main, (profit, self.profit_id))


@dataclass(frozen=True, slots=True)
class Orphan:
    """Whoever had this approval in hand died: it may have been passed on, or not."""

    approved: Approved


@dataclass(frozen=True, slots=True)
class Permit:
    """The circuit lets this approval's request be made, once."""

    approved: Approved


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How one request to the exchange went, for the circuit and the budgets.

    `failed` counts against the circuit; `made` is false when a permit was not used. `about` is the key of the
    order that the request was about: a trial ends with the first outcome about the order that it was given for.
    """

    about: str
    failed: bool
    made: bool = True
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Journaled:
    """These events are durable, in order."""

    events: tuple[AuditEvent, ...]


@dataclass(frozen=True, slots=True)
class Flush:
    """Tell `Flushed` to `reply_to` once all that was told before is durable and passed on."""

    reply_to: str
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Flushed:
    """`incarnation` is whose flush it was: its replacement asks for itself."""

    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """The system is stopping: nothing new is approved or sent, open orders are cancelled."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Whether account, open orders and books agree."""

    agreed: bool
    why: str = ""
    lasting: bool = False
    """They differ, and nothing has repaired it for some time."""


@dataclass(frozen=True, slots=True)
class TellHolding:
    """Tell this symbol's strategy what it holds."""

    symbol: str


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """What an order's event did to the holding; `ended` when the order changes no more."""

    holding: Holding | None
    correlation_id: str | None = None
    event: str = ""
    reason: str | None = None
    ended: bool = False
    under_way: tuple[str, ...] | None = None
    """After risk has read its books anew: the correlation ids of the symbol's orders that have not ended."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a socket received, not yet decoded."""

    data: bytes
    received_ns: int


@dataclass(frozen=True, slots=True)
class SocketOpened:
    generation: int


@dataclass(frozen=True, slots=True)
class SocketClosed:
    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Time to try a connection again."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Time to ask again for what was missed."""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """Time to look whether anything still comes."""


@dataclass(frozen=True, slots=True)
class History:
    """Closed candles that no socket brought: at the start, or missed while away. Oldest first."""

    candles: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Time to ask the exchange about an order of unknown fate."""

    key: str


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """This order is not wanted any more; where it was not sent yet, `reason` is why it never will be."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Time for what an actor does at regular intervals."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Time to start a child whose restart was put off."""

    name: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop the tree in order."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The cancels had their time: stop the children now."""


@dataclass(frozen=True, slots=True)
class OverDue:
    """A child was given this long to drain."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class LookForHung:
    """Time to look whether a handler hangs."""


@dataclass(frozen=True, slots=True)
class Fatal:
    """Something outside the tree failed beyond repair."""

    why: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The exchange answered a request about an order."""

    key: str
    answer: OrderAnswer
    took_ns: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange refused a request about an order."""

    key: str
    error: ExchangeError


@dataclass(frozen=True, slots=True)
class Lost:
    """A request about an order has no answer: its fate is unknown."""

    key: str
    error: NetworkError


WireReply: TypeAlias = Answered | Refused | Lost


class Request(StrEnum):
    """What was asked of the exchange about an order."""

    PLACE = "place"
    BESIDE = "beside"
    """To place the second order of the same request: the first one's reply tells the circuit how the call went."""
    QUERY = "query"
    FILLS = "fills"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Replied:
    """What became of a request to the exchange about an order, whenever it comes."""

    request: Request
    reply: WireReply


@dataclass(frozen=True, slots=True)
class Again:
    """Time for another try."""


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Time to look what may be told now."""


@dataclass(frozen=True, slots=True)
class StreamMissing:
    """This stream has been away for as long as people need not know of."""

    stream: str


@dataclass(frozen=True, slots=True)
class Summarise:
    """Time to sum up the day that has ended."""
