"""What tokens tell, and what is made of it."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from prior_lab.figures.curves import budget_axis
from prior_lab.figures.style import DASHES, SYMBOLS, colour_of, house_template, metric_style, require
from prior_lab.figures.tables import study_arms


def information_per_token(study: xr.DataTree) -> go.Figure:
    """How much each token tells of the test images, b(u) of eq. 8, averaged over seeds [bit]."""
    figure = go.Figure(layout={"template": house_template()})
    last = 1
    for position, (label, node) in enumerate(study_arms(study).items()):
        told, colour = node["information"].mean("seed").to_numpy() / np.log(2), colour_of(label, position)
        last = max(last, told.size)
        figure.add_trace(
            go.Scatter(
                meta=f"information {label}", name=label, x=np.arange(1, told.size + 1), y=told, mode="lines",
                line={"color": colour, "width": 2, "shape": "hvh"}, hovertemplate=f"%{{y:.2f}}<extra>{label}</extra>",
            )
        )  # fmt: skip
    firsts = 2 ** np.arange(int(np.log2(last)) + 1)
    figure.update_xaxes(**budget_axis(firsts), title_text="token (labelled: the first of each level)")
    figure.update_xaxes(range=np.log10([0.88, last * 1.14]).tolist())
    figure.update_yaxes(title_text="information [bit]", rangemode="tozero")
    return figure


def quality_against_information(study: xr.DataTree, metric: str = "SSIM") -> go.Figure:
    """Quality of every budget against the information in that prefix, b(u) summed as in eq. 7 [bit], log-scaled.

    Arms differ in how much a token carries: this tells what they make of it. Colours and markers are those of the
    orderings, dashes those of the token kinds.

    Raises
    ------
    InputError : if the study has no such metric.
    """
    arms = study_arms(study)
    for node in arms.values():
        require(metric, node["metric"].to_numpy(), "metric")
    scores = {label: node.to_dataset().quality.mean("seed").sel(metric=metric) for label, node in arms.items()}
    return _against_information(arms, scores, metric, f"{metric}, {metric_style(metric).better} is better")


def accuracy_against_information(study: xr.DataTree, taxonomy: str = "class") -> go.Figure:
    """Accuracy of linear probes [%] against the information in the prefix [bit], log-scaled: the paper's figure 3.

    Raises
    ------
    InputError : if the study has no accuracies, or no such label level.
    """
    arms = study_arms(study, "accuracy")
    for node in arms.values():
        require(taxonomy, node["taxonomy"].to_numpy(), "label level")
    scores = {
        label: 100 * node.to_dataset().accuracy.mean("seed").sel(taxonomy=taxonomy) for label, node in arms.items()
    }
    return _against_information(arms, scores, "accuracy", f"accuracy of linear probes, {taxonomy} [%]")


def _against_information(
    arms: Mapping[str, xr.DataTree], scores: Mapping[str, xr.DataArray], short: str, title: str
) -> go.Figure:
    figure = go.Figure(layout={"template": house_template()})
    for label, node in arms.items():
        colour, dash = colour_of(label), DASHES.get(node.attrs["token_kind"], "longdashdot")
        told = np.concatenate([[0.0], node["information"].mean("seed").to_numpy().cumsum()]) / np.log(2)
        budgets = node["budget"].to_numpy()
        figure.add_trace(
            go.Scatter(
                meta=f"line {label}", name=label, x=told[budgets], y=scores[label],
                mode="lines+markers", line={"color": colour, "width": 2, "dash": dash}, customdata=budgets,
                marker={"symbol": SYMBOLS.get(label.split(",")[0], "x"), "size": 7, "color": colour},
                hovertemplate=f"%{{customdata}} tokens: %{{x:.4g}} bit, {short} %{{y:.4g}}<extra>{label}</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="information in the prefix [bit]", dtick=1)
    figure.update_yaxes(title_text=title)
    room = 400 + 20 * len(arms)  # a line each for the legend, where the window is narrow
    figure.update_layout(hovermode="closest", height=room, legend={"y": -0.2, "yanchor": "top"})
    return figure
