"""What is looked at without a network: the settings as they are, the home, and the disk under it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from thunes.control.client import RunningSystem
from thunes.doctor.findings import Failed
from thunes.doctor.patient import Patient
from thunes.errors import OperatorError, ThunesError
from thunes.storage.home import Home

LEAST_FREE = 1024**3
"""Bytes: four segments of the journal."""
WRITES = 5
BLOCK = b"\0" * 4096


def settings(patient: Patient) -> str:
    """Those that could not be used have ended the command already."""
    run = patient.settings.run
    return f"venue {run.venue}, {', '.join(run.symbols)}, strategy {run.strategy}"


def home(patient: Patient) -> str:
    """Whose it is, who uses it, and whether its kill switch is on."""
    place = patient.home
    if not place.path.exists():
        return f"{place.path} is not there yet; the first start makes it"
    owned = _owner(patient)
    used = _holder(place)
    killed = f"; kill switch on ({place.kill_reason()}), `thunes resume` ends it" if place.kill_active() else ""
    return f"{owned}, {used}{killed}"


def _owner(patient: Patient) -> str:
    try:
        owner = patient.home.read_owner()
    except OperatorError as error:
        raise Failed(f"{patient.home.home_file} cannot be read", "Restore it, or choose another --home.") from error
    if owner is None:
        return "new"
    venue, account, home_id = owner
    wanted = patient.settings.run.venue, patient.account
    if (venue, account) != wanted:
        raise Failed(
            f"it belongs to venue {venue}, account {account}, not to {wanted[0]}, {wanted[1]}",
            "Choose another --home, or the venue and keys it was made with.",
        )
    return f"id {home_id}"


def _holder(place: Home) -> str:
    holder, run = place.holder(), place.read_run()
    if holder is None:
        return "free"
    if run is None or str(run.get("pid")) != holder:
        raise Failed(
            f"process {holder} holds it and does not say where it listens",
            "Wait, if it is just starting; else look at logs/paper_trader.log and end that process.",
        )
    try:
        ready = bool(RunningSystem(place).get("/api/status")["ready"])
    except (ThunesError, KeyError, TypeError) as error:
        raise Failed(
            f"process {holder} holds it and does not answer", "`thunes kill` stops its buying; then end that process."
        ) from error
    return f"held by the running system, process {holder}{'' if ready else ' (not ready yet)'}"


def disk(patient: Patient) -> str:
    """Room, and whether what is written gets through to the disk, and how fast."""
    folder = _nearest(patient.home)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise Failed(f"{free / 1024**2:.0f} MiB are free under {folder}", f"Free {LEAST_FREE // 1024**2} MiB.")
    try:
        slowest = _slowest_sync(patient, folder)
    except OSError as error:
        raise Failed(
            f"{folder} cannot be written ({error.strerror})", "Mend that, or choose another --home."
        ) from error
    return f"{free / 1024**3:.1f} GiB free, writable, fdatasync takes {slowest:.1f} ms at most"


def _nearest(place: Home) -> Path:
    """Where the journal is, or the nearest directory that is there."""
    return next(path for path in (place.logs, place.path, *place.path.absolute().parents) if path.exists())


def _slowest_sync(patient: Patient, folder: Path) -> float:
    """Milliseconds, over a file that has no name and so is gone however this ends."""
    slowest = 0.0
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(WRITES):
            file.write(BLOCK)
            start = patient.monotonic_ns()
            os.fdatasync(file.fileno())
            slowest = max(slowest, patient.ms_since(start))
    return slowest
