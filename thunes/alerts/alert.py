"""Something that people are told, how urgently, and by whom it is heard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The higher, the more urgent; a chat hears from its own level upwards."""

    INFO = 10
    WARNING = 20
    CRITICAL = 30


@dataclass(frozen=True, slots=True)
class Alert:
    """`key` says what it is about, as `TOPIC` or `TOPIC:state`.

    While one waits to be told, the next of its key is counted with it, unless its topic changed its state in between.
    `hold_s` is how long it waits for such company, in wall time, before it is told at all.
    """

    level: Level
    key: str
    text: str
    hold_s: float = 0.0
    picture: bytes | None = None
    """A PNG that goes with it."""


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that a channel has not had: the newest text of its key, and how many it stands for."""

    number: int
    level: Level
    text: str
    count: int
    first_ms: int
    last_ms: int
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How telling a channel went. Not `done`: it has to be told again, `wait_s` from now at the earliest."""

    channel: str
    numbers: tuple[int, ...]
    done: bool
    kind: str
    """sent, or why not in a word for the metrics: limited, refused, failed."""
    why: str = ""
    wait_s: float = 0.0
