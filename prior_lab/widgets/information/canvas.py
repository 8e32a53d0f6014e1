"""The widget in the browser: tokens to choose from, their information, and what they decode to."""

from pathlib import Path

import anywidget
import traitlets
from plotly.colors import sample_colorscale, unlabel_rgb

HERE = Path(__file__).parent
SHADES = 96


def information_palette() -> list[list[int]]:
    """Colours from little to much information: even to the eye, and apart from a light and from a dark ground."""
    colours = sample_colorscale("Viridis", [shade / (SHADES - 1) for shade in range(SHADES)])
    return [[round(part) for part in unlabel_rgb(colour)] for colour in colours]


class InformationCanvas(anywidget.AnyWidget):
    """Traits only; `information.js` draws, and sets `arm`, `choice`, `unit` and `tokens`."""

    _esm = HERE / "information.js"
    _css = (HERE.parent / "explorer.css").read_text("utf-8") + (HERE / "information.css").read_text("utf-8")

    arms = traitlets.List(traitlets.Unicode()).tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)

    arm = traitlets.Unicode().tag(sync=True)
    choice = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    tokens = traitlets.List(traitlets.Int()).tag(sync=True)

    outline = traitlets.Dict().tag(sync=True)  # count, budgets and pyramid: the shape of the code
    cells = traitlets.Dict().tag(sync=True)  # b(u) of every token; empty until images are encoded
    told = traitlets.Dict().tag(sync=True)  # I(S) of the selected tokens
    page = traitlets.Dict().tag(sync=True)  # what `pixels` are of
    pixels = traitlets.Bytes().tag(sync=True)  # deflated RGB: the truth, then the reconstructions where there are any
    notice = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
