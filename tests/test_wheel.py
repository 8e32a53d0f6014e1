"""What `pip install` brings: everything the package needs, nothing of this checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LARGEST = 95e6  # of the wheel [byte]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder, root = tmp_path_factory.mktemp("wheel"), Path(__file__).parents[1]
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(root)]
    subprocess.run(build, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_types_and_its_data_and_is_small(wheel: Path, root: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if name.startswith("prior_lab/")}
    there = {
        path
        for path in (root / "prior_lab").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".nbi", ".nbc")
    }
    assert names == {path.relative_to(root).as_posix() for path in there}
    assert "prior_lab/py.typed" in names
    assert wheel.stat().st_size < LARGEST


@pytest.mark.whole
def test_the_readme_s_first_example_runs_in_an_empty_environment(wheel: Path, root: Path, tmp_path: Path) -> None:
    """Packages are installed anew, which takes a minute or two."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "empty")], check=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, os.environ.get("TORCH", "torch")], check=True)
    subprocess.run([*install, f"{wheel}[lab]"], check=True)
    example = re.search(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert example is not None
    script = example[1] + "print(pictures.shape, pl.__file__)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"torch.Size([8, 3, 64, 64]) {tmp_path}")
