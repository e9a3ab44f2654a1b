"""The terminal that a command writes to."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console


def console(environ: Mapping[str, str], *, stderr: bool = False) -> Console:
    """Plain text where NO_COLOR is set or nobody looks: no colour, and no bold or dim either."""
    return Console(stderr=stderr, color_system=None if environ.get("NO_COLOR") else "auto")
