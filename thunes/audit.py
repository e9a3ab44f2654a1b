"""`thunes audit`: the journal offline. `verify` checks every line and link, `show` and `export` read it out."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from thunes.domain.journal import AuditEvent, sentence
from thunes.errors import OperatorError
from thunes.storage.home import Home
from thunes.storage.segments import read_events, segments, verify

LARGE_BYTES = 16 * 1024 * 1024
"""A journal above this takes longer than a moment to verify, and shows how far it is."""

COLUMNS = ("seq", "timestamp", "event", "symbol", "side", "reason", "correlation_id", "metadata")


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of verify, show and export; `run` reads what they are parsed into."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("verify", help="check every line of the whole chain")
    show = actions.add_parser("show", help="the events, a line each")
    export = actions.add_parser("export", help="the events as a file")
    for action in (check, show, export):
        action.add_argument("--home", default=os.environ.get("THUNES_HOME", "."), metavar="DIR", help="default: .")
        action.add_argument("--config", type=Path, metavar="FILE", help="not read; accepted by every subcommand")
    for action in (show, export):
        action.add_argument("--after", type=int, default=0, metavar="SEQ", help="only later events")
        action.add_argument("--event", metavar="NAME", help="only this event, such as TRADE_REJECTED")
        action.add_argument("--symbol", metavar="SYMBOL", help="only this symbol")
        action.add_argument("--correlation", metavar="ID", help="only one signal and all that came of it")
        action.add_argument("--limit", type=int, metavar="N", help="at most this many")
    show.add_argument("--json", action="store_true", help="the lines as JSON")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    export.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")


def run(arguments: Namespace) -> int:
    """0, or raises JournalError (exit 1) for a journal that does not verify and OperatorError where there is none."""
    home = Home(Path(arguments.home))
    if not segments(home.logs):
        print(f"There is no journal under {home.logs}; check --home.", file=sys.stderr)
        return 1
    if arguments.action == "verify":
        return _verify(home)
    events = _chosen(home, arguments)
    if arguments.action == "show":
        return _show(events, as_json=arguments.json)
    return _export(events, arguments)


def _verify(home: Home) -> int:
    total = sum(path.stat().st_size for path in segments(home.logs))
    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=total < LARGE_BYTES or not console.is_terminal) as progress:
        task = progress.add_task("verifying", total=total)
        found = verify(home.logs, lambda done, _total: progress.update(task, completed=done))
    plural = "" if found.segments == 1 else "s"
    print(f"{found.events} events in {found.segments} segment{plural}, the chain holds; head {found.head}")
    if found.torn_tail:
        print("The last line is not complete: it is being written, or the next start sets it aside.")
    return 0


def _chosen(home: Home, arguments: Namespace) -> Iterator[AuditEvent]:
    count = 0
    for event in read_events(home.logs, arguments.after):
        if arguments.limit is not None and count >= arguments.limit:
            return
        if _wanted(event, arguments):
            count += 1
            yield event


def _wanted(event: AuditEvent, arguments: Namespace) -> bool:
    asked = (
        (arguments.event, event.event),
        (arguments.symbol, event.symbol),
        (arguments.correlation, event.correlation_id),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _show(events: Iterator[AuditEvent], *, as_json: bool) -> int:
    if as_json:
        for event in events:
            print(event.model_dump_json())
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("seq", "time", "event", "symbol", "side", "why", "correlation"):
        table.add_column(column, justify="right" if column == "seq" else "left", no_wrap=column != "why")
    for event in events:
        why = sentence(event.reason) if event.reason else str(event.metadata.get("why", ""))
        time = event.timestamp.strftime("%m-%d %H:%M:%S.%f")[:-3]
        row = (event.seq, time, event.event, event.symbol, event.side, why, event.correlation_id)
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
    return 0


def _export(events: Iterator[AuditEvent], arguments: Namespace) -> int:
    if arguments.output is None:
        _write(sys.stdout, events, arguments.format)
        return 0
    try:
        with arguments.output.open("w", encoding="utf-8", newline="") as file:
            _write(file, events, arguments.format)
    except OSError as error:
        raise OperatorError(
            f"{arguments.output} cannot be written ({error.strerror}); choose another --output."
        ) from error
    return 0


def _write(file: IO[str], events: Iterator[AuditEvent], form: str) -> None:
    if form == "jsonl":
        file.writelines(event.model_dump_json() + "\n" for event in events)
        return
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for event in events:
        whole: dict[str, Any] = event.model_dump(mode="json")
        writer.writerow([json.dumps(whole[c]) if c == "metadata" else whole[c] for c in COLUMNS])
