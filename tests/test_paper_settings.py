"""The venue `paper`: what its settings may say, what its exchange is told, and who may call it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from thunes.errors import SettingsError
from thunes.exchange.simulator.live_source import LiveSettings
from thunes.exchange.simulator.process import options_of
from thunes.settings import Settings, load
from thunes.storage.home import Home
from thunes.venue import credentials, market_arguments

PAPER = {"venue": "paper"}


def loaded(environ: Mapping[str, str] | None = None, config: Path | None = None, **flags: Any) -> Settings:
    return load(config=config, environ=environ or {}, flags=PAPER | flags)


def parsed(*words: str) -> Any:
    import argparse

    from thunes.exchange.simulator.process import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_paper_needs_no_keys_and_takes_symbols_that_the_package_does_not_know() -> None:
    assert loaded(symbols="NOSUCHUSDT").run.symbols == ("NOSUCHUSDT",)


@pytest.mark.parametrize(("name", "value"), [("source", "."), ("seed", "2"), ("speed", "1"), ("speed", "0")])
def test_what_asks_for_another_market_or_another_pace_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(**{name: value})

    (line,) = caught.value.violations
    assert line == f"--{name}: says nothing of paper, which trades the live market at its own pace; leave it out."


def test_it_is_refused_by_the_name_it_was_given_under(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[run]\nspeed = 10\n")
    with pytest.raises(SettingsError) as caught:
        loaded({"THUNES_RUN__SEED": "7"}, config)

    assert [line.split(": ")[0] for line in caught.value.violations] == ["THUNES_RUN__SEED", str(config)]


def test_a_copy_of_the_defaults_is_no_wish() -> None:
    config = Path(__file__).parents[1] / "config" / "default.toml"

    assert loaded(config=config).run.venue == "paper"


def test_the_exchange_is_told_the_live_market_where_the_settings_say() -> None:
    environ = {"THUNES_EXCHANGE__REST_URL": "http://a", "THUNES_EXCHANGE__STREAM_URL": "ws://b"}

    told = market_arguments(loaded(environ))

    assert told == {"--source": "live", "--live-rest": "http://a", "--live-stream": "ws://b"}
    words = [str(part) for flag in told.items() for part in flag]
    options = options_of(parsed(*words))
    assert (options.source, options.live.rest, options.live.stream) == ("live", "http://a", "ws://b")


def test_without_addresses_it_is_the_venues_own_market_data() -> None:
    told = market_arguments(loaded())

    assert told == {"--source": "live"}
    live = options_of(parsed("--source", "live")).live
    assert (live.rest, live.stream) == (LiveSettings().rest, LiveSettings().stream)
    assert (live.rest, live.stream) == ("https://data-api.binance.vision", "wss://data-stream.binance.vision")


@pytest.mark.parametrize("venue", ["sim", "paper"])
def test_the_keys_of_an_embedded_exchange_are_in_its_database(tmp_path: Path, venue: str) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.write_run({"venue": venue, "exchange": "http://127.0.0.1:9"})
    with sqlite3.connect(home.exchange_database) as database:
        database.execute("CREATE TABLE account (api_key TEXT, api_secret TEXT)")
        database.execute("INSERT INTO account VALUES ('k', 's')")
    database.close()

    found = credentials(home, {})

    assert found is not None
    assert (found.rest, found.api_key, found.api_secret) == ("http://127.0.0.1:9", "k", "s")
