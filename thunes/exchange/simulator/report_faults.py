"""What befalls execution reports on their way to the account's listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thunes.exchange.simulator.faults import Fault, Faults, Hold

Event = Callable[[int], Mapping[str, Any]]
"""An event with its times multiplied by the argument: 1, or 1000 for microseconds."""
Send = Callable[[str, Event], None]
"""Sends an event to all that listen to an account."""


class ReportFaults:
    """Passes events on, unless a fault has it otherwise."""

    def __init__(self, faults: Faults, send: Send) -> None:
        self._faults = faults
        self._send = send
        self._waiting: dict[Hold, tuple[str, Fault]] = {}
        """Reports that go out behind the account's next one."""

    def pass_on(self, account: str, event: Event) -> None:
        if not self._waiting and not self._faults.watches_reports():
            self._send(account, event)
            return
        said = event(1)
        if said["e"] == "executionReport":
            self._report(account, event, said)
        else:
            self._send(account, event)

    def _report(self, account: str, event: Event, said: Mapping[str, Any]) -> None:
        overtaken = [hold for hold, (of, fault) in self._waiting.items() if of == account and concerns(fault, said)]
        if overtaken:
            self._send(account, event)
            for hold in overtaken:
                hold.let_go()
            return
        fault = self._faults.report(said["x"], said["s"])
        match None if fault is None else fault.name:
            case "drop-report":
                return
            case "double-report":
                self._send(account, event)
                self._send(account, event)
            case "delay-report" | "reorder-report":
                assert fault is not None
                self._hold(fault, account, event)
            case _:
                self._send(account, event)

    def _hold(self, fault: Fault, account: str, event: Event) -> None:
        def go() -> None:
            self._waiting.pop(hold, None)
            if not self._faults.closed:
                self._send(account, event)

        hold = Hold(fault, fault["seconds"], go)
        if fault.name == "reorder-report":
            self._waiting[hold] = (account, fault)


def concerns(fault: Fault, report: Mapping[str, Any]) -> bool:
    return fault["symbol"] in (None, report["s"])
