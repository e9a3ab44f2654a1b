"""What the doctor sees of a home and the disk under it, and that it leaves both as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.doctor.conftest import MakePatient
from tests.storage.test_home import files
from thunes.doctor import machine
from thunes.doctor.findings import Failed
from thunes.doctor.patient import Patient


@pytest.fixture
def patient(patient_of: MakePatient) -> Patient:
    return patient_of()


@pytest.fixture
def claimed(patient: Patient) -> Patient:
    patient.home.prepare()
    patient.home.claim("sim", "embedded", lambda: "0123456789abcdef0123")
    return patient


def test_a_home_that_is_not_there_yet_is_fine_and_stays_away(patient: Patient) -> None:
    assert "first start makes it" in machine.home(patient)
    assert "writable" in machine.disk(patient)
    assert not patient.home.path.exists()


def test_a_home_of_ones_own_is_free(claimed: Patient) -> None:
    assert machine.home(claimed) == "id 01234567, free"


def test_looking_leaves_nothing_behind(claimed: Patient) -> None:
    before = files(claimed.home)

    machine.home(claimed)
    machine.disk(claimed)

    assert files(claimed.home) == before


def test_a_home_of_another_account_is_told_from_ours(patient_of: MakePatient, claimed: Patient) -> None:
    with pytest.raises(Failed, match="belongs to venue sim, account embedded, not to sim, other") as failed:
        machine.home(patient_of(account="other"))
    assert "--home" in failed.value.todo


def test_a_home_whose_owner_cannot_be_read_is_said(claimed: Patient) -> None:
    claimed.home.home_file.write_text("{")

    with pytest.raises(Failed, match="cannot be read"):
        machine.home(claimed)


def test_a_home_that_is_held_by_somebody_who_does_not_answer_is_said(claimed: Patient) -> None:
    with claimed.home.lock(), pytest.raises(Failed, match=f"process {os.getpid()} holds it and does not say"):
        machine.home(claimed)

    claimed.home.write_run({"venue": "sim", "host": "127.0.0.1", "console_port": 9})
    claimed.home.control_token(lambda: "token")
    with claimed.home.lock(), pytest.raises(Failed, match=f"process {os.getpid()} holds it and does not answer"):
        machine.home(claimed)


def test_a_kill_switch_that_is_on_is_mentioned(claimed: Patient) -> None:
    claimed.home.write_kill("for the night", "test", "2026-11-23T12:00:00Z")

    assert "kill switch on (for the night)" in machine.home(claimed)


def test_a_disk_with_too_little_room_is_said(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEAST_FREE", 2**70)

    with pytest.raises(Failed, match="MiB are free"):
        machine.disk(patient)


def test_a_place_that_cannot_be_written_is_said(patient: Patient) -> None:
    patient.home.path.write_text("a file where the home should be")

    with pytest.raises(Failed, match="cannot be written"):
        machine.disk(patient)


def test_a_disk_that_does_not_sync_is_said(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)

    with pytest.raises(Failed, match="Input/output error"):
        machine.disk(patient)


def test_the_nearest_directory_above_stands_for_a_home_that_is_not_there(patient: Patient, tmp_path: Path) -> None:
    assert machine._nearest(patient.home) == tmp_path
