"""`thunes status`, `resume`, `reconnect` and `reconcile`: they talk to the running system of a home.

Each finds it by `data/run.json` and `data/control.token`.
"""

from __future__ import annotations

import http.client
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from thunes.control.view import status_view
from thunes.control.watch import FullScreen, JsonLines, Tables, watch
from thunes.errors import OperatorError, ThunesError
from thunes.storage.home import Home

ANSWER_SECONDS = 3.0
ACKNOWLEDGED_SECONDS = 6.0
EVERY_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 0.1, 3600.0
WHY = "Why is it safe to buy again? "
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Unreachable(ThunesError):
    """No system of this home answers; the message says what to do."""


class Refused(ThunesError):
    """The system answered and said no, in its own words."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the command line hands to its commands.

    `now` is the wall clock in RFC 3339. `wait` sleeps for seconds. `ask` puts a question to the person; None where no
    person is there to answer.
    """

    now: Callable[[], str]
    console: Console
    wait: Callable[[float], None]
    ask: Callable[[str], str] | None

    def say(self, line: str) -> None:
        """Whole, whatever the terminal's width: scripts read it too."""
        self.console.out(line, highlight=False)

    def say_json(self, document: Any) -> None:
        self.say(json.dumps(document, indent=2, ensure_ascii=False))

    def answer(self, args: Namespace, sentence: str, document: Any) -> None:
        """What came of a command: the document where JSON was asked for, else the sentence."""
        if args.json:
            self.say_json(document)
        else:
            self.say(sentence)


class RunningSystem:
    """The API of the system that runs on a home; Unreachable where there is none."""

    def __init__(self, home: Home) -> None:
        run, token = home.read_run(), home.read_token()
        if run is None or token is None:
            raise Unreachable(f"No THUNES runs on {home.path}; start one with `thunes run --home {home.path}`.")
        self._token = token
        self._where = f"{home.path} (process {run.get('pid', 'unknown')})"
        try:
            host = str(run["host"])
            self._address = WILDCARDS.get(host, host), int(run["console_port"])
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"{home.run_file} does not say where THUNES listens; start it again.") from error

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None, ANSWER_SECONDS)

    def post(self, path: str, body: Mapping[str, Any], seconds: float = ACKNOWLEDGED_SECONDS) -> Any:
        return self._ask("POST", path, json.dumps(body), seconds)

    def _ask(self, method: str, path: str, body: str | None, seconds: float) -> Any:
        """Straight to the port: a proxy of the environment has no business between us and ourselves."""
        connection = http.client.HTTPConnection(*self._address, timeout=seconds)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            document = json.loads(response.read())
        except TimeoutError as error:
            raise Unreachable(f"THUNES on {self._where} did not answer within {seconds:g} s; it may hang.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            sentence = f"THUNES on {self._where} does not answer ({error}); if it has died, start it again."
            raise Unreachable(sentence) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise Refused(str(document.get("error", document) if isinstance(document, dict) else document))
        return document


class Status:
    """`thunes status`: the live table or the JSON of `/api/status`, once or again and again."""

    name, help = "status", "show the running system"
    examples = (
        "thunes status --home x",
        "thunes status --watch                           a full screen, refreshed each second, until Ctrl-C",
        "thunes status --json | jq .kill_switch",
    )

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser, "the JSON of /api/status; with --watch a line of it each time")
        parser.add_argument("--watch", action="store_true", help="show it again and again, until Ctrl-C")
        parser.add_argument("--every", type=_seconds, metavar="SECONDS", help="with --watch: how often; default 1")

    def run(self, args: Namespace) -> int:
        return said(lambda: self._watch(args) if args.watch else self._show(args))

    def _show(self, args: Namespace) -> None:
        if args.every is not None:
            raise OperatorError("--every: says how often --watch looks; write --watch too.")
        status = self._look(args)
        if args.json:
            self._tools.say_json(status)
        else:
            self._tools.console.print(status_view(status, ()))

    def _watch(self, args: Namespace) -> None:
        tools, every = self._tools, args.every or EVERY_SECONDS
        look, wait = partial(self._look, args), partial(tools.wait, every)
        if args.json:
            watch(look, JsonLines(tools.say), wait)
        elif tools.console.is_terminal and not tools.console.is_dumb_terminal:
            with FullScreen(tools.console, tools.now, every) as screen:
                watch(look, screen, wait)
        else:
            watch(look, Tables(tools.console, tools.now), wait)

    def _look(self, args: Namespace) -> Any:
        """Found anew each time: one that was started again listens elsewhere."""
        return RunningSystem(Home(Path(args.home))).get("/api/status")


class Resume:
    """`thunes resume`: buying is allowed again, once the system confirms it."""

    name, help = "resume", "allow buying again after a kill"
    examples = ('thunes resume --home x --reason "limit looked into"',)

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", help="goes into the journal; asked for on a terminal where it is left out")
        add_json(parser)

    def run(self, args: Namespace) -> int:
        def resume() -> None:
            system = RunningSystem(Home(Path(args.home)))
            answer = system.post("/api/resume", {"reason": self._reason(args.reason)})
            self._tools.answer(args, "Resumed: the kill switch is off.", answer)

        return said(resume)

    def _reason(self, given: str | None) -> str:
        if given is None:
            if self._tools.ask is None:
                return "resumed from the command line"
            given = self._tools.ask(WHY)
        if not given.strip():
            raise OperatorError("Nothing was resumed: say why it is safe to buy again, here or by --reason.")
        return given


class Reconnect:
    """`thunes reconnect SYMBOL`: the stream's connection is opened anew."""

    name, help = "reconnect", "open a stream's connection anew"
    examples = ("thunes reconnect BTCUSDT --home x",)

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="such as BTCUSDT; `account` is the account's own stream")
        add_json(parser)

    def run(self, args: Namespace) -> int:
        def reconnect() -> None:
            symbol = args.symbol if args.symbol == "account" else args.symbol.upper()
            answer = RunningSystem(Home(Path(args.home))).post("/api/reconnect", {"symbol": symbol})
            self._tools.answer(args, f"Asked to reconnect {symbol}; `thunes status` shows it.", answer)

        return said(reconnect)


class Reconcile:
    """`thunes reconcile`: the books are compared with the exchange now."""

    name, help = "reconcile", "compare the books with the exchange now"
    examples = ("thunes reconcile --home x",)

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def run(self, args: Namespace) -> int:
        def reconcile() -> None:
            answer = RunningSystem(Home(Path(args.home))).post("/api/reconcile", {})
            self._tools.answer(args, "Asked to reconcile; the journal says what came of it.", answer)

        return said(reconcile)


COMMANDS = (Status, Resume, Reconnect, Reconcile)


def add_json(parser: ArgumentParser, summary: str = "what came of it as JSON") -> None:
    parser.add_argument("--json", action="store_true", help=summary)


def said(act: Callable[[], None]) -> int:
    """The exit status, with a failure as one line on standard error: 2 for the operator's, 1 for any other."""
    try:
        act()
    except ThunesError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, OperatorError) else 1
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}")
    return seconds
