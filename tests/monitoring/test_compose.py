"""The compose file is one, and keeps what it promises; no container engine is needed to see that."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from thunes import __version__

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
    assert set(limits) == {"cpus", "memory", "pids"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_thunes_is_this_checkout_s_and_its_version_s() -> None:
    assert SERVICES["thunes"]["image"] == f"thunes:{__version__}"
    assert SERVICES["thunes"]["pull_policy"] == "build"


def test_the_alert_on_memory_comes_before_the_limit() -> None:
    rules = (ROOT / "monitoring" / "prometheus" / "rules.yml").read_text()
    (alert,) = re.findall(r"process_resident_memory_bytes\S* > (\S+)", rules)
    memory = SERVICES["thunes"]["deploy"]["resources"]["limits"]["memory"]
    assert float(memory.removesuffix("G")) * 2**30 > 1.5 * float(alert)


def test_every_service_has_a_health_check() -> None:
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    assert all("healthcheck" in service for name, service in SERVICES.items() if name != "thunes")


def test_no_password_or_key_is_written_down_and_none_is_the_image_s_own() -> None:
    environment = {
        name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items()
    }
    secret = {name: value for name, value in environment.items() if re.search("PASSWORD|KEY|SECRET|TOKEN", name)}
    assert secret == {
        "THUNES_API_KEY_FILE": "/run/secrets/api_key",
        "THUNES_API_SECRET_FILE": "/run/secrets/api_secret",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_admin_password",
    }
    assert set(SERVICES["thunes"]["secrets"]) == {"api_key", "api_secret"}
    assert "grafana_admin_password" in SERVICES["grafana"]["secrets"]


def test_what_the_head_says_to_run_makes_every_secret_and_git_ignores_them(tmp_path: Path) -> None:
    head = FILE.read_text().partition("name:")[0]
    script = "\n".join(line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   "))
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, timeout=30)
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith(MADE_BY_THE_OPERATOR)
        assert (tmp_path / secret["file"]).stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "grafana_admin_password").read_text().strip()
    assert {"/secrets/", "/.env"} <= set((ROOT / ".gitignore").read_text().splitlines())


@pytest.mark.parametrize(("password", "starts"), [("a word\n", True), ("", False), (" \n", False), (None, False)])
def test_grafana_does_not_start_without_a_password_of_the_operator_s(
    tmp_path: Path, password: str | None, starts: bool
) -> None:
    secret = tmp_path / "secret"
    if password is not None:
        secret.write_text(password)
    shell, option, script = SERVICES["grafana"]["entrypoint"]
    here = script.replace("/run/secrets/grafana_admin_password", shlex.quote(str(secret)))
    done = subprocess.run(
        [shell, option, here.replace("/run.sh", "echo started")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode == 0, done.stdout) == ((True, "started\n") if starts else (False, ""))
    assert starts or "write a password" in done.stderr


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
