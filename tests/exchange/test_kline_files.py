"""Kline files: what is read, and how what is wrong with them is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.exchange import kline_tables
from tests.exchange.kline_tables import BASE_MS, DOWN, HOUR_MS, MINUTE_MS, UP, decimals, line, opened, replayed, table
from thunes.errors import SourceError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return partial(kline_tables.write, tmp_path)


@pytest.mark.parametrize("name", ["BTCUSDT-1m-2021-06.csv", "BTCUSDT-1m-2021-06.csv.gz", "BTCUSDT-1m-2021-06.zip"])
def test_plain_and_packed_files_are_read(write: Write, name: str) -> None:
    assert replayed(write(table(UP), name=name)) == [decimals(UP)]


def test_a_header_is_passed_over_and_microseconds_are_understood(write: Write) -> None:
    path = write(["open_time,open,high,low,close,volume,close_time,q,n,tb,tq,i", line(BASE_MS, UP, scale=1000)])
    assert opened(path).start_ms == BASE_MS
    assert replayed(path) == [decimals(UP)]


def test_files_of_one_symbol_follow_each_other(write: Write, tmp_path: Path) -> None:
    write(table(DOWN, base=BASE_MS + MINUTE_MS), name="BTCUSDT-1m-2021-07.csv")
    write(table(UP), name="BTCUSDT-1m-2021-06.csv")
    assert replayed(tmp_path) == [decimals(UP), decimals(DOWN)]


GOOD = table(UP, UP)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (line(BASE_MS + 2 * MINUTE_MS, UP) + ",0", "13 columns instead of 12"),
        ("1,2", "2 columns instead of 12"),
        (line(BASE_MS + 2 * MINUTE_MS, ("NaN", *UP[1:])), "not a number"),
        (line(BASE_MS + 2 * MINUTE_MS, ("high", *UP[1:])), "not a number"),
        (line(BASE_MS + 2 * MINUTE_MS, (*UP[:4], "-1")), "negative volume"),
        (line(BASE_MS + 2 * MINUTE_MS, ("-1", *UP[1:])), "price that is not above 0"),
        (line(BASE_MS + 2 * MINUTE_MS, ("100", "99", "101", "100", "1")), "contradict each other"),
        (line(BASE_MS + 2 * MINUTE_MS, ("100", "101", "99", "102", "1")), "contradict each other"),
        (line(BASE_MS + 2 * MINUTE_MS, UP).replace(",0,0,0,0,0", ",nan,0,0,0,0"), "not a number"),
        (line(BASE_MS + MINUTE_MS, UP), "the same open time again"),
        (line(BASE_MS, UP), "out of order"),
        (line(BASE_MS + 2 * MINUTE_MS + 1, UP), "whole number of intervals"),
        (line(BASE_MS + 2 * MINUTE_MS, UP, length=-5), "closes before it opens"),
    ],
)
def test_a_bad_row_is_named_with_its_file(write: Write, row: str, why: str) -> None:
    with pytest.raises(SourceError, match=rf"BTCUSDT-1m-2021-06\.csv, row 3: .*{why}") as caught:
        opened(write([*GOOD, row]))
    assert "\n" not in str(caught.value)


def test_a_file_without_candles_or_cut_short_is_named(write: Write) -> None:
    with pytest.raises(SourceError, match=r"2021-06\.csv: it has no candles"):
        opened(write([]))
    path = write(table(*[UP] * 500), name="BTCUSDT-1m-2021-06.csv.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"2021-06\.csv\.gz, row \d+: the file is damaged or cut short"):
        opened(path)
    damaged = write(table(UP), name="BTCUSDT-1m-2021-07.zip")
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"2021-07\.zip, row 1: the file is damaged"):
        opened(damaged)


def test_a_symbol_that_no_file_has_is_named_with_those_there_are(write: Write) -> None:
    with pytest.raises(SourceError, match=r"it has BTCUSDT, not ETHUSDT; use --symbols BTCUSDT\."):
        opened(write(GOOD), "BTCUSDT", "ETHUSDT")


def test_candles_of_two_lengths_for_one_symbol_are_refused(write: Write, tmp_path: Path) -> None:
    write(GOOD)
    write(table(UP, length=HOUR_MS), name="BTCUSDT-1h-2021-07.csv")
    with pytest.raises(SourceError, match=r"candles of 1h, 1m are mixed"):
        opened(tmp_path)
