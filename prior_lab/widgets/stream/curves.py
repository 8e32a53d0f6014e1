"""Quality against bytes: the mean over the images of a page, for every method, as a figure."""

import numpy as np
import plotly.graph_objects as go

from prior_lab import figures
from prior_lab.figures.style import AXIS, DASHES, INK, house_template
from prior_lab.widgets.stream.gallery import Page
from prior_lab.widgets.stream.streams import Method


def stream_curves(page: Page, cut: int) -> go.Figure:
    """The mean SSIM of the images of a page against the bytes of each, from where all have a picture."""
    figure = go.Figure(layout={"template": house_template()})
    dashes = iter(DASHES)
    for place, method in enumerate(page.methods):
        line = {"color": figures.colour_of(method.label, place), "width": 2.0}
        if method.kind != "arm":
            line = {"color": INK, "width": 1.5, "dash": next(dashes)}
        x, y = _steps(method, page.longest)
        hover = f"%{{x}} bytes: SSIM %{{y:.3f}}<extra>{method.label}</extra>"
        figure.add_trace(go.Scatter(x=x, y=y, name=method.label, mode="lines", line=line, hovertemplate=hover))
    if cut:
        line = {"color": AXIS, "width": 1.5}
        figure.add_shape(type="line", xref="x", yref="paper", x0=cut, x1=cut, y0=0, y1=1, layer="below", line=line)
    figure.update_xaxes(title=f"bytes of a file (raw: {page.raw:,})", type="log")
    figure.update_yaxes(title="SSIM, mean of the images shown, higher is better")
    return figure


def _steps(method: Method, longest: int) -> tuple[list[int], list[float]]:
    """Corners of the stairs."""
    if not all(stream.needs for stream in method.streams):
        return [], []
    start = max(stream.needs[0] for stream in method.streams)
    changes = sorted({start, longest, *(need for one in method.streams for need in one.needs if need > start)})
    x: list[int] = []
    y: list[float] = []
    for bytes_ in changes:
        value = float(np.mean([stream.ssim[stream.at(bytes_)] for stream in method.streams]))
        x += [bytes_] * (2 if y else 1)
        y += [y[-1], value] if y else [value]
    return x, y
