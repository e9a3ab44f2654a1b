"""`thunes audit`: the journal offline. `verify` checks every line and link, `show` and `export` read it out."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from thunes.domain.journal import EVENTS, AuditEvent, sentence
from thunes.errors import JournalError, OperatorError, SettingsError
from thunes.storage.home import Home
from thunes.storage.segments import read_lines, segments, size, verify

LARGE_BYTES = 32 * 1024 * 1024
"""A journal above this takes longer than a moment to verify, and shows how far it is."""

COLUMNS = tuple(AuditEvent.model_fields)
ROW = "{:>8}  {:<23}  {:<23}  {:<10}  {:<4}  {:<20}  {}"

Lines = Iterator[tuple[AuditEvent, bytes]]


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of verify, show and export; `run` reads what they are parsed into."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("verify", help="check every line of the whole chain")
    show = actions.add_parser("show", help="the events, a line each")
    export = actions.add_parser("export", help="the events as a file")
    for action in (check, show, export):
        action.add_argument(
            "--home", default=os.environ.get("THUNES_HOME", "."), metavar="DIR", help="default: . or $THUNES_HOME"
        )
        action.add_argument("--config", type=Path, metavar="FILE", help="not read; accepted by every subcommand")
    for action in (show, export):
        action.add_argument("--after", type=_count, default=0, metavar="SEQ", help="only later events")
        action.add_argument("--event", type=str.upper, metavar="NAME", help="only this event, such as TRADE_REJECTED")
        action.add_argument("--symbol", type=str.upper, metavar="SYMBOL", help="only this symbol")
        action.add_argument("--correlation", metavar="ID", help="only one signal and all that came of it")
        action.add_argument("--limit", type=_count, metavar="N", help="the first N of them; default: all")
    show.add_argument("--json", action="store_true", help="the journal's own lines")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl, its own lines")
    export.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


def run(arguments: Namespace) -> int:
    """0 when done, 1 where there is no journal.

    Raises JournalError (exit 1) for one that does not verify and OperatorError (exit 2) for flags that cannot be used.
    """
    home = Home(Path(arguments.home))
    if not segments(home.logs):
        print(f"There is no journal under {home.logs}; check --home.", file=sys.stderr)
        return 1
    try:
        if arguments.action == "verify":
            return _verify(home.logs)
        lines = _chosen(home.logs, arguments)
        return _show(lines, as_json=arguments.json) if arguments.action == "show" else _export(lines, home, arguments)
    except PermissionError as error:
        raise JournalError(f"{error.filename} cannot be read ({error.strerror}); mend its rights.") from error


def _verify(logs: Path) -> int:
    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    total = size(logs)
    with Progress(*columns, console=console, disable=total < LARGE_BYTES or not console.is_terminal) as progress:
        task = progress.add_task("verifying", total=total)
        found = verify(logs, lambda done, _total: progress.update(task, completed=done))
    plural = "" if found.segments == 1 else "s"
    print(f"{found.events} events in {found.segments} segment{plural}, the chain holds; head {found.head}")
    if found.torn_tail:
        print("The last line is not complete: it is being written, or the next start sets it aside.")
    return 0


def _chosen(logs: Path, arguments: Namespace) -> Lines:
    if arguments.event is not None and arguments.event not in EVENTS:
        close = get_close_matches(arguments.event, EVENTS, 1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(EVENTS))}."
        raise SettingsError([f"--event {arguments.event}: no such event; {advice}"])
    wanted = (found for found in read_lines(logs, arguments.after) if _wanted(found[0], arguments))
    return islice(wanted, arguments.limit)


def _wanted(event: AuditEvent, arguments: Namespace) -> bool:
    asked = (
        (arguments.event, event.event),
        (arguments.symbol, event.symbol),
        (arguments.correlation, event.correlation_id),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _show(lines: Lines, *, as_json: bool) -> int:
    """A line as soon as it is read: a journal may be longer than memory, and a reader may want only its head."""
    if as_json:
        _write(sys.stdout, lines, "jsonl")
        return 0
    print(ROW.format("seq", "time (UTC)", "event", "symbol", "side", "correlation", "what"))
    for event, _ in lines:
        time = event.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        names = (event.symbol or "-", event.side or "-", event.correlation_id or "-")
        print(ROW.format(event.seq, time, event.event, *names, _what(event)).rstrip())
    return 0


def _what(event: AuditEvent) -> str:
    words = [sentence(event.reason)] if event.reason else []
    return " ".join([*words, *(f"{name}={_value(value)}" for name, value in event.metadata.items())])


def _value(value: Any) -> str:
    """Text from elsewhere stays on its line and moves no cursor."""
    if isinstance(value, str) and value.isprintable() and value and " " not in value:
        return value
    return json.dumps(value, separators=(",", ":"))


def _export(lines: Lines, home: Home, arguments: Namespace) -> int:
    output: Path | None = arguments.output
    if output is None:
        _write(sys.stdout, lines, arguments.format)
        return 0
    if output.resolve().parent == home.logs.resolve():
        raise OperatorError(f"{output} is among the journal's own files; choose another --output.")
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            _write(file, lines, arguments.format)
    except OSError as error:
        raise OperatorError(f"{output} cannot be written ({error.strerror}); choose another --output.") from error
    return 0


def _write(file: IO[str], lines: Lines, form: str) -> None:
    if form == "jsonl":
        file.writelines(line.decode() for _, line in lines)
        return
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for event, _ in lines:
        whole = event.model_dump(mode="json")
        writer.writerow([json.dumps(v) if isinstance(v, dict) else v for v in whole.values()])
