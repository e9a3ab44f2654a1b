"""`thunes fault`: arms, lists and clears faults of an embedded exchange at its control endpoint."""

from __future__ import annotations

import argparse
import http.client
import re
from typing import Any
from urllib.parse import urlsplit

import orjson

from thunes.errors import NetworkError, OperatorError
from thunes.exchange.simulator.fault_kinds import checked, described, from_words

TIMEOUT_S = 5.0
ALL = "all"
SHOWN_APART = ("id", "fault", "left", "fired", "active")

ADDRESS = "The address is what `thunes exchange --control-port 9000` says when it is ready."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `thunes fault`, and below its help every fault with its parameters."""
    parser.add_argument("url", metavar="URL", help="of the control endpoint, such as http://127.0.0.1:9000")
    parser.add_argument("name", metavar="NAME", nargs="?", help="what goes wrong; left out: list what is armed")
    parser.add_argument("words", metavar="key=value", nargs="*", help="its parameters; the others have their defaults")
    parser.add_argument("--clear", metavar="ID", nargs="?", const=ALL, help="end one fault, or all")
    parser.add_argument("--json", action="store_true", help="the endpoint's answer as JSON")
    parser.add_argument("--home", metavar="DIR", help="not read; accepted by every subcommand")
    parser.add_argument("--config", metavar="FILE", help="the same")
    parser.epilog = f"{parser.epilog}\n\n{ADDRESS}\n\nfaults, with their parameters and defaults:\n{described()}\n"


def run(arguments: argparse.Namespace) -> int:
    """Raises OperatorError for what is asked wrongly, NetworkError where no exchange answers."""
    host, port = address(arguments.url)
    if arguments.clear is not None:
        document = cleared(host, port, arguments)
        lines = [f"cleared: {document['cleared']}"]
    elif arguments.name is not None:
        given = from_words(arguments.name, arguments.words)
        checked(arguments.name, given)
        document = ask(host, port, "POST", "/faults", {"fault": arguments.name, **given})
        lines = [line(document)]
    else:
        document = ask(host, port, "GET", "/faults")
        lines = [line(row) for row in document["faults"]]
        lines.append(f"{len(document['faults'])} faults known, struck {document['fired_total']} times")
    print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() if arguments.json else "\n".join(lines))
    return 0


def cleared(host: str, port: int, arguments: argparse.Namespace) -> Any:
    if arguments.name is not None:
        raise OperatorError("--clear arms nothing: leave the fault's name out.")
    if arguments.clear != ALL and not re.fullmatch("[0-9]{1,18}", arguments.clear):
        raise OperatorError(f"--clear {arguments.clear}: is no fault's number; `thunes fault URL` lists them.")
    return ask(host, port, "DELETE", "/faults" if arguments.clear == ALL else f"/faults/{arguments.clear}")


def address(url: str) -> tuple[str, int]:
    """Raises OperatorError for what is no address of a control endpoint."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        if parts.scheme in ("", "http") and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass  # a port that is no number
    raise OperatorError(f"{url} is no address of a control endpoint; give one such as http://127.0.0.1:9000.")


def ask(host: str, port: int, method: str, path: str, body: Any = None) -> Any:
    """Straight to the port, whatever proxies the environment names."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, None if body is None else orjson.dumps(body))
        response = connection.getresponse()
        document = orjson.loads(response.read())
        refused = str(document["error"]) if response.status >= 400 else ""
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise NetworkError(
            f"No control endpoint answers at http://{host}:{port} ({error}); see `thunes exchange --control-port`."
        ) from error
    finally:
        connection.close()
    if refused:
        raise OperatorError(f"The exchange refuses: {refused}.")
    return document


def line(row: dict[str, Any]) -> str:
    """A fault for people: what is left out has no value."""
    own = [f"{name}={value}" for name, value in row.items() if name not in SHOWN_APART and value is not None]
    counts = [f"{name} {row[name]}" for name in ("left", "fired") if name in row]
    state = [] if row.get("active", True) else ["over"]
    return "  ".join([f"{row['id']:>4}", row["fault"], *own, *counts, *state])
