"""Settings: their defaults, which layer wins, and that a person hears of every mistake at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from thunes.errors import SettingsError
from thunes.settings import DEFAULTS, Settings, load, load_keys

ROOT = Path(__file__).parent.parent

STRATEGY = """
from thunes.strategies.base import Parameters, Strategy

class MineParameters(Parameters):
    lookback: int = 5

class Mine(Strategy):
    name = "mine"
    parameters_type = MineParameters
    warmup = 1

    def on_candle(self, candle, holding):
        return None
"""


def loaded(config: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    return load(config=config, environ=environ or {}, flags=flags)


def refused(config: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        loaded(config, environ, **flags)
    return caught.value.violations


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run.venue", "sim"),
        ("run.symbols", ("BTCUSDT", "ETHUSDT")),
        ("run.strategy", "sma_crossover"),
        ("run.source", "synthetic"),
        ("run.seed", 1),
        ("run.metrics_port", 9464),
        ("run.console_port", 8787),
        ("risk.max_daily_loss", Decimal(20)),
        ("risk.max_positions", 3),
        ("risk.quote_per_trade", Decimal(10)),
        ("risk.max_notional", Decimal(50)),
        ("risk.cool_down", 3600),
        ("risk.max_exposure", Decimal(150)),
        ("risk.max_drawdown", Decimal("0.1")),
        ("risk.max_orders_per_minute", 30),
        ("risk.price_collar", Decimal("0.02")),
        ("risk.stale_after", 5),
        ("breaker.fail_max", 5),
        ("breaker.reset_timeout", 60),
        ("exchange.timeout", 10),
        ("http.host", "127.0.0.1"),
        ("http.allowed_hosts", ()),
        ("live.max_capital", Decimal(50)),
        ("simulator.balance", Decimal(10_000)),
        ("simulator.fee", Decimal("0.001")),
        ("stream.queue_size", 100),
        ("stream.watchdog", 30),
        ("strategy.interval", "1m"),
        ("parameters.snapshot_at", "08:00"),
        ("parameters.decay_sharpe", 1.0),
        ("parameters.decay_days", 3),
        ("database.url", ""),
    ],
)
def test_a_default_is_what_is_promised(name: str, value: object) -> None:
    section, member = name.split(".")

    assert getattr(getattr(loaded(), section), member) == value


def test_the_strategys_defaults_are_what_is_promised() -> None:
    promised = {"sma_fast": 10, "sma_slow": 50, "rsi_period": 14, "rsi_max": 70, "stop_loss": Decimal("0.02")}

    assert loaded().strategy_parameters().model_dump() == promised


def test_the_package_carries_the_defaults_that_the_repository_shows() -> None:
    assert DEFAULTS.read_bytes() == (ROOT / "config" / "default.toml").read_bytes()


def sections() -> list[tuple[str, type[BaseModel]]]:
    return [(name, field.annotation) for name, field in Settings.model_fields.items() if field.annotation is not None]


def test_every_setting_that_has_a_default_is_in_the_file_of_defaults() -> None:
    written = tomllib.loads(DEFAULTS.read_text())
    required = {f"{s}.{m}" for s, kind in sections() for m, field in kind.model_fields.items() if field.is_required()}

    assert required <= {f"{section}.{member}" for section, members in written.items() for member in members}


def test_every_setting_says_what_it_is() -> None:
    silent = [f"{s}.{m}" for s, kind in sections() for m, field in kind.model_fields.items() if not field.description]

    assert silent == []


def test_a_file_goes_over_the_defaults_the_environment_over_the_file_and_flags_over_all(
    toml: Callable[[str], Path],
) -> None:
    config = toml("[run]\nseed = 2\nmetrics_port = 2\nconsole_port = 2\n")
    environ = {"THUNES_RUN__METRICS_PORT": "3", "THUNES_RUN__CONSOLE_PORT": "3"}

    run = loaded(config, environ, console_port="4").run

    assert (run.venue, run.seed, run.metrics_port, run.console_port) == ("sim", 2, 3, 4)


def test_a_flag_that_was_not_given_leaves_the_other_layers_alone() -> None:
    assert loaded(environ={"THUNES_RUN__SEED": "9"}, seed=None).run.seed == 9


def test_a_fraction_in_a_file_is_the_decimal_that_was_written(toml: Callable[[str], Path]) -> None:
    """With more digits than a float has."""
    settings = loaded(toml("[risk]\nprice_collar = 0.10000000000000000001\n"))

    assert settings.risk.price_collar == Decimal("0.10000000000000000001")


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    environ = {"THUNES_RUN__SYMBOLS": "BTCUSDT, DOGEUSDT", "THUNES_HTTP__ALLOWED_HOSTS": "a.example,b.example"}

    settings = loaded(environ=environ)

    assert settings.run.symbols == ("BTCUSDT", "DOGEUSDT")
    assert settings.http.allowed_hosts == ("a.example", "b.example")


@pytest.mark.parametrize(("flags", "speed"), [({}, 60.0), ({"source": "."}, 1.0), ({"source": ".", "speed": "0"}, 0.0)])
def test_the_speed_is_a_minute_a_second_for_the_synthetic_market_and_as_recorded_for_files(
    flags: dict[str, str], speed: float
) -> None:
    assert loaded(**flags).speed == speed


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        loaded().risk.max_positions = 100


def test_every_violation_of_flags_environment_and_file_is_said_at_once(toml: Callable[[str], Path]) -> None:
    config = toml("[breaker]\nfail_max = 0\n")
    environ = {"THUNES_RISK__MAX_DAILY_LOSS": "-5", "THUNES_RISQUE__MAX": "1"}

    lines = refused(config, environ, symbols="btc,NOSUCHUSDT", speed="-1", seed="x", strategy="nope", venue="sim")

    starts = [line.split(":")[0] for line in lines]
    flags = ["--symbols", "--symbols", "--speed", "--seed", "--strategy"]
    assert sorted(starts) == sorted([*flags, str(config), "THUNES_RISK__MAX_DAILY_LOSS", "THUNES_RISQUE__MAX"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"symbols": "btcusdt"}, "'btcusdt'"),
        ({"symbols": ""}, "''"),
        ({"symbols": "BTC/USDT"}, "'BTC/USDT'"),
        ({"symbols": "BTCUSDT,BTCUSDT"}, "BTCUSDT is named twice"),
        ({"symbols": "NOSUCHUSDT"}, "NOSUCHUSDT is not traded here"),
        ({"venue": "moon"}, "'moon'"),
        ({"venue": "live"}, "rodage"),
        ({"strategy": "nope"}, "sma_crossover"),
        ({"strategy": "absent.py"}, "no such file"),
        ({"source": "absent.csv"}, "'absent.csv'"),
        ({"source": "x" * 5000}, "no file and no folder"),
        ({"seed": "1.5"}, "'1.5'"),
        ({"speed": "nan"}, "'nan'"),
        ({"speed": "inf"}, "'inf'"),
        ({"duration": "0"}, "greater than 0"),
        ({"metrics_port": "65536"}, "65535"),
        ({"console_port": "-1"}, "'-1'"),
        ({"log": "loud"}, "'plain', 'json' or 'live'"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named_with_what_is_wrong(flags: dict[str, str], said: str) -> None:
    (line,) = refused(**flags)

    assert line.startswith(f"--{next(iter(flags)).replace('_', '-')}: ")
    assert said in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RISK__MAX_DAILY_LOSS", "0"),
        ("RISK__MAX_DAILY_LOSS", "NaN"),
        ("RISK__MAX_NOTIONAL", "Infinity"),
        ("RISK__MAX_POSITIONS", "2.5"),
        ("RISK__MAX_DRAWDOWN", "1.1"),
        ("RISK__COOL_DOWN", "-1"),
        ("RISK__NO_SUCH_LIMIT", "1"),
        ("RISK", "1"),
        ("NO_SUCH_SECTION__NAME", "1"),
        ("BREAKER__RESET_TIMEOUT", "inf"),
        ("SIMULATOR__FEE", "1"),
        ("STRATEGY__INTERVAL", "7m"),
        ("STRATEGY__SMA_FAST", "0"),
        ("STRATEGY__NO_SUCH_PARAMETER", "1"),
        ("PARAMETERS__SNAPSHOT_AT", "25:00"),
        ("DATABASE__URL", "mysql://host/db"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable: str, value: str) -> None:
    (line,) = refused(environ={f"THUNES_{variable}": value})

    assert line.startswith(f"THUNES_{variable}: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[risk\n", "line 1"),
        ("[risk]\nmax_positions = true\n", "risk.max_positions: true or false"),
        ("[risk]\nmax_positionz = 3\n", "risk.max_positionz: no such setting"),
        ("[risque]\nmax_positions = 3\n", "no such setting"),
        ("venue = 'sim'\n", "venue: belongs to no section"),
        ("[risk]\nmax_daily_loss = nan\n", "risk.max_daily_loss"),
        ("[run]\nsymbols = ['BTCUSDT', 7]\n", "run.symbols"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line_or_setting(
    toml: Callable[[str], Path], text: str, said: str
) -> None:
    (line,) = refused(toml(text))

    assert said in line


def test_a_missing_file_of_settings_does_not_hide_the_other_violations(tmp_path: Path) -> None:
    lines = refused(tmp_path / "absent.toml", speed="-1")

    assert [line.split(":")[0] for line in lines] == [f"--config {tmp_path / 'absent.toml'}", "--speed"]


def test_the_fast_average_has_to_be_below_the_slow_one() -> None:
    (line,) = refused(environ={"THUNES_STRATEGY__SMA_FAST": "60"})

    assert "sma_fast (60)" in line
    assert "sma_slow (50)" in line


def test_a_users_strategy_has_parameters_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY)

    settings = loaded(environ={"THUNES_STRATEGY__LOOKBACK": "7"}, strategy=str(tmp_path / "mine.py"))

    assert settings.strategy_parameters().model_dump() == {"lookback": 7}


def test_a_parameter_that_the_chosen_strategy_does_not_know_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY)

    (line,) = refused(environ={"THUNES_STRATEGY__SMA_FAST": "7"}, strategy=str(tmp_path / "mine.py"))

    assert line.startswith("THUNES_STRATEGY__SMA_FAST: no such setting")


@pytest.mark.parametrize("venue", ["testnet", "demo"])
def test_a_venue_that_needs_keys_says_so_with_everything_else(venue: str) -> None:
    lines = refused(venue=venue, speed="-1")

    assert [line.split(":")[0] for line in lines] == ["--speed", "THUNES_API_KEY", "THUNES_API_SECRET"]


def test_keys_come_from_the_environment_or_from_the_files_it_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")

    keys = load_keys({"THUNES_API_KEY": "plain", "THUNES_API_SECRET_FILE": str(tmp_path / "secret")})

    assert (keys.api_key.get_secret_value(), keys.api_secret.get_secret_value()) == ("plain", "from-a-file")


def test_a_key_is_never_shown() -> None:
    keys = load_keys({"THUNES_API_KEY": "hush-key", "THUNES_API_SECRET": "hush-secret"})

    assert "hush" not in f"{keys!r} {keys} {keys.model_dump_json()}"


def test_what_could_be_a_secret_is_not_repeated_in_a_violation(toml: Callable[[str], Path]) -> None:
    config = toml("[risk]\napi_secret = 'hush'\n[database]\nurl = 'mysql://user:hush@host/db'\n")

    lines = refused(config, {"THUNES_API_SECRETT": "hush", "THUNES_EXCHANGE__API_KEY": "hush"})

    assert len(lines) == 4
    assert "hush" not in "\n".join(lines)
