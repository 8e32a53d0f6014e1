"""Accuracy of linear probes against budget."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from prior_lab.figures.curves import arm_traces, budget_axis, reference_traces
from prior_lab.figures.style import AXIS, CLEAR, INK, colour_of, house_template, require
from prior_lab.figures.tables import accuracy_table

GAP = 0.2  # between the panels, where the baselines are named [width of the figure]
LINE = 0.06  # the least distance of two names [height of the axis]


def accuracy_curves(
    study: xr.DataTree, taxonomy: str, group: str | None = None, *, paper: xr.DataArray | None = None
) -> go.Figure:
    """Accuracy of linear probes against budget [%]: a line and a 95 % interval per ordering, baselines as thin lines.

    Parameters
    ----------
    study : a contrastive study.
    taxonomy : one of its label levels.
    group : one of `study_groups(study, "accuracy")`, such as "Gaussian"; all arms, if not given.
    paper : numbers to compare with [%], dims (ordering, taxonomy, budget), such as one token kind of
        `prior_lab.paper.table4()`, drawn in a second panel with an axis of its own: they are of other data.

    Raises
    ------
    InputError : if the study has no such label level or group.
    """
    table = accuracy_table(study, group)
    taxonomy = require(taxonomy, table.taxonomy.values.tolist(), "label level")
    titles = ["here", "the paper, other data"]
    figure = go.Figure() if paper is None else make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=GAP)
    budgets = table.budget.values
    for position, label in enumerate(str(label) for label in table.ordering.values):
        arm = 100 * table[["accuracy", "interval"]].sel(ordering=label, taxonomy=taxonomy)
        low, high = (arm.interval.sel(bound=bound).values for bound in ("low", "high"))
        band, line = arm_traces(label, colour_of(label, position))
        band.update(x=np.concatenate([budgets, budgets[::-1]]), y=np.concatenate([low, high[::-1]]))
        line.update(x=budgets, y=arm.accuracy.values, hovertemplate=f"%{{y:.1f}} %<extra>{label}</extra>")
        figure.add_traces([band, line])
    of_baselines = 100 * table.baseline_accuracy.sel(taxonomy=taxonomy).to_series().sort_values()
    top = max(of_baselines.max(), 100 * float(table.interval.sel(taxonomy=taxonomy).max()))
    place = -top
    for name, value in of_baselines.items():
        place = max(value, place + LINE * top)
        figure.add_shape(type="line", xref="x domain", yref="y", x0=0, x1=1, y0=value, y1=value,
                         line={"color": AXIS, "width": 1.2, "dash": "dash"})  # fmt: skip
        figure.add_annotation(x=1.01, xref="x domain", xanchor="left", y=place, yref="y", yanchor="middle",
                              text=str(name), showarrow=False, font={"size": 12})  # fmt: skip
    if paper is not None:
        require(taxonomy, paper.taxonomy.values.tolist(), "label level", "reference")
        traces = reference_traces(paper.sel(taxonomy=taxonomy), "accuracy")
        figure.add_traces(traces, rows=[1] * len(traces), cols=[2] * len(traces))
    figure.update_xaxes(**budget_axis(budgets), title_text="tokens in the prefix (budget)")
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(
        template=house_template(), yaxis_title_text=f"accuracy of linear probes, {taxonomy} [%]",
        legend_y=1.1 if paper is None else 1.18, margin_r=120 if paper is None else None,
    )  # fmt: skip
    return figure


def accuracy_by_prefix(
    tables: Mapping[str, xr.DataArray], taxonomies: Sequence[str] = ("coarse", "class")
) -> go.Figure:
    """What each longer prefix adds to the best accuracy so far, as bars: the shading of the paper's figure 2.

    A bar ends at the accuracy of the arm's best prefix. The darkest part is what the first token reaches; each lighter
    one is what the next budget adds to the best so far, and a budget that adds nothing has none. All panels have one
    scale.

    Parameters
    ----------
    tables : accuracies [%] by whose they are, such as "here" and "the paper", a line of panels each:
        (token_kind, ordering, taxonomy, budget), of `accuracy_by_kind` or `prior_lab.paper.table4`.
    taxonomies : label levels, a panel each.

    Raises
    ------
    InputError : if a table has no such label level.
    """
    titles = [f"{taxonomy}, {name}" for name in tables for taxonomy in taxonomies]
    figure = make_subplots(len(tables), len(taxonomies), shared_yaxes=True, shared_xaxes="all", subplot_titles=titles,
                           horizontal_spacing=0.04, vertical_spacing=0.16 / len(tables))  # fmt: skip
    count = 0
    for row, table in enumerate(tables.values(), start=1):
        for column, taxonomy in enumerate(taxonomies, start=1):
            require(taxonomy, table.taxonomy.values.tolist(), "label level", "table")
            traces = _added_bars(table.sel(taxonomy=taxonomy), taxonomy)
            figure.add_traces(traces, rows=[row] * len(traces), cols=[column] * len(traces))
            count = max(count, len(traces[0].x))
    first = next(iter(tables.values()))
    figure.add_traces(
        [_shade(place, int(budget), figure.data[0].y) for place, budget in enumerate(first.budget.values)]
    )
    figure.update_layout(template=house_template(), barmode="overlay", bargap=0.25, hovermode="closest")
    figure.update_layout(height=len(tables) * (90 + 24 * count) + 70, margin={"l": 150}, legend_y=1.06)
    figure.update_xaxes(showgrid=True, showticklabels=True, title_text=None)
    figure.update_xaxes(row=len(tables), title_text="accuracy [%]")
    figure.update_yaxes(autorange="reversed", nticks=count)
    return figure


def _added_bars(table: xr.DataArray, taxonomy: str) -> list[go.Bar]:
    """A trace for each budget: what it adds to the best prefix before it."""
    arms = [(str(kind), str(ordering)) for kind in table.token_kind.values for ordering in table.ordering.values]
    best = np.maximum.accumulate(
        table.transpose("budget", "token_kind", "ordering").values.reshape(-1, len(arms)), axis=0
    )
    added = np.diff(best, axis=0, prepend=0.0)
    return [
        go.Bar(
            meta=f"{taxonomy} {budget}", x=values, base=best[place] - values, y=list(zip(*arms, strict=True)),
            orientation="h", customdata=best[place], showlegend=False,
            marker={"color": [colour_of(ordering) for _, ordering in arms], "opacity": _opacity(place),
                    "line": {"width": 0}},
            hovertemplate=f"{budget} tokens: %{{customdata:.1f}} % (+%{{x:.1f}})<extra>%{{y}}</extra>",
        )
        for place, (budget, values) in enumerate(zip(table.budget.values, added, strict=True))
    ]  # fmt: skip


def _shade(place: int, budget: int, names: Sequence[Sequence[str]]) -> go.Bar:
    """The legend's entry for a budget: a bar without length in the shade of those that it adds."""
    name = "1 token" if budget == 1 else f"{budget} tokens"
    return go.Bar(
        meta=f"shade {budget}", name=name, x=[0], y=[[part[0]] for part in names], orientation="h", hoverinfo="skip",
        marker={"color": _faded(INK, _opacity(place)), "line": {"color": CLEAR, "width": 0}},
    )  # fmt: skip


def _faded(colour: str, opacity: float) -> str:
    """A colour with an opacity of its own: plotly's legend does not show that of a marker."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _opacity(place: int) -> float:
    return round(1.0 - 0.13 * place, 2)
