"""Accuracy of linear probes against budget."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from prior_lab.figures.curves import arm_traces, budget_axis, reference_traces
from prior_lab.figures.style import AXIS, colour_of, house_template, require
from prior_lab.figures.tables import accuracy_table


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
        `prior_lab.paper.table4()`, drawn hollow and dotted: they are of other data.

    Raises
    ------
    InputError : if the study has no such label level or group.
    """
    table = accuracy_table(study, group)
    require(taxonomy, table.taxonomy.values, "label level")
    figure = go.Figure(layout={"template": house_template()})
    budgets = table.budget.values
    for position, label in enumerate(str(label) for label in table.ordering.values):
        arm = 100 * table[["accuracy", "interval"]].sel(ordering=label, taxonomy=taxonomy)
        low, high = (arm.interval.sel(bound=bound).values for bound in ("low", "high"))
        band, line = arm_traces(label, colour_of(label, position))
        band.update(x=np.concatenate([budgets, budgets[::-1]]), y=np.concatenate([low, high[::-1]]))
        line.update(x=budgets, y=arm.accuracy.values, hovertemplate=f"%{{y:.1f}} %<extra>{label}</extra>")
        figure.add_traces([band, line])
    for name in table.baseline.values:
        value = 100 * float(table.baseline_accuracy.sel(baseline=name, taxonomy=taxonomy))
        figure.add_hline(value, line={"color": AXIS, "width": 1.2, "dash": "dash"}, annotation={"text": str(name)})
    if paper is not None:
        require(taxonomy, paper.taxonomy.values, "label level", "reference")
        figure.add_traces(reference_traces(paper.sel(taxonomy=taxonomy), "accuracy"))
    figure.update_xaxes(**budget_axis(budgets), title_text="tokens in the prefix (budget)")
    figure.update_yaxes(title_text=f"accuracy of linear probes, {taxonomy} [%]", rangemode="tozero")
    return figure


def accuracy_by_prefix(accuracy: xr.DataArray, taxonomies: Sequence[str] = ("coarse", "class")) -> go.Figure:
    """What each longer prefix adds to the best accuracy so far, as bars: the shading of the paper's figure 2.

    A bar ends at the accuracy of the arm's best prefix. The darkest part is what the first token reaches; each lighter
    one is what the next budget adds to the best so far, and a budget that adds nothing has none.

    Parameters
    ----------
    accuracy : [%], (token_kind, ordering, taxonomy, budget), of `accuracy_by_kind` or `prior_lab.paper.table4`.
    taxonomies : label levels, one plot each.
    """
    for taxonomy in taxonomies:
        require(taxonomy, accuracy.taxonomy.values, "label level", "table")
    arms = [(str(kind), str(ordering)) for kind in accuracy.token_kind.values for ordering in accuracy.ordering.values]
    figure = make_subplots(rows=1, cols=len(taxonomies), shared_yaxes=True, horizontal_spacing=0.04)
    for column, taxonomy in enumerate(taxonomies, start=1):
        table = accuracy.sel(taxonomy=taxonomy).transpose("budget", "token_kind", "ordering")
        best = np.maximum.accumulate(table.values.reshape(len(table), -1), axis=0)
        added = np.diff(best, axis=0, prepend=0.0)
        for place, (budget, values) in enumerate(zip(table.budget.values, added, strict=True)):
            figure.add_trace(
                go.Bar(
                    meta=f"{taxonomy} {budget}", x=values, y=list(zip(*arms, strict=True)), orientation="h",
                    marker={"color": [colour_of(ordering) for _, ordering in arms],
                            "opacity": 1.0 - 0.13 * place, "line": {"color": "white", "width": 0.5}},
                    customdata=best[place], showlegend=False,
                    hovertemplate=f"{budget} tokens: %{{customdata:.1f}} % (+%{{x:.1f}})<extra>%{{y}}</extra>",
                ),
                row=1, col=column,
            )  # fmt: skip
        figure.update_xaxes(title_text=f"{taxonomy} accuracy [%]", row=1, col=column)
    figure.update_layout(template=house_template(), barmode="stack", bargap=0.25, hovermode="closest")
    figure.update_layout(height=max(260, 120 + 26 * len(arms)), margin={"l": 150})
    figure.update_xaxes(showgrid=True)
    figure.update_yaxes(autorange="reversed", nticks=len(arms))
    return figure
