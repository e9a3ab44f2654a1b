"""One exchange a home: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from thunes.errors import HomeInUse, OperatorError


def lock(home: Path) -> IO[str]:
    """Hold the exchange of this home until the file is closed. Raises HomeInUse while another process does."""
    folder = home / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "exchange.lock").open("a+")
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}): choose another --home") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise HomeInUse(
            f"{folder} is in use by another exchange (process {holder}): stop it or use another --home"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
