"""A real JupyterLab on loopback and what a test does in it: open, run all, wait."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
CELLS = "[...(window.jupyterapp?.shell?.currentWidget?.content?.model?.cells ?? [])]"
PENDING = f"{CELLS}.filter((cell) => cell.type === 'code' && cell.executionCount === null).length"
ERROR = "[data-mime-type='application/vnd.jupyter.error']"
FAILED = f'document.querySelector("{ERROR}")'


@dataclass(frozen=True)
class Jupyter:
    """A running JupyterLab: its address, and the folder that it shows."""

    address: str
    folder: Path


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """JupyterLab over the folder `root/work`, all its settings under `root`; yields its address."""
    settings = root / "settings"
    for name, values in SETTINGS.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={root / 'work'}", f"--LabApp.user_settings_dir={settings}",
        f"--LabApp.workspaces_dir={root / 'workspaces'}",
    ]  # fmt: skip
    here = str(Path(__file__).parents[2])
    environment = os.environ | {
        "HOME": str(root / "home"),
        "JUPYTER_CONFIG_DIR": str(root / "home" / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(root / "home" / "runtime"),
        "IPYTHONDIR": str(root / "home" / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])),
    }
    (root / "home").mkdir(exist_ok=True)
    with (root / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_up(address, server, root / "server.log")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_until_up(address: str, server: subprocess.Popen, log: Path, patience: float = 90.0) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=2)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not come up; its log ends: {log.read_text()[-2000:]}")


def write_notebook(path: Path, sources: Iterable[str]) -> None:
    """Code cells that nobody has run yet."""
    blank = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [{**blank, "id": f"cell{number}", "source": source} for number, source in enumerate(sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


class LabNotebook:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Page, address: str, name: str) -> None:
        self.page = page
        page.goto(f"{address}/lab/workspaces/test/tree/{name}?reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        page.wait_for_function(f"{KERNEL} === 'idle'", timeout=90_000)

    def run_all(self) -> None:
        """Start running every cell; returns at once."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def wait_until_done(self, patience: float = 120.0) -> None:
        """Every code cell has run and the kernel rests; what a failing cell says is raised."""
        done = f"() => ({PENDING} === 0 && {KERNEL} === 'idle') || {FAILED}"
        self.page.wait_for_function(done, timeout=patience * 1000)
        failed = self.page.locator(ERROR)
        if failed.count():
            raise AssertionError(f"a cell failed: {failed.first.inner_text()}")

    def run_cell(self, words: str) -> None:
        """Run the cell that has these words in it."""
        self.page.evaluate(
            """(words) => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const source = (cell) => cell.model.sharedModel.source;
                notebook.activeCellIndex = notebook.widgets.findIndex((cell) => source(cell).includes(words));
                return window.jupyterapp.commands.execute("notebook:run-cell");
            }""",
            words,
        )

    def use_theme(self, name: str) -> None:
        """Such as "JupyterLab Dark"."""
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)

    def restart_kernel(self) -> None:
        """As by the menu: what the kernel knew is gone."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    def close_sidebar(self) -> None:
        """Give the notebook the whole width."""
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
