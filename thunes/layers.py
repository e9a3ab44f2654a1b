"""Where settings come from: one layer a place, later ones over earlier ones, and who wrote what where.

A layer is {section: {name: value}}. What cannot be read becomes a violation and leaves the rest readable, so that a
person hears of everything at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

PREFIX = "THUNES_"
SECRETS = ("API_KEY", "API_SECRET", "TELEGRAM_TOKEN", "TELEGRAM_CHAT_IDS", "WEBHOOK_URL", "SMTP_PASSWORD")
NOT_SETTINGS = frozenset({"THUNES_HOME"} | {f"{PREFIX}{name}{tail}" for name in SECRETS for tail in ("", "_FILE")})
LISTS = frozenset({"allowed_hosts"})


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one place. `spell` says by which name a person gave a section's member there."""

    values: Mapping[str, Mapping[str, Any]]
    spell: Callable[[str, str], str]


def from_file(path: Path, violations: list[str], *, shown: str = "") -> Layer:
    """A TOML file's tables; its fractions are read as Decimal. `shown` stands before each setting's name."""
    document: dict[str, Any] = {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        violations.append(f"--config {path}: cannot be read ({error.strerror}); give a TOML file.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        violations.append(f"--config {path}: not TOML ({error}); mend the file.")
    tables = {section: members for section, members in document.items() if isinstance(members, dict)}
    for name in document.keys() - tables.keys():
        violations.append(f"{shown}{name}: belongs to no section; write it below one, such as [run].")
    return Layer(tables, lambda section, name: f"{shown}{section}.{name}")


def from_environment(environ: Mapping[str, str], sections: Collection[str], violations: list[str]) -> Layer:
    """THUNES_SECTION__NAME=value. Values stay text: the fields know what they take."""
    values: dict[str, dict[str, Any]] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        section, _, name = variable.removeprefix(PREFIX).lower().partition("__")
        if section not in sections or not name:
            form = "the form is THUNES_SECTION__NAME, such as THUNES_RISK__MAX_POSITIONS"
            violations.append(f"{variable}: no such setting; {form}.")
            continue
        values.setdefault(section, {})[name] = value.split(",") if value and name in LISTS else value or _empty(name)
    return Layer(values, lambda section, name: f"{PREFIX}{section}__{name}".upper())


def _empty(name: str) -> Any:
    return [] if name in LISTS else ""


def from_flags(flags: Mapping[str, Any]) -> Layer:
    """The command line's: members of `run`, None where a flag was not given."""
    given = {name: value for name, value in flags.items() if value is not None}
    return Layer({"run": given} if given else {}, lambda _section, name: f"--{name.replace('_', '-')}")


def merged(layers: Sequence[Layer]) -> dict[str, dict[str, Any]]:
    """All layers as one: what a later one says of a setting counts."""
    result: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, members in layer.values.items():
            result[section] = {**result.get(section, {}), **members}
    return result


def spelled(layers: Sequence[Layer], section: str, name: str) -> str:
    """The setting by the name under which its value was given."""
    for layer in reversed(layers):
        if name in layer.values.get(section, {}):
            return layer.spell(section, name)
    return f"{section}.{name}" if name else section
