"""The home: whose it is, who holds it, and its small files through crashes and second writers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from thunes.errors import HomeInUse, OperatorError
from thunes.storage.durable import write_whole
from thunes.storage.home import Home

SINCE = "2026-11-23T12:00:00.000000Z"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def ids(*given: str) -> Callable[[], str]:
    """Each of the ids once; asking for more is a failure."""
    return iter(given).__next__


def no_ids() -> str:
    raise AssertionError("a new id was asked for")


SPARE = "data/KILL.spare"


def files(home: Home) -> set[str]:
    """What there is besides the spare marker."""
    found = {str(path.relative_to(home.path)) for path in home.path.rglob("*") if path.is_file()}
    assert SPARE in found
    return found - {SPARE}


def test_a_home_that_is_only_named_writes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert not home.kill_active()
    assert home.read_run() is None
    assert home.read_token() is None
    assert list(tmp_path.iterdir()) == []


def test_preparing_makes_the_directories_and_a_spare_marker_and_can_be_repeated(home: Home) -> None:
    home.prepare()
    assert {path.name for path in home.path.iterdir()} == {"logs", "data", "artifacts"}
    assert files(home) == set()


def test_a_home_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(OperatorError, match=r"cannot be made .* choose another --home"):
        Home(tmp_path / "home").prepare()


# --- one process at a time ---

HOLDS = """
import sys
from pathlib import Path
from thunes.storage.home import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_is_told_the_firsts_number_and_a_killed_one_leaves_no_lock(home: Home) -> None:
    home.lock_file.write_text("12345678901234567890\n")  # what an earlier holder left behind
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HomeInUse, match=rf"used by process {holder.pid};"), home.lock():
            pass
        holder.kill()
        holder.wait(10)
    with home.lock():
        assert home.lock_file.read_text() == f"{os.getpid()}\n"


def test_a_lock_is_given_back_at_the_end_also_after_a_failure(home: Home) -> None:
    with pytest.raises(RuntimeError), home.lock():
        raise RuntimeError
    with home.lock(), pytest.raises(HomeInUse), Home(home.path).lock():
        pass


def test_a_lock_file_that_cannot_be_opened_is_the_operators_to_mend(home: Home) -> None:
    home.lock_file.mkdir()
    with pytest.raises(OperatorError, match="cannot be locked"), home.lock():
        pass


# --- one venue and account ---


def test_the_first_claim_gives_the_home_an_id_of_eight_characters_that_stays(home: Home) -> None:
    assert home.claim("sim", "embedded", ids("0123456789abcdef")) == "01234567"
    assert home.claim("sim", "embedded", no_ids) == "01234567"


@pytest.mark.parametrize(("venue", "account"), [("testnet", "embedded"), ("sim", "another")])
def test_a_home_of_another_venue_or_account_is_refused(home: Home, venue: str, account: str) -> None:
    home.claim("sim", "embedded", ids("0123456789"))
    before = home.home_file.read_bytes()
    with pytest.raises(HomeInUse, match=rf"belongs to venue sim, account embedded, not to {venue}, {account}"):
        home.claim(venue, account, no_ids)
    assert home.home_file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"venue": "sim"}', "null"])
def test_a_home_whose_owner_cannot_be_read_is_nobodys_to_take(home: Home, text: str) -> None:
    home.home_file.write_text(text)
    with pytest.raises(HomeInUse, match="cannot be read"):
        home.claim("sim", "embedded", no_ids)
    assert home.home_file.read_text() == text


# --- the kill marker ---


def test_the_marker_says_why_who_and_since_when_and_is_gone_when_cleared(home: Home) -> None:
    home.write_kill("too hot", "operator", SINCE)
    assert home.kill_active()
    assert home.kill_reason() == "too hot"
    assert json.loads(home.kill_file.read_text()) == {"reason": "too hot", "source": "operator", "since": SINCE}
    home.clear_kill()
    assert not home.kill_active()
    home.clear_kill()
    assert files(home) == set()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"source": "x"}'])
def test_a_marker_that_cannot_be_understood_is_a_kill_all_the_same(home: Home, content: bytes) -> None:
    home.kill_file.write_bytes(content)
    assert home.kill_active()
    assert home.kill_reason() == "a kill marker whose reason cannot be read"


