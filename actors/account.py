"""AccountStreamActor (`stream.account`): what the exchange says of our orders, as it happens.

Receives Frame, SocketOpened, SocketClosed, Reconnect. Tells OrderActor each execution report, Reconciler to compare on
every connection, Audit connections and losses. A crash loses the frames on their way: the comparison finds them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, TypeAlias

from actors.connection import Connection
from actors.protocol import Frame, OpenSocket, SocketClosed, SocketOpened
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.world import World
from thunes.domain.figures import StreamFigures
from thunes.domain.market import AccountChanged, ExecutionReport
from thunes.errors import MarketDataError
from thunes.exchange.account_frames import StreamTerminated, decode_account
from thunes.exchange.frames import ServerShutdown
from thunes.messages import Reconcile, Reconnect, Record

Received: TypeAlias = Frame | SocketOpened | SocketClosed | OpenSocket | Reconnect


class AccountStreamActor(Actor):
    mailbox_policy: ClassVar = MailboxPolicy(control=frozenset({Reconnect}))

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.connection = Connection(self, world.ports.account_socket, label="account", symbol=None)
        self.last_frame_ns = 0
        self.rejected: Counter[str] = Counter()

    def on_start(self) -> None:
        self.connection.open()
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Frame():
                self._frame(message)
            case SocketOpened(generation):
                self._opened(generation)
            case SocketClosed(generation, why):
                self.connection.closed(generation, why)
            case OpenSocket():
                self.connection.open()
            case Reconnect(_, source):
                self.connection.reconnect(source)
            case _:
                raise TypeError(f"{self.name} does not understand {type(message).__name__}")
        self._publish()

    def on_stop(self) -> None:
        self.connection.drop()

    def on_failure(self, *_error: Any) -> None:
        self.connection.drop()

    def _opened(self, generation: int) -> None:
        if self.connection.opened(generation):
            self.tell("reconciler", Reconcile("account stream connected"))

    def _frame(self, frame: Frame) -> None:
        self.last_frame_ns = frame.received_ns
        try:
            decoded = decode_account(frame.data)
        except MarketDataError as error:
            self.rejected[error.kind] += 1
            meta = {"stream": "account", "what": "frame", "kind": error.kind, "why": str(error)}
            self.tell("audit", Record("STREAM_GAP", metadata=meta))
            self.tell("reconciler", Reconcile("an account frame could not be read"))
            return
        match decoded:
            case ExecutionReport() if decoded.symbol in self.world.symbols:
                self.tell(f"order.{decoded.symbol}", decoded)
            case AccountChanged(event):
                self.tell("reconciler", Reconcile(f"the account stream told of a {event}"))
            case StreamTerminated() | ServerShutdown():
                self.connection.reconnect("the exchange")

    def _publish(self) -> None:
        self.publish(
            StreamFigures(
                symbol="account",
                connected=self.connection.connected,
                last_frame_ns=self.last_frame_ns,
                reconnects=self.connection.reconnects,
                rejected=dict(self.rejected),
            )
        )
