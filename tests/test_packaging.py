"""What is installed: the whole package with its data, the commit it was built from, and pinned dependencies."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from thunes.build import UNKNOWN, git_sha

ROOT = Path(__file__).parent.parent
HALVES = ("thunes", "actors")
IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environ, timeout=30).stdout.strip()


def committed(folder: Path) -> str:
    """Make a repository of a folder with all that is in it; its commit, 12 digits."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "all")
    return git(folder, "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an empty package in it."""
    (tmp_path / "checkout" / "thunes").mkdir(parents=True)
    (tmp_path / "checkout" / "setup.cfg").touch()
    return tmp_path / "checkout"


def test_the_commit_is_that_of_the_packages_own_checkout(checkout: Path) -> None:
    sha = committed(checkout)

    assert git_sha(checkout / "thunes") == sha


def test_a_commit_that_was_baked_into_the_package_yields_to_the_checkouts(checkout: Path) -> None:
    sha = committed(checkout)
    (checkout / "thunes" / "_build_sha.txt").write_text("baked\n")

    assert git_sha(checkout / "thunes") == sha


def test_an_installed_package_has_the_commit_that_was_baked_in(tmp_path: Path) -> None:
    (tmp_path / "_build_sha.txt").write_text("0123456789ab\n")

    assert git_sha(tmp_path) == "0123456789ab"


def test_a_package_of_neither_has_an_unknown_commit(tmp_path: Path) -> None:
    assert git_sha(tmp_path) == UNKNOWN


def test_the_working_directorys_commit_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(tmp_path / "elsewhere")
    (tmp_path / "site-packages" / "thunes").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert git_sha(tmp_path / "site-packages" / "thunes") == UNKNOWN


def test_a_repository_that_the_environment_names_is_not_taken_for_the_checkout(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = committed(checkout)
    committed(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))

    assert git_sha(checkout / "thunes") == sha


def test_an_environment_around_the_package_is_not_its_checkout(tmp_path: Path) -> None:
    """A virtual environment is often inside somebody's repository."""
    committed(tmp_path)
    package = tmp_path / ".venv" / "site-packages" / "thunes"
    package.mkdir(parents=True)

    assert git_sha(package) == UNKNOWN


def requirement_names(text: str) -> list[str]:
    return [normal(re.split(r"[<>=!~\[; ]", line.strip())[0]) for line in text.splitlines() if line.strip()]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = requirement_names(setup["options"]["install_requires"])
    for extra in setup["options.extras_require"].values():
        wanted += requirement_names(extra)
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())

    assert [name for name in wanted if name not in {normal(known) for known in pinned}] == []


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    command = (ROOT / ".ci" / "run").read_text().rstrip().splitlines()[-1]

    assert ".venv/bin/tox" in command
    assert command in (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A wheel of a committed copy of the sources, unpacked; and the copy's commit."""
    pytest.importorskip("setuptools", minversion="77", reason="needs the setuptools that builds the package")
    folder = tmp_path_factory.mktemp("build")
    copy, site = folder / "copy", folder / "site"
    for half in HALVES:
        shutil.copytree(ROOT / half, copy / half, ignore=shutil.ignore_patterns("__pycache__", "_build_sha.txt"))
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, copy)
    sha = committed(copy)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site, sha


@pytest.mark.slow
def test_the_wheel_has_every_module_and_every_file_of_data(built: tuple[Path, str]) -> None:
    site, _ = built
    kept = {
        path.relative_to(ROOT).as_posix()
        for half in HALVES
        for path in (ROOT / half).rglob("*")
        if path.suffix in {".py", ".toml", ".json", ".html"}
    }

    assert kept - {path.relative_to(site).as_posix() for path in site.rglob("*")} == set()


@pytest.mark.slow
def test_an_installed_package_works_from_any_directory_and_knows_its_commit(
    built: tuple[Path, str], tmp_path: Path
) -> None:
    site, sha = built
    committed(tmp_path)
    program = (
        "from thunes.build import git_sha; from thunes.settings import load;"
        "print(git_sha(), load(environ={}, flags={}).run.venue)"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.split() == [sha, "sim"]
