"""The compose file is one, and keeps what it promises; no container engine is needed to see that."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.monitoring.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MADE_BY_THE_OPERATOR = "./secrets/"


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_follows_the_specification_of_compose_files() -> None:
    found = checked(FILE)
    assert found.returncode == 0, found.stdout + found.stderr


def test_what_does_not_follow_it_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    assert checked(wrong).returncode == 1


def test_thunes_and_those_who_watch_it_are_there() -> None:
    assert set(SERVICES) == {"thunes", "prometheus", "alertmanager", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_to_one_version(name: str) -> None:
    assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bound_to_loopback_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_every_service_has_a_health_check() -> None:
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    assert all("healthcheck" in service for name, service in SERVICES.items() if name != "thunes")


def test_no_password_or_key_is_written_down_and_none_is_the_image_s_own() -> None:
    environment = {
        name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items()
    }
    secret = {name: value for name, value in environment.items() if re.search("PASSWORD|KEY|SECRET|TOKEN", name)}
    assert secret == {
        "THUNES_API_KEY": "${THUNES_API_KEY:-}",
        "THUNES_API_SECRET": "${THUNES_API_SECRET:-}",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_admin_password",
    }
    assert "grafana_admin_password" in SERVICES["grafana"]["secrets"]


def test_every_secret_is_a_file_that_the_head_says_how_to_make_and_git_ignores() -> None:
    head = FILE.read_text().partition("name:")[0]
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith(MADE_BY_THE_OPERATOR)
        assert secret["file"].removeprefix("./") in head
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_secrets_of_alertmanager_are_where_its_file_looks_for_them() -> None:
    text = (ROOT / "monitoring" / "alertmanager" / "alertmanager.yml").read_text()
    wanted = set(re.findall(r"_file: (\S+)", text))
    assert {secret["target"] for secret in SERVICES["alertmanager"]["secrets"]} == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_in_the_repository_or_a_volume(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source, target, *mode = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"], volume
        else:
            assert source in COMPOSE["volumes"]
        assert target.startswith("/")


def test_prometheus_looks_for_the_services_under_their_names_and_ports() -> None:
    text = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text()
    targets = re.findall(r'targets: \["([\w-]+):(\d+)"\]', text)
    assert {name for name, _ in targets} == {"thunes", "alertmanager"}
    for name, port in targets:
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]
