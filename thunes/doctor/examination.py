"""The checks in their order, each within its time, and what is said of them."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import asdict
from functools import partial

from rich.console import Console

from thunes.alerts.keys import load_telegram_keys
from thunes.doctor import exchange, machine, streams, telegram
from thunes.doctor.findings import Failed, Finding, Mark, Skipped
from thunes.doctor.patient import Patient, Venue
from thunes.errors import SettingsError, ThunesError
from thunes.interrupts import sigterm_as_interrupt

SECONDS = 30.0
"""What a check may take; its own time-outs are shorter, so past this it hangs."""

AGAIN = "Mend that, then look again."

Check = Callable[[], str]
Working = Callable[[str], AbstractContextManager[object]]

ALONE: tuple[tuple[str, Callable[[Patient], str]], ...] = (
    ("settings", machine.settings),
    ("home", machine.home),
    ("disk", machine.disk),
    ("telegram", telegram.telegram),
)
AT_THE_VENUE: tuple[tuple[str, Callable[[Patient, Venue], str]], ...] = (
    ("clock", exchange.clock),
    ("keys", exchange.keys),
    ("filters", exchange.filters),
    ("market stream", streams.market),
    ("account stream", streams.account),
    ("instances", exchange.instances),
)


def examine(patient: Patient, console: Console, *, as_json: bool) -> int:
    """Run every check and say what each found; 1 when one failed, else 0."""
    shown = console.is_terminal and not as_json
    findings = []
    working: Working = partial(_working, console) if shown else lambda _name: nullcontext()
    with sigterm_as_interrupt(), closing(_findings(patient, working)) as found:
        for finding in found:
            findings.append(finding)
            if not as_json:
                console.print(finding.line(), soft_wrap=True, highlight=False)
    failed = any(finding.mark is Mark.FAILED for finding in findings)
    if as_json:
        document = {"ok": not failed, "checks": [asdict(finding) for finding in findings]}
        console.out(json.dumps(document, indent=2, ensure_ascii=False), highlight=False)
    return 1 if failed else 0


def _working(console: Console, name: str) -> AbstractContextManager[object]:
    return console.status(f"looking at {name}")


def _findings(patient: Patient, working: Working) -> Generator[Finding, None, None]:
    secrets = _own_secrets(patient)
    for name, look in ALONE:
        with working(name):
            finding = _look(patient, name, partial(look, patient)).without(secrets)
        yield finding
    yield from _at_the_venue(patient, working, secrets)


def _at_the_venue(patient: Patient, working: Working, secrets: Sequence[str]) -> Generator[Finding, None, None]:
    with ExitStack() as opened:
        try:
            with working("the exchange"):
                venue = opened.enter_context(patient.open_venue())
        except (ThunesError, OSError) as error:
            yield Finding("exchange", Mark.FAILED, str(error).rstrip("."), AGAIN).without(secrets)
            yield from (Finding(name, Mark.SKIPPED, "not looked at: there is no exchange") for name, _ in AT_THE_VENUE)
            return
        for name, look in AT_THE_VENUE:
            with working(name):
                finding = _look(patient, name, partial(look, patient, venue)).without((*secrets, *venue.secrets))
            yield finding


def _look(patient: Patient, name: str, check: Check) -> Finding:
    """One check on a thread of its own, which is left behind when it hangs."""
    answers: queue.Queue[Finding] = queue.Queue()
    patient.spawn(f"doctor.{name}", lambda: answers.put(_finding(name, check)))
    try:
        return answers.get(timeout=SECONDS)
    except queue.Empty:
        return Finding(name, Mark.FAILED, f"no answer within {SECONDS:g} s", "It hangs; look at what it needs.")


def _finding(name: str, check: Check) -> Finding:
    try:
        return Finding(name, Mark.OK, check())
    except Skipped as skipped:
        return Finding(name, Mark.SKIPPED, str(skipped))
    except Failed as failed:
        return Finding(name, Mark.FAILED, failed.found, failed.todo)
    except ThunesError as error:
        return Finding(name, Mark.FAILED, str(error).rstrip("."), AGAIN)
    except Exception as error:
        return Finding(name, Mark.FAILED, f"the check itself failed ({error!r})", "Report it with this line.")


def _own_secrets(patient: Patient) -> tuple[str, ...]:
    secrets = [patient.home.read_token() or ""]
    try:
        found = load_telegram_keys(patient.environ)
    except SettingsError:
        found = None
    if found is not None:
        secrets += [found.token.get_secret_value(), *(str(chat) for chat in found.chat_ids)]
    return tuple(secrets)
