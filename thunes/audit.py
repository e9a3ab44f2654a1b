"""`thunes audit`: the journal offline. `verify` checks every line and link, `show` and `export` read it out."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from thunes.domain.journal import EVENTS, AuditEvent, sentence
from thunes.errors import JournalError, OperatorError, SettingsError
from thunes.parsers import add_subcommand
from thunes.storage.home import Home
from thunes.storage.segments import read_lines, segments, size, verify
from thunes.terminal import console

LARGE_BYTES = 32 * 1024 * 1024
"""A journal above this takes longer than a moment to read, and shows how far it is."""

REPORTED_LINES = 1000

COLUMNS = tuple(AuditEvent.model_fields)
ROW = "{:>8}  {:<23}  {:<23}  {:<10}  {:<4}  {:<20}  {}"

VERIFY_EXAMPLES = (
    "thunes audit verify --home x",
    "thunes audit verify --json | jq -r .head         what a backup of the journal has to end in",
)
SHOW_EXAMPLES = (
    "thunes audit show --event TRADE_REJECTED --limit 20",
    "thunes audit show --json --after 1000            the journal's own lines, for a script",
)
EXPORT_EXAMPLES = (
    "thunes audit export --format csv --output journal.csv",
    "thunes audit export --symbol BTCUSDT > btcusdt.jsonl",
)

Lines = Iterator[tuple[AuditEvent, bytes]]
Report = Callable[[int], None]
"""Is told how many bytes are read."""


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of verify, show and export; `run` reads what they are parsed into."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = add_subcommand(actions, "verify", "check every line of the whole chain", VERIFY_EXAMPLES)
    show = add_subcommand(actions, "show", "the events, a line each", SHOW_EXAMPLES)
    export = add_subcommand(actions, "export", "the events as a file", EXPORT_EXAMPLES)
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
    check.add_argument("--json", action="store_true", help="what was found as JSON")
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
            return _verify(home.logs, as_json=arguments.json)
        # A bar would be torn by lines that run over the same terminal; how much --after passes over is not known.
        apart = getattr(arguments, "output", None) is not None or not sys.stdout.isatty()
        with _progress("reading", home.logs, shown=apart, whole=arguments.after == 0) as report:
            lines = _chosen(home.logs, arguments, report)
            if arguments.action == "show":
                return _show(lines, as_json=arguments.json)
            return _export(lines, home, arguments)
    except PermissionError as error:
        raise JournalError(f"{error.filename} cannot be read ({error.strerror}); mend its rights.") from error


def _verify(logs: Path, *, as_json: bool) -> int:
    with _progress("verifying", logs) as report:
        found = verify(logs, lambda done, _total: report(done))
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    plural = "" if found.segments == 1 else "s"
    print(f"{found.events} events in {found.segments} segment{plural}, the chain holds; head {found.head}")
    if found.torn_tail:
        print("The last line is not complete: it is being written, or the next start sets it aside.")
    return 0


@contextmanager
def _progress(doing: str, logs: Path, *, shown: bool = True, whole: bool = True) -> Iterator[Report]:
    """How far it is with a large journal, on standard error, where a person waits."""
    screen, total = console(os.environ, stderr=True), size(logs)
    idle = total < LARGE_BYTES or not screen.is_terminal or not shown
    columns = (TextColumn(doing), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=idle) as progress:
        task = progress.add_task(doing, total=total if whole else None)
        yield lambda done: progress.update(task, completed=done)


def _chosen(logs: Path, arguments: Namespace, report: Report) -> Lines:
    if arguments.event is not None and arguments.event not in EVENTS:
        close = get_close_matches(arguments.event, EVENTS, 1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(EVENTS))}."
        raise SettingsError([f"--event {arguments.event}: no such event; {advice}"])
    lines = _reported(read_lines(logs, arguments.after), report)
    return islice((found for found in lines if _wanted(found[0], arguments)), arguments.limit)


def _reported(lines: Lines, report: Report) -> Lines:
    done = 0
    for number, (event, line) in enumerate(lines, 1):
        done += len(line)
        if number % REPORTED_LINES == 0:
            report(done)
        yield event, line
    report(done)


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
