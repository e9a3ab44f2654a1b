"""Small files that are there whole or not at all, whatever a crash or a second writer does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".new"


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Replace a file: a reader, and a start after a crash, see the old one or the new one. OSError when that fails.

    Two processes, or two threads, may write the same file at once (a kill from inside and one from outside): each
    prepares a file of its own, and the later one stays.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path, sync: Callable[[int], None] = os.fsync) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(fd)
    finally:
        os.close(fd)
