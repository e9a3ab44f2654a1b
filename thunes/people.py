"""The ways to people: the messenger with its bot and its second channels, the outbox, and the day's summary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Protocol

from thunes.alerts.alert import Alert, Level, Outcome
from thunes.alerts.bot import TelegramBot
from thunes.alerts.desk import Commands, Desk
from thunes.alerts.keys import load_second_keys, load_telegram_keys
from thunes.alerts.messenger import Event, Messenger, Spawn, Way
from thunes.alerts.outbox import Outbox
from thunes.alerts.picture import equity_png
from thunes.alerts.second import Mail, Webhook
from thunes.alerts.summary import words
from thunes.domain.day import Day
from thunes.domain.figures import SystemFigures
from thunes.domain.journal import AuditEvent
from thunes.sections import Alerts
from thunes.storage.home import Home
from thunes.storage.journal import read_events

log = logging.getLogger(__name__)

PICTURE_SECONDS = 60.0


class Clock(Protocol):
    def wall(self) -> datetime: ...
    def monotonic_ns(self) -> int: ...


class People:
    """Made once for each run. `parameters` are the strategy's, for those who ask; `make_event` gives a flag."""

    def __init__(
        self,
        settings: Alerts,
        environ: Mapping[str, str],
        home: Home,
        clock: Clock,
        new_id: Callable[[], str],
        figures: Callable[[], SystemFigures],
        commands: Commands,
        parameters: Mapping[str, str],
        on_outcome: Callable[[Outcome], None],
        spawn: Spawn,
        make_event: Callable[[], Event],
    ) -> None:
        self._home = home
        keys, self._second = load_telegram_keys(environ), load_second_keys(environ)
        chats = keys.chat_ids if keys is not None else ()
        self.secrets = tuple(
            secret
            for secret in (
                keys.token.get_secret_value() if keys is not None else "",
                self._second.webhook.get_secret_value(),
                self._second.smtp_password.get_secret_value(),
            )
            if secret
        )
        """What must not get into a log."""
        desk = Desk(chats, figures, commands, parameters, new_id, clock.monotonic_ns)
        bot = TelegramBot(keys, settings.telegram_url, desk, clock.wall) if keys is not None else None
        self.messenger = Messenger(
            bot,
            tuple(f"telegram:{chat}" for chat in chats),
            self._ways(settings, clock.wall),
            on_outcome,
            spawn,
            make_event(),
            lambda: desk.ignored,
        )

    def _ways(self, settings: Alerts, now: Callable[[], datetime]) -> dict[str, Way]:
        ways: dict[str, Way] = {}
        if webhook := self._second.webhook.get_secret_value():
            ways["webhook"] = Webhook(webhook)
        if settings.smtp:
            host, _, port = settings.smtp.rpartition(":")
            password = self._second.smtp_password.get_secret_value()
            ways["email"] = Mail(
                host, int(port), settings.smtp_security, settings.smtp_user, password,
                settings.mail_from, settings.mail_to, now,
            )  # fmt: skip
        return ways

    def open_outbox(self) -> Outbox:
        return Outbox(self._home.outbox)

    def summary(self, after: int, until: int) -> Alert:
        """What the journal's lines from one seq to another came to. Reads and draws: not for an actor's thread."""
        day = Day.fold(_lines(read_events(self._home.logs, max(0, after - 1)), until))
        title = f"THUNES {day.name or 'today'}"
        drawing = equity_png(title, day.points, PICTURE_SECONDS, currency=day.currency, fills=day.fills)
        return Alert(Level.INFO, f"SUMMARY {after}", words(day), picture=asyncio.run(drawing))


def _lines(events: Iterable[AuditEvent], until: int) -> Iterable[AuditEvent]:
    return takewhile(lambda event: event.seq <= until, events)
