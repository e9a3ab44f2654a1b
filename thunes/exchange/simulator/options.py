"""What an embedded exchange is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thunes.exchange.simulator.connections import ConnectionSettings
from thunes.exchange.simulator.exchange import Fees
from thunes.exchange.simulator.limits import LimitSettings
from thunes.exchange.simulator.live_source import LiveSettings
from thunes.exchange.simulator.source_protocol import LIVE, SYNTHETIC


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong: faults armed at the start, and `rate` more a wall second, drawn from `seed`."""

    faults: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    rate: float = 0.0
    seed: int = 1
    control_port: int | None = None
    """Where more can be armed; 0: any port that is free, None: nowhere."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a request and its answer are under way: a log-normal distribution in wall seconds.

    At speed 0 there is none: the market has no pace there that a second of the wall could be compared with.
    """

    median_s: float = 0.05
    spread: float = 0.5
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What an embedded exchange plays, and how. `home` is the root of what it writes; `balance` is in USDT."""

    home: Path
    port: int = 0
    metrics_port: int | None = None
    """Where Prometheus may read; 0: any port that is free, None: nowhere."""
    source: str = SYNTHETIC
    seed: int = 1
    speed: float | None = None
    """None: 60 for the synthetic market, 1 for a recording."""
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    trend: float = 1.0
    fee: Decimal = Decimal("0.001")
    maker_fee: Decimal | None = None
    """None: `fee`, and so for the taker's."""
    taker_fee: Decimal | None = None
    queue_ahead: Decimal = Decimal(1)
    """How much of what is displayed at its price is ahead of an order that comes to rest there."""
    balance: Decimal = Decimal(10_000)
    key_may_withdraw: bool = False
    """Whether the account's key says so of itself; nothing can be withdrawn here."""
    public_key: Ed25519PublicKey | None = None
    """The account's key is an Ed25519 one, registered with this; its secret then signs nothing."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    """Where the source `live` is."""
    delay: Delay = field(default_factory=Delay)
    trouble: Trouble = field(default_factory=Trouble)

    @property
    def played_speed(self) -> float:
        if self.speed is not None:
            return self.speed
        return 60.0 if self.source == SYNTHETIC else 1.0

    @property
    def fees(self) -> Fees:
        maker, taker = self.maker_fee, self.taker_fee
        return Fees(self.fee if maker is None else maker, self.fee if taker is None else taker)

    def identity(self) -> dict[str, Any]:
        """What a database is bound to: a place in one market means nothing in another."""
        if self.source == LIVE:
            return {"source": LIVE, "symbols": ",".join(self.symbols)}
        synthetic = self.source == SYNTHETIC
        return {
            "source": SYNTHETIC if synthetic else str(Path(self.source).resolve()),
            "seed": self.seed,
            "symbols": ",".join(self.symbols),
            **({"trend": self.trend} if synthetic else {}),
        }
