"""The `thunes` command: its subcommands, their help, and what an error looks like.

Modules are imported by the subcommand that needs them, so that `thunes status` does not wait for the exchange's.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from thunes import __version__
from thunes.errors import OperatorError, SettingsError, ThunesError

if TYPE_CHECKING:
    from thunes.settings import Settings

DONE, FAILED, BAD_COMMAND, INTERRUPTED = 0, 1, 2, 130

RUN_EXAMPLE = """\
examples:
  thunes run                                      synthetic market, a market minute a second
  thunes run --source ticks/ --speed 10           recorded frames, ten times as fast
  thunes run --symbols BTCUSDT --duration 60      one symbol, one minute
"""

TRADE = "Trade: paper money on the embedded exchange unless told otherwise."
DOCTOR = "look at everything that a start needs, without leaving a trace"
DOCTOR_EXAMPLE = """\
examples:
  thunes doctor --home x                          what `thunes run --home x` would meet
  thunes doctor --venue testnet --json            the same on the testnet, for a script
"""

FAULT_EXAMPLE = """\
examples:
  thunes fault http://127.0.0.1:9000 drop-report kind=TRADE count=2
  thunes fault http://127.0.0.1:9000              what is armed, and how often it struck
  thunes fault http://127.0.0.1:9000 --clear      an end to all of it; --clear 3: to fault 3

The address is what `thunes exchange --control-port 9000` says when it is ready.
"""

RUN_FLAGS: tuple[tuple[str, str, str], ...] = (
    ("--venue", "VENUE", "sim (default), paper, testnet, demo or live"),
    ("--symbols", "A,B", "what to trade; default BTCUSDT,ETHUSDT"),
    ("--strategy", "NAME", "a module of thunes/strategies or the path of a .py file; default sma_crossover"),
    ("--source", "PATH", "sim: synthetic (default), or recorded frames or kline CSVs, a file or a folder"),
    ("--seed", "N", "sim: the synthetic market's seed; default 1"),
    ("--speed", "X", "sim: market seconds a second; 0 = as fast as it keeps up; default 60 for synthetic, 1 for PATH"),
    ("--duration", "SECONDS", "stop after that much wall time; default: run until a signal"),
    ("--metrics-port", "N", "port of /metrics on 127.0.0.1; default 9464; 0 = any free one"),
    ("--console-port", "N", "port of the console's API on 127.0.0.1; default 8787; 0 = any free one"),
    ("--log", "HOW", "plain, json or live; default live on a terminal, else plain"),
)


VALUED = ("--home", "--config", *(flag for flag, _, _ in RUN_FLAGS))


class Parser(argparse.ArgumentParser):
    """argparse, whose complaints are one line and raise."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([f"{self.prog}: {message}; see {self.prog} --help."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; the exit status of the contract."""
    return _guarded(lambda: _dispatch(list(sys.argv[1:] if argv is None else argv)))


