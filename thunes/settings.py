"""Settings: the package's defaults, under a TOML file, under the environment, under flags; checked all at once.

Durations are seconds, amounts of money are decimals in the symbols' quote currency. Each setting's description says
which clock it is in where that matters: market time is the venue's, wall time the machine's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from thunes.domain.intervals import interval_ms
from thunes.errors import SettingsError
from thunes.strategies.base import Parameters
from thunes.strategies.loader import load as load_strategy

DEFAULTS = Path(__file__).with_name("default.toml")
PREFIX = "THUNES_"
SYMBOL = re.compile(r"[A-Z0-9]{5,20}")
SYNTHETIC = "synthetic"
NOT_SETTINGS = frozenset(
    {"THUNES_HOME", "THUNES_API_KEY", "THUNES_API_SECRET", "THUNES_TELEGRAM_TOKEN", "THUNES_TELEGRAM_CHAT_IDS"}
    | {"THUNES_API_KEY_FILE", "THUNES_API_SECRET_FILE", "THUNES_TELEGRAM_TOKEN_FILE", "THUNES_TELEGRAM_CHAT_IDS_FILE"}
)

Money = Decimal


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Run(Section):
    """What the command line says most often."""

    venue: Literal["sim", "paper", "testnet", "demo", "live"] = Field(description="where to trade")
    symbols: tuple[str, ...] = Field(description="what to trade", min_length=1)
    strategy: str = Field(description="a module of thunes/strategies, or the path of a .py file")
    source: str = Field(description="sim: synthetic, or the path of recorded frames or kline CSVs")
    seed: int = Field(description="sim: the synthetic market's seed", ge=0)
    speed: float | None = Field(None, description="sim: market seconds a wall second; 0: as fast as it keeps up", ge=0)
    duration: float | None = Field(None, description="stop after this much wall time; none: at a signal", gt=0)
    metrics_port: int = Field(description="port of /metrics; 0: any that is free", ge=0, le=65_535)
    console_port: int = Field(description="port of the console and its API; 0: any that is free", ge=0, le=65_535)
    log: Literal["plain", "json", "live"] | None = Field(None, description="how the run is shown")

    @field_validator("symbols", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _well_formed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [symbol for symbol in value if not SYMBOL.fullmatch(symbol)]
        if wrong:
            raise ValueError(f"{', '.join(map(repr, wrong))}: a symbol is 5 to 20 capitals and digits, such as BTCUSDT")
        if len(set(value)) != len(value):
            raise ValueError("a symbol is named twice")
        return value

    @field_validator("strategy")
    @classmethod
    def _loadable(cls, value: str) -> str:
        try:
            load_strategy(value)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("source")
    @classmethod
    def _there(cls, value: str) -> str:
        if value != SYNTHETIC and not Path(value).exists():
            raise ValueError(f"{value}: no such file or folder; give one, or `synthetic`")
        return value

    @field_validator("venue")
    @classmethod
    def _open(cls, value: str) -> str:
        if value == "live":
            raise ValueError("live is refused unless the last rodage said GO, and this home has none")
        if value == "paper":
            raise ValueError("paper is not served by this version; use sim, testnet or demo")
        return value


class Risk(Section):
    max_daily_loss: Money = Field(gt=0, description="loss since 00:00 UTC (market time) that activates the kill switch")
    max_positions: int = Field(ge=1, description="open positions and entries under way")
    quote_per_trade: Money = Field(gt=0, description="what one entry spends")
    max_notional: Money = Field(gt=0, description="the most that one order may be worth")
    cool_down: float = Field(ge=0, description="market time without entries after a losing trade")
    max_exposure: Money = Field(gt=0, description="the most that all positions may be worth")
    max_drawdown: Money = Field(
        gt=0, le=1, description="fraction below the highest equity that activates the kill switch"
    )
    max_orders_per_minute: int = Field(ge=1, description="approvals in a minute of wall time")
    price_collar: Money = Field(gt=0, le=1, description="how far an order's price may be from the market's, a fraction")
    stale_after: float = Field(gt=0, description="wall time without market data after which nothing is approved")


class Breaker(Section):
    fail_max: int = Field(ge=1, description="failed calls in a row that open the circuit")
    reset_timeout: float = Field(gt=0, description="wall time until an open circuit tries one call")


class Exchange(Section):
    timeout: float = Field(gt=0, description="wall time that a request may take")


class Http(Section):
    host: str = Field(description="where metrics and console listen")
    allowed_hosts: tuple[str, ...] = Field(
        description="names besides loopback's under which the console may be reached"
    )


class Live(Section):
    max_capital: Money = Field(
        gt=0, description="the most that `live` may hold in positions, however large the account"
    )


class Simulator(Section):
    balance: Money = Field(gt=0, description="USDT that the account of the embedded exchange opens with")
    fee: Money = Field(ge=0, lt=1, description="commission as a fraction, maker and taker")
    trend: float = Field(ge=0, le=10, description="how strongly the synthetic market's regimes drift; 1 is usual")


class Stream(Section):
    queue_size: int = Field(ge=1, description="frames that may wait for a stream's actor; more are dropped and counted")
    watchdog: float = Field(gt=0, description="wall time without a frame after which a stream connects anew")


class StrategySection(BaseModel):
    """The strategy's own parameters, whose names and limits it checks itself, and its candles' length."""

    model_config = ConfigDict(frozen=True, extra="allow")

    interval: str = Field(description="length of the candles that it decides on")

    @field_validator("interval")
    @classmethod
    def _known(cls, value: str) -> str:
        interval_ms(value)
        return value


class ParametersSection(Section):
    snapshot_at: str = Field(description="UTC time of day (market time) of the daily parameter snapshot")
    decay_sharpe: float = Field(description="a 7-day Sharpe below this counts as decay")
    decay_days: int = Field(ge=1, description="days in a row below it that raise the alert")


class Database(Section):
    url: str = Field(description="peewee's URL of the books' database; empty: SQLite in the home")


class Settings(BaseSettings):
    """Every setting, frozen. Made by `load`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    run: Run
    risk: Risk
    breaker: Breaker
    exchange: Exchange
    http: Http
    live: Live
    simulator: Simulator
    stream: Stream
    strategy: StrategySection
    parameters: ParametersSection
    database: Database

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands in, so that nothing is read behind the caller's back."""
        return (init_settings,)

    @property
    def speed(self) -> float:
        """As set, else a market minute a second for the synthetic market and as recorded for files."""
        if self.run.speed is not None:
            return self.run.speed
        return 60.0 if self.run.source == SYNTHETIC else 1.0

    def strategy_parameters(self) -> Parameters:
        """The strategy's own parameters, checked by its own model."""
        return _parameters(self.run.strategy, self.strategy)


