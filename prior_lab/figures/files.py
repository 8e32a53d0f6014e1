"""Real files: what pictures are worth at their size."""

from collections.abc import Mapping

import plotly.graph_objects as go
import xarray as xr

from prior_lab.figures.style import DASHES, INK, colour_of, house_template, metric_style, require, symbol_of


def quality_against_bytes(
    files: Mapping[str, xr.Dataset], codecs: xr.Dataset, metric: str = "SSIM", *, longest: float = 600
) -> go.Figure:
    """Mean quality over the mean size of a file, container and all, beside still-image codecs.

    Parameters
    ----------
    files : what `codec.measure_files` gives, by the label of the arm.
    codecs : what `yardsticks.measure_codecs` gives for the same images.
    longest : files up to this size are shown [byte].

    Raises
    ------
    InputError : if there is no such metric.
    """
    figure = go.Figure(layout={"template": house_template(), "hovermode": "closest", "height": 400})
    for place, (label, table) in enumerate(files.items()):
        require(metric, table["metric"].to_numpy(), "metric")
        size, worth = table["bytes"].mean("image"), table["quality"].sel(metric=metric).mean("image")
        figure.add_trace(
            go.Scatter(
                meta=f"line {label}", name=label, x=size.values, y=worth.values, mode="lines+markers",
                line={"color": colour_of(label, place), "width": 2}, customdata=table.budget.values,
                marker={"symbol": symbol_of(label), "size": 7, "color": colour_of(label, place)},
                hovertemplate=f"%{{customdata}} tokens: %{{x:.0f}} bytes, {metric} %{{y:.3f}}<extra>{label}</extra>",
            )
        )  # fmt: skip
    for name, dash in zip(codecs["codec"].to_numpy(), DASHES, strict=False):
        size, worth = codecs["codec_bits"].sel(codec=name) / 8, codecs["codec_quality"].sel(codec=name, metric=metric)
        shown = size.values <= longest
        figure.add_trace(
            go.Scatter(
                meta=f"codec {name}", name=str(name), x=size.values[shown], y=worth.values[shown], mode="lines",
                line={"color": INK, "width": 1.5, "dash": dash},
                hovertemplate=f"%{{x:.0f}} bytes, {metric} %{{y:.3f}}<extra>{name}</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="mean size of a file [byte]", rangemode="tozero")
    figure.update_yaxes(title_text=f"{metric}, {metric_style(metric).better} is better")
    return figure
