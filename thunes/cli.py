"""The `thunes` command: its subcommands, which of them are imported, and what an error looks like.

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
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thunes import __version__
from thunes.errors import OperatorError, SettingsError, ThunesError
from thunes.parsers import (
    COMPLETION,
    COMPLETION_EXAMPLES,
    DOCTOR,
    DOCTOR_EXAMPLES,
    LARGE,
    RUN_EXAMPLES,
    RUN_FLAGS,
    VALUED,
    Parser,
    add_common,
    add_doctor_flags,
    add_run_flags,
    add_subcommand,
    flags_of,
    run_parser,
    sentence,
)

if TYPE_CHECKING:
    from thunes.settings import Settings

OF_RUN = {flag.removeprefix("--").replace("-", "_") for flag, _, _ in RUN_FLAGS}
DONE, FAILED, BAD_COMMAND, INTERRUPTED = 0, 1, 2, 130

Commands = dict[str, Callable[[argparse.Namespace], int]]


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
    named = argv[0] if argv else ""
    flag = named.partition("=")[0]
    if flag in (*VALUED, "--json"):
        raise SettingsError([f"{flag}: comes after the subcommand, as in `thunes status {flag}`."])
    parser, commands = command_line(named)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise SettingsError(_unknown_words(unknown, flags_of(parser, f"thunes {named}")))
    if arguments.command is None:
        parser.print_help()
        return DONE
    return commands[arguments.command](arguments)


def command_line(named: str) -> tuple[Parser, Commands]:
    """The parser of all subcommands, and what each calls; of the large ones only `named` is filled in.

    `run` and `doctor` have parsers of their own; here they are for the help, and for a shell to complete.
    """
    parser = Parser(prog="thunes", description="A paper-to-live trader for Binance spot.")
    parser.add_argument("--version", action="version", version=f"thunes {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    run = add_subcommand(subparsers, "run", "trade", RUN_EXAMPLES)
    doctor = add_subcommand(subparsers, "doctor", DOCTOR, DOCTOR_EXAMPLES)
    commands = {**_small(subparsers), **_large(subparsers, named)}
    completion = add_subcommand(subparsers, COMPLETION, "what a shell reads to complete by Tab", COMPLETION_EXAMPLES)
    if named == COMPLETION:
        from thunes.completion import add_arguments, script

        add_run_flags(run)
        add_doctor_flags(doctor)
        add_arguments(completion)
        commands[COMPLETION] = lambda arguments: print(script(parser, arguments.shell)) or DONE
    return parser, commands


def _small(subparsers: Any) -> Commands:
    """What talks to the running system."""
    from thunes.control import client
    from thunes.control.breaker import Breaker
    from thunes.control.kill import Kill

    commands: Commands = {}
    tools = _tools()
    for command in (*(kind(tools) for kind in (*client.COMMANDS, Breaker)), Kill(tools, _connect)):
        parser = add_subcommand(subparsers, command.name, command.help, command.examples)
        command.add_arguments(parser)
        add_common(parser)
        commands[command.name] = command.run
    return commands


def _large(subparsers: Any, named: str) -> Commands:
    """What has a module of its own, which is imported when it is named, or when a shell wants to know all flags."""
    commands: Commands = {}
    for name, (module, summary, examples) in LARGE.items():
        if not _installed(module):
            continue
        parser = add_subcommand(subparsers, name, summary, examples)
        if named in (name, COMPLETION):
            found = import_module(module)
            found.add_arguments(parser)
            commands[name] = found.run
    return commands


def _installed(module: str) -> bool:
    """Whether this part of THUNES is there; nothing of it is run, only the packages above it are imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _tools() -> Any:
    from thunes.control.client import Tools
    from thunes.terminal import console

    return Tools(
        now=lambda: datetime.now(UTC).isoformat(),
        console=console(os.environ),
        wait=time.sleep,
        ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


def _ask(question: str) -> str:
    """On standard error: standard output may be a script's to read."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _run(parser: Parser, argv: list[str]) -> int:
    arguments, settings = _settings(parser, argv)
    from thunes.supervisor import run

    return run(settings, Path(arguments.home))


def _doctor(argv: list[str]) -> int:
    parser = run_parser("thunes doctor", sentence(DOCTOR), DOCTOR_EXAMPLES, fill=add_doctor_flags)
    arguments, settings = _settings(parser, argv)
    from thunes.supervisor import examine

    return examine(settings, Path(arguments.home), as_json=arguments.json, send_test=arguments.telegram)


def _settings(parser: Parser, argv: list[str]) -> tuple[argparse.Namespace, Settings]:
    from thunes.settings import load
    from thunes.storage.home import Home
    from thunes.verdict import why_not_live

    complaints: list[str] = []
    arguments, unknown = parser.parse_known_args(_without_empty_flags(argv, complaints))
    flags = {name: value for name, value in vars(arguments).items() if name in OF_RUN}
    complaints += _unknown_words(unknown, VALUED)
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


def _unknown_words(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A line each. What follows an unknown flag may be its value, and a secret: it is not repeated."""
    complaints = []
    for before, word in zip(["", *words], words, strict=False):
        flag = word.partition("=")[0]
        if flag.startswith("-"):
            close = get_close_matches(flag, flags, 1)
            advice = f"did you mean {close[0]}?" if close else "--help lists all."
            complaints.append(f"{flag}: no such flag; {advice}")
        elif not before.startswith("-"):
            complaints.append(f"{word}: belongs to no flag; leave it out.")
    return complaints


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
