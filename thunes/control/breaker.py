"""`thunes breaker`: the running system's circuit breakers, and closing one by hand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from thunes.control.client import RunningSystem, Tools, add_json, said
from thunes.control.view import BREAKERS
from thunes.errors import OperatorError
from thunes.storage.home import Home


class Breaker:
    """`thunes breaker`: states and trips; `reset NAME` closes a circuit, once the system confirms it."""

    name, help = "breaker", "the circuit breakers, and their reset"
    examples = ("thunes breaker --home x", "thunes breaker reset BinanceAPI --home x")

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.usage = f"{parser.prog} [-h] [--json] [--home DIR] [--config FILE] [reset NAME]"
        parser.add_argument("action", metavar="reset", nargs="?", choices=("reset",), help="close a circuit by hand")
        parser.add_argument("circuit", metavar="NAME", nargs="?", help="which one; `thunes breaker` lists them")
        add_json(parser)

    def run(self, args: Namespace) -> int:
        return said(lambda: self._show(args) if args.action is None else self._reset(args))

    def _show(self, args: Namespace) -> None:
        circuits = RunningSystem(Home(Path(args.home))).get("/api/breakers")
        if args.json:
            self._tools.say_json(circuits)
        else:
            self._tools.console.print(_table(circuits) if circuits else "No circuit breaker has said anything yet.")

    def _reset(self, args: Namespace) -> None:
        if args.circuit is None:
            raise OperatorError("thunes breaker reset: which one? `thunes breaker` lists them.")
        answer = RunningSystem(Home(Path(args.home))).post("/api/breaker", {"name": args.circuit})
        self._tools.answer(args, f"Reset: circuit breaker {args.circuit} is {answer['state']}.", answer)


def _table(circuits: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("circuit breaker")
    table.add_column("state")
    table.add_column("trips", justify="right")
    for name, circuit in circuits.items():
        table.add_row(name, Text(circuit["state"], BREAKERS.get(circuit["state"], "red")), str(circuit["trips"]))
    return table
