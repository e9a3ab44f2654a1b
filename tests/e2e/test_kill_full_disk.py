"""The kill switch on a disk without room: the marker needs a name, and no byte."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.killing import activations, command
from tests.e2e.support import thunes, wait_for
from thunes.storage.home import Home


def assert_killed_at_its_next_start(home: Path) -> None:
    with thunes(home) as system:
        wait_for(lambda: (system.status() or {"kill_switch": {}})["kill_switch"].get("active"), what="the kill")
        assert system.stop() == 0, system.said()
    assert len(activations(home)) == 1


def files_up_to(size: int) -> Callable[[], None]:
    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return apply


@pytest.mark.slow
def test_a_disk_that_fills_up_kills_and_the_next_start_is_killed(tmp_path: Path) -> None:
    home, config = tmp_path / "home", tmp_path / "busy.toml"
    config.write_text("[risk]\ncool_down = 0\nmax_orders_per_minute = 10000\nmax_daily_loss = 5000\n")
    flags = ("--config", str(config), "--strategy", str(Path(__file__).with_name("busy.py")))
    with thunes(home, *flags) as system:
        wait_for(system.is_ready, what="readiness")
        # From here on, and not for the embedded exchange: it is THUNES' own disk that fills up.
        room = Home(home).audit_trail.stat().st_size + 20_000
        resource.prlimit(system.process.pid, resource.RLIMIT_FSIZE, (room, room))
        assert system.process.wait(60) == 1, system.said()
    assert_killed_at_its_next_start(home)


def test_a_kill_that_may_write_no_byte_is_marked_all_the_same(tmp_path: Path) -> None:
    Home(tmp_path).prepare()
    done = command("kill", home=tmp_path, preexec_fn=files_up_to(0))
    assert done.returncode == 0, done.stderr
    assert Home(tmp_path).kill_file.read_bytes() == b""
    assert_killed_at_its_next_start(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own, made with these options."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
        return path

    yield mount
    subprocess.run(["umount", str(path)], capture_output=True, check=False)


def fill_blocks(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def fill_names(disk: Path) -> None:
    try:
        for number in range(1_000_000):
            os.close(os.open(disk / f"filler.{number}", os.O_CREAT))
    except OSError:
        return


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (fill_blocks, "a kill marker whose reason cannot be read"),
        (fill_names, "killed while the disk had no room for the reason"),
    ],
)
def test_a_kill_on_a_full_disk_is_marked_and_holds_when_there_is_room_again(
    small_disk: Callable[[str], Path], fill: Callable[[Path], None], reason: str
) -> None:
    disk = small_disk("size=32m,nr_inodes=200")
    home = disk / "home"
    Home(home).prepare()
    fill(disk)
    done = command("kill", "--reason", "fire", home=home)
    assert done.returncode == 0, done.stderr
    assert Home(home).kill_reason() == reason
    for filler in disk.glob("filler*"):
        filler.unlink()
    assert_killed_at_its_next_start(home)