def test_a_marker_that_cannot_be_looked_at_is_a_kill(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert Home(tmp_path).kill_active()


def test_a_marker_can_be_set_where_no_system_ever_ran(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    home.write_kill("first", "command line", SINCE)
    assert home.kill_active()


def test_a_marker_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(OSError, match="directory"):
        Home(tmp_path).write_kill("too hot", "operator", SINCE)


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thunes.storage.home.write_whole", write)


@pytest.mark.usefixtures("no_room")
def test_a_marker_without_room_for_its_reason_is_an_empty_one(home: Home) -> None:
    home.write_kill("too hot", "operator", SINCE)
    assert home.kill_file.read_bytes() == b""
    assert home.kill_active()


def test_a_marker_without_room_for_a_name_is_the_spare_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.prepare()

    def touch(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("thunes.storage.home.write_whole", touch)
        full.setattr(Path, "touch", touch)
        home.write_kill("too hot", "operator", SINCE)
        assert home.kill_active()
        assert home.kill_reason() == "killed while the disk had no room for the reason"
        home.clear_kill()
        assert not home.kill_active()
        assert not home.spare_kill_file.exists()
        with pytest.raises(OSError, match=r"KILL\.spare"):
            home.write_kill("again", "operator", SINCE)
    home.clear_kill()
    home.prepare()
    assert home.spare_kill_file.exists()


def test_a_spare_marker_that_was_used_is_replaced_at_the_resume(home: Home) -> None:
    home.prepare()
    home.spare_kill_file.rename(home.kill_file)
    home.clear_kill()
    assert home.spare_kill_file.exists()


def test_a_directory_in_the_marker_s_place_is_a_kill_and_goes_when_it_is_cleared(home: Home) -> None:
    home.kill_file.mkdir()
    home.write_kill("too hot", "operator", SINCE)
    assert (home.kill_active(), home.kill_file.is_dir()) == (True, True)
    home.clear_kill()
    assert not home.kill_active()


def test_a_marker_that_cannot_be_cleared_is_said_and_holds(home: Home) -> None:
    (home.kill_file / "something").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"):
        home.clear_kill()
    assert home.kill_active()


def test_many_who_kill_at_once_all_succeed_and_one_marker_stands(home: Home) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def kill(name: str) -> None:
        start.wait(10)
        try:
            for _ in range(20):
                home.write_kill(name * 1000, name, SINCE)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=kill, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    marker = json.loads(home.kill_file.read_text())
    assert marker["reason"] == marker["source"] * 1000
    assert files(home) == {"data/KILL"}


# --- small files ---


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_small_file_is_made_with_the_rights_it_is_to_have(tmp_path: Path, mode: int) -> None:
    write_whole(tmp_path / "file", b"words", mode)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    whole = {letter * 100_000 for letter in (b"a", b"b")}
    write_whole(path, b"a" * 100_000, 0o600)

    def write() -> None:
        for letter in (b"b", b"a") * 20:
            write_whole(path, letter * 100_000, 0o600)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= whole


def test_what_is_said_of_the_running_system_has_its_process_and_can_be_taken_back(home: Home) -> None:
    home.write_run({"venue": "sim", "console_port": 8787})
    assert home.read_run() == {"pid": os.getpid(), "venue": "sim", "console_port": 8787}
    home.clear_run()
    home.clear_run()
    assert home.read_run() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_word_of_a_running_system_that_cannot_be_read_is_none(home: Home, content: bytes) -> None:
    home.run_file.write_bytes(content)
    assert home.read_run() is None


def test_the_token_is_made_once_and_is_the_owners_alone(home: Home) -> None:
    token = home.control_token(ids("abc", "def"))
    assert token == "abcdef"
    assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
    assert home.control_token(no_ids) == home.read_token() == token


def test_a_token_that_others_could_read_is_taken_from_them(home: Home) -> None:
    home.token_file.write_text("copied\n")
    home.token_file.chmod(0o644)
    assert home.control_token(no_ids) == "copied"
    assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff"])
def test_a_token_file_without_a_token_gets_one(home: Home, content: bytes) -> None:
    home.token_file.write_bytes(content)
    assert home.read_token() is None
    assert home.control_token(ids("abc", "def")) == "abcdef"


def test_who_owns_a_home_can_be_read_without_claiming_it(home: Home) -> None:
    assert home.read_owner() is None
    assert files(home) == set()

    home.claim("sim", "embedded", ids("0123456789abcdef0123"))

    assert home.read_owner() == ("sim", "embedded", "01234567")


def test_who_holds_a_home_can_be_read_and_nobody_is_kept_out_by_it(home: Home) -> None:
    assert home.holder() is None
    assert files(home) == set()

    with home.lock():
        assert home.holder() == str(os.getpid())
    assert home.holder() is None
    with home.lock():
        assert home.holder() == str(os.getpid())
