"""TREE: the whole system as one value, and the one way to start it.

Children start left to right and stop right to left, so that whoever tells is younger than whoever is told: the streams
come last and go first, the journal and the books come first and go last.
"""

from __future__ import annotations

from dataclasses import replace

from actors.account import AccountStreamActor
from actors.alert import AlertActor
from actors.audit import AuditActor
from actors.books import BooksActor
from actors.breaker import BreakerActor
from actors.metrics import MetricsActor
from actors.order import OrderActor
from actors.reconciler import ReconcilerActor
from actors.risk import RiskActor
from actors.runtime.actor import Actor
from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.threads import Signal
from actors.strategy import StrategyActor
from actors.stream import StreamActor
from actors.supervisor import SupervisorActor
from actors.world import World
from thunes.domain.supervision import ChildSpec, Restart, Tree
from thunes.messages import Record

ONCE: tuple[tuple[str, type[Actor]], ...] = (
    ("alert", AlertActor),
    ("books", BooksActor),
    ("metrics", MetricsActor),
    ("audit", AuditActor),
    ("risk", RiskActor),
    ("breaker", BreakerActor),
)
BEFORE_STREAMS: tuple[tuple[str, type[Actor]], ...] = (("reconciler", ReconcilerActor),)
A_SYMBOL: tuple[tuple[str, type[Actor]], ...] = (("strategy", StrategyActor), ("stream", StreamActor))


def tree(symbols: tuple[str, ...]) -> Tree:
    """The child specs for these symbols."""
    children = [child(name, actor, shutdown=4.0 if actor is AlertActor else 2.0) for name, actor in ONCE]
    children += [child(f"order.{symbol}", OrderActor, shutdown=4.0) for symbol in symbols]
    children += [child(name, actor) for name, actor in BEFORE_STREAMS]
    children.append(child("stream.account", AccountStreamActor))
    children += [child(f"{kind}.{symbol}", actor) for kind, actor in A_SYMBOL for symbol in symbols]
    return Tree(tuple(children))


def child(name: str, actor: type[Actor], shutdown: float = 2.0) -> ChildSpec:
    return ChildSpec(name, actor, Restart.PERMANENT, actor.mailbox_policy, shutdown)


def _policy(world: World, spec: ChildSpec) -> MailboxPolicy:
    policy: MailboxPolicy = spec.mailbox
    return policy if policy.limit is None else replace(policy, limit=world.settings.stream.queue_size)


def plant(world: World, specs: Tree, birth: Record) -> tuple[Signal, Signal]:
    """Make every mailbox, start the supervisor, and return what it says: ready, and ended (with why, if it failed).

    `birth` is the journal's first line of this run: it is queued before any actor lives, so that whatever an actor
    reads back at its start comes after it.
    """
    for spec in specs.children:
        world.post.register(spec.name, _policy(world, spec))
    world.post.register("supervisor", SupervisorActor.mailbox_policy)
    world.post.tell("audit", birth)
    ready, ended = Signal(), Signal()
    SupervisorActor.start(world, "supervisor", specs, ready, ended)
    return ready, ended
