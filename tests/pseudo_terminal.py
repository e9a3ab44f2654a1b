"""A terminal for a command under test: what it draws there, and keys that are typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES, COLUMNS = 24, 80


def environment(**extra: str) -> dict[str, str]:
    """A terminal that knows colours, this checkout, and no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("THUNES_", "NO_COLOR"))}
    return {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **extra}


class Terminal:
    """A process whose standard streams are a terminal; `stdout` may be a pipe instead."""

    def __init__(self, process: subprocess.Popen[str], master: int) -> None:
        self.process = process
        self.drawn = ""
        self._master = master

    def until(self, text: str, seconds: float = 20.0) -> None:
        """Read what is drawn until the text is among it."""
        deadline = time.monotonic() + seconds
        while text not in self.drawn:
            assert self._read(max(0.0, deadline - time.monotonic())), f"{text!r} was not drawn: {self.drawn!r}"

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """The exit status, once all that was drawn is read."""
        while self._read(20.0):
            pass
        return self.process.wait(20)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            read = os.read(self._master, 1 << 16)
        except OSError:  # the last process on the terminal has ended
            return False
        self.drawn += read.decode(errors="replace")
        return True


def take_the_terminal() -> None:
    """So that its Ctrl-C is a SIGINT that is heard: what a shell started with `&` ignores it, and its children do."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(*words: str, piped: bool = False, **environ: str) -> Iterator[Terminal]:
    """`python` with these words on a terminal of its own; killed at the end if it still runs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=slave,
        stdout=subprocess.PIPE if piped else slave,
        stderr=slave,
        text=True,
        env=environment(**environ),
        start_new_session=True,
        preexec_fn=take_the_terminal,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        os.close(master)
