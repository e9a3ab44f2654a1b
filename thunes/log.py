"""The log: one rotated file under the home, and the console where no live table is."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
HIDDEN = "(hidden)"
BYTES, COPIES = 10_000_000, 5


class UtcFormatter(logging.Formatter):
    """Times as the journal has them: UTC, RFC 3339."""

    def formatTime(self, record: logging.LogRecord, _datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class BriefFormatter(UtcFormatter):
    """The line without the traceback, which the file has."""

    def format(self, record: logging.LogRecord) -> str:
        line = logging.makeLogRecord(record.__dict__)
        line.exc_info = line.exc_text = line.stack_info = None
        return super().format(line)


class Redacted(logging.Formatter):
    """Another formatter's lines, tracebacks included, without any of `secrets`."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        told = {secret for secret in secrets if secret}
        self._secrets = sorted(told | {json.dumps(secret)[1:-1] for secret in told}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line


def set_up_logging(path: Path, shown: str, secrets: Iterable[str] = ()) -> None:
    """Log to `path`, rotated at 10 MB with five old ones kept, and to standard error unless a live table is `shown`.

    None of `secrets` gets into either, wherever in a record it stands.
    """
    hidden = tuple(secrets)
    # A log that cannot be written must not drown the one line that says why the system stops.
    logging.raiseExceptions = False
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    file = RotatingFileHandler(path, maxBytes=BYTES, backupCount=COPIES, encoding="utf-8")
    file.setFormatter(Redacted(UtcFormatter(FORMAT), hidden))
    root.addHandler(file)
    if shown != "live":
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(Redacted(JsonFormatter() if shown == "json" else BriefFormatter(FORMAT), hidden))
        root.addHandler(stream)
    root.setLevel(logging.INFO)
    # Libraries that log every request, some with its query: a signature and a key have no place in a log.
    for chatty in ("urllib3", "websocket", "binance", "asyncio", "aiohttp", "pykka", "httpx", "httpcore", "telegram"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
