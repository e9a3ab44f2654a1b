"""The monitoring's files as a machine with Debian's packages and little time can run them.

Debian 12 has Prometheus 2.42 and Alertmanager 0.25; the files in monitoring/ are for the images that compose pins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[2] / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
ALERTMANAGER = MONITORING / "alertmanager"


def load(path: Path) -> Any:
    """A YAML file as dicts, lists and scalars."""
    return parsed(path.read_text())


def parsed(text: str) -> Any:
    return yaml.safe_load(text)


def dump(document: Any) -> str:
    """YAML again, in the order that it had; its comments are gone."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def for_older(
    text: str,
    *,
    token: str = "1:unused",
    chat_id: int = 1,
    deadman_url: str = "http://127.0.0.1:9/",
    telegram_url: str | None = None,
    templates: str | None = None,
) -> str:
    """alertmanager.yml for Alertmanager 0.25, which knows no secrets by file for Telegram and webhooks.

    `bot_token_file` (since 0.26) becomes `bot_token`, `chat_id_file` (0.31) `chat_id`, `url_file` (0.26) `url`, with
    the values given. `telegram_url` is put in Telegram's place, and `templates` in that of the files' pattern, which is
    relative to where the configuration lies.
    """
    document = parsed(text)
    if templates is not None:
        document["templates"] = [templates]
    for config in _configs(document, "telegram_configs"):
        _replace(config, "bot_token_file", "bot_token", token)
        _replace(config, "chat_id_file", "chat_id", chat_id)
        if telegram_url is not None:
            config["api_url"] = telegram_url
    for config in _configs(document, "webhook_configs"):
        _replace(config, "url_file", "url", deadman_url)
    return dump(document)


def _configs(document: Any, kind: str) -> Iterator[dict[str, Any]]:
    for receiver in document["receivers"]:
        yield from receiver.get(kind, ())


def _replace(config: dict[str, Any], old: str, new: str, value: str | int) -> None:
    if config.pop(old, None) is not None:
        config[new] = value


def quick_routes(text: str, *, wait: str = "0s", interval: str = "1s") -> str:
    """alertmanager.yml with every `group_wait` and `group_interval` as given; `repeat_interval` stays."""
    document = parsed(text)
    routes = [document["route"]]
    for route in routes:
        routes += route.get("routes", ())
        route |= {name: to for name, to in (("group_wait", wait), ("group_interval", interval)) if name in route}
    return dump(document)


def shortened_rules(text: str, wait: str = "0s") -> str:
    """rules.yml with every `for` and `keep_firing_for` as long as `wait`, and groups at the global interval.

    What an expression looks back over stays as long as it is: JournalStalled still takes three minutes without a line.
    """
    document = parsed(text)
    for group in document["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule |= {name: wait for name in ("for", "keep_firing_for") if name in rule}
    return dump(document)


def prometheus_config(
    *,
    target: str = "127.0.0.1:9464",
    alertmanager: str = "127.0.0.1:9093",
    interval: str = "1s",
    rules: str = "rules.yml",
) -> str:
    """prometheus.yml with other addresses, both intervals as given, and the rules at `rules`.

    `rules` is relative to where the configuration lies. A scrape may take as long as the interval.
    """
    document = load(PROMETHEUS / "prometheus.yml")
    document["global"] = {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval}
    document["rule_files"] = [rules]
    document["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    (scrape,) = document["scrape_configs"]
    scrape["static_configs"] = [{"targets": [target]}]
    return dump(document)
