"""`thunes rodage drill kill`: how fast the kill switch is, measured at the exchange."""

from __future__ import annotations

import asyncio
import json
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from thunes import terminal
from thunes.errors import OperatorError
from thunes.parsers import add_subcommand
from thunes.rodage.drill import drill
from thunes.rodage.rounds import MEASURED, Report
from thunes.storage.home import Home

TIMES = 100
MOST_LATENCY = 10.0
EXAMPLES = ("thunes rodage drill kill --times 10", "thunes rodage drill kill --hung --json")


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of `thunes rodage`; `run` reads what they are parsed into."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    drills = add_subcommand(actions, "drill", "try a safety device, and measure it", EXAMPLES)
    kinds = drills.add_subparsers(dest="drill", metavar="WHAT", required=True)
    kill = add_subcommand(kinds, "kill", "the kill switch under flood, on a system of its own", EXAMPLES)
    kill.description = KILL
    kill.add_argument("--times", type=_times, default=TIMES, metavar="N", help="rounds; default %(default)s")
    kill.add_argument("--hung", action="store_true", help="stop the process first: `thunes kill` does without it")
    kill.add_argument(
        "--latency",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="the exchange's, there and back; default none, so that what is measured is THUNES",
    )
    kill.add_argument("--json", action="store_true", help="the report as JSON")
    kill.add_argument(
        "--home",
        default=os.environ.get("THUNES_HOME", "."),
        metavar="DIR",
        help="the report goes into its artifacts/; default: . or $THUNES_HOME",
    )
    kill.add_argument("--config", type=Path, metavar="FILE", help="not read; accepted by every subcommand")


KILL = (
    "Kill a system that trades as fast as it can, again and again. The time from the command to the last entry order"
    " that the exchange accepts, and to the last cancel, is taken from the account's own stream."
)


def _times(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_LATENCY:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {MOST_LATENCY:g}")
    return value


def run(arguments: Namespace) -> int:
    """0 when the drill was passed, 1 when it was not. DrillFailed (exit 1) where it could not be held."""
    console = terminal.console(os.environ)
    report = _drilled(arguments, console)
    path = _write(report, Home(Path(arguments.home)))
    if arguments.json:
        console.out(json.dumps(report.document(), indent=2), highlight=False)
    else:
        console.print(_table(report))
        for complaint in report.complaints():
            console.print(complaint, style="red")
        console.out(f"The report is in {path}.", highlight=False)
    return 1 if report.complaints() else 0


def _drilled(arguments: Namespace, console: Console) -> Report:
    columns = (TextColumn("killing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=arguments.json) as progress:
        task = progress.add_task("", total=arguments.times)
        holding = drill(
            arguments.times,
            hung=arguments.hung,
            latency=arguments.latency,
            progressed=lambda _: progress.advance(task),
        )
        return asyncio.run(holding)


def _write(report: Report, home: Home) -> Path:
    path = home.artifacts / f"drill-kill{'-hung' if report.hung else ''}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report.document(), indent=2) + "\n")
    except OSError as error:
        raise OperatorError(
            f"The report cannot be written to {path} ({error.strerror}); choose another --home."
        ) from error
    return path


def _table(report: Report) -> Table:
    how = "hung (SIGSTOP), `thunes kill`" if report.hung else "running, POST /api/kill"
    table = Table(title=f"{len(report.rounds)} kills under flood; {how}; goal: p99 within {report.goal_ms:g} ms")
    for column in ("milliseconds from the command", "p50", "p99", "max"):
        table.add_column(column, justify="left" if not table.columns else "right")
    for name, words in MEASURED.items():
        table.add_row(words, *(f"{value:.1f}" for value in report.figures(name).values()))
    return table
