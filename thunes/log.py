"""The log: one rotated file under the home, and the console where no live table is."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
BYTES, COPIES = 10_000_000, 5


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


def set_up_logging(path: Path, shown: str) -> None:
    """Log to `path`, rotated at 10 MB with five old ones kept, and to standard error unless a live table is `shown`."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    plain = logging.Formatter(FORMAT)
    file = RotatingFileHandler(path, maxBytes=BYTES, backupCount=COPIES, encoding="utf-8")
    file.setFormatter(plain)
    root.addHandler(file)
    if shown != "live":
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(JsonFormatter() if shown == "json" else plain)
        root.addHandler(stream)
    root.setLevel(logging.INFO)
    # Libraries that log every request, some with its query: a signature and a key have no place in a log.
    for chatty in ("urllib3", "websocket", "binance", "asyncio", "aiohttp", "pykka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
