"""The one widget in the browser: controls and image grid, all budgets and views held there."""

from pathlib import Path

import anywidget
import traitlets
from plotly.colors import sample_colorscale, unlabel_rgb

HERE = Path(__file__).parent


def error_palette() -> list[list[int]]:
    """256 colours from no error to the largest one drawn."""
    colours = sample_colorscale("Magma", [step / 255 for step in range(256)])
    return [[round(part) for part in unlabel_rgb(colour)] for colour in colours]


class ExplorerCanvas(anywidget.AnyWidget):
    """Traits only; `explorer.js` draws, and sets `budget`, `view` and `metric` without waiting for the kernel."""

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"

    budgets = traitlets.List(traitlets.Int()).tag(sync=True)
    arms = traitlets.List(traitlets.Dict()).tag(sync=True)
    metrics = traitlets.List(traitlets.Dict()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    groups = traitlets.List(traitlets.Unicode()).tag(sync=True)
    group = traitlets.Unicode().tag(sync=True)

    budget = traitlets.Int().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    metric = traitlets.Unicode().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
