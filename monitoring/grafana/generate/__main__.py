"""Writes the dashboards' files; with --check says which differ from the code, and exits 1 if any does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.execution import execution
from monitoring.grafana.generate.internals import internals
from monitoring.grafana.generate.trading import trading

FOLDER = Path(__file__).parents[1] / "dashboards"
FILES: Mapping[str, Callable[[], model.Dashboard]] = {
    "trading_overview.json": trading,
    "execution.json": execution,
    "internals.json": internals,
}


def text(dashboard: model.Dashboard) -> str:
    """The file's content: the dashboard itself, as file provisioning wants it.

    Read back once, because the SDK fills in then what it takes for granted: so nothing is lost or gained after that.
    """
    register_default_plugins()
    read = model.Dashboard.from_json(json.loads(json.dumps(dashboard, cls=JSONEncoder)))
    return json.dumps(read, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    differing = []
    for name, make in FILES.items():
        path, wanted = FOLDER / name, text(make())
        if not path.exists() or path.read_text() != wanted:
            differing.append(name)
            if not check:
                path.write_text(wanted)
    print(f"{'differ' if check else 'written'}: {', '.join(differing) or 'none'}")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
