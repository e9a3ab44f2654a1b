"""Who is let in, who is not, and in which order that is found out."""

from __future__ import annotations

import pytest

from thunes.control.guard import Guard

TOKEN = "s3cret"
BEARER = f"Bearer {TOKEN}"
HOME = "127.0.0.1:8787"


@pytest.fixture
def guard() -> Guard:
    return Guard(TOKEN, ["trade.example", "127.0.0.1", "0.0.0.0"])


def status(guard: Guard, host: str | list[str], origin: str | None = None, authorization: str | None = BEARER) -> int:
    refusal = guard.refusal([host] if isinstance(host, str) else host, origin, authorization)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host", [HOME, "localhost:8787", "LOCALHOST", "[::1]:8787", "trade.example", "trade.example:443"]
)
def test_this_machine_and_configured_names_are_let_in(guard: Guard, host: str) -> None:
    assert status(guard, host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0:8787",
        "",
        "127.0.0.1:port",
        "evil@127.0.0.1",
        [],
        [HOME, HOME],
    ],
)
def test_a_foreign_or_malformed_host_is_refused(guard: Guard, host: str | list[str]) -> None:
    assert status(guard, host) == 403


@pytest.mark.parametrize("origin", [f"http://{HOME}", "https://trade.example", "https://trade.example:8443"])
def test_a_page_of_the_same_place_may_ask(guard: Guard, origin: str) -> None:
    assert status(guard, HOME, origin) == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "http://127.0.0.1:3000", "file://127.0.0.1:8787", "http://[", "trade.example"],
)
def test_a_page_of_another_place_may_not_even_with_the_token(guard: Guard, origin: str) -> None:
    assert status(guard, HOME, origin) == 403


def test_a_foreign_host_learns_nothing_about_its_token(guard: Guard) -> None:
    assert status(guard, "evil.example", None, BEARER) == status(guard, "evil.example", None, None) == 403


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"{BEARER}x", "Bearer \udcff"],
)
def test_without_the_right_token_the_answer_is_401(guard: Guard, authorization: str | None) -> None:
    assert status(guard, HOME, None, authorization) == 401


def test_the_scheme_is_written_in_either_case(guard: Guard) -> None:
    assert status(guard, HOME, None, f"bearer {TOKEN}") == 200


def test_an_empty_token_is_no_guard() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Guard("")
