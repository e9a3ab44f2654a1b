"""The README's first command, to the letter: not one flag, an empty directory, Ctrl-C at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.support import clean_environment, events, wait_for


def test_without_a_flag_it_trades_until_ctrl_c_and_says_what_was_done(tmp_path: Path) -> None:
    # Ports alone, by the environment: the usual ones may be taken on the machine that tests.
    env = clean_environment(THUNES_RUN__METRICS_PORT="0", THUNES_RUN__CONSOLE_PORT="0")
    command = [sys.executable, "-m", "thunes.supervisor"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            wait_for(lambda: process.poll() is not None or (tmp_path / "data" / "run.json").exists(), 60, "its start")
            wait_for(lambda: process.poll() is not None or is_in_step(tmp_path), 60, "books in step")
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "head" in said.lower()


def is_in_step(home: Path) -> bool:
    return any(event.event == "RECONCILED" for event in events(home))
