"""Alerts that not everybody has been told yet, on disk: written before any is sent, in order, and never given up on.

A channel is somebody who is told: a chat, a webhook, a mailbox. An alert is due on each of its channels until that one
has it. While one waits, the next of its key is counted with it, so that a storm is one message with a count; one that
somebody has, or is having, is left as it is, because what was sent cannot be changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from thunes.alerts.alert import Alert, Due, Level
from thunes.errors import OutboxUnusable

SCHEMA = """
CREATE TABLE IF NOT EXISTS alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    level INTEGER NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    text TEXT NOT NULL,
    picture BLOB,
    count INTEGER NOT NULL DEFAULT 1,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    escalated INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS alert_of_topic ON alert (topic, id);
CREATE TABLE IF NOT EXISTS due (
    channel TEXT NOT NULL,
    urgent INTEGER NOT NULL,
    alert INTEGER NOT NULL REFERENCES alert (id),
    PRIMARY KEY (channel, urgent, alert)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due_of_alert ON due (alert);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

AT_ONCE, CHARACTERS = 20, 3500
"""The most alerts, and characters of theirs, that one message holds: a backlog is caught up in few messages."""


class Outbox:
    """One file, one thread at a time. Whatever a call wrote is on the disk when it returns; times are wall time."""

    def __init__(self, path: Path | str) -> None:
        """Opens or makes it. Raises OutboxUnusable when it cannot be read or written, as every call does."""
        uri = str(path) if str(path).startswith("file:") else Path(path).absolute().as_uri()
        with usable():
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.executescript(SCHEMA)
            except BaseException:
                self.close()
                raise
        self._under_way: set[tuple[str, int]] = set()

    def keep(self, alerts: Iterable[tuple[Alert, Iterable[str]]], now_ms: int, **notes: int) -> None:
        """Keep each alert until each of its channels has it, and the notes with them: all of it, or nothing.

        An alert without a channel has nobody to be told to, and is not kept.
        """
        with self._changing():
            for alert, channels in alerts:
                if wanted := sorted(set(channels)):
                    self._put(alert, wanted, now_ms)
            for name, value in notes.items():
                self._database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def note(self, name: str) -> int | None:
        """What `keep` noted last under this name."""
        with usable():
            row = self._database.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def next(self, channel: str, now_ms: int, least: Level = Level.INFO) -> tuple[Due, ...]:
        """The oldest that the channel has not had, as many as one message holds; they are under way from now on.

        Critical ones go before the others. Empty when there is none of `least` or above, or the first still waits.
        """
        rows: list[Any] = []
        with usable():
            for urgent in (1, 0):
                rows += self._database.execute(
                    "SELECT id, level, text, count, first_ms, last_ms, picture, not_before_ms FROM due "
                    "JOIN alert ON alert.id = due.alert WHERE channel = ? AND urgent = ? AND level >= ? "
                    "ORDER BY due.alert LIMIT ?",
                    (channel, urgent, int(least), AT_ONCE - len(rows)),
                ).fetchall()
        found: list[Due] = []
        for number, level, text, count, first_ms, last_ms, picture, not_before_ms in rows:
            long = sum(len(due.text) for due in found) + len(text) > CHARACTERS
            if not_before_ms > now_ms or (found and (long or picture is not None)):
                break
            found.append(Due(number, Level(level), text, count, first_ms, last_ms, picture))
            if picture is not None:
                break
        self._under_way.update((channel, due.number) for due in found)
        return tuple(found)

    def told(self, channel: str, numbers: Sequence[int]) -> None:
        """The channel has these; what all have is forgotten. A second time changes nothing."""
        with self._changing():
            for number in numbers:
                self._database.execute("DELETE FROM due WHERE channel = ? AND alert = ?", (channel, number))
                self._database.execute("UPDATE alert SET told = 1 WHERE id = ?", (number,))
                self._database.execute(
                    "DELETE FROM alert WHERE id = ? AND NOT EXISTS (SELECT 1 FROM due WHERE alert = ?)",
                    (number, number),
                )
        self.not_told(channel, numbers)

    def not_told(self, channel: str, numbers: Sequence[int]) -> None:
        """They are not under way any more, and due as before."""
        self._under_way.difference_update((channel, number) for number in numbers)

    def escalate(self, late_on: Sequence[str], to: Sequence[str], before_ms: int) -> int:
        """Make critical ones due on `to`, once, which any of `late_on` has not had since `before_ms`; how many."""
        if not late_on or not to:
            return 0
        marks = ",".join("?" * len(late_on))
        with usable():
            late = self._database.execute(
                f"SELECT DISTINCT id FROM alert JOIN due ON due.alert = alert.id "
                f"WHERE channel IN ({marks}) AND urgent AND first_ms <= ? AND NOT escalated ORDER BY id",
                (*late_on, before_ms),
            ).fetchall()
        if late:
            with self._changing():
                for (number,) in late:
                    self._due_on(to, number, urgent=True)
                    self._database.execute("UPDATE alert SET escalated = 1 WHERE id = ?", (number,))
        return len(late)

    def pending(self) -> int:
        """How many alerts somebody has not had."""
        with usable():
            found = self._database.execute("SELECT count(*) FROM alert").fetchone()
        return int(found[0])

    def waiting(self) -> tuple[str, ...]:
        """The channels that have not had everything."""
        with usable():
            return tuple(row[0] for row in self._database.execute("SELECT DISTINCT channel FROM due ORDER BY channel"))

    def forget(self, channels: Iterable[str]) -> int:
        """Nobody listens on these any more: what was due on them alone is dropped; how many alerts that were."""
        before = self.pending()
        with self._changing():
            for channel in channels:
                self._database.execute("DELETE FROM due WHERE channel = ?", (channel,))
            self._database.execute("DELETE FROM alert WHERE id NOT IN (SELECT alert FROM due)")
        return before - self.pending()

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._database.close()

    def _put(self, alert: Alert, channels: Sequence[str], now_ms: int) -> None:
        number = self._counted_with(alert)
        if number is None:
            number = self._new(alert, now_ms)
        else:
            self._database.execute(
                "UPDATE alert SET text = ?, picture = ?, count = count + 1, last_ms = ? WHERE id = ?",
                (alert.text, alert.picture, now_ms, number),
            )
        self._due_on(channels, number, urgent=alert.level >= Level.CRITICAL)

    def _counted_with(self, alert: Alert) -> int | None:
        """The newest of the topic, if it is of the same key and level and nobody has had it or is having it."""
        row = self._database.execute(
            "SELECT id, key, told, level FROM alert WHERE topic = ? ORDER BY id DESC LIMIT 1", (topic(alert),)
        ).fetchone()
        if row is None or (row[1], row[2], row[3]) != (alert.key, 0, int(alert.level)):
            return None
        return None if any(number == row[0] for _, number in self._under_way) else int(row[0])

    def _new(self, alert: Alert, now_ms: int) -> int:
        row = self._database.execute(
            "INSERT INTO alert (level, topic, key, text, picture, first_ms, last_ms, not_before_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                int(alert.level), topic(alert), alert.key, alert.text, alert.picture,
                now_ms, now_ms, now_ms + int(alert.hold_s * 1000),
            ),
        )  # fmt: skip
        return int(row.lastrowid or 0)

    def _due_on(self, channels: Iterable[str], number: int, *, urgent: bool) -> None:
        rows = [(channel, int(urgent), number) for channel in channels]
        self._database.executemany("INSERT OR IGNORE INTO due (channel, urgent, alert) VALUES (?, ?, ?)", rows)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """All of it or nothing, and on the disk at the end."""
        with usable():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled back already
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def topic(alert: Alert) -> str:
    """What stands before the colon of a key: `KILL_SWITCH:on` is not counted with an earlier one over a `:off`."""
    return alert.key.partition(":")[0]


@contextmanager
def usable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OutboxUnusable(f"The alerts' outbox cannot be used ({error}); free the disk and start again.") from error