def run_main(argv: Sequence[str] | None = None) -> int:
    """`python -m thunes.supervisor`: the same as `thunes run`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return _guarded(lambda: _run(run_parser("python -m thunes.supervisor"), arguments))


def _guarded(act: Callable[[], int]) -> int:
    try:
        return act()
    except OperatorError as error:
        print(error, file=sys.stderr)
        return BAD_COMMAND
    except ThunesError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["run"]:
        return _run(run_parser("thunes run"), argv[1:])
    if argv[:1] == ["doctor"]:
        return _doctor(argv[1:])
    parser, commands = _parser(argv[0] if argv else "")
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return DONE
    return commands[arguments.command](arguments)


def _parser(named: str) -> tuple[Parser, dict[str, Callable[[argparse.Namespace], int]]]:
    """The parser of every subcommand but `run`, and what each calls. Of the large ones only `named` is filled in."""
    from thunes.control import client
    from thunes.control.kill import Kill

    parser = Parser(prog="thunes", description="A paper-to-live trader for Binance spot.")
    parser.add_argument("--version", action="version", version=f"thunes {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add(subparsers, "run", "trade", RUN_EXAMPLE)
    _add(subparsers, "doctor", DOCTOR, DOCTOR_EXAMPLE)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {}
    exchange = _add(
        subparsers, "exchange", "the embedded exchange alone, for any Binance client", "thunes exchange --port 9000"
    )
    if named == "exchange":
        from thunes.exchange.simulator import process

        process.add_arguments(exchange)
        exchange.add_argument("--config", type=Path, metavar="FILE", help="not read; accepted by every subcommand")
        commands["exchange"] = process.run
    fault = _add(subparsers, "fault", "make the embedded exchange go wrong", FAULT_EXAMPLE)
    if named == "fault":
        from thunes.exchange.simulator import fault_client

        fault_client.add_arguments(fault)
        fault.epilog = f"{fault.epilog}\nfaults, with their parameters and defaults:\n{fault_client.described()}\n"
        _add_common(fault)
        commands["fault"] = partial(fault_client.run, say=_console().out)
    journal = _add(subparsers, "audit", "the journal, offline: verify, show, export", "thunes audit verify --home x")
    if named == "audit":
        from thunes import audit

        audit.add_arguments(journal)
        commands["audit"] = audit.run
    rodage = _add(subparsers, "rodage", "the burn-in: drills", "thunes rodage drill kill --times 10")
    if named == "rodage":
        from thunes.rodage import commands as rodage_commands

        rodage_commands.add_arguments(rodage)
        commands["rodage"] = rodage_commands.run
    tools = client.Tools(now=lambda: datetime.now(UTC).isoformat(), connect=_connect, console=_console())
    for command in (*(kind(tools) for kind in client.COMMANDS), Kill(tools, _connect)):
        example = f"thunes {command.name}{' BTCUSDT' if command.name == 'reconnect' else ''} --home x"
        subparser = _add(subparsers, command.name, command.help, example)
        command.add_arguments(subparser)
        _add_common(subparser)
        commands[command.name] = command.run
    return parser, commands


def _add(subparsers: Any, name: str, summary: str, example: str) -> Parser:
    text = example if "\n" in example else f"example:\n  {example}\n"
    parser: Parser = subparsers.add_parser(
        name, help=summary, description=summary, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home", default=os.environ.get("THUNES_HOME", "."), metavar="DIR", help="default: . or $THUNES_HOME"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings over the defaults")


def run_parser(prog: str, description: str = TRADE, epilog: str = RUN_EXAMPLE) -> Parser:
    """The flags of the main job. Values are taken as text: settings check them, all at once."""
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_common(parser)
    for flag, metavar, summary in RUN_FLAGS:
        parser.add_argument(flag, metavar=metavar, help=summary)
    return parser


def _run(parser: Parser, argv: list[str]) -> int:
    arguments, settings = _settings(parser, argv)
    from thunes.supervisor import run

    return run(settings, Path(arguments.home))


def _doctor(argv: list[str]) -> int:
    """With the flags of `run`, so that what is looked at is what would be started."""
    parser = run_parser("thunes doctor", f"{DOCTOR[0].upper()}{DOCTOR[1:]}.", DOCTOR_EXAMPLE)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    arguments, settings = _settings(parser, argv)
    from thunes.supervisor import examine

    return examine(settings, Path(arguments.home), as_json=arguments.json)


def _settings(parser: Parser, argv: list[str]) -> tuple[argparse.Namespace, Settings]:
    from thunes.settings import load
    from thunes.storage.home import Home
    from thunes.verdict import why_not_live

    complaints: list[str] = []
    arguments, unknown = parser.parse_known_args(_without_empty_flags(argv, complaints))
    flags = {name: value for name, value in vars(arguments).items() if name not in ("home", "config", "json")}
    complaints += _unknown_words(unknown)
    refusal = partial(why_not_live, Home(Path(arguments.home)).logs)
    return arguments, load(
        config=arguments.config, environ=os.environ, flags=flags, more=complaints, why_not_live=refusal
    )


def _without_empty_flags(argv: Sequence[str], complaints: list[str]) -> list[str]:
    """`argv` less each flag that is followed by no value: argparse would stop at the first."""
    kept = []
    for word, following in pairwise([*argv, "--"]):
        if word in VALUED and following.startswith("--"):
            complaints.append(f"{word}: has no value; write one after it.")
        else:
            kept.append(word)
    return kept


def _unknown_words(words: Sequence[str]) -> list[str]:
    """A line each. What follows an unknown flag may be its value, and a secret: it is not repeated."""
    complaints = []
    for before, word in zip(["", *words], words, strict=False):
        flag = word.partition("=")[0]
        if flag.startswith("-"):
            close = get_close_matches(flag, VALUED, 1)
            advice = f"did you mean {close[0]}?" if close else "--help lists all."
            complaints.append(f"{flag}: no such flag; {advice}")
        elif not before.startswith("-"):
            complaints.append(f"{word}: belongs to no flag; leave it out.")
    return complaints


def _console() -> Any:
    from rich.console import Console

    return Console()


def _connect(home: Any) -> Any:
    """The venue of a home, for a kill when its system does not answer; None when address or keys are not known."""
    from thunes.exchange.binance import BinanceRest
    from thunes.venue import credentials

    found = credentials(home, os.environ)
    if found is None:
        return None
    return BinanceRest(
        found.rest, found.api_key, found.api_secret, timeout=2.0, wall_ms=lambda: time.time_ns() // 1_000_000
    )


if __name__ == "__main__":
    sys.exit(main())
