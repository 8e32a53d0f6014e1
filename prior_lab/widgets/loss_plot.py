"""A live plot of a training run, for a notebook.

Its last line shows it in one cell (`plot = prior_lab.LossPlot(); plot`), the next cell trains with `monitor=plot`.
"""

import math
from typing import Any

import plotly.graph_objects as go

from prior_lab import figures
from prior_lab.checks import entry_point
from prior_lab.errors import InputError
from prior_lab.tasks import Record

TITLES = {"ssim": ("mean absolute error", "validation SSIM"), "ntxent": ("NT-Xent", "validation NT-Xent")}


class LossPlot:
    """Training objective and, beneath it, the validation at every budget; `train` calls it after every record.

    Attributes
    ----------
    figure : the plotly widget, updated in place.

    Examples
    --------
    What `train(..., monitor=plot)` does after every record:

    >>> import prior_lab as pl
    >>> plot = pl.LossPlot()
    >>> plot([{"step": 50, "objective": 0.2}, {"step": 100, "objective": 0.1, "ssim_1": 0.6, "ssim_3": 0.7}])
    >>> [curve.name for curve in plot.figure.data]
    ['training', '1 token', '3 tokens']
    """

    def __init__(self) -> None:
        layout = go.Layout(
            template=figures.house_template(),
            height=420,
            xaxis={"anchor": "y2", "title": "optimiser step"},
            yaxis={"domain": [0.56, 1.0], "title": "objective", "type": "log"},
            yaxis2={"domain": [0.0, 0.44], "title": "validation", "anchor": "x"},
        )
        error = go.Scatter(name="training", mode="lines", line={"color": figures.INK, "width": 1.5})
        self.figure = go.FigureWidget([error], layout)
        self.figure._config = {"responsive": True, "displayModeBar": False}  # plotly has no public setter

    @entry_point
    def __call__(self, history: list[Record]) -> None:
        """Show a run's history; curves already there are brought up to date.

        Raises
        ------
        InputError : if it is not the history of a run.
        """
        if any(not {"step", "objective"} <= record.keys() for record in history):
            raise InputError("The history holds records without step or objective; that of a run was expected.")
        measure = next((name for name in TITLES if any(f"{name}_1" in record for record in history)), None)
        validated = [record for record in history if f"{measure}_1" in record]
        with self.figure.batch_update():
            self.figure.data[0].x = [record["step"] for record in history]
            self.figure.data[0].y = [record["objective"] for record in history]
            if measure is not None:
                self.figure.layout.yaxis.title.text, self.figure.layout.yaxis2.title.text = TITLES[measure]
            for trace in self._budget_traces(validated, measure):
                trace.x = [record["step"] for record in validated]
                trace.y = [record[str(trace.meta)] for record in validated]

    def _budget_traces(self, validated: list[Record], measure: str | None) -> list[go.Scatter]:
        """A curve for every budget that was validated, from pale to dark with the budget."""
        names = [name for name in validated[0] if name.startswith(f"{measure}_")] if validated else []
        if len(self.figure.data) == 1 and names:
            self.figure.add_traces([_budget_trace(name, index / len(names)) for index, name in enumerate(names)])
        return list(self.figure.data[1:])

    def __repr__(self) -> str:
        """What a notebook stores where the live plot was."""
        return "LossPlot (drawn live while training runs)"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = self.figure._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self)} if isinstance(bundle, dict) else bundle


def _budget_trace(name: str, depth: float) -> go.Scatter:
    budget = int(name.rpartition("_")[2])
    label = "1 token" if budget == 1 else f"{budget} tokens"
    shade = math.floor(190 * (1 - depth))
    colour = f"rgb({shade},{min(255, shade + 40)},{min(255, shade + 90)})"
    return go.Scatter(meta=name, name=label, yaxis="y2", mode="lines+markers", line={"color": colour, "width": 2})
