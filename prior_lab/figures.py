"""Results -> figures: pure functions, no kernel, no state.

Curves are :class:`plotly.graph_objects.Figure` objects; a strip of reconstructions is a Pillow image, because a stored
notebook shows a PNG everywhere. The colour and the marker of each ordering are defined here and nowhere else: Okabe and
Ito's palette, told apart with any common colour-vision deficiency, at least 3:1 against white and a dark theme.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from plotly.basedatatypes import BaseFigure
from plotly.subplots import make_subplots

from prior_lab.errors import InputError
from prior_lab.tokens import TOKEN_LABELS

COLOURS = {
    "PRIOR": "#0072B2", "MBOP-ITD": "#D55E00", "MBOP-TD": "#009E73",
    "PRIOR without prediction": "#56B4E9", "Matryoshka": "#CC79A7",
}  # fmt: skip
SYMBOLS = {
    "PRIOR": "circle", "MBOP-ITD": "square", "MBOP-TD": "diamond",
    "PRIOR without prediction": "circle-open", "Matryoshka": "triangle-up",
}  # fmt: skip
DASHES = {"gaussian": "solid", "categorical": "dash", "ema-vq": "dot"}
PAPER_ORDERINGS = ("PRIOR", "MBOP-ITD", "MBOP-TD")
SPARE_COLOURS = ("#B8860B", "#7F7F7F")

INK, GRID, AXIS = "#3c4043", "#e4e7eb", "#b0b7c0"
Curve = Literal["quality", "accuracy"]
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


def require(value: object, choices: Iterable[object], noun: str, owner: str = "study") -> None:
    """Raise the sentence a user reads when `value` is not one of `choices`."""
    known = list(choices)
    if value not in known:
        listed = ", ".join(map(str, known))
        raise InputError(f"{value} is not a {noun} of this {owner}; choose one of {listed}.")


def house_template() -> go.layout.Template:
    """White ground, quiet grid, readable type, legend above the plot."""
    axis = {
        "gridcolor": GRID, "zeroline": False, "linecolor": AXIS, "tickcolor": AXIS, "ticklen": 5, "automargin": True,
        "title": {"font": {"size": 13}, "standoff": 12}, "tickfont": {"size": 12},
    }  # fmt: skip
    layout = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "title": {"font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left"},
        "paper_bgcolor": "white", "plot_bgcolor": "white", "colorway": [*COLOURS.values(), *SPARE_COLOURS],
        "xaxis": {**axis, "showgrid": False, "showline": True, "ticks": "outside"}, "yaxis": {**axis, "nticks": 6},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom", "font": {"size": 13}},
        "margin": {"l": 60, "r": 20, "t": 70, "b": 56}, "hovermode": "x unified", "height": 360,
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
    }  # fmt: skip
    return go.layout.Template(layout=layout)


# ---------------------------------------------------------------- the numbers behind the curves


def study_arms(study: xr.DataTree, variable: Curve = "quality") -> dict[str, xr.DataTree]:
    """The arms of a study by label, in display order; the token kind joins the label where a study has several.

    Parameters
    ----------
    variable : what the arms are looked at for: "accuracy" in contrastive studies.

    Raises
    ------
    InputError : if the study has no arm with such a curve.
    """
    nodes = [node for node in study.children.values() if variable in node]
    if not nodes:
        name, curve = study.attrs.get("name", study.name), f"{'an' if variable == 'accuracy' else 'a'} {variable} curve"
        raise InputError(f"The study {name!r} has no arm with {curve}; load one with prior_lab.load_study.")
    rank = {ordering: position for position, ordering in enumerate(COLOURS)}
    nodes.sort(key=lambda node: rank.get(node.attrs["ordering"], len(rank)))
    several_kinds = len({node.attrs.get("token_kind") for node in nodes}) > 1
    return {
        f"{node.attrs['ordering']}, {node.attrs['token_kind']}" if several_kinds else node.attrs["ordering"]: node
        for node in nodes
    }


def study_groups(study: xr.DataTree, variable: Curve = "quality") -> dict[str, dict[str, xr.DataTree]]:
    """The arms that are looked at together, by the group's name and the arm's ordering.

    A group is a token kind with the orderings of the paper; where a kind has others too, a second group holds PRIOR and
    these, which take it apart.
    """
    kinds: dict[str, dict[str, xr.DataTree]] = {}
    for node in study_arms(study, variable).values():
        kind = str(node.attrs.get("token_kind"))
        kinds.setdefault(TOKEN_LABELS.get(kind, kind), {})[node.attrs["ordering"]] = node
    groups = {}
    for kind in sorted(kinds, key=[*TOKEN_LABELS.values(), *kinds].index):
        arms = kinds[kind]
        of_paper = {label: node for label, node in arms.items() if label in PAPER_ORDERINGS}
        others = {label: node for label, node in arms.items() if label not in of_paper}
        groups[kind] = of_paper or others
        if of_paper and others:
            groups[f"{kind}, PRIOR taken apart"] = {k: arms[k] for k in ("PRIOR", *others) if k in arms}
    return groups


def curve_table(study: xr.DataTree | xr.Dataset, group: str | None = None) -> xr.Dataset:
    """Every arm's curves side by side: what curve figures and summaries read.

    Seeds are averaged, and so are their intervals: a band says how much the choice of test objects matters, not how
    much the seed does.

    Parameters
    ----------
    study : a study as `prior_lab.load_study` gives it; a table made here passes through.
    group : one of `study_groups`, such as "Gaussian"; all arms, if not given.

    Returns
    -------
    Dataset with `quality(ordering, metric, budget)` and `interval(ordering, metric, budget, bound)`, in display order.

    Raises
    ------
    InputError : if the study has no such group.
    """
    return study if isinstance(study, xr.Dataset) else _side_by_side(study, group, "quality")


def accuracy_table(study: xr.DataTree, group: str | None = None) -> xr.Dataset:
    """The accuracy of every arm's probes side by side, and the baselines: `curve_table` of a contrastive study.

    Returns
    -------
    Dataset with `accuracy(ordering, taxonomy, budget)`, `interval(ordering, taxonomy, budget, bound)`,
    `baseline_accuracy(baseline, taxonomy)` and `baseline_interval(baseline, taxonomy, bound)`.

    Raises
    ------
    InputError : if the study has no accuracies, or no such group.
    """
    table = _side_by_side(study, group, "accuracy")
    baselines = study.to_dataset()[["baseline_accuracy", "baseline_interval"]]
    return table.merge(baselines, join="exact", combine_attrs="drop")


def _side_by_side(study: xr.DataTree, group: str | None, variable: Curve) -> xr.Dataset:
    arms = study_arms(study, variable)
    if group is not None:
        groups = study_groups(study, variable)
        require(group, groups, "group of arms")
        arms = groups[group]
    columns = [
        xr.Dataset({variable: node[variable].mean("seed"), "interval": node[f"{variable}_interval"].mean("seed")})
        for node in arms.values()
    ]
    index = xr.DataArray(list(arms), dims="ordering", name="ordering")
    return xr.concat([column.reset_coords(drop=True) for column in columns], dim=index, join="exact")


# ---------------------------------------------------------------- quality against budget


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
        figure.add_traces(_arm_traces(label, colour_of(label, position)))
    if reference is not None:
        figure.add_traces(_reference_traces(reference, metric))
    figure.update_xaxes(**_budget_axis(table.budget.values), title_text="tokens in the prefix (budget)")
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


def _arm_traces(label: str, colour: str) -> list[go.Scatter]:
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


def _reference_traces(reference: xr.DataArray, metric: str) -> list[go.Scatter]:
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


def _budget_axis(budgets: np.ndarray) -> dict[str, object]:
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


# ---------------------------------------------------------------- accuracy against budget


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
        band, line = _arm_traces(label, colour_of(label, position))
        band.update(x=np.concatenate([budgets, budgets[::-1]]), y=np.concatenate([low, high[::-1]]))
        line.update(x=budgets, y=arm.accuracy.values, hovertemplate=f"%{{y:.1f}} %<extra>{label}</extra>")
        figure.add_traces([band, line])
    for name in table.baseline.values:
        value = 100 * float(table.baseline_accuracy.sel(baseline=name, taxonomy=taxonomy))
        figure.add_hline(value, line={"color": AXIS, "width": 1.2, "dash": "dash"}, annotation={"text": str(name)})
    if paper is not None:
        require(taxonomy, paper.taxonomy.values, "label level", "reference")
        figure.add_traces(_reference_traces(paper.sel(taxonomy=taxonomy), "accuracy"))
    figure.update_xaxes(**_budget_axis(budgets), title_text="tokens in the prefix (budget)")
    figure.update_yaxes(title_text=f"accuracy of linear probes, {taxonomy} [%]", rangemode="tozero")
    return figure


def accuracy_by_kind(study: xr.DataTree) -> xr.DataArray:
    """The study's accuracies [%] in the form of the paper's table 4, the mean over seeds.

    Returns
    -------
    DataArray (token_kind, ordering, taxonomy, budget) with the labels of `prior_lab.paper.table4`; NaN where a token
    kind has no arm with an ordering.
    """
    tables = {kind: _side_by_side(study, kind, "accuracy").accuracy for kind in TOKEN_LABELS.values()
              if kind in study_groups(study, "accuracy")}  # fmt: skip
    index = xr.DataArray(list(tables), dims="token_kind", name="token_kind")
    joined = xr.concat(list(tables.values()), dim=index, join="outer", coords="minimal", compat="equals")
    return 100 * joined.astype(np.float64)


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


# ---------------------------------------------------------------- information


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
    figure.update_xaxes(**_budget_axis(firsts), title_text="token (labelled: the first of each level)")
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
    figure.update_layout(hovermode="closest", height=440)
    return figure


# ---------------------------------------------------------------- pictures


def reconstruction_strip(
    truth: UInt8[np.ndarray, "image 3 h w"],
    reconstructions: Mapping[str, UInt8[np.ndarray, "budget image 3 h w"]],
    budgets: Sequence[int],
    *,
    tile: int = 72,
) -> Image.Image:
    """Ground truth and every arm's reconstruction at every budget: the form of the paper's figure 5, as one picture.

    Parameters
    ----------
    truth : the images.
    reconstructions : by arm label.
    budgets : the budgets of the first axis of each array.
    tile : side of one picture [px].
    """
    gap, gutter, head, side = 4, 18, 26, 92
    block = len(reconstructions) * (tile + gap) + gutter
    columns = side + gutter + (len(budgets) + 1) * (tile + gap)
    sheet = Image.new("RGB", (columns, head + len(truth) * block - gutter), "white")
    draw, x0 = ImageDraw.Draw(sheet), side + tile + gutter + gap
    font, bold = ImageFont.load_default(13), ImageFont.load_default(14)
    words = [f"{budgets[0]} token{'s' * (budgets[0] > 1)}", *map(str, budgets[1:])]
    draw.text((side + tile // 2, head // 2), "truth", fill=INK, font=font, anchor="mm")
    for column, text in enumerate(words):
        draw.text((x0 + column * (tile + gap) + tile // 2, head // 2), text, fill=INK, font=font, anchor="mm")
    for i, picture in enumerate(truth):
        top = head + i * block
        sheet.paste(_tile(picture, tile), (side, top + (block - gutter - gap - tile) // 2))
        for row, (label, pictures) in enumerate(reconstructions.items()):
            y = top + row * (tile + gap)
            draw.text((side - 12, y + tile // 2), label, fill=colour_of(label, row), font=bold, anchor="rm")
            for column, reconstruction in enumerate(pictures[:, i]):
                sheet.paste(_tile(reconstruction, tile), (x0 + column * (tile + gap), y))
    return sheet


def _tile(picture: UInt8[np.ndarray, "3 h w"], side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    return image.resize((side, side), Image.Resampling.BICUBIC)
