"""What every test stands on: shapes are checked, and tests of an accelerator are skipped where there is none.

Annotations are checked in every module of the package that pytest imports. `PRIOR_LAB_SHAPE_CHECKS=0` turns that off
for a whole run, the fixture `no_shape_checks` for one test: for one that compiles (a Dynamo trace meets false
violations), or that hands over wrong input to read the sentence a user would read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import shape_checks
import torch
from PIL import Image

if os.environ.get("PRIOR_LAB_SHAPE_CHECKS", "1") != "0":
    shape_checks.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests recorded as `closing line`: how those went that ran in child processes."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = [text for report in reports for name, text in report.user_properties if name == "closing line"]
    if lines:
        terminalreporter.section("with other instructions and threads")
        terminalreporter.write_line("\n".join(map(str, lines)))


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """The package as users run it: annotations are not checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    """A random stream of its own for every test."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured discs on a light ground, two frames of each of twelve objects."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    for number in range(12):
        (folder / f"disc-{number}").mkdir()
        colour, radius = generator.integers(0, 200, 3), generator.uniform(6, 12)
        for frame in range(2):
            centre = generator.uniform(12, 20, 2)
            disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
            pixels = np.where(disc[..., None], colour, 230).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"disc-{number}" / f"{frame}.png")
    return folder
