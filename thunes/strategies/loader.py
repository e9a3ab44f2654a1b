"""Finding a strategy by the name of its module, or by the path of a user's file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import thunes.strategies
from thunes.errors import SettingsError
from thunes.strategies.base import Strategy

NOT_STRATEGIES = frozenset({"base", "loader"})


def available() -> tuple[str, ...]:
    """The names of the strategies that the package ships."""
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(thunes.strategies.__path__) if m.name not in NOT_STRATEGIES)
    )


def load(spec: str) -> type[Strategy]:
    """The strategy class of a module in `thunes/strategies`, or of the `.py` file at a path.

    Raises SettingsError when there is no such module or file, when it cannot be imported, or when it does not define
    exactly one Strategy, or one without a name.
    """
    module = _from_path(Path(spec)) if spec.endswith(".py") else _from_package(spec)
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Strategy) and not inspect.isabstract(member) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise SettingsError([f"strategy {spec!r}: {len(found)} Strategy classes in it; define exactly one."])
    if not isinstance(getattr(found[0], "name", None), str):
        raise SettingsError([f'strategy {spec!r}: {found[0].__name__} has no name; set `name = "..."` in the class.'])
    return found[0]


def _from_package(name: str) -> ModuleType:
    if name not in available():
        known = ", ".join(available())
        raise SettingsError([f"strategy {name!r} is unknown; use one of {known}, or the path of a .py file."])
    return importlib.import_module(f"thunes.strategies.{name}")


def _from_path(path: Path) -> ModuleType:
    if not path.is_file():
        raise SettingsError([f"strategy {str(path)!r}: no such file; give the path of a .py file."])
    name = f"thunes_user_strategy_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        # Compiled from the text each time: a cached bytecode file could be the one from before the last edit.
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise SettingsError([f"strategy {str(path)!r} cannot be imported: {error!r}; mend the file."]) from error
    return module
