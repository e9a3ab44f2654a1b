"""Settings: the package's defaults, under a TOML file, under the environment, under flags; checked all at once.

Durations are seconds, amounts of money are decimals in the symbols' quote currency. Each setting's description says
which clock it is in where that matters: market time is the venue's, wall time the machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from thunes.alerts.keys import load_second_keys, load_telegram_keys
from thunes.errors import SettingsError
from thunes.exchange.keys import is_private_key, private_key
from thunes.layers import PREFIX, Layer, from_environment, from_file, from_flags, merged, spelled
from thunes.sections import (
    SYNTHETIC,
    Alerts,
    Breaker,
    Database,
    Exchange,
    Http,
    Live,
    ParametersSection,
    Risk,
    Run,
    Section,
    Simulator,
    StrategySection,
    Stream,
    Supervisor,
)
from thunes.strategies.base import Parameters
from thunes.strategies.loader import load as load_strategy

DEFAULTS = Path(__file__).with_name("default.toml")
WITH_KEYS = ("testnet", "demo", "live")
OF_PLAYED_MARKETS = ("source", "seed", "speed")
"""Members of `run` that say something of `sim` alone."""


class Settings(BaseSettings):
    """Every setting, frozen. Made by `load`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    run: Run
    risk: Risk
    breaker: Breaker
    exchange: Exchange
    supervisor: Supervisor
    http: Http
    live: Live
    simulator: Simulator
    stream: Stream
    strategy: StrategySection
    parameters: ParametersSection
    database: Database
    alerts: Alerts

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


def no_journal() -> str:
    """Why `live` is refused where nobody looked into a home's journal."""
    return "live is refused unless the newest rodage of the home said GO; start it with `thunes run`"


def load(
    *,
    config: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    more: Sequence[str] = (),
    why_not_live: Callable[[], str] = no_journal,
) -> Settings:
    """The settings of one run. `flags` are `run`'s members as the command line gave them, None where it did not.

    `why_not_live` is asked for the venue `live` alone: a sentence refuses it, the empty text does not. Raises
    SettingsError with every violation at once, those of `more` (the command line's own) first.
    """
    violations = list(more)
    layers = [from_file(DEFAULTS, violations)]
    if config is not None:
        layers.append(from_file(config, violations, shown=f"{config}: "))
    layers.append(from_environment(environ, Settings.model_fields.keys(), violations))
    layers.append(from_flags(flags))
    given = merged(layers)
    _forget_defaults_of_another_strategy(given, layers)
    settings = None
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        violations += _in_words(error, layers)
    violations += _strategy_violations(given, layers)
    venue = given["run"]["venue"]
    if venue == "live" and (refusal := why_not_live()):
        violations.append(f"{spelled(layers, 'run', 'venue')}: {refusal}.")
    elif venue in WITH_KEYS:
        violations += _key_violations(environ)
    elif venue == "paper":
        violations += _played_violations(given, layers)
    violations += _alert_violations(environ)
    if violations or settings is None:
        raise SettingsError(list(dict.fromkeys(violations)))
    return settings


def load_keys(environ: Mapping[str, str]) -> Keys:
    """THUNES_API_KEY and THUNES_API_SECRET, or the files that ..._FILE name. Raises SettingsError.

    The secret is the exchange's, or an Ed25519 private key as PEM.
    """
    found, violations = {}, []
    for name in ("api_key", "api_secret"):
        variable = PREFIX + name.upper()
        try:
            path = environ.get(variable + "_FILE")
            value = Path(path).read_text().strip() if path else environ.get(variable, "").strip()
        except OSError as error:
            violations.append(f"{variable}_FILE: cannot be read ({error.strerror}); give a file that can.")
            continue
        except UnicodeDecodeError:
            violations.append(f"{variable}_FILE: is no text; a private key has to be in PEM form.")
            continue
        if not value:
            violations.append(f"{variable}: the venue needs a key; set it, or {variable}_FILE.")
        found[name] = value
    if is_private_key(found.get("api_secret", "")):
        try:
            private_key(found["api_secret"])
        except ValueError as error:
            violations.append(f"{PREFIX}API_SECRET: {error}.")
    if violations:
        raise SettingsError(violations)
    return Keys(api_key=SecretStr(found["api_key"]), api_secret=SecretStr(found["api_secret"]))


def _key_violations(environ: Mapping[str, str]) -> list[str]:
    try:
        load_keys(environ)
    except SettingsError as error:
        return list(error.violations)
    return []


def _alert_violations(environ: Mapping[str, str]) -> list[str]:
    violations: list[str] = []
    for read in (load_telegram_keys, load_second_keys):
        try:
            read(environ)
        except SettingsError as error:
            violations += error.violations
    return violations


def _played_violations(given: Mapping[str, Mapping[str, Any]], layers: Sequence[Layer]) -> list[str]:
    """What asks for another market than the live one, or for another pace than its own."""
    defaults = layers[0].values["run"]
    asked = [name for name in OF_PLAYED_MARKETS if str(given["run"].get(name)) != str(defaults.get(name))]
    reason = "says nothing of paper, which trades the live market at its own pace; leave it out"
    return [f"{spelled(layers, 'run', name)}: {reason}." for name in asked]


def _forget_defaults_of_another_strategy(given: dict[str, dict[str, Any]], layers: Sequence[Layer]) -> None:
    """The defaults hold the parameters of the strategy that comes with them; another one has its own."""
    try:
        known = load_strategy(str(given["run"]["strategy"])).parameters_type.model_fields.keys() | {"interval"}
    except SettingsError:
        return  # said when `run.strategy` is checked
    chosen = {name for layer in layers[1:] for name in layer.values.get("strategy", {})}
    given["strategy"] = {name: value for name, value in given["strategy"].items() if name in known | chosen}


def _strategy_violations(given: Mapping[str, Mapping[str, Any]], layers: Sequence[Layer]) -> list[str]:
    own = {name: value for name, value in given["strategy"].items() if name != "interval"}
    try:
        load_strategy(str(given["run"]["strategy"])).parameters_type(**own)
    except SettingsError:
        return []  # said when `run.strategy` is checked
    except ValidationError as error:
        return _in_words(error, layers, ("strategy",))
    return []


def _in_words(error: ValidationError, layers: Sequence[Layer], within: tuple[str, ...] = ()) -> list[str]:
    """A line for each problem: the setting as it was written, what is wrong with it, and what was given."""
    lines = []
    for problem in error.errors():
        section, name = (*(str(part) for part in (*within, *problem["loc"])), "", "")[:2]
        where, what = spelled(layers, section, name), problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            lines.append(f"{where}: no such setting; config/default.toml has them all.")
        elif problem["type"] == "value_error":
            lines += [f"{where}: {line.removesuffix('.')}." for line in what.splitlines()]
        else:
            lines.append(f"{where}: {what}, not {_as_written(problem['input'])}.")
    return lines


def _as_written(value: Any) -> str:
    """What was given, as the person wrote it."""
    return str(value) if isinstance(value, Decimal) else repr(value)


def _parameters(spec: str, section: StrategySection) -> Parameters:
    return load_strategy(spec).parameters_type(**(section.model_extra or {}))
