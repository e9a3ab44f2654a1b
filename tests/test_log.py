"""The log: what goes to the file, what to the console, and what to neither."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thunes.log import BYTES, HIDDEN, set_up_logging

log = logging.getLogger("thunes.test")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where to log; the loggers are afterwards as they were."""
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield tmp_path / "paper_trader.log"
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raising
    root.setLevel(level)


def fail() -> None:
    raise ValueError("the key was hush")


def tell_in_a_message() -> None:
    log.info("the key is %s", "hush")


def tell_in_a_traceback() -> None:
    try:
        fail()
    except ValueError:
        log.exception("It failed.")


def test_a_line_says_when_in_utc_how_grave_who_and_what(path: Path) -> None:
    set_up_logging(path, "live")

    log.warning("Circuit breaker %s state changed: %s -> %s", "exchange", "closed", "open")

    time, grave, who, what = path.read_text().split(" ", 3)
    assert datetime.fromisoformat(time).tzinfo is UTC
    assert (grave, who) == ("WARNING", "thunes.test:")
    assert what == "Circuit breaker exchange state changed: closed -> open\n"


def test_plain_shows_the_line_on_the_console_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(path, "plain")

    log.info("WebSocket reconnected successfully: BTCUSDT")

    assert capsys.readouterr() == ("", path.read_text())


def test_json_shows_an_object_a_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(path, "json")

    log.info("two\nlines")

    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["logger"], said["message"]) == ("INFO", "thunes.test", "two\nlines")


def test_a_live_table_has_the_console_for_itself(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(path, "live")

    log.error("code=-1013 Filter failure: NOTIONAL")

    assert capsys.readouterr() == ("", "")
    assert "code=-1013 Filter failure: NOTIONAL" in path.read_text()


@pytest.mark.parametrize("shown", ["plain", "json"])
@pytest.mark.parametrize("tell", [tell_in_a_message, tell_in_a_traceback])
def test_a_secret_gets_into_neither(
    tell: Callable[[], None], shown: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(path, shown, ["hush", ""])

    tell()

    written = path.read_text() + capsys.readouterr().err
    assert HIDDEN in written
    assert "hush" not in written


def test_a_secret_is_known_in_json_as_well(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(path, "json", ['hu"sh'])

    log.info("the key is %s", 'hu"sh')

    assert json.loads(capsys.readouterr().err)["message"] == f"the key is {HIDDEN}"


def test_a_full_file_is_set_aside_and_the_log_goes_on(path: Path) -> None:
    set_up_logging(path, "live")

    log.info("x" * BYTES)
    log.info("the next file")

    assert path.read_text().endswith("the next file\n")
    assert path.with_name("paper_trader.log.1").stat().st_size > BYTES


def test_a_library_that_logs_every_request_is_kept_quiet(path: Path) -> None:
    set_up_logging(path, "live")

    logging.getLogger("urllib3.connectionpool").info("GET /api/v3/account?signature=abc")

    assert path.read_text() == ""
