"""`thunes fault` and the flags of `thunes exchange` for what goes wrong, as a person meets them."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thunes.cli import main
from thunes.exchange.simulator.control import Control
from thunes.exchange.simulator.fault_kinds import KINDS
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.methods import REQUESTS
from thunes.exchange.simulator.options import Delay, Options
from thunes.exchange.simulator.process import add_arguments, options_of


@pytest.fixture
def url() -> Iterator[str]:
    """A control endpoint over faults that strike nothing."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Control:
        control = Control(Faults(loop.time, REQUESTS, ("BTCUSDT",)), dict)
        await control.start(0)
        return control

    try:
        control = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield control.url
        asyncio.run_coroutine_threadsafe(control.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["fault", *words]) == 0
    return [re.sub(" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()]


def complaint(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> str:
    assert main(list(words)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    return err.strip()


def test_a_fault_is_armed_listed_and_cleared(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, url, "drop-report", "kind=TRADE", "count=2") == ["1 drop-report kind=TRADE count=2"]
    assert said(capsys, url, "clock", "offset_ms=-500") == ["2 clock offset_ms=-500"]
    assert said(capsys, url) == [
        "1 drop-report kind=TRADE count=2 left 2 fired 0",
        "2 clock offset_ms=-500 left 1 fired 1",
        "2 faults known, struck 1 times",
    ]
    assert said(capsys, url, "--clear", "1") == ["cleared: 1"]
    assert said(capsys, url, "--clear") == ["cleared: 1"]
    assert said(capsys, url) == ["0 faults known, struck 1 times"]


def test_as_json_the_endpoints_answer_is_one_document(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(*words: str) -> Any:
        assert main(["fault", url, *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    armed = answer("drop-report", "count=2")
    assert (armed["id"], armed["fault"], armed["count"]) == (1, "drop-report", 2)
    listed = answer()
    assert [fault["id"] for fault in listed["faults"]] == [1]
    assert listed["fired_total"] == 0
    assert answer("--clear") == {"cleared": 1}


def test_the_scheme_may_be_left_out(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, url.removeprefix("http://")) == ["0 faults known, struck 0 times"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("nosuch",), "there is no fault 'nosuch'; there are: lose-request"),
        (("drop-report", "colour=red"), "drop-report has no 'colour'; it has: kind, symbol, count"),
        (("drop-report", "twice"), "'twice' is no key=value"),
        (("drop-report", "count=two"), "has to be a whole number, not 'two'"),
        (("slow", "seconds=nan"), "has to be a number from 0 to 86400, not nan"),
        (("slow", "symbol=ETHUSDT"), "The exchange refuses: ETHUSDT is not served here; there are: BTCUSDT."),
        (("--clear", "x"), "--clear x: is no fault's number"),
        (("--clear", "9"), "The exchange refuses: there is no fault 9."),
        (("drop-report", "--clear"), "--clear arms nothing"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_exit_2(
    words: tuple[str, ...], wanted: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wanted in complaint(capsys, 2, "fault", url, *words)
    assert said(capsys, url) == ["0 faults known, struck 0 times"]


@pytest.mark.parametrize("url", ["nowhere", "http://127.0.0.1", "ftp://127.0.0.1:1", "http://127.0.0.1:x", "//:9"])
def test_what_is_no_address_is_told_the_form(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give one such as http://127.0.0.1:9000" in complaint(capsys, 2, "fault", url, "gap")


def test_where_nobody_answers_it_fails_and_says_how_an_exchange_would(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert "`thunes exchange --control-port`" in complaint(capsys, 1, "fault", f"127.0.0.1:{free}")


def test_the_help_lists_every_fault_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fault", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert [name for name in KINDS if not re.search(rf"^  {name} ", shown, re.MULTILINE)] == []
    assert "seconds=2.0  then=process" in shown


def test_the_documents_page_names_every_fault_and_every_parameter() -> None:
    page = (Path(__file__).parents[1] / "docs" / "faults.md").read_text()
    missing = [name for name in KINDS if f"| `{name}` |" not in page]
    missing += [each for kind in KINDS.values() for each in kind.parameters if f"`{each}`" not in page]
    assert missing == []


# thunes exchange


def options(*words: str) -> Options:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(words))


def test_without_flags_the_exchange_is_as_its_options_are_by_default() -> None:
    plain, default = options(), Options(home=Path())
    assert (plain.trouble, plain.delay, plain.queue_ahead, plain.fees) == (
        default.trouble,
        default.delay,
        default.queue_ahead,
        default.fees,
    )


def test_every_flag_reaches_the_exchanges_options() -> None:
    words = "--fault drop-report,count=2 --fault gap --fault-rate 0.5 --fault-seed 7 --control-port 0 --latency 0.2"
    words += " --latency-spread 0.1 --maker-fee 0.0001 --taker-fee 0.0002 --queue-ahead 0.5 --seed 3"
    told = options(*words.split())
    assert (told.trouble.rate, told.trouble.seed, told.trouble.control_port) == (0.5, 7, 0)
    assert [(name, values["count"]) for name, values in told.trouble.faults] == [("drop-report", 2), ("gap", 1)]
    assert told.delay == Delay(0.2, 0.1, 3)
    assert (told.fees.maker, told.fees.taker, told.queue_ahead) == (
        Decimal("0.0001"),
        Decimal("0.0002"),
        Decimal("0.5"),
    )


@pytest.mark.parametrize(
    "words",
    [
        "--fault nosuch",
        "--fault drop-report,count=x",
        "--fault drop-report:count=2",
        "--fault clock",
        "--fault-rate -1",
        "--fault-rate 1e9",
        "--fault-rate nan",
        "--fault-seed x",
        "--latency -1",
        "--latency inf",
        "--latency 61",
        "--latency-spread 6",
        "--maker-fee 1",
        "--taker-fee x",
        "--queue-ahead 1.1",
        "--queue-ahead -0.1",
    ],
)
def test_a_flag_that_says_nothing_sensible_is_one_line_and_exit_2(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words.split()[0] in complaint(capsys, 2, "exchange", *words.split())


def test_a_fault_for_a_symbol_that_is_not_traded_stops_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["exchange", "--home", str(tmp_path), "--fault", "gap,symbol=SOLUSDT"]
    assert "SOLUSDT is not served here" in complaint(capsys, 2, *words)
