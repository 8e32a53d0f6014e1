"""One Chromium and one JupyterLab per session; every browser test looks at the same running notebook."""

import importlib.util
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab import Jupyter, LabNotebook
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
NOTEBOOK = HERE.parents[1] / "notebooks" / "01_explore_budgets.ipynb"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@dataclass
class Explored:
    """The notebook after "run all"; `load` is the machine's load per core before it was opened."""

    notebook: "LabNotebook"
    page: "Page"
    seconds: float
    load: float
    problems: list[str]


def chromium_path() -> str | None:
    """A Chromium of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """The browser; without one, tests are skipped on a laptop and fail under CI."""
    reason = None
    if importlib.util.find_spec("playwright") is None:
        reason = "playwright is not installed (pip install playwright)"
    elif chromium_path() is None:
        reason = "no chromium found (apt-get install chromium)"
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the screen go: the folder named by SCREENSHOTS, or a temporary one."""
    named = os.environ.get("SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def jupyter(chromium: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Jupyter]":
    """The JupyterLab of all tests that have a browser."""
    from lab import Jupyter, serve

    root = tmp_path_factory.mktemp("lab")
    (root / "work").mkdir()
    with serve(root) as address:
        yield Jupyter(address, root / "work")


@pytest.fixture(scope="session")
def explored(chromium: "Browser", jupyter: "Jupyter") -> Iterator[Explored]:
    """A copy of the notebook, run from top to bottom in JupyterLab."""
    from lab import LabNotebook

    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    shutil.copy(NOTEBOOK, jupyter.folder)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    notebook = LabNotebook(page, jupyter.address, NOTEBOOK.name)
    start = time.monotonic()
    notebook.run_all()
    page.wait_for_selector(".pl-budgets[data-painted]", timeout=120_000)
    seconds = time.monotonic() - start
    notebook.wait_until_done()
    page.evaluate((HERE / "latency.js").read_text("utf-8"))
    yield Explored(notebook, page, seconds, load, problems)
    page.close()
