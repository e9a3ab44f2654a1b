"""The one thing that setup.cfg cannot do: bake the commit that was built into the package."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithCommit(build_py):
    """build_py, and then `thunes/_build_sha.txt` with what `thunes.build.git_sha` says of this checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            sha = runpy.run_path(str(ROOT / "thunes" / "build.py"))["git_sha"]()
            Path(self.build_lib, "thunes", "_build_sha.txt").write_text(f"{sha}\n", encoding="utf-8")


setup(cmdclass={"build_py": BuildWithCommit})
