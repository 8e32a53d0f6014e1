"""One HTML file that works without a kernel and without a network."""

import base64
import html
import json
from pathlib import Path

import xarray as xr
from plotly.offline import get_plotlyjs

from prior_lab.errors import InputError
from prior_lab.figures import move_cursor, quality_curves
from prior_lab.files import replacing
from prior_lab.widgets.canvas import HERE, ExplorerCanvas
from prior_lab.widgets.curves import CURVE_LAYOUT


def export_html(path: str | Path, *, title: str, canvas: ExplorerCanvas, table: xr.Dataset) -> Path:
    """Write the explorer as it stands, with the images on screen, to one file.

    Raises
    ------
    InputError : if the file cannot be written; an older file of that name then stays whole.
    """
    state = {name: getattr(canvas, name) for name in ExplorerCanvas.class_own_traits(sync=True)}
    state |= {"title": title, "problem": "", "pixels": base64.b64encode(canvas.pixels).decode()}
    parts = {
        "title": html.escape(title),
        "css": (HERE / "explorer.css").read_text("utf-8"),
        "esm": base64.b64encode((HERE / "explorer.js").read_bytes()).decode(),
        "state": _json(state),
        "figures": _json({str(metric): _frames(table, str(metric)) for metric in table.metric.values}),
        "plotly": get_plotlyjs(),
    }
    page = (HERE / "export.html").read_text("utf-8")
    for name, text in parts.items():  # plotly last: nothing is looked for inside it
        page = page.replace("{{" + name + "}}", text)
    return _write(Path(path), page)


def _frames(table: xr.Dataset, metric: str) -> dict[str, dict]:
    """The whole figure at every budget: the same that the notebook shows."""
    figure = quality_curves(table, metric, budget=int(table.budget[0]))
    figure.update_layout(CURVE_LAYOUT)
    frames = {}
    for budget in (int(value) for value in table.budget.values):
        move_cursor(figure, table, metric, budget)
        frames[str(budget)] = json.loads(figure.to_json())
    return frames


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")


def _write(path: Path, text: str) -> Path:
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"The file {str(path)!r} could not be written: {error.strerror}.") from error
    return path
