"""Quality against budget, and what all curves over budgets are drawn with."""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from prior_lab.figures.style import (
    AXIS,
    CLEAR,
    DASHES,
    INK,
    colour_of,
    house_template,
    metric_style,
    require,
    symbol_of,
)
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
    metric = require(metric, table.metric.values.tolist(), "metric")
    style, budgets = metric_style(metric), table.budget.values
    figure = go.Figure(layout={"template": house_template()})
    for position, label in enumerate(str(label) for label in table.ordering.values):
        arm = table.sel(ordering=label, metric=metric)
        band, line = arm_traces(label, colour_of(label, position))
        low, high = (arm.interval.sel(bound=bound).values for bound in ("low", "high"))
        band.update(x=np.concatenate([budgets, budgets[::-1]]), y=np.concatenate([low, high[::-1]]))
        line.update(x=budgets, y=arm.quality.values, hovertemplate=f"%{{y:.{style.decimals}f}}<extra>{label}</extra>")
        figure.add_traces([band, line])
    figure.add_traces(_yardstick_traces(table, metric))
    if reference is not None:
        figure.add_traces(reference_traces(reference, metric))
    figure.update_xaxes(**budget_axis(budgets), title_text="tokens in the prefix (budget)")
    unit = f" [{style.unit}]" if style.unit else ""
    figure.update_yaxes(title_text=f"{metric}{unit}, {style.better} is better")
    if budget is not None:
        _add_cursor(figure, table.sel(metric=metric), require(budget, budgets.tolist(), "budget"), style.text)
    return figure


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
        marker={"symbol": symbol_of(label), "size": 8, "color": colour},
    )  # fmt: skip
    return [band, line]


def _yardstick_traces(table: xr.Dataset, metric: str) -> list[go.Scatter]:
    """Thin lines of what is reached without a learnt code, from as many numbers as a prefix has."""
    if "worth" not in table:
        return []
    return [
        go.Scatter(
            meta=f"yardstick {name}", name=str(name), x=table.budget.values,
            y=table.worth.sel(yardstick=name, metric=metric).values, mode="lines",
            line={"color": INK, "width": 1.5, "dash": dash}, hovertemplate=f"%{{y:.3f}}<extra>{name}</extra>",
        )
        for name, dash in zip(table.yardstick.values, DASHES, strict=False)
    ]  # fmt: skip


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
                mode="lines+markers", line={"color": colour, "width": 1.5, "dash": "dot"},
                marker={"symbol": f"{symbol_of(label)}-open", "size": 7, "color": colour},
                hovertemplate=f"%{{y}}<extra>{label}, paper</extra>",
            )
        )  # fmt: skip
    return traces


def budget_axis(budgets: np.ndarray) -> dict[str, object]:
    """A base-2 axis that is labelled with the budgets themselves."""
    ends = np.log10([budgets.min() * 0.88, budgets.max() * 1.14])
    ticks = [int(budget) for budget in budgets]
    return {"type": "log", "range": ends.tolist(), "tickvals": ticks, "ticktext": [str(tick) for tick in ticks]}


def _add_cursor(figure: go.Figure, table: xr.Dataset, budget: int, write: Callable[[float], str]) -> None:
    """Mark a budget, with rings around the values there, which join the names in the legend."""
    values = table.quality.sel(budget=budget)
    labels = [str(label) for label in table.ordering.values]
    colours = [colour_of(label, position) for position, label in enumerate(labels)]
    ring = {"size": 15, "color": CLEAR, "line": {"color": colours, "width": 2}}
    figure.add_trace(
        go.Scatter(
            meta="cursor", x=[budget] * len(labels), y=values.values, mode="markers", marker=ring, hoverinfo="skip",
            showlegend=False, cliponaxis=False,
        )
    )  # fmt: skip
    figure.add_shape(type="line", xref="x", yref="paper", x0=budget, x1=budget, y0=0, y1=1, layer="below",
                     line={"color": AXIS, "width": 1.5})  # fmt: skip
    figure.add_annotation(
        x=float(np.log10(budget)), y=1, xref="x", yref="paper", yanchor="bottom", showarrow=False, font={"size": 12},
        text=f"{budget} token" if budget == 1 else f"{budget} tokens",
    )  # fmt: skip
    for label in labels:
        line = next(trace for trace in figure.data if trace.meta == f"line {label}")
        line.name = f"{label}  <b>{write(float(values.sel(ordering=label)))}</b>"
