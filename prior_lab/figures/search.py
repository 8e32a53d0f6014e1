"""How a search went."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from prior_lab.figures.style import AXIS, COLOURS, INK, house_template
from prior_lab.search.result import objective

STAGES = {"broad": "first stage", "refined": "second stage", "anchor": "at full length"}
SHAPES = {"broad": "circle", "refined": "diamond", "anchor": "triangle-up"}


def search_progress(result: xr.Dataset, price: float | None = None) -> go.Figure:
    """The objective of every trial, and the lowest of the short ones so far.

    Parameters
    ----------
    result : of `prior_lab.search.search`.
    price : of a bit; the search's own, if not given.
    """
    worth, stages = objective(result, price).to_numpy(), result["stage"].to_numpy()
    numbers = result["trial"].to_numpy()
    short = stages != "anchor"
    figure = go.Figure(layout={"template": house_template()})
    best = np.fmin.accumulate(worth[short])
    steps = np.repeat(numbers[short], 2)[1:]  # points, for not every drawing of a figure knows stairs
    figure.add_trace(
        go.Scatter(
            meta="best", name="best so far", x=steps, y=np.repeat(best, 2)[:-1], mode="lines",
            line={"color": AXIS, "width": 2},
        )
    )  # fmt: skip
    for stage, name in STAGES.items():
        here = stages == stage
        if here.any():
            figure.add_trace(
                go.Scatter(
                    meta=f"trials {stage}", name=name, x=numbers[here], y=worth[here], mode="markers",
                    marker={"symbol": SHAPES[stage], "size": 9, "color": COLOURS["PRIOR"], "line": {"color": INK}},
                    hovertemplate=f"trial %{{x}}: %{{y:.4g}}<extra>{name}</extra>",
                )
            )  # fmt: skip
    figure.update_xaxes(title_text="trial")
    figure.update_yaxes(title_text=f"{result.attrs['measure']} and the price of bits, lower is better")
    return figure
