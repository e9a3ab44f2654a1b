"""Lines of the files that a market is read from, and the words for what is wrong with them."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from thunes.errors import SourceError


def broken(path: Path, row: int, why: str) -> SourceError:
    return SourceError(f"{path}, row {row}: {why}; mend the file or leave it out.")


def require(path: Path, present: Iterable[str], wanted: Sequence[str]) -> None:
    """Raises SourceError where a wanted symbol is not present."""
    has = sorted(set(present))
    missing = [symbol for symbol in wanted if symbol not in has]
    if missing:
        raise SourceError(f"{path}: it has {', '.join(has)}, not {', '.join(missing)}; use --symbols {','.join(has)}.")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Those of the file's lines that are not blank, with their numbers from 1; a zip file's are its first member's.

    Raises SourceError for a file that cannot be read, and where it is cut short.
    """
    row = 0
    try:
        with _opened(path) as file:
            for row, line in enumerate(file, 1):
                if not line.isspace():
                    yield row, line
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise broken(path, row + 1, f"the file is damaged or cut short ({error})") from error
    except OSError as error:
        raise SourceError(f"{path}: it cannot be read ({error.strerror}); choose another file.") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path) as unpacked:
            yield unpacked  # type: ignore[misc]  # a GzipFile is an IO[bytes] in all but name
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".csv")]
            if not members:
                raise zipfile.BadZipFile("no .csv in it")
            with archive.open(members[0]) as member:
                yield member
    else:
        with path.open("rb") as file:
            yield file
