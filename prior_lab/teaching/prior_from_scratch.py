"""Lesson 4, PRIOR from scratch: what surrounds equations 3 to 6, which stand in the notebook itself.

The notebook's classes have the package's names for their parts, so `weights_of` can hand a package's weights over to
them. Here are the small images, encoder and decoders around the student's PRIOR, the training loop, the diagram, the
slider over levels and the checks of the exercises.
"""

import base64
import html
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import Any, Protocol

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import plotly.graph_objects as go
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from plotly.subplots import make_subplots
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from prior_lab import figures
from prior_lab.data import load_dataset
from prior_lab.orderings import Ordering
from prior_lab.quality import quality
from prior_lab.tasks import Record
from prior_lab.teaching.exercises import not_yet, number, require_answer, right
from prior_lab.teaching.flipbook import FlipBook, FlipBookCanvas, Places, Slider
from prior_lab.widgets.base import Explorer

SIDE = 16  # of the small images [pixel]
INNER = 128  # width inside encoder and decoders
CLOSE = 1e-4  # relative error that a number may have
SOURCE, GUESS, SENT, SUM = "#0072B2", "#B8860B", "#D55E00", "#009E73"  # y, prediction, token, level output
VARIANTS = {"PRIOR": SOURCE, "no prediction": "#56B4E9", "no stop-gradient": SENT, "equal weights": SUM}
MARKERS = ("circle", "triangle-up", "square", "diamond")


class Step(Protocol):
    """One level of eq. 4, as the notebook's `Level` holds it."""

    prediction: Tensor
    token: Tensor
    output: Tensor
    nats: Tensor


Loss = Callable[["SmallAutoencoder", Tensor, Sequence[Tensor]], Tensor]


# ------------------------------------------------------------ images, and a model around the student's PRIOR


def small_images(split: str) -> Float[Tensor, "image 3 side side"]:
    """The emoji of a split at 16 x 16 pixels, in [0, 1]."""
    images = load_dataset("emoji", split, size=2 * SIDE).images.float() / 255
    return F.avg_pool2d(images, 2)


def weights_of(ordering: Ordering) -> dict[str, Tensor]:
    """The weights of a package's PRIOR, under the names and in the shapes of the notebook's one.

    The package's layers hold several networks of one shape, this lesson's hold one; its matrices stand input first,
    torch's output first.
    """
    weights = {}
    for name, value in ordering.state_dict().items():
        one = value.reshape(value.shape[-2:]) if value.ndim == 3 and value.shape[1] > 1 else value
        plain = one.T if name.endswith("weight") and one.ndim == 2 else one.reshape(-1) if value.ndim > 2 else one
        weights[name.replace("attention.", "").replace("mlp.", "")] = plain.detach().clone()
    return weights


class SmallAutoencoder(nn.Module):
    """Encoder, the student's PRIOR, and a decoder for each level; all but PRIOR are two linear maps each.

    Parameters
    ----------
    prior : takes the levels' features y_l and as much noise, and gives a list of `Step`.
    sizes : tokens of each level.
    channels : of a token.
    seed : of the weights outside PRIOR.
    """

    def __init__(self, prior: nn.Module, sizes: Sequence[int], channels: int, seed: int = 0) -> None:
        super().__init__()
        self.prior, self.sizes, self.channels = prior, tuple(sizes), channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = _two_maps(3 * SIDE**2, sum(sizes) * channels)
            self.decoders = nn.ModuleList(_two_maps(size * channels, 3 * SIDE**2) for size in sizes)

    def features(self, images: Float[Tensor, "batch 3 side side"]) -> list[Tensor]:
        """The y_l of every level, normalised over the channels as the package's are."""
        flat = self.encoder((images - 0.5).flatten(1)).unflatten(1, (-1, self.channels))
        return list(F.layer_norm(flat, (self.channels,)).split(self.sizes, dim=1))

    def decode(self, level: int, state: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch 3 side side"]:
        """What the decoder of a level draws, unclamped."""
        return self.decoders[level](state.flatten(1)).unflatten(1, (3, SIDE, SIDE)) + 0.5

    def forward(
        self, images: Float[Tensor, "batch 3 side side"], noise: Sequence[Tensor] | None = None
    ) -> tuple[list[Tensor], list[Any], list[Tensor]]:
        """Features, steps and pictures of every level; without noise every token is the mean of its posterior."""
        ys = self.features(images)
        levels = self.prior(ys, [torch.zeros_like(y) for y in ys] if noise is None else noise)
        return ys, levels, [self.decode(level, step.output) for level, step in enumerate(levels)]


def _two_maps(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, INNER), nn.SiLU(), nn.Linear(INNER, width_out))