class Keys(Section):
    """The exchange's keys, from the environment alone."""

    api_key: SecretStr
    api_secret: SecretStr


def load(
    *, config: Path | None = None, environ: Mapping[str, str], flags: Mapping[str, Any], more: Sequence[str] = ()
) -> Settings:
    """The settings of one run. `flags` are `run`'s members as the command line gave them, None where it did not.

    Raises SettingsError with every violation at once, those of `more` (the command line's own) first.
    """
    violations = list(more)
    layers: list[dict[str, Any]] = [tomllib.loads(DEFAULTS.read_text(), parse_float=Decimal)]
    if config is not None:
        layers.append(_read_toml(config, violations))
    layers.append(_from_environment(environ, violations))
    layers.append({"run": {name: value for name, value in flags.items() if value is not None}})
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    settings = None
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        violations += [_in_words(problem) for problem in error.errors()]
    spec = str(merged["run"].get("strategy"))
    violations += _strategy_violations(spec, merged.get("strategy", {}))
    if violations or settings is None:
        raise SettingsError(list(dict.fromkeys(violations)))
    return settings


def load_keys(environ: Mapping[str, str]) -> Keys:
    """THUNES_API_KEY and THUNES_API_SECRET, or the files that ..._FILE name. Raises SettingsError."""
    found, violations = {}, []
    for name in ("api_key", "api_secret"):
        variable = PREFIX + name.upper()
        try:
            path = environ.get(variable + "_FILE")
            value = Path(path).read_text().strip() if path else environ.get(variable, "").strip()
        except OSError as error:
            violations.append(f"{variable}_FILE: cannot be read ({error.strerror}); give a file that can.")
            continue
        if not value:
            violations.append(f"{variable}: the venue needs a key; set it, or {variable}_FILE.")
        found[name] = value
    if violations:
        raise SettingsError(violations)
    return Keys(api_key=SecretStr(found["api_key"]), api_secret=SecretStr(found["api_secret"]))


def _read_toml(path: Path, violations: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(), parse_float=Decimal)
    except OSError as error:
        violations.append(f"--config {path}: cannot be read ({error.strerror}); give a TOML file.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        violations.append(f"--config {path}: not TOML ({error}); mend the file.")
    return {}


def _from_environment(environ: Mapping[str, str], violations: list[str]) -> dict[str, Any]:
    """THUNES_SECTION__NAME=value as {section: {name: value}}; values stay text, the fields know what they take."""
    layer: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        section, _, name = variable.removeprefix(PREFIX).lower().partition("__")
        if section not in Settings.model_fields or not name:
            violations.append(
                f"{variable}: no such setting; the form is THUNES_SECTION__NAME, such as THUNES_RISK__MAX_POSITIONS."
            )
            continue
        layer.setdefault(section, {})[name] = value.split(",") if name == "allowed_hosts" else value
    return layer


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for section, members in layer.items():
        if isinstance(members, dict) and isinstance(into.get(section, {}), dict):
            into[section] = {**into.get(section, {}), **members}
        else:
            into[section] = members


def _in_words(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"]).removeprefix("run.")
    name = name if "." in name else f"--{name.replace('_', '-')}" if problem["loc"][:1] == ("run",) else name
    what = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such setting; see config/default.toml for all."
    if problem["type"] == "value_error":
        return f"{name}: {what}."
    return f"{name}: {what}, not {problem['input']!r}."


def _strategy_violations(spec: str, members: Any) -> list[str]:
    if not isinstance(members, dict):
        return []
    own = {name: value for name, value in members.items() if name != "interval"}
    try:
        load_strategy(spec).parameters_type(**own)
    except SettingsError:
        return []  # said already, of the strategy itself
    except ValidationError as error:
        return [_in_words({**problem, "loc": ("strategy", *problem["loc"])}) for problem in error.errors()]
    return []


def _parameters(spec: str, section: StrategySection) -> Parameters:
    return load_strategy(spec).parameters_type(**(section.model_extra or {}))
