"""`explore`, a study in JupyterLab, and `bench`, the benchmarks of a source checkout."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import prior_lab
from prior_lab.checks import Within, check_fields
from prior_lab.errors import InputError
from prior_lab.files import writing

if TYPE_CHECKING:
    import xarray as xr

CHECKOUT = Path(prior_lab.__file__).parents[1]
FIRST_NOTEBOOK = Path("notebooks") / "01_explore_budgets.ipynb"
BENCHMARKS = Path("tests") / "benchmarks" / "run.py"


@dataclass(frozen=True, kw_only=True)
class Explore:
    """Open JupyterLab, on this machine only, with a notebook that explores a study.

    Without STUDY a source checkout opens its first notebook. Otherwise a small notebook is written to the working
    directory, under a name that is still free.
    """

    study: tyro.conf.Positional[str | None] = None
    """Name of a bundled study or a .nc file; household-reconstruction, if not given."""
    browser: bool = True
    """Open the browser, too."""
    port: Annotated[int, Within(1, 65_535)] | None = None
    """Port on 127.0.0.1; JupyterLab chooses, if not given."""

    def __post_init__(self) -> None:
        check_fields(self)

    def run(self, command: str) -> None:
        """Hand over to JupyterLab.

        Raises
        ------
        InputError : if JupyterLab is not installed, or there is no such study.
        """
        if find_spec("jupyterlab") is None:
            raise InputError("explore needs jupyterlab: pip install 'prior-lab[lab]' brings it.")
        if self.study is None and (CHECKOUT / FIRST_NOTEBOOK).is_file():
            root, notebook = CHECKOUT, FIRST_NOTEBOOK
        else:
            root, notebook = Path.cwd(), write_notebook(self.study or "household-reconstruction", Path.cwd())
            print(f"wrote {notebook}", flush=True)
        lab = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--ServerApp.root_dir={root}"]
        flags = [*([] if self.browser else ["--no-browser"]), *([] if self.port is None else [f"--port={self.port}"])]
        os.execve(sys.executable, [*lab, *flags, str(root / notebook)], _environment())


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Run the benchmarks of a source checkout."""

    device: Literal["cpu", "cuda"] = "cpu"
    """What to run them on."""
    out: Path | None = None
    """JSON file for the results."""
    only: tuple[str, ...] = ()
    """Names of the benchmarks; all, if not given."""

    def run(self, command: str) -> None:
        """Hand over to the benchmarks and end with their exit code.

        Raises
        ------
        InputError : outside a checkout.
        SystemExit : if the benchmarks fail.
        """
        if not (CHECKOUT / BENCHMARKS).is_file():
            raise InputError(f"bench runs {BENCHMARKS} of a source checkout, and {CHECKOUT} is none.")
        out = [] if self.out is None else ["--out", str(self.out)]
        only = ["--only", *self.only] if self.only else []
        script = [sys.executable, str(CHECKOUT / BENCHMARKS), "--device", self.device]
        code = subprocess.run([*script, *out, *only], env=_environment(), check=False).returncode
        if code:
            raise SystemExit(code)


def write_notebook(study: str, folder: Path) -> Path:
    """A notebook that explores a study, under a name that is still free in the folder.

    Raises
    ------
    InputError : if there is no such study, or the notebook cannot be written.
    """
    from prior_lab.zoo import load_study

    tree = load_study(study)
    name = f"explore-{tree.attrs['name']}"
    names = (f"{name}.ipynb" if number == 1 else f"{name}-{number}.ipynb" for number in range(1, sys.maxsize))
    path = next(folder / name for name in names if not (folder / name).exists())
    with writing(path) as temporary:
        temporary.write_text(json.dumps(_notebook(study, tree), indent=1) + "\n", encoding="utf-8")
    return path


def _notebook(study: str, tree: "xr.DataTree") -> dict[str, Any]:
    from prior_lab.tasks import experiment_from_json

    learnt = experiment_from_json(next(iter(tree.children.values())).attrs["config"])
    skip = "skip" if learnt.unreadable == "skip" else None
    options = {
        "path": learnt.path,
        "size": learnt.model.image_size,
        "convert": learnt.convert,
        "unreadable": skip,
    }
    arguments = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
    explore = "explore_probes" if tree.attrs["task"] == "contrastive" else "explore"
    code = (
        "import prior_lab as pl\n\n"
        f"images = pl.load_dataset({learnt.data!r}, 'test'{arguments})\n"
        f"pl.{explore}(pl.load_study({study!r}), images)"
    )
    text = f"# The study {tree.attrs['name']}\n\nRun the cell below (Shift+Enter), then slide through the budgets."
    return {
        "cells": [
            {"cell_type": "markdown", "id": "text", "metadata": {}, "source": text},
            {
                "cell_type": "code",
                "execution_count": None,
                "id": "explore",
                "metadata": {},
                "outputs": [],
                "source": code,
            },
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _environment() -> dict[str, str]:
    """That of this process, in which a checkout that is not installed is found."""
    if not (CHECKOUT / "pyproject.toml").is_file():
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))}