def train(
    model: SmallAutoencoder,
    loss: Loss,
    images: Float[Tensor, "image 3 side side"],
    validation: Float[Tensor, "held 3 side side"],
    *,
    steps: int = 150,
    seed: int = 0,
    monitor: Callable[[list[Record]], None] | None = None,
) -> list[Record]:
    """Minimise a loss of (model, images, noise) with AdamW on batches of 32.

    Parameters
    ----------
    seed : of the batches and the noise, which are the same for every model of these sizes.
    monitor : called with the history at every tenth of the run, for instance a `prior_lab.LossPlot()`; the records then
        have the validation SSIM at every budget.
    """
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps + 1, pct_start=0.1)
    history: list[Record] = []
    for step in range(1, steps + 1):
        batch = images[torch.randint(len(images), (32,), generator=generator)]
        noise = [torch.randn(32, size, model.channels, generator=generator) for size in model.sizes]
        value = loss(model, batch, noise)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 10) == 0 or step == steps:
            history.append({"step": step, "objective": value.item()})
            if monitor is not None:
                history[-1] |= _ssim(model, validation[:128])
                monitor(history)
    return history


@torch.no_grad()
def _ssim(model: SmallAutoencoder, images: Tensor) -> Record:
    pictures = model(images)[2]
    means = [float(quality(images, one.clamp(0, 1)).sel(metric="SSIM").mean()) for one in pictures]
    return {f"ssim_{budget}": mean for budget, mean in zip(accumulate(model.sizes), means, strict=True)}


@torch.no_grad()
def measure(model: SmallAutoencoder, images: Float[Tensor, "image 3 side side"]) -> pd.DataFrame:
    """What a model does at every budget, means over images.

    Returns
    -------
    DataFrame : by budget, `error` (mean absolute error of the pictures, intensity in 0..1), `prediction_error` (of
        eq. 5, per channel; at the first level nothing is predicted), `spread` (variance of y_l between images, per
        channel: 0 where all images look alike) and `bits` (divergence of the level's tokens from the masked state).
    """
    ys, levels, pictures = model(images)
    rows = [
        {
            "error": (picture.clamp(0, 1) - images).abs().mean().item(),
            "prediction_error": (step.prediction - y).square().mean().item(),
            "spread": y.var(dim=0).mean().item(),
            "bits": step.nats.sum(dim=1).mean().item() / log(2),
        }
        for y, step, picture in zip(ys, levels, pictures, strict=True)
    ]
    return pd.DataFrame(rows, index=pd.Index(accumulate(model.sizes), name="budget"))


