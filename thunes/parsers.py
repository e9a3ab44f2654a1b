"""What the command line takes: the flags of every subcommand, an example of each, and what a mistake is told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from thunes.errors import SettingsError

RUN_EXAMPLES = (
    "thunes run                                      synthetic market, a market minute a second",
    "thunes run --source ticks/ --speed 10           recorded frames, ten times as fast",
    "thunes run --symbols BTCUSDT --duration 60      one symbol, one minute",
)
DOCTOR_EXAMPLES = (
    "thunes doctor --home x                          what `thunes run --home x` would meet",
    "thunes doctor --venue testnet --json            the same on the testnet, for a script",
    "thunes doctor --telegram                        with a test message to every chat",
)
RUN = "Trade: paper money on the embedded exchange unless told otherwise."
DOCTOR = "look at everything that a start needs, without leaving a trace"


COMPLETION = "completion"
COMPLETION_EXAMPLES = (
    "thunes completion bash > ~/.local/share/bash-completion/completions/thunes",
    "thunes completion zsh > ~/.zfunc/_thunes        a folder of $fpath; then start a new shell",
    "thunes completion tcsh > ~/.thunes.tcsh         and in ~/.tcshrc: source ~/.thunes.tcsh",
)

LARGE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "exchange": (
        "thunes.exchange.simulator.process",
        "the embedded exchange alone, for any Binance client",
        ("thunes exchange --port 9000",),
    ),
    "fault": (
        "thunes.exchange.simulator.fault_client",
        "make the embedded exchange go wrong",
        (
            "thunes fault http://127.0.0.1:9000 drop-report kind=TRADE count=2",
            "thunes fault http://127.0.0.1:9000              what is armed, and how often it struck",
            "thunes fault http://127.0.0.1:9000 --clear      an end to all of it; --clear 3: to fault 3",
        ),
    ),
    "audit": (
        "thunes.audit",
        "the journal, offline: verify, show, export",
        (
            "thunes audit verify --home x",
            "thunes audit show --event TRADE_REJECTED --limit 20",
            "thunes audit export --format csv --output journal.csv",
        ),
    ),
    "rodage": (
        "thunes.rodage.commands",
        "the burn-in: drills",
        ("thunes rodage drill kill --times 10",),
    ),
}
"""Subcommands by module, which has `add_arguments(parser)` and `run(arguments)` and is imported when it is named."""

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

Fill = Callable[[argparse.ArgumentParser], None]

VALUED = ("--home", "--config", *(flag for flag, _, _ in RUN_FLAGS))


class Parser(argparse.ArgumentParser):
    """argparse, whose complaints are one line and raise."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([f"{self.prog}: {message}; see {self.prog} --help."])

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A word that is not among the choices is told the nearest, not all of them."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        close = get_close_matches(str(value), known, 1)
        what = "/".join(action.option_strings) or action.metavar or action.dest
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise SettingsError([f"{self.prog}: {value!r} is no {what}; {advice}"])


def shown(examples: Sequence[str]) -> str:
    """The foot of a help page."""
    title = "example" if len(examples) == 1 else "examples"
    return "\n".join([f"{title}:", *(f"  {example}" for example in examples)])


def add_subcommand(subparsers: Any, name: str, summary: str, examples: Sequence[str]) -> Parser:
    parser: Parser = subparsers.add_parser(
        name,
        help=summary,
        description=sentence(summary),
        epilog=shown(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def every(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of all its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from every(below)


def flags_of(parser: argparse.ArgumentParser, prog: str) -> list[str]:
    """The flags of the subcommand that is called `prog`, and of what is below it."""
    named = [each for each in every(parser) if each.prog == prog or each.prog.startswith(f"{prog} ")]
    return [flag for each in named for action in each._actions for flag in action.option_strings]


def add_common(parser: argparse.ArgumentParser) -> None:
    """The flags of every subcommand."""
    parser.add_argument(
        "--home", default=os.environ.get("THUNES_HOME", "."), metavar="DIR", help="default: . or $THUNES_HOME"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings over the defaults")


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Values are taken as text: settings check them, all at once."""
    add_common(parser)
    for flag, metavar, summary in RUN_FLAGS:
        parser.add_argument(flag, metavar=metavar, help=summary)


def add_doctor_flags(parser: argparse.ArgumentParser) -> None:
    """Those of `run`, so that what is looked at is what would be started."""
    add_run_flags(parser)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.add_argument("--telegram", action="store_true", help="send a test message to every chat besides")


def run_parser(
    prog: str, description: str = RUN, examples: Sequence[str] = RUN_EXAMPLES, fill: Fill = add_run_flags
) -> Parser:
    """The parser of the main job, which takes flags in full only."""
    parser = Parser(
        prog=prog,
        description=description,
        epilog=shown(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    fill(parser)
    return parser
