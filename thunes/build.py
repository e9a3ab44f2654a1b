"""Which build this is: the package's own checkout's commit, else the one baked in, else `unknown`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

UNKNOWN = "unknown"
PACKAGE = Path(__file__).parent


def git_sha(package: Path = PACKAGE) -> str:
    """The short commit of the checkout that `package` is in, never that of the working directory.

    An installed package is in no checkout: `_build_sha.txt` beside it, written by the build, says then.
    """
    root = package.parent
    if (root / ".git").exists() and (root / "setup.cfg").exists():
        # A hook's GIT_DIR names another repository than the one that we are in.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
                capture_output=True,
                text=True,
                timeout=5,
                env=environ,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return UNKNOWN
        return done.stdout.strip() or UNKNOWN
    try:
        return (package / "_build_sha.txt").read_text().strip() or UNKNOWN
    except OSError:
        return UNKNOWN