def variant_curves(found: Mapping[str, pd.DataFrame], *, blank: float) -> go.Figure:
    """What `measure` found for several models: the error of the pictures and of the predictions, at every budget.

    Parameters
    ----------
    found : by name; names beyond the lesson's variants stand in grey, as yardsticks.
    blank : error of the mean image, which needs no code at all.
    """
    figure = make_subplots(cols=2, subplot_titles=("error of the pictures", "error of the predictions"))
    for name, table in found.items():
        known = name in VARIANTS
        style = {"color": VARIANTS.get(name, figures.INK), "dash": None if known else "dot", "width": 2}
        symbol = MARKERS[list(VARIANTS).index(name)] if known else "x"
        for column, values in enumerate((table.error, table.prediction_error[1:]), start=1):
            trace = go.Scatter(
                x=[str(budget) for budget in values.index], y=values, name=name, showlegend=column == 1, line=style,
                mode="lines+markers", marker={"symbol": symbol, "size": 8}, hovertemplate="%{y:.3f}",
            )  # fmt: skip
            figure.add_trace(trace, row=1, col=column)
    blank_line = go.Scatter(
        x=[str(budget) for budget in next(iter(found.values())).index], y=[blank] * len(next(iter(found.values()))),
        name="mean image", mode="lines", line={"color": figures.INK, "dash": "dash", "width": 1.5},
    )  # fmt: skip
    figure.add_trace(blank_line, row=1, col=1)
    for column, ticks in ((1, (0.08, 0.1, 0.15, 0.2, 0.3)), (2, (0.01, 0.03, 0.1, 0.3, 1, 3))):
        words = [f"{tick:g}" for tick in ticks]
        figure.update_yaxes(type="log", tickvals=ticks, ticktext=words, row=1, col=column)
    figure.update_yaxes(title_text="mean absolute error", row=1, col=1)
    figure.update_yaxes(title_text="mean squared error", row=1, col=2)
    figure.update_xaxes(title_text="tokens (budget)")
    return figure.update_layout(template=figures.house_template(), height=400, legend_y=1.16, margin_t=110)


# ------------------------------------------------------------ pictures of PRIOR


@dataclass(frozen=True)
class Drawing:
    """A picture as SVG, and what it shows in words.

    Attributes
    ----------
    svg : one element; its ground is transparent and its ink is read on white and on black alike.
    words : for whoever sees no pictures.
    """

    svg: str
    words: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        """The words."""
        return self.words


def diagram(levels: int = 4, *, sent: int | None = None) -> Drawing:
    """PRIOR as a picture: a column for each level, from the encoder's features at the top to the level's picture.

    Parameters
    ----------
    levels : 2 to 4.
    sent : levels that the budget pays for; later ones are drawn pale.
    """
    sent = levels if sent is None else sent
    if not 2 <= levels <= 4 or not 1 <= sent <= levels:
        raise ValueError(f"{levels} levels of which {sent} are sent; 2 to 4 levels fit, and at least one is sent.")
    columns = [_column(level, pale=level >= sent) for level in range(levels)]
    width = LEFT + levels * COLUMN + 12
    encoder = (
        f'<rect x="{LEFT}" y="4" width="{levels * COLUMN}" height="30" rx="7" {_box(SOURCE)}/>'
        f"{_text(LEFT + levels * COLUMN / 2, 24, 'encoder: one image in, features of every level out')}"
    )
    body = f"{_ARROWHEADS}{encoder}{''.join(columns)}{_labels()}"
    tokens = ", ".join(str(2**level) for level in range(levels))
    words = (
        f"PRIOR with {levels} levels of {tokens} tokens, {sent} of them sent: y, prediction, residual, sum, decoder."
    )
    return Drawing(_svg(width, 516, body), words)


LEFT, COLUMN = 78, 168  # width of the row labels and of a level [px]
ROWS = {"y": 66, "minus": 148, "Q": 212, "plus": 288, "sum": 348, "decoder": 414, "picture": 462}  # middles [px]
CELL = 11  # a token [px]
_ARROWHEADS = "<defs>" + "".join(
    f'<marker id="tip{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0.5L8 4L0 7.5z" fill="{colour}"/></marker>'
    for colour in (figures.INK, GUESS, SENT, SUM, SOURCE)
) + "</defs>"  # fmt: skip


