"""The search explorer in the browser: all trials and all planes are there, so nothing waits for a kernel."""

from pathlib import Path

import traitlets

from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent


class SearchCanvas(Canvas):
    """Traits only; the scripts draw, and set what was chosen."""

    _esm = script(HERE, "plane.js", "search.js")
    _css = looks(HERE, "search.css")

    axes = traitlets.List(traitlets.Dict()).tag(sync=True)  # name, low, high and log of every setting
    trials = traitlets.List(traitlets.Dict()).tag(sync=True)
    arms = traitlets.List(traitlets.Dict()).tag(sync=True)
    budgets = traitlets.List(traitlets.Int()).tag(sync=True)
    measure = traitlets.Unicode().tag(sync=True)
    prices = traitlets.List(traitlets.Float()).tag(sync=True)
    worth = traitlets.List(traitlets.List()).tag(sync=True)  # the objective of every trial, by price
    planes = traitlets.List(traitlets.Dict()).tag(sync=True)  # of every pair of settings, by price
    side = traitlets.Int().tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)

    across = traitlets.Unicode().tag(sync=True)
    up = traitlets.Unicode().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    price = traitlets.Float().tag(sync=True)
    trial = traitlets.Int().tag(sync=True)
