"""Quality against budget, and what all curves over budgets are drawn with."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.basedatatypes import BaseFigure

from prior_lab.figures.style import AXIS, SYMBOLS, colour_of, house_template, metric_style, require
from prior_lab.figures.tables import curve_table


def quality_curves(
    study: xr.DataTree | xr.Dataset,
    metric: str = "SSIM",
    *,
    budget: int | None = None,
    reference: xr.DataArray | None = None,
) -> go.Figure:
    """Quality against budget: a line and a 95 % interval per ordering.

    Parameters
    ----------
    study : a study, or the table of `curve_table`.
    metric : one of the study's metrics.
    budget : if given, a cursor marks this budget, and the legend tells the values there.
    reference : numbers to compare with, dims (ordering, budget) or (metric, ordering, budget), drawn dotted.

    Raises
    ------
    InputError : if the study has no such metric or budget.
    """
    table = curve_table(study)
    figure = go.Figure(layout={"template": house_template()})
    labels = [str(label) for label in table.ordering.values]
    for position, label in enumerate(labels):
        figure.add_traces(arm_traces(label, colour_of(label, position)))
    if reference is not None:
        figure.add_traces(reference_traces(reference, metric))
    figure.update_xaxes(**budget_axis(table.budget.values), title_text="tokens in the prefix (budget)")
    show_metric(figure, table, metric)
    if budget is not None:
        _add_cursor(figure, [colour_of(label, position) for position, label in enumerate(labels)])
        move_cursor(figure, table, metric, budget)
        for label in labels:
            value = float(table.quality.sel(ordering=label, metric=metric, budget=budget))
            _trace(figure, f"line {label}").name = f"{label}  <b>{metric_style(metric).text(value)}</b>"
    return figure


def show_metric(figure: BaseFigure, table: xr.Dataset, metric: str) -> None:
    """Put another metric's curves into a figure of `quality_curves`, in place."""
    require(metric, table.metric.values, "metric")
    budgets, style = table.budget.values, metric_style(metric)
    for label in table.ordering.values:
        arm = table.sel(ordering=label, metric=metric)
        low, high = (arm.interval.sel(bound=bound).values for bound in ("low", "high"))
        hover = f"%{{y:.{style.decimals}f}}<extra>{label}</extra>"
        _trace(figure, f"line {label}").update(x=budgets, y=arm.quality.values, hovertemplate=hover)
        band = np.concatenate([low, high[::-1]])
        _trace(figure, f"band {label}").update(x=np.concatenate([budgets, budgets[::-1]]), y=band)
    unit = f" [{style.unit}]" if style.unit else ""
    figure.update_yaxes(title_text=f"{metric}{unit}, {style.better} is better")


def move_cursor(figure: BaseFigure, table: xr.Dataset, metric: str, budget: int) -> None:
    """Mark another budget in a figure that was made with a cursor, in place; its legend stays as it is."""
    require(budget, table.budget.values, "budget")
    values = table.quality.sel(metric=metric, budget=budget).values
    _trace(figure, "cursor").update(x=[budget] * len(values), y=values)
    figure.layout.shapes[0].update(x0=budget, x1=budget)
    words = f"{budget} token" if budget == 1 else f"{budget} tokens"
    figure.layout.annotations[0].update(x=float(np.log10(budget)), text=words)


def _trace(figure: BaseFigure, role: str) -> go.Scatter:
    return next(trace for trace in figure.data if trace.meta == role)


def arm_traces(label: str, colour: str) -> list[go.Scatter]:
    """An arm's band and line, without values yet."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    band = go.Scatter(
        meta=f"band {label}", fill="toself", fillcolor=f"rgba({red},{green},{blue},0.16)", line={"width": 0},
        mode="lines", hoverinfo="skip", showlegend=False, legendgroup=label,
    )  # fmt: skip
    line = go.Scatter(
        meta=f"line {label}", name=label, mode="lines+markers", legendgroup=label,
        line={"color": colour, "width": 2.5},
        marker={"symbol": SYMBOLS.get(label.split(",")[0], "x"), "size": 8, "color": colour},
    )  # fmt: skip
    return [band, line]


def reference_traces(reference: xr.DataArray, metric: str) -> list[go.Scatter]:
    """Hollow, dotted lines of numbers that come from elsewhere, dims (ordering, budget) and perhaps metric."""
    if "metric" in reference.dims:
        require(metric, reference.metric.values, "metric", "reference")
        reference = reference.sel(metric=metric)
    traces = []
    for position, label in enumerate(str(value) for value in reference.ordering.values):
        values, colour = reference.sel(ordering=label).dropna("budget"), colour_of(label, position)
        traces.append(
            go.Scatter(
                meta=f"reference {label}", name=f"{label}, paper", x=values.budget.values, y=values.values,
                mode="lines+markers", line={"color": colour, "width": 1.5, "dash": "dot"}, legendgroup="reference",
                marker={"symbol": f"{SYMBOLS.get(label, 'x')}-open", "size": 7, "color": colour},
                hovertemplate=f"%{{y}}<extra>{label}, paper</extra>",
            )
        )  # fmt: skip
    return traces


def budget_axis(budgets: np.ndarray) -> dict[str, object]:
    """A base-2 axis that is labelled with the budgets themselves."""
    ends = np.log10([budgets.min() * 0.88, budgets.max() * 1.14])
    ticks = [int(budget) for budget in budgets]
    return {"type": "log", "range": ends.tolist(), "tickvals": ticks, "ticktext": [str(tick) for tick in ticks]}


def _add_cursor(figure: go.Figure, colours: list[str]) -> None:
    ring = {"size": 15, "color": "rgba(0,0,0,0)", "line": {"color": colours, "width": 2}}
    figure.add_trace(
        go.Scatter(meta="cursor", mode="markers", marker=ring, hoverinfo="skip", showlegend=False, cliponaxis=False)
    )
    figure.add_shape(type="line", xref="x", yref="paper", x0=1, x1=1, y0=0, y1=1, layer="below",
                     line={"color": AXIS, "width": 1.5})  # fmt: skip
    figure.add_annotation(x=0, y=1, xref="x", yref="paper", yanchor="bottom", showarrow=False, font={"size": 12})