def _column(level: int, *, pale: bool) -> str:
    """A level of the diagram."""
    x, number_ = LEFT + COLUMN * (level + 0.5) + 24, str(level)
    guess = LEFT + COLUMN * level + 20
    y = ROWS
    parts = [
        _arrow((x, 34), (x, y["y"] - 11), SOURCE), _tokens(x, y["y"], level, SOURCE),
        _arrow((x, y["y"] + 11), (x, y["minus"] - 13), SOURCE), _circle(x, y["minus"], "−"),
        _arrow((x, y["minus"] + 12), (x, y["Q"] - 17), SENT), _rect(x, y["Q"], 54, 32, SENT, f"Q{_sub(number_)}"),
        _arrow((x, y["Q"] + 16), (x, y["plus"] - 13), SENT), _circle(x, y["plus"], "+"),
        _arrow((x, y["plus"] + 12), (x, y["sum"] - 11), SUM), _tokens(x, y["sum"], level, SUM),
        _arrow((x, y["sum"] + 11), (x, y["decoder"] - 16), SUM),
        _rect(x, y["decoder"], 84, 30, SUM, f"decoder {number_}"),
        _arrow((x, y["decoder"] + 15), (x, y["picture"] - 12), figures.INK),
        _text(x, y["picture"] + 6, f"picture at {_plural(2 ** (level + 1) - 1)}"),
        _text(x + 8, y["Q"] + 34, f"{2**level} sent", size=11, anchor="start", colour=SENT),
    ]  # fmt: skip
    if level:
        before = x - COLUMN + _half_width(level - 1)
        parts += [
            f'<path d="M{before + 4} {y["sum"]}H{guess}V{(y["minus"] + y["plus"]) / 2 + 22}" {_line(GUESS)}/>',
            _rect(guess, 218, 36, 30, GUESS, f"f{_sub(str(level - 1))}"),
            f'<path d="M{guess} 203V{y["minus"]}H{x - 14}" {_line(GUESS, tip=True)}/>',
            f'<path d="M{guess} {y["minus"] + 32}H{guess + 30}V{y["plus"]}H{x - 14}" {_line(GUESS, tip=True)}/>',
            _text(guess - 12, y["minus"] - 8, "prediction", size=12, anchor="start", colour=GUESS),
            f'<path d="M{guess + 34} {y["minus"] - 20}L{x - _half_width(level) - 2} {y["y"] + 10}" '
            f'stroke="{figures.INK}" stroke-width="1.5" stroke-dasharray="3 3" fill="none"/>',
            _text(guess - 18, y["minus"] - 28, "eq. 5, sg", size=11, anchor="start"),
        ]
    else:
        parts += [
            _text(x - 66, y["minus"] + 4, "0", colour=GUESS),
            _arrow((x - 58, y["minus"]), (x - 14, y["minus"]), GUESS),
        ]
    return f'<g opacity="{0.28 if pale else 1}">{"".join(parts)}</g>'


def _labels() -> str:
    """What the rows are, at the left."""
    rows = [("y", "features", "y"), ("minus", "residual", "r = y − pred."), ("Q", "bottleneck", "the tokens"),
            ("plus", "sum", "pred. + token"), ("sum", "output", "ŷ")]  # fmt: skip
    return "".join(
        _text(4, ROWS[row] - 1, name, size=12, anchor="start", weight=600)
        + _text(4, ROWS[row] + 14, what, size=11, anchor="start")
        for row, name, what in rows
    )


def _plural(count: int) -> str:
    return f"{count} token{'s' * (count > 1)}"


def _half_width(level: int) -> float:
    return 2.0**level * (CELL + 2) / 2


def _tokens(x: float | int, y: float | int, level: int, colour: str) -> str:
    start = x - _half_width(level) + 1
    return "".join(
        f'<rect x="{start + place * (CELL + 2)}" y="{y - 9}" width="{CELL}" height="18" rx="2.5" {_box(colour, 0.45)}/>'
        for place in range(2**level)
    )


def _rect(x: float | int, y: float | int, width: float | int, height: float | int, colour: str, words: str) -> str:
    frame = f'<rect x="{x - width / 2}" y="{y - height / 2}" width="{width}" height="{height}" rx="7" {_box(colour)}/>'
    return frame + _text(x, y + 5, words)


def _circle(x: float | int, y: float | int, sign: str) -> str:
    ring = f'<circle cx="{x}" cy="{y}" r="11" fill="none" stroke="{figures.INK}" stroke-width="1.5"/>'
    return ring + _text(x, y + 5, sign, size=16)


def _box(colour: str, opacity: float | int = 0.14) -> str:
    return f'fill="{colour}" fill-opacity="{opacity}" stroke="{colour}" stroke-width="1.5"'


