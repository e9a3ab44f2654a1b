"""All checks together: their order, their lines, their exit status, and what must not be in them."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tests.doctor.conftest import MakePatient, venue_of
from tests.exchange.conftest import START_MS, Exchange, trade
from thunes.doctor import examination
from thunes.doctor import exchange as asked
from thunes.doctor.examination import ALONE, AT_THE_VENUE, examine
from thunes.doctor.findings import HIDDEN, Failed, Finding, Mark
from thunes.doctor.patient import Patient, Venue
from thunes.errors import ThunesError

# The exchange's client library makes an event loop in every thread and closes none; a process's end does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

NAMES = [name for name, _ in (*ALONE, *AT_THE_VENUE)]


def outcome(patient: Patient, *, as_json: bool = False) -> tuple[int, str]:
    shown = io.StringIO()
    return examine(patient, Console(file=shown, width=40), as_json=as_json), shown.getvalue()


@pytest.fixture
def patient(exchange: Exchange, patient_of: MakePatient, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """One in good health, but for the frames of a market that stands still."""
    monkeypatch.setattr(asked, "NEEDED_TYPES", ("MARKET", "LIMIT"))
    exchange.play(trade(1, "30000", "1", START_MS))
    return patient_of(venue_of(exchange))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replaces the checks by the functions given, by name."""

    def replaced(**alone: Any) -> None:
        monkeypatch.setattr(examination, "ALONE", tuple((name, look) for name, look in alone.items()))
        monkeypatch.setattr(examination, "AT_THE_VENUE", ())

    return replaced


def test_every_check_is_a_line_of_its_own_however_narrow_the_terminal(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = tuple((name, look if name != "market stream" else lambda _p, _v: "moves") for name, look in AT_THE_VENUE)
    monkeypatch.setattr(examination, "AT_THE_VENUE", healthy)

    status, shown = outcome(patient)

    lines = shown.splitlines()
    assert [line[6:20].strip() for line in lines] == NAMES
    assert [line for line in lines if line.startswith("FAIL")] == []
    assert [line[:4].strip() for line in lines if "telegram" in line] == ["--"]
    assert status == 0


def test_a_failure_says_what_to_do_and_is_exit_1(patient_of: MakePatient, checks: Any) -> None:
    def bad(_patient: Patient) -> str:
        raise Failed("it is broken", "Mend it.")

    checks(good=lambda _patient: "fine", bad=bad)

    status, shown = outcome(patient_of())

    assert status == 1
    assert shown.splitlines()[1] == f"FAIL  {'bad':<14}  it is broken. Mend it."


def test_the_same_as_json(patient_of: MakePatient, checks: Any) -> None:
    def bad(_patient: Patient) -> str:
        raise Failed("it is broken", "Mend it.")

    checks(good=lambda _patient: "fine", bad=bad)

    status, shown = outcome(patient_of(), as_json=True)

    assert status == 1
    assert json.loads(shown) == {
        "ok": False,
        "checks": [
            {"name": "good", "mark": "ok", "found": "fine", "todo": ""},
            {"name": "bad", "mark": "FAIL", "found": "it is broken", "todo": "Mend it."},
        ],
    }


def test_a_check_that_hangs_is_given_up_and_the_others_go_on(
    patient_of: MakePatient, checks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "SECONDS", 0.1)
    over, started = threading.Event(), time.monotonic()

    def hangs(_patient: Patient) -> str:
        over.wait(30)
        return "at last"

    checks(hangs=hangs, good=lambda _patient: "fine")
    try:
        status, shown = outcome(patient_of())
        assert time.monotonic() - started < 5
    finally:
        over.set()

    assert status == 1
    assert "no answer within 0.1 s" in shown.splitlines()[0]
    assert shown.splitlines()[1].startswith("ok")


@pytest.mark.parametrize("error", [RuntimeError("two\nlines"), ThunesError("The network is down.")])
def test_a_check_that_fails_by_itself_is_a_line_too(patient_of: MakePatient, checks: Any, error: Exception) -> None:
    def breaks(_patient: Patient) -> str:
        raise error

    checks(breaks=breaks)

    status, shown = outcome(patient_of())

    assert status == 1
    assert len(shown.splitlines()) == 1


def test_without_an_exchange_that_is_the_failure_and_the_rest_is_skipped(patient: Patient) -> None:
    @contextmanager
    def nothing() -> Iterator[Venue]:
        raise ThunesError("The embedded exchange did not come up.")
        yield

    status, shown = outcome(replace(patient, open_venue=nothing))

    assert status == 1
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("FAIL")] == ["exchange"]
    assert shown.count("there is no exchange") == len(AT_THE_VENUE)


def test_on_a_terminal_it_says_what_it_is_looking_at(patient_of: MakePatient, checks: Any) -> None:
    checks(good=lambda _patient: "fine")
    shown = io.StringIO()

    examine(patient_of(), Console(file=shown, force_terminal=True), as_json=True)
    assert "looking at" not in shown.getvalue()
    examine(patient_of(), Console(file=shown, force_terminal=True), as_json=False)
    assert "looking at good" in shown.getvalue()


def test_no_secret_is_in_a_line_whatever_a_check_says(
    exchange: Exchange, patient_of: MakePatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"THUNES_TELEGRAM_TOKEN": "123456789:AAtokenAAtokenAAtokenAAtoken", "THUNES_TELEGRAM_CHAT_IDS": "98765"}
    patient = patient_of(venue_of(exchange), environ)
    patient.home.prepare()
    console_token = patient.home.control_token(lambda: "console-token")
    secrets = [console_token, exchange.key, exchange.secret, *environ.values()]

    def blabs(*_: object) -> str:
        raise Failed(" ".join(secrets), " ".join(secrets))

    monkeypatch.setattr(examination, "ALONE", ())
    monkeypatch.setattr(examination, "AT_THE_VENUE", (("blabs", blabs),))
    for as_json in (False, True):
        _, shown = outcome(patient, as_json=as_json)
        assert [secret for secret in secrets if secret in shown] == []
        assert shown.count(HIDDEN) == 2 * len(secrets)


def test_a_secret_too_short_to_be_one_garbles_no_sentence() -> None:
    assert Finding("x", Mark.OK, "2 chats").without(["2", ""]).found == "2 chats"
