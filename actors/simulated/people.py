"""The people of a simulated system: chats that are slow, away or lose their answers, and what each was told."""

from __future__ import annotations

from random import Random

from actors.runtime.simulation import Scheduler
from thunes.alerts.alert import Alert, Level, Outcome
from thunes.alerts.outbox import Outbox

CHAT = "telegram:1"
SECOND = "webhook"
SLOWEST_S = 2.0
FAILING = 0.2
"""Of all messages, those that fail; of half of these only the answer is lost."""


class Kept(Outbox):
    """In memory, and so the one of every process: what was kept stays, what was under way does not."""

    def close(self) -> None:
        self._under_way.clear()


class People:
    """The messenger and the outbox of one home, process after process (`actors.world.Messenger`)."""

    def __init__(self, scheduler: Scheduler, rng: Random) -> None:
        self.chats: tuple[str, ...] = (CHAT,)
        self.second: tuple[str, ...] = (SECOND,)
        self.ignored = 0
        self.failing = FAILING
        self.heard: dict[int, str] = {}
        """What the chat was told, by the alert's number."""
        self._scheduler = scheduler
        self._random = rng
        self._outbox = Kept("file:outbox?mode=memory")

    def open_outbox(self) -> Outbox:
        self._outbox.close()
        return self._outbox

    def close(self) -> None:
        Outbox.close(self._outbox)

    def start(self) -> None:
        """Nothing runs by itself here."""

    def send(self, channel: str, numbers: tuple[int, ...], text: str, _picture: bytes | None) -> None:
        fails = self._random.random() < self.failing
        outcome = Outcome(channel, numbers, not fails, "failed" if fails else "sent")
        self._scheduler.after(self._random.random() * SLOWEST_S, "alert", f"outcome.{channel}", outcome)
        if channel == CHAT and (not fails or self._random.random() < 0.5):
            self.heard |= zip(numbers, text.splitlines(), strict=True)

    def wait(self, _seconds: float) -> bool:
        return False

    def stop(self) -> None:
        """What is under way is lost with the process."""

    def fills(self) -> int:
        """How many fills the chat has heard of."""
        return sum(1 for line in self.heard.values() if " Bought " in line or " Sold " in line)

    @staticmethod
    def summary(began: int, ended: int) -> Alert:
        return Alert(Level.INFO, f"SUMMARY {ended}", f"lines {began} to {ended}")
