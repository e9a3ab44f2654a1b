"""promtool and amtool, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
"""The apt package that brings each."""


def run(tool: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The tool's run, whatever its exit status; the test is skipped where there is no such tool."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed: apt-get install {PACKAGES[tool]}")
    command: Sequence[str | Path] = [path, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, check=False)


def output(tool: str, *arguments: str | Path, cwd: Path) -> str:
    """What the tool says when all is well; its complaint fails the test."""
    ended = run(tool, *arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
