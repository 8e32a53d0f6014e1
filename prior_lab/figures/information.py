"""The information of tokens, and what is made of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from prior_lab.figures.curves import budget_axis
from prior_lab.figures.style import (
    AXIS,
    COLOURS,
    DASHES,
    INK,
    colour_of,
    house_template,
    metric_style,
    require,
    symbol_of,
)
from prior_lab.figures.tables import sound_budgets, study_arms
from prior_lab.tokens import TOKEN_LABELS

SEEN = 0.5  # of the information of an untrained token [bit]; less is not drawn


def information_per_token(study: xr.DataTree) -> go.Figure:
    """The information of each token, b(u) of eq. 8, over the test images and averaged over seeds [bit].

    Dotted beside an arm, where the study has it: what its tokens told before the first step. A rate that stays there is
    not knowledge but how the training began.
    """
    figure = go.Figure(layout={"template": house_template()})
    last = 1
    for position, (label, node) in enumerate(study_arms(study).items()):
        bits, colour = node["information"].mean("seed").to_numpy() / np.log(2), colour_of(label, position)
        last = max(last, bits.size)
        figure.add_trace(
            go.Scatter(
                meta=f"information {label}", name=label, x=np.arange(1, bits.size + 1), y=bits, mode="lines",
                line={"color": colour, "width": 2, "shape": "hvh"}, hovertemplate=f"%{{y:.2f}}<extra>{label}</extra>",
            )
        )  # fmt: skip
        blank = node["untrained_information"].to_numpy() / np.log(2) if "untrained_information" in node else np.zeros(1)
        if blank.max() > SEEN:
            figure.add_trace(
                go.Scatter(
                    meta=f"untrained {label}", name=f"{label}, untrained", x=np.arange(1, blank.size + 1), y=blank,
                    mode="lines", line={"color": colour, "width": 1.2, "shape": "hvh", "dash": "dot"},
                    hovertemplate=f"%{{y:.2f}}<extra>{label}, untrained</extra>",
                )
            )  # fmt: skip
    firsts = 2 ** np.arange(int(np.log2(last)) + 1)
    figure.update_xaxes(**budget_axis(firsts), title_text="token (labelled: the first of each level)")
    figure.update_xaxes(range=np.log10([0.88, last * 1.14]).tolist())
    figure.update_yaxes(title_text="information [bit]", rangemode="tozero")
    return figure


def rate_distortion(study: xr.DataTree, metric: str = "SSIM") -> go.Figure:
    """Quality of every budget against the information in that prefix, b(u) summed as in eq. 7 [bit], log-scaled.

    Arms differ in how much a token carries: this tells what they make of it. Each kind of token has a panel;
    colours and markers are those of the orderings. Beside them stand still-image codecs, where the study has them, at
    the mean size of their files, container included. Information is what an ideal coder would send; a file is sent.

    Raises
    ------
    InputError : if the study has no such metric.
    """
    arms = study_arms(study)
    for node in arms.values():
        require(metric, node["metric"].to_numpy(), "metric")
    scores = {label: sound_budgets(node, "quality").sel(metric=metric) for label, node in arms.items()}
    figure = _against_information(arms, scores, metric, f"{metric}, {metric_style(metric).better} is better")
    panels = len({str(node.attrs["token_kind"]) for node in arms.values()})
    for panel in range(1, panels + 1) if "codec_bits" in study else ():
        for name, dash in zip(study["codec"].to_numpy(), DASHES, strict=False):
            bits, worth = (study[key].sel(codec=name) for key in ("codec_bits", "codec_quality"))
            figure.add_trace(
                go.Scatter(
                    meta=f"codec {name}", name=str(name), x=bits.values, y=worth.sel(metric=metric).values,
                    mode="lines", line={"color": INK, "width": 1.5, "dash": dash}, legendgroup=str(name),
                    showlegend=panel == 1,
                    hovertemplate=f"%{{x:.4g}} bit, {metric} %{{y:.4g}}<extra>{name}, file</extra>",
                ),
                row=1, col=panel,
            )  # fmt: skip
    return figure


def accuracy_against_information(study: xr.DataTree, taxonomy: str = "class") -> go.Figure:
    """Accuracy of linear probes [%] against the information in the prefix [bit], log-scaled: the paper's figure 3.

    Raises
    ------
    InputError : if the study has no accuracies, or no such label level.
    """
    arms = study_arms(study, "accuracy")
    for node in arms.values():
        require(taxonomy, node["taxonomy"].to_numpy(), "label level")
    scores = {label: 100 * sound_budgets(node, "accuracy").sel(taxonomy=taxonomy) for label, node in arms.items()}
    return _against_information(arms, scores, "accuracy", f"accuracy of linear probes, {taxonomy} [%]")


def _against_information(
    arms: Mapping[str, xr.DataTree], scores: Mapping[str, xr.DataArray], short: str, title: str
) -> go.Figure:
    """A panel for each kind of token, all with one scale of scores."""
    kinds = list(dict.fromkeys(str(node.attrs["token_kind"]) for node in arms.values()))
    titles = [TOKEN_LABELS.get(kind, kind) for kind in kinds]
    figure = make_subplots(1, len(kinds), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03)
    named: set[str] = set()
    for label, node in arms.items():
        ordering, colour = str(node.attrs["ordering"]), colour_of(label)
        bits = np.concatenate([[0.0], node["information"].mean("seed").to_numpy().cumsum()]) / np.log(2)
        budgets = node["budget"].to_numpy()
        figure.add_trace(
            go.Scatter(
                meta=f"line {label}", name=ordering, x=bits[budgets], y=scores[label], mode="lines+markers",
                line={"color": colour, "width": 2}, customdata=budgets, legendgroup=ordering,
                marker={"symbol": symbol_of(label), "size": 7, "color": colour}, showlegend=ordering not in named,
                hovertemplate=f"%{{customdata}} tokens: %{{x:.4g}} bit, {short} %{{y:.4g}}<extra>{label}</extra>",
            ),
            row=1, col=kinds.index(str(node.attrs["token_kind"])) + 1,
        )  # fmt: skip
        named.add(ordering)
    figure.update_xaxes(type="log", dtick=1)
    figure.update_layout(
        template=house_template(), hovermode="closest", height=400, legend_y=1.14, yaxis_title_text=title
    )
    middle = figure.layout["xaxis" if len(kinds) < 2 else "xaxis2"]
    middle.title.text = "information in the prefix [bit]"
    return figure


def token_bars(table: xr.Dataset, chosen: Sequence[int], words: str) -> go.Figure:
    """The information of every token as bars; those of some tokens stand out.

    Parameters
    ----------
    table : `information` (token), such as `prior_lab.information` gives.
    chosen : numbers of the tokens that stand out, from 0.
    words : what these are called, such as "tokens 1 to 7".
    """
    values = table.information.values
    colours = [COLOURS["PRIOR"] if token in set(chosen) else AXIS for token in range(len(values))]
    figure = go.Figure(layout={"template": house_template(), "bargap": 0.15})
    figure.add_trace(go.Bar(meta="tokens", x=np.arange(1, len(values) + 1), y=values, marker={"color": colours}))
    figure.update_xaxes(title_text=f"token; coloured: {words}")
    unit = table.information.attrs["units"]
    figure.update_yaxes(title_text=f"information [{unit}]", rangemode="tozero")
    return figure
