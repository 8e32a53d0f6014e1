"""The information explorer in the browser: tokens to choose from, their information, and what they decode to."""

from pathlib import Path

import traitlets

from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent


class InformationCanvas(Canvas):
    """Traits only; the scripts draw, set `tokens`, and ask for another `arm`, `choice` or `unit`."""

    _esm = script(HERE, "board.js", "numbers.js", "information.js")
    _css = looks(HERE, "information.css")

    arms = traitlets.List(traitlets.Unicode()).tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)  # from little to much information

    arm = traitlets.Unicode().tag(sync=True)
    choice = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    tokens = traitlets.List(traitlets.Int()).tag(sync=True)

    outline = traitlets.Dict().tag(sync=True)  # count, budgets and pyramid: the shape of the code
    cells = traitlets.Dict().tag(sync=True)  # b(u) of every token, I of every prefix; empty until images are encoded
    estimate = traitlets.Dict().tag(sync=True)  # I(S) of the selected tokens
    page = traitlets.Dict().tag(sync=True)  # what `pixels` are of
    pixels = traitlets.Bytes().tag(sync=True)  # deflated RGB: the truth, then the reconstructions where there are any