def _line(colour: str, *, tip: bool = False) -> str:
    end = f' marker-end="url(#tip{colour[1:]})"' if tip else ""
    return f'fill="none" stroke="{colour}" stroke-width="1.8"{end}'


def _arrow(start: tuple[float | int, float | int], end: tuple[float | int, float | int], colour: str) -> str:
    return f'<path d="M{start[0]} {start[1]}L{end[0]} {end[1]}" {_line(colour, tip=True)}/>'


def _sub(words: str) -> str:
    return f'<tspan baseline-shift="sub" font-size="10">{words}</tspan>'


def _text(
    x: float | int,
    y: float | int,
    words: str,
    *,
    size: int = 13,
    anchor: str = "middle",
    colour: str = figures.INK,
    weight: int = 400,
) -> str:
    """Words; a `tspan` in them stays one."""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{words}</text>"
    )


def _svg(width: float | int, height: float | int, body: str) -> str:
    font = "Inter, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
    return (
        f'<svg style="max-width:100%;height:auto" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="{html.escape(font)}">{body}</svg>'
    )


# ------------------------------------------------------------ the slider over levels


class LevelBook(FlipBook):
    """Prediction, residual and sum of an image, level by level; slides over levels and images.

    Parameters
    ----------
    model : a trained one.
    images : some to slide through.
    names : what they show.
    """

    @torch.no_grad()
    def __init__(
        self, model: SmallAutoencoder, images: Float[Tensor, "image 3 side side"], names: Sequence[str]
    ) -> None:
        self._title = "Prediction, residual and sum"
        levels = tuple(str(level) for level in range(len(model.sizes)))
        self.state = Places((Slider("image", tuple(names)), Slider("level", levels)), (0, 2))
        pages = [page for image in images for page in _pages(model, image[None])]
        sliders = [{"name": one.name, "stops": list(one.stops), "unit": one.unit} for one in self.state.sliders]
        canvas = FlipBookCanvas(
            sliders=sliders, places=list(self.state.places),
            pictures=[page.svg for page in pages], captions=[page.words for page in pages],
        )  # fmt: skip
        Explorer.__init__(self, canvas)

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        return f"LevelBook({len(self.state.sliders[0].stops)} images, {len(self.state.sliders[1].stops)} levels)"


def _pages(model: SmallAutoencoder, image: Float[Tensor, "1 3 side side"]) -> list[Drawing]:
    ys, steps, pictures = model(image)
    budgets = list(accumulate(model.sizes))
    pages = []
    for level, (y, step, whole) in enumerate(zip(ys, steps, pictures, strict=True)):
        guessed = model.decode(level, step.prediction)
        errors = [(one.clamp(0, 1) - image).abs().mean().item() for one in (guessed, whole)]
        words = (
            f"Level {level} adds {_plural(model.sizes[level])} ({budgets[level]} so far): the picture's error is "
            f"{errors[0]:.3f} with the prediction alone and {errors[1]:.3f} with the residual."
        )
        tops = [_feature_map(one[0]) for one in (step.prediction, step.token, step.output, y)]
        changed = 0.5 + (whole - guessed)  # what the residual changes: grey is nothing
        rows = [_picture(one[0]) for one in (guessed, changed, whole, image)]
        pages.append(Drawing(_page(tops, rows), words))
    return pages


def _page(tops: Sequence[str], rows: Sequence[str]) -> str:
    """Two rows of four pictures, with the signs of eq. 4 between them."""
    heads = (
        ("prediction", GUESS), ("residual, sent", SENT), ("output", SUM), ("what there was", SOURCE)
    )  # fmt: skip
    side, gap, left, top = 136, 34, 74, 30
    middles = {"features": top + side / 2, "pictures": top + 1.5 * side + 30}
    parts = [_text(4, y, words, anchor="start") for words, y in middles.items()]
    for column, (words, colour) in enumerate(heads):
        x = left + column * (side + gap)
        parts.append(_text(x + side / 2, 18, words, colour=colour, weight=600))
        for y, pictures in ((top, tops), (top + side + 16, rows)):
            parts.append(
                f'<image x="{x}" y="{y}" width="{side}" height="{side}" preserveAspectRatio="none" '
                f'style="image-rendering:pixelated" href="{pictures[column]}"/>'
                f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="none" stroke="{figures.INK}" '
                'stroke-opacity="0.5"/>'
            )
            if column:
                parts.append(_text(x - gap / 2, y + side / 2 + 7, "+=≈"[column - 1], size=20))
    return _svg(left + 4 * side + 3 * gap + 6, top + 2 * side + 24, "".join(parts))


