"""`thunes status`, `resume`, `reconnect` and `reconcile`: they talk to the running system of a home.

Each finds it by `data/run.json` and `data/control.token`.
"""

from __future__ import annotations

import http.client
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from thunes.control.view import status_view
from thunes.domain.market import OrderAnswer
from thunes.errors import ThunesError
from thunes.storage.home import Home

ANSWER_SECONDS = 3.0
ACKNOWLEDGED_SECONDS = 6.0
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Unreachable(ThunesError):
    """No system of this home answers; the message says what to do."""


class Refused(ThunesError):
    """The system answered and said no, in its own words."""


class Rest(Protocol):
    """The venue, as far as a kill from outside needs it (`thunes.exchange.binance.BinanceRest`)."""

    def sync_clock(self) -> None: ...
    def open_orders(self) -> Sequence[OrderAnswer]: ...
    def cancel_all(self, symbol: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the command line hands to its commands.

    `now` is the wall clock in RFC 3339. `connect` gives the venue of a home, signed in as its account, or None where
    address or keys are not known.
    """

    now: Callable[[], str]
    connect: Callable[[Home], Rest | None]
    console: Console

    def say(self, line: str) -> None:
        """Whole, whatever the terminal's width: scripts read it too."""
        self.console.out(line, highlight=False)


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
    """`thunes status`: the live table once, or the JSON of `/api/status`."""

    name, help = "status", "show the running system"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the JSON of /api/status")

    def run(self, args: Namespace) -> int:
        def show() -> None:
            status = RunningSystem(Home(Path(args.home))).get("/api/status")
            if args.json:
                self._tools.say(json.dumps(status, indent=2, ensure_ascii=False))
            else:
                self._tools.console.print(status_view(status, ()))

        return said(show)


class Resume:
    """`thunes resume`: buying is allowed again, once the system confirms it."""

    name, help = "resume", "allow buying again after a kill"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="resumed from the command line", help="goes into the journal")

    def run(self, args: Namespace) -> int:
        def resume() -> None:
            RunningSystem(Home(Path(args.home))).post("/api/resume", {"reason": args.reason})
            self._tools.say("Resumed: the kill switch is off.")

        return said(resume)


class Reconnect:
    """`thunes reconnect SYMBOL`: the stream's connection is opened anew."""

    name, help = "reconnect", "open a stream's connection anew"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="such as BTCUSDT; `account` is the account's own stream")

    def run(self, args: Namespace) -> int:
        def reconnect() -> None:
            symbol = args.symbol if args.symbol == "account" else args.symbol.upper()
            RunningSystem(Home(Path(args.home))).post("/api/reconnect", {"symbol": symbol})
            self._tools.say(f"Asked to reconnect {symbol}; `thunes status` shows it.")

        return said(reconnect)


class Reconcile:
    """`thunes reconcile`: the books are compared with the exchange now."""

    name, help = "reconcile", "compare the books with the exchange now"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        """None beyond those of every subcommand."""

    def run(self, args: Namespace) -> int:
        def reconcile() -> None:
            RunningSystem(Home(Path(args.home))).post("/api/reconcile", {})
            self._tools.say("Asked to reconcile; the journal says what came of it.")

        return said(reconcile)


COMMANDS = (Status, Resume, Reconnect, Reconcile)


def said(act: Callable[[], None]) -> int:
    """0, or 1 with the failure as one line on standard error."""
    try:
        act()
    except ThunesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
