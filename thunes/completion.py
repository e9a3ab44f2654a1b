"""`thunes completion SHELL`: what a shell has to read so that the Tab key completes subcommands, flags and paths."""

from __future__ import annotations

import argparse

import shtab

from thunes.parsers import every

SHELLS = ("bash", "zsh", "tcsh")
PATHS = {"DIR": shtab.DIRECTORY, "FILE": shtab.FILE, "PATH": shtab.FILE}
"""What a flag takes that is shown by this word in the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    parser.add_argument("--home", metavar="DIR", help="not read; accepted by every subcommand")
    parser.add_argument("--config", metavar="FILE", help="not read; accepted by every subcommand")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The shell's script for every subcommand and flag of `parser`."""
    for each in every(parser):
        for action in each._actions:
            if action.metavar in PATHS:
                action.complete = PATHS[action.metavar]  # type: ignore[attr-defined]  # shtab's own way
    return shtab.complete(parser, shell)