def _feature_map(state: Float[Tensor, "token channel"]) -> str:
    """Tokens as rows, channels as columns; blue below zero, orange above, clear at zero."""
    strength = (state / 2.5).clamp(-1, 1)[..., None]  # the features have variance 1
    below, above = torch.tensor([0, 114, 178]), torch.tensor([230, 159, 0])
    colours = torch.where(strength < 0, below, above)
    return _data_url(torch.cat([colours, 255 * strength.abs()], dim=-1).round().byte().numpy())


def _picture(image: Float[Tensor, "3 side side"]) -> str:
    return _data_url((255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy())


def _data_url(pixels: UInt8[np.ndarray, "height width channel"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


# ------------------------------------------------------------ the exercises' checks


@torch.no_grad()
def check_receiver(receive: object, prior: Any, ys: Sequence[Tensor]) -> None:
    """Exercise 1: a function of PRIOR and the tokens of the first levels gives the output of the last of them."""
    require_answer(receive)
    if not callable(receive):
        not_yet("receive should be a function of prior and tokens.")
    steps = prior(ys, [torch.zeros_like(y) for y in ys])
    for count in range(1, len(steps) + 1):
        tokens = [step.token for step in steps[:count]]
        answer = receive(prior, tokens)
        require_answer(answer)
        wanted = steps[count - 1].output
        if not isinstance(answer, Tensor) or answer.shape != wanted.shape:
            shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            not_yet(f"With {count} levels the output has shape {tuple(wanted.shape)}; yours is {shape}.")
        if not torch.allclose(answer, wanted, atol=1e-5):
            not_yet(_receiver_mistake(prior, answer, tokens, count))
    right("Prediction costs no tokens: the receiver has the same predictors and the same outputs to feed them.")


def _receiver_mistake(prior: Any, answer: Tensor, tokens: Sequence[Tensor], count: int) -> str:
    """What is wrong with an output."""
    if count == 1:
        return "The first level has no prediction: its output is its token."
    if torch.allclose(answer, tokens[-1], atol=1e-5):
        return "That is the residual alone. Add it to what the predictor says of the level before."
    guess = prior.predict(count - 2, tokens[-2])
    if torch.allclose(answer, guess + tokens[-1], atol=1e-5):
        return (
            f"With {count} levels you predict from the last level's token. f reads that level's output, "
            "prediction and token together."
        )
    outputs = tokens[0]
    for level, token in enumerate(tokens[1:]):
        guess = prior.predict(level, outputs)
        outputs = guess + token
    if torch.allclose(answer, guess, atol=1e-5):
        return "That is the prediction alone; the last level's token is missing."
    return (
        f"With {count} levels the output differs from eq. 4. Go level by level: predict from the output, add the token."
    )


def check_weight(answer: object) -> None:
    """Exercise 2: the weight of level 2 of 7 in eq. 6, 4/127."""
    value = number(answer, "The weight")
    mistakes = {
        2.0**-4: "That is 2^-(L-1-l); divide by Z, so that the weights sum to one.",
        16
        / 127: "That falls from level to level. In eq. 6 the last level has the largest weight: the power is -(L-1-l).",
        1 / 7: "That is the same for every level; eq. 6 doubles it from a level to the next.",
        2 / 127: "Levels are counted from 0, so level 2 is the third.",
        8 / 127: "That is the weight of level 3. There are 7 levels, from 0 to 6.",
        4.0: "Level 2 has 4 tokens; what share of all 127 is that?",
    }
    if _close(value, 4 / 127):
        right("4/127: a level weighs as much as its share of the tokens, so eq. 6 gives every token the same weight.")
        return
    for wrong, why in mistakes.items():
        if _close(value, wrong):
            not_yet(why)
    not_yet(f"{value:.4g} is not it. Write out Z for L = 7: 1 + 1/2 + ... + 1/64 = 127/64.")


def check_shielded(answer: object, levels: int) -> None:
    """Exercise 3: of all y_l only the last gets no gradient from eq. 5."""
    require_answer(answer)
    if not isinstance(answer, Collection) or isinstance(answer, str):
        not_yet("Answer with a set of levels, for instance {0, 1}.")
    if not all(isinstance(level, int) and 0 <= level < levels for level in answer):
        not_yet(f"Levels are whole numbers from 0 to {levels - 1}.")
    found = frozenset(answer)
    if found == {levels - 1}:
        right("The stop-gradient closes one way into the encoder. The other leads through the outputs that f reads.")
        return
    mistakes = {
        frozenset(range(levels)): "Each y_l is cut off as a target, but y_0 is also in ŷ_0, from which f_0 predicts.",
        frozenset(range(1, levels)): "These are the targets, and as such cut off. Which are inputs of a predictor too?",
        frozenset[int](): f"There is at least one: is there a predictor that reads level {levels - 1}?",
        frozenset({0}): "y_0 is never a target, but it is in ŷ_0, which f_0 reads: the gradient gets there that way.",
    }
    otherwise = "A y_l gets a gradient if a later prediction is made from ŷ_l. For which level is there none?"
    not_yet(mistakes.get(found, otherwise))


def check_norm(answer: object) -> None:
    """Exercise 4: as a norm, eq. 5 weighs level 6 against level 1 by 2^6 / 2^1 = 32."""
    value = number(answer, "The factor")
    if _close(value, 32):
        right(
            "A sum over twice as many tokens is twice as large. The package takes the mean: no level outweighs another."
        )
        return
    if _close(value, 64):
        not_yet("64 is level 6 against level 0, but nothing is predicted at level 0. Compare it with level 1.")
    if _close(value, 1 / 32):
        not_yet("The other way round: level 6 has more tokens, so its norm is the larger one.")
    if _close(value, 1):
        not_yet("For the mean it would be 1. The norm sums the squares over all tokens of the level.")
    if value in (5, 6):
        not_yet("The number of tokens doubles from a level to the next; it does not grow by one.")
    if _close(value, 32**0.5):
        not_yet("Eq. 5 has the square of the norm, so there is no root.")
    not_yet(f"{value:g} is not it. How many tokens does level 6 have, and how many level 1?")


def _close(value: float, wanted: float | int) -> bool:
    return abs(value - wanted) <= CLOSE * abs(wanted)


def check_last_only(answer: object, model: SmallAutoencoder, images: Float[Tensor, "image 3 side side"]) -> None:
    """Exercise 5: budgets whose pictures are no better than an untrained model's, if only the last level has weight."""
    require_answer(answer)
    budgets = list(accumulate(model.sizes))
    if not isinstance(answer, Collection) or isinstance(answer, str) or not set(answer) <= set(budgets):
        not_yet(f"Answer with a set of budgets out of {', '.join(map(str, budgets))}, for instance {{1, 3}}.")
    error = measure(model, images).error
    blank = (images - images.mean(dim=0)).abs().mean().item()
    if error.iloc[-1] > blank or (error.iloc[:-1] < blank).any():
        not_yet("This model was not trained with all the weight on the last level: weights of 0, 0, 0, 0, 1.")
    if set(answer) == set(budgets[:-1]):
        right("Outputs are made at every level, but a decoder without a weight never learned to draw one.")
        return
    if budgets[-1] in answer:
        not_yet(f"The picture at {budgets[-1]} tokens is the one that has weight; it was trained.")
    if not answer:
        not_yet("Tokens of all levels serve the last picture. But who trained the decoders of the other pictures?")
    missing = next(budget for budget in budgets if budget not in answer)
    not_yet(f"Which gradient reaches the decoder at {missing} tokens, if J of its level has weight 0?")
