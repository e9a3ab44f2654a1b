"""Who is told of what, and when again after it failed: a pure core, one for all channels.

A channel is `telegram:CHAT`, `webhook` or `email`. One message at a time is under way on each, so that alerts arrive in
order. The last two are second channels: they hear what is critical, once Telegram has failed for a while, or at once
where there is no chat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time

from thunes.alerts.alert import Alert, Due, Level, Outcome

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
REFUSED_WAIT_S = 300.0
"""A chat that will not hear is asked again this often: the operator may mend that."""
SIGNS = {
    Level.INFO: "\N{INFORMATION SOURCE}",
    Level.WARNING: "\N{WARNING SIGN}",
    Level.CRITICAL: "\N{POLICE CARS REVOLVING LIGHT}",
}


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another, UTC, over midnight if need be; equal ends mean never."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours | None:
        """Of `22:00-07:00`; None of the empty text. ValueError for anything else."""
        if not text:
            return None
        start, dash, end = text.partition("-")
        if not dash:
            raise ValueError(f"{text!r} is no span of hours; write it as 22:00-07:00")
        return cls(_time_of_day(start), _time_of_day(end))

    def holds(self, now: datetime) -> bool:
        at = now.astimezone(UTC).time()
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def _time_of_day(text: str) -> time:
    hours, colon, minutes = text.strip().partition(":")
    if not colon or not (hours + minutes).isdecimal() or len(minutes) != 2:
        raise ValueError(f"{text.strip()!r} is no time of day; write it as 22:00")
    return time(int(hours), int(minutes))


@dataclass(slots=True)
class Line:
    """How it goes on one channel."""

    under_way: tuple[int, ...] = ()
    failures: int = 0
    not_before_ns: int = 0


@dataclass(slots=True)
class Delivery:
    """`chats` and their levels hear first; `second` are the channels for when they do not."""

    chats: Mapping[str, Level]
    second: Sequence[str]
    quiet: QuietHours | None
    chance: Callable[[], float]
    lines: dict[str, Line] = field(default_factory=dict)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def channels(self) -> tuple[str, ...]:
        return (*self.chats, *self.second)

    def audience(self, alert: Alert) -> tuple[str, ...]:
        """The channels that the alert is due on from the beginning."""
        if not self.chats and alert.level >= Level.CRITICAL:
            return tuple(self.second)
        return tuple(chat for chat, level in self.chats.items() if alert.level >= level)

    def least(self, channel: str, now: datetime) -> Level:
        """What the channel may be told of now: in quiet hours a chat hears only what is critical; the rest waits."""
        silent = self.quiet is not None and channel in self.chats and self.quiet.holds(now)
        return Level.CRITICAL if silent else Level.INFO

    def may_send(self, channel: str, now_ns: int) -> bool:
        line = self._line(channel)
        return not line.under_way and now_ns >= line.not_before_ns

    def sending(self, channel: str, numbers: tuple[int, ...]) -> None:
        self._line(channel).under_way = numbers

    def ended(self, outcome: Outcome, now_ns: int) -> float:
        """Seconds until the channel may be told again: 0 when it was told, else as it asked, or longer each time."""
        line = self._line(outcome.channel)
        line.under_way = ()
        self.sent[outcome.channel.partition(":")[0], outcome.kind] += 1
        if outcome.done:
            line.failures = line.not_before_ns = 0
            return 0.0
        line.failures += 1
        wait = outcome.wait_s or self._backoff(line.failures, outcome.kind)
        line.not_before_ns = now_ns + int(wait * 1e9)
        return wait

    def under_way(self) -> bool:
        return any(line.under_way for line in self.lines.values())

    def _line(self, channel: str) -> Line:
        return self.lines.setdefault(channel, Line())

    def _backoff(self, failures: int, kind: str) -> float:
        """Doubling, with a part left to chance, so that several systems do not come back together."""
        longest = REFUSED_WAIT_S if kind == "refused" else LONGEST_WAIT_S
        wait = min(longest, FIRST_WAIT_S * 2.0 ** min(failures - 1, 20))
        return wait * (0.75 + 0.5 * self.chance())


def text_of(dues: Sequence[Due]) -> str:
    """What the channel reads: a paragraph for each alert, with its count where it stands for several."""
    return "\n".join(_paragraph(due) for due in dues)


def _paragraph(due: Due) -> str:
    times = f" ({due.count} times since {_clock(due.first_ms)})" if due.count > 1 else ""
    return f"{SIGNS[due.level]} {_clock(due.last_ms)} {due.text}{times}"


def _clock(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%d.%m. %H:%M:%S")
