"""Runs notebooks under strict nbval in a pytest of their own, away from this one's hooks and warning filters."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run_nbval() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Execute notebooks (a file or a folder of them) and compare every cell with what is stored."""

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        flags = ["-p", "strict_nbval", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
        quiet = ["-c", os.devnull, f"--rootdir={path.parent}", "-p", "no:cacheprovider", "-rA", "--color=no"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *flags, *quiet, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip

    return run
