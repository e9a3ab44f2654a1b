"""A torn tail is set aside: kept in logs/torn/, cut off the journal, and owed to it as JOURNAL_REPAIRED.

The name of what was kept says after which seq it stood. So a crash between cutting off and journalling is seen at the
next start, and no repair goes unsaid.
"""

from __future__ import annotations

import os
from pathlib import Path

from thunes.storage.durable import PARTIAL, sync_directory, write_whole

TORN = "torn"
MODE = 0o640
"""The journal's files: their group may read them."""


def set_aside(logs: Path, segment: Path, end: int, seq: int) -> None:
    """Move what stands in `segment` from byte `end` on to a file of its own; `seq` is the last whole line's."""
    folder = logs / TORN
    folder.mkdir(exist_ok=True)
    sync_directory(logs)
    with segment.open("r+b") as file:
        file.seek(end)
        _keep(folder, f"after-{seq}.{segment.name}", file.read())
        # Only now that the tail is safe elsewhere.
        file.truncate(end)
        os.fsync(file.fileno())


def owed(logs: Path, seq: int) -> list[Path]:
    """What was set aside after the last line, `seq`, so that no line can speak of it yet."""
    return sorted(path for path in (logs / TORN).glob(f"after-{seq}.*") if not path.name.endswith(PARTIAL))


def _keep(folder: Path, name: str, tail: bytes) -> None:
    """Once only, if a crash came between this and the cutting off."""
    path, number = folder / name, 0
    while path.exists():
        if path.read_bytes() == tail:
            return
        number += 1
        path = folder / f"{name}.{number}"
    write_whole(path, tail, MODE)
