"""The budget explorer in the browser: controls, images and curves, all budgets and views held there."""

from pathlib import Path

import traitlets

from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent


class BudgetCanvas(Canvas):
    """Traits only; `budgets.js` draws, and sets `budget`, `view` and `metric` without waiting for the kernel."""

    _esm = script(HERE, "budgets.js")
    _css = looks(HERE, "budgets.css")

    budgets = traitlets.List(traitlets.Int()).tag(sync=True)
    metrics = traitlets.List(traitlets.Dict()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)  # from no error to the largest one drawn
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)
    groups = traitlets.List(traitlets.Unicode()).tag(sync=True)

    budget = traitlets.Int().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    metric = traitlets.Unicode().tag(sync=True)

    group = traitlets.Unicode().tag(sync=True)
    arms = traitlets.List(traitlets.Dict()).tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)  # by metric, of every arm that has any
    pixels = traitlets.Bytes().tag(sync=True)  # deflated RGB, as `Page.packed` lays it out
    page = traitlets.Dict().tag(sync=True)  # what `pixels` are of
