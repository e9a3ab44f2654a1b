"""The unit is one that systemd understands, and keeps what it promises."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thunes import notify

UNIT = Path(__file__).parents[2] / "monitoring" / "systemd" / "thunes.service"


class Unit(configparser.ConfigParser):
    """Keys as they are written; of one that is given twice the last."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",))
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(UNIT)


SERVICE = Unit()["Service"]


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    # The interpreter that the unit names is on the machine that it is for.
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/thunes/bin/python", sys.executable))
    done = subprocess.run(
        [tool, "verify", "--man=no", str(here)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, complaints) == (0, [])


def test_a_wrong_setting_is_found_by_systemd(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    wrong = tmp_path / UNIT.name
    wrong.write_text(UNIT.read_text().replace("Type=notify", "Type=notfy"))
    done = subprocess.run(
        [tool, "verify", "--man=no", str(wrong)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "notfy" in done.stderr


def test_the_watchdog_waits_longer_than_a_supervisor_may_be_deaf() -> None:
    assert (SERVICE["Type"], SERVICE["NotifyAccess"]) == ("notify", "main")
    assert int(SERVICE["WatchdogSec"]) * 1e9 > notify.DEAF_AFTER_NS


def test_a_crash_is_restarted_and_a_wrong_setting_is_not() -> None:
    assert SERVICE["Restart"] == "on-failure"
    assert SERVICE["RestartPreventExitStatus"] == "2"
    unit = Unit()["Unit"]
    assert unit["StartLimitBurst"]
    assert unit["StartLimitIntervalSec"]


def test_it_has_time_to_stop_in_order() -> None:
    assert int(SERVICE["TimeoutStopSec"]) > 10


def test_memory_is_limited_and_rights_are_few() -> None:
    assert SERVICE["MemoryMax"]
    assert SERVICE["MemoryHigh"]
    assert SERVICE["CapabilityBoundingSet"] == ""
    for name in (
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "DynamicUser",
        "RestrictSUIDSGID",
    ):
        assert SERVICE[name] == "yes", name
    assert SERVICE["ProtectSystem"] == "strict"


def test_keys_are_credentials_and_may_be_missing() -> None:
    text = UNIT.read_text()
    for name in ("api_key", "api_secret"):
        assert f"\nLoadCredential={name}:/etc/thunes/{name}\nSetCredential={name}:\\n\n" in text
        assert f"THUNES_{name.upper()}_FILE=%d/{name}" in SERVICE["Environment"]
    assert SERVICE["LimitCORE"] == "0", "a core has the keys in it"


def test_it_may_use_the_sockets_that_it_needs() -> None:
    assert set(SERVICE["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_the_home_is_the_state_directory() -> None:
    assert f"--home /var/lib/{SERVICE['StateDirectory']} " in SERVICE["ExecStart"]
