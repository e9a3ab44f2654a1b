"""The home: the one directory under which everything is written, and who may use it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from thunes.errors import HomeInUse, OperatorError
from thunes.storage.durable import sync_directory, write_whole

HOME_ID_LENGTH = 8
OWNER_ALONE = 0o600
NO_ROOM = '{"reason": "killed while the disk had no room for the reason", "source": "spare"}'


class Home:
    """Paths under one directory. Making one writes nothing; `prepare` does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.data = path / "data"
        self.artifacts = path / "artifacts"
        self.audit_trail = self.logs / "audit_trail.jsonl"
        self.log = self.logs / "paper_trader.log"
        self.database = self.data / "thunes.db"
        self.outbox = self.data / "alerts.db"
        self.exchange_database = self.data / "exchange.db"
        self.run_file = self.data / "run.json"
        self.kill_file = self.data / "KILL"
        self.spare_kill_file = self.data / "KILL.spare"
        self.token_file = self.data / "control.token"
        self.home_file = self.data / "home.json"
        self.lock_file = self.data / "lock"

    def prepare(self) -> None:
        """Make the directories. OperatorError when that is not possible."""
        try:
            for directory in (self.logs, self.data, self.artifacts):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(
                f"The home {self.path} cannot be made ({error.strerror}); choose another --home."
            ) from error
        self._keep_spare()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for this process; HomeInUse names the one that holds it. A killed process leaves no lock."""
        try:
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, OWNER_ALONE)
        except OSError as error:
            raise OperatorError(
                f"The home {self.path} cannot be locked ({error.strerror}); choose another --home."
            ) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HomeInUse(
                    f"The home {self.path} is used by process {_number(fd)}; stop it or choose another --home."
                ) from error
            # The number first, then the rest of an older, longer one: a second process never finds nothing.
            os.ftruncate(fd, os.pwrite(fd, f"{os.getpid()}\n".encode(), 0))
            yield
        finally:
            os.close(fd)

    def claim(self, venue: str, account: str, new_id: Callable[[], str]) -> str:
        """The home's 8-character id, made at the first use; HomeInUse when it belongs to another venue or account."""
        if not self.home_file.exists():
            described = {"venue": venue, "account": account, "id": new_id()[:HOME_ID_LENGTH]}
            _write(self.home_file, json.dumps(described))
        *owned, home_id = self._owner()
        if tuple(owned) != (venue, account):
            raise HomeInUse(
                f"The home {self.path} belongs to venue {owned[0]}, account {owned[1]}, not to {venue}, {account};"
                " choose another --home."
            )
        return home_id

    def read_owner(self) -> tuple[str, str, str] | None:
        """Venue, account and id that `claim` wrote, or None where nobody has claimed the home; HomeInUse as there."""
        return self._owner() if self.home_file.exists() else None

    def holder(self) -> str | None:
        """The number of the process that holds the lock, or None when nobody does. Leaves the lock as it is."""
        try:
            fd = os.open(self.lock_file, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _number(fd)
        finally:
            os.close(fd)
        return None

    def _owner(self) -> tuple[str, str, str]:
        try:
            owner = json.loads(self.home_file.read_text())
            return str(owner["venue"]), str(owner["account"]), str(owner["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HomeInUse(
                f"{self.home_file} cannot be read ({error}); restore it or choose another --home."
            ) from error

    # --- the kill marker ---

    def kill_active(self) -> bool:
        """Whether the marker is there. What cannot be looked at counts as there: the switch fails closed."""
        try:
            os.stat(self.kill_file)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def kill_reason(self) -> str:
        """What the marker says, or that it cannot be read."""
        try:
            return str(json.loads(self.kill_file.read_text())["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return "a kill marker whose reason cannot be read"

    def write_kill(self, reason: str, source: str, since: str) -> None:
        """Put the marker on the disk, without a reason where there is no room for one; OSError when there is none then.

        That it is there is what counts: a file without a byte in it, and a directory, are a kill as well.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            _write(self.kill_file, json.dumps({"reason": reason, "source": source, "since": since}))
        except OSError:
            self._mark_without_room()

    def _mark_without_room(self) -> None:
        """A name needs less than a file: an empty one takes no block, and one that is renamed not even an inode."""
        try:
            self.kill_file.touch(OWNER_ALONE)
        except OSError:
            self.spare_kill_file.rename(self.kill_file)
        sync_directory(self.data)

    def clear_kill(self) -> None:
        """Take the marker off the disk; OSError when that fails, and then it holds."""
        try:
            self.kill_file.unlink()
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            self.kill_file.rmdir()
        sync_directory(self.data)
        self._keep_spare()

    def _keep_spare(self) -> None:
        """Have a marker ready for when there is no room for one. A disk that is full by now is for others to say."""
        if not self.spare_kill_file.exists():
            with suppress(OSError):
                _write(self.spare_kill_file, NO_ROOM)

    # --- the running system ---

    def write_run(self, described: Mapping[str, Any]) -> None:
        """Say how the running system is found; its pid is added."""
        _write(self.run_file, json.dumps({"pid": os.getpid(), **described}))

    def read_run(self) -> dict[str, Any] | None:
        """What `write_run` said, or None when nothing runs or what is there cannot be read."""
        try:
            described = json.loads(self.run_file.read_text())
        except (OSError, ValueError):
            return None
        return described if isinstance(described, dict) else None

    def clear_run(self) -> None:
        with suppress(FileNotFoundError):
            self.run_file.unlink()

    def control_token(self, new_id: Callable[[], str]) -> str:
        """The control API's bearer token, made at the first use, readable by the owner alone."""
        token = self.read_token()
        if token is None:
            token = new_id() + new_id()
            _write(self.token_file, token + "\n")
        # Also one that was copied here: what others can read is no secret.
        self.token_file.chmod(OWNER_ALONE)
        return token

    def read_token(self) -> str | None:
        try:
            return self.token_file.read_text().strip() or None
        except (OSError, ValueError):
            return None


def _number(fd: int) -> str:
    """What the holder of the lock wrote into it."""
    return os.read(fd, 32).decode(errors="replace").partition("\n")[0] or "unknown"


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode(), OWNER_ALONE)
