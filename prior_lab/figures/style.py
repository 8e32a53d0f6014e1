"""How figures look: the colour and the marker of each ordering, how a metric is written, the house template.

Colours are Okabe and Ito's palette, told apart with any common colour-vision deficiency, at least 3:1 against white and
a dark theme.
"""

import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import plotly.graph_objects as go

from prior_lab.checks import described
from prior_lab.errors import InputError

Choice = TypeVar("Choice")

COLOURS = {
    "PRIOR": "#0072B2", "MBOP-ITD": "#D55E00", "MBOP-TD": "#009E73",
    "PRIOR without prediction": "#56B4E9", "Matryoshka": "#CC79A7",
    "Unordered": "#B8860B",
}  # fmt: skip
SYMBOLS = {
    "PRIOR": "circle", "MBOP-ITD": "square", "MBOP-TD": "diamond",
    "PRIOR without prediction": "circle-open", "Matryoshka": "triangle-up",
    "Unordered": "triangle-down",
}  # fmt: skip
DASHES = ("dash", "dot", "dashdot", "longdash")  # of lines that stand beside arms
PAPER_ORDERINGS = ("PRIOR", "MBOP-ITD", "MBOP-TD")
SPARE_COLOURS = ("#8C6BB1", "#7F7F7F")

# Figures have no ground of their own: this grey is read on white and on black alike, with a contrast of 4.3 to either.
INK, GRID, AXIS, CLEAR = "#787c84", "rgba(128,132,140,0.25)", "rgba(128,132,140,0.75)", "rgba(0,0,0,0)"
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Metric(NamedTuple):
    """How a metric is written: decimals, unit, and which way is better."""

    decimals: int = 3
    unit: str = ""
    better: str = "higher"

    def text(self, value: float) -> str:
        """The number as it appears in legends, grids and summaries."""
        return f"{value:.{self.decimals}f}"


METRICS = {
    "SSIM": Metric(), "MS-SSIM": Metric(), "PSNR": Metric(2, "dB"), "L1": Metric(4, better="lower"),
    "L2": Metric(5, better="lower"),
}  # fmt: skip


def metric_style(metric: str) -> Metric:
    """How `metric` is written; three decimals for one that is not known here."""
    return METRICS.get(metric, Metric())


def colour_of(label: str, position: int = 0) -> str:
    """The colour of an arm; `position` picks a spare one where the label names none of the three orderings."""
    return COLOURS.get(label.split(",")[0], SPARE_COLOURS[position % len(SPARE_COLOURS)])


def symbol_of(label: str) -> str:
    """The marker of an arm."""
    return SYMBOLS.get(label.split(",")[0], "x")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | numbers.Real) and not isinstance(value, bool)


def require(value: object, choices: Iterable[Choice], noun: str, owner: str = "study") -> Choice:
    """That one of `choices` which `value` names: 31 for NumPy's 31, nothing for True.

    Raises
    ------
    InputError : if there is none, with the choices.
    """
    known = list(choices)
    if _is_plain(value):
        for choice in known:
            if choice == value:
                return choice
    listed = ", ".join(map(str, known))
    named = value if isinstance(value, str) and value.isprintable() and len(value) < 80 else described(value)
    raise InputError(f"{named} is not a {noun} of this {owner}; choose one of {listed}.")


def house_template() -> go.layout.Template:
    """No ground, a quiet grid, type that is read on light and dark, the legend above the plot."""
    axis = {
        "gridcolor": GRID, "zeroline": False, "linecolor": AXIS, "tickcolor": AXIS, "ticklen": 5, "automargin": True,
        "title": {"font": {"size": 13}, "standoff": 12}, "tickfont": {"size": 12},
    }  # fmt: skip
    layout = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "title": {"font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left"},
        "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "colorway": [*COLOURS.values(), *SPARE_COLOURS],
        "xaxis": {**axis, "showgrid": False, "showline": True, "ticks": "outside"}, "yaxis": {**axis, "nticks": 6},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom", "font": {"size": 13}},
        "margin": {"l": 60, "r": 20, "t": 70, "b": 56}, "hovermode": "x unified", "height": 360,
        "hoverlabel": {"font": {"family": FONT, "size": 12, "color": "#1f2328"}, "bgcolor": "#f4f5f7"},
    }  # fmt: skip
    return go.layout.Template(layout=layout)
