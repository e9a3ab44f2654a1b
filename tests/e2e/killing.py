"""What tests of the kill switch as processes ask of the command line and of the journal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.support import clean_environment, events
from thunes.domain.journal import AuditEvent

Completed = subprocess.CompletedProcess[str]


def command(*words: str, home: Path, env: dict[str, str] | None = None, **more: Any) -> Completed:
    return subprocess.run(
        [sys.executable, "-m", "thunes", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        env=env or clean_environment(),
        check=False,
        timeout=30,
        **more,
    )


def named(home: Path, *names: str, after: int = 0) -> list[AuditEvent]:
    return [event for event in events(home) if event.event in names and event.seq > after]


def activations(home: Path, after: int = 0) -> list[AuditEvent]:
    return named(home, "KILL_SWITCH_ACTIVATED", after=after)


def refusals(home: Path, after: int = 0) -> list[AuditEvent]:
    return [event for event in named(home, "TRADE_REJECTED", after=after) if event.reason == "KILL_SWITCH"]
