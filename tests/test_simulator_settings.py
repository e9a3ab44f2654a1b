"""[simulator]: its defaults, its checks, and that it reaches the embedded exchange to the last setting."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thunes.errors import SettingsError
from thunes.exchange.simulator.options import Options
from thunes.exchange.simulator.process import add_arguments, options_of
from thunes.sections import Simulator
from thunes.settings import Settings, load
from thunes.venue import exchange_arguments

MINE = """
[simulator]
balance = 500
fee = 0.003
maker_fee = 0.0001
taker_fee = 0.0002
trend = 2
queue_ahead = 0.5
order_limit = 700
latency = 0.2
latency_spread = 0.1
faults = ["drop-report,count=2", "gap"]
fault_rate = 0.25
fault_seed = 7
control_port = 0
"""


def loaded(config: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    return load(config=config, environ=environ or {}, flags=flags)


def told(settings: Settings) -> Options:
    """What the exchange's process makes of the flags that it is started with."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(["--home", "x", *exchange_arguments(settings)]))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maker_fee", None),
        ("taker_fee", None),
        ("queue_ahead", Decimal(1)),
        ("order_limit", 50),
        ("latency", 0.05),
        ("latency_spread", 0.5),
        ("faults", ()),
        ("fault_rate", 0),
        ("fault_seed", 1),
        ("control_port", None),
    ],
)
def test_the_defaults_are_pessimistic_and_without_faults(name: str, value: object) -> None:
    assert getattr(loaded().simulator, name) == value


@pytest.mark.parametrize("venue", ["sim", "paper"])
def test_every_setting_reaches_the_embedded_exchange(venue: str, mine: Path) -> None:
    options = told(loaded(mine, venue=venue))
    assert options.balance == Decimal(500)
    assert (options.fees.maker, options.fees.taker) == (Decimal("0.0001"), Decimal("0.0002"))
    assert (options.queue_ahead, options.delay.median_s, options.delay.spread) == (Decimal("0.5"), 0.2, 0.1)
    assert [name for name, _ in options.trouble.faults] == ["drop-report", "gap"]
    assert options.trouble.faults[0][1]["count"] == 2
    assert (options.trouble.rate, options.trouble.seed, options.trouble.control_port) == (0.25, 7, 0)
    assert (options.limits.orders_per_10s, options.limits.weight_per_minute) == (700, 8400)
    assert options.trend == (2.0 if venue == "sim" else 1.0)


def test_the_defaults_of_the_settings_are_those_of_the_exchange() -> None:
    options, default = told(loaded()), Options(home=Path())
    for name in ("balance", "fees", "queue_ahead", "limits", "delay", "trouble"):
        assert getattr(options, name) == getattr(default, name), name


def test_the_environment_gives_faults_apart_by_semicolons() -> None:
    environ = {"THUNES_SIMULATOR__FAULTS": "drop-report,count=2; gap"}
    assert loaded(environ=environ).simulator.faults == ("drop-report,count=2", "gap")
    assert loaded(environ={"THUNES_SIMULATOR__FAULTS": ""}).simulator.faults == ()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("faults", "nosuch", "there is no fault 'nosuch'"),
        ("faults", "gap,count=0", "count of gap has to be a whole number from 1"),
        ("queue_ahead", "1.5", "less than or equal to 1"),
        ("queue_ahead", "-1", "greater than or equal to 0"),
        ("order_limit", "0", "greater than or equal to 1"),
        ("latency", "-1", "greater than or equal to 0"),
        ("latency", "nan", "finite"),
        ("latency_spread", "9", "less than or equal to 5"),
        ("maker_fee", "1", "less than 1"),
        ("taker_fee", "x", "decimal"),
        ("fault_rate", "1000", "less than or equal to 100"),
        ("control_port", "70000", "less than or equal to 65535"),
    ],
)
def test_what_says_nothing_sensible_is_refused_by_its_name(name: str, value: str, wanted: str) -> None:
    variable = f"THUNES_SIMULATOR__{name.upper()}"
    with pytest.raises(SettingsError) as caught:
        loaded(environ={variable: value})
    (line,) = caught.value.violations
    assert line.startswith(f"{variable}: ")
    assert wanted in line


@pytest.mark.parametrize("path", ["config/default.toml", "docs/faults.md"])
def test_every_setting_is_documented(path: str) -> None:
    text = (Path(__file__).parents[1] / path).read_text()
    assert [name for name in Simulator.model_fields if name not in text] == []
