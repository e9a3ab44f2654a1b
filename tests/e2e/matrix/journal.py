"""A journal that another process writes, as it grows, and the books that follow from it."""

from __future__ import annotations

import threading
from pathlib import Path

from thunes.domain.books import Books
from thunes.domain.journal import AuditEvent, check_line
from thunes.storage.segments import CURRENT, read_events


class Follower:
    """Reads what is new each time it is asked; safe for many threads."""

    def __init__(self, logs: Path) -> None:
        self.books = Books()
        self._logs = logs
        self._events: list[AuditEvent] = []
        self._lock = threading.Lock()
        self._place = (0, 0)
        """The file's inode, and the byte up to which it was read."""

    def events(self) -> list[AuditEvent]:
        """All lines that are whole by now."""
        with self._lock:
            self._read()
            return list(self._events)

    def _read(self) -> None:
        path = self._logs / CURRENT
        if not path.exists():
            return
        with path.open("rb") as file:
            inode, offset = self._place
            if path.stat().st_ino != inode:  # the first look, or it was renamed at midnight
                offset = 0
                for event in read_events(self._logs, self.books.seq):
                    self._take(event)
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                event = check_line(line, expected_seq=None, prev_hash=None)
                if event.seq > self.books.seq:
                    self._take(event)
            self._place = (path.stat().st_ino, offset)

    def _take(self, event: AuditEvent) -> None:
        self._events.append(event)
        self.books.apply(event)

    def of(self, correlation_id: str) -> list[AuditEvent]:
        """The lines of one signal's own order."""
        return [e for e in self.events() if e.correlation_id == correlation_id and not e.metadata.get("leg")]

    def decision(self, cause: str) -> AuditEvent | None:
        """What was decided first of what the script asked for under this name."""
        decisions = (e for e in self.events() if e.event in ("TRADE_APPROVED", "TRADE_REJECTED"))
        return next((e for e in decisions if e.metadata.get("cause") == cause), None)

    def is_flat(self, symbol: str) -> bool:
        """Whether nothing is held, and nothing is under way."""
        self.events()
        with self._lock:
            under_way = any(order.symbol == symbol for order in self.books.orders.values())
            return not under_way and self.books.holding(symbol) is None
