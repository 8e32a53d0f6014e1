"""Lesson 5, discrete tokens and collapse: straight-through gradients, two entropies, codebooks that die and revive.

A codebook collapses when its codes lie where no features are: the nearest one is chosen by all, moves among them, and
is the nearest to all for ever. `CollapsingExperiment` starts codebooks like that, as the textbook does, and can leave
out what the package does against it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import torch
import xarray as xr
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from prior_lab import figures
from prior_lab.effective_information import Information, warnings
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.tasks import ReconstructionExperiment, Record
from prior_lab.teaching.exercises import not_yet, number, require_answer, right
from prior_lab.teaching.flipbook import FlipBook, Page, Slider
from prior_lab.tokens import EMAVQTokens

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C6BB1", "#7F7F7F")
BATCH, SAMPLE, TOLD = "#0072B2", "#D55E00", "#009E73"
COUNT = 8  # images and categories of the widget
SURE = (0.0, 1.0, 2.0, 4.0, 16.0)  # factors of the logits
DIFFERENT = (0.0, 0.25, 0.5, 0.75, 1.0)
NEVER = -1.0  # of `dead_below`: no count is so low, so no code is ever started anew
FIRST_COUNT = 0.1
LEVELS = 3
LEAST = 0.03  # share of an even count below which none falls in so few steps
CLOSE = 1e-3


# ------------------------------------------------------------ two entropies


def choices(sure: float, different: float) -> Float[Tensor, "image category"]:
    """Probabilities of as many categories as there are images.

    Parameters
    ----------
    sure : how far logits lie apart; with 0 every choice is a toss-up.
    different : with 0 all images prefer the same category, with 1 each prefers another.
    """
    common = torch.zeros(COUNT, COUNT, dtype=torch.float64)
    common[:, 0] = 1.0
    own = torch.eye(COUNT, dtype=torch.float64)
    return torch.softmax(sure * ((1 - different) * common + different * own), dim=-1)


def entropies(q: Float[Tensor, "image category"]) -> tuple[float, float, float]:
    """Batch entropy H(E[q]), sample entropy E[H(q)], and their difference b(u), in bits."""

    def entropy(probabilities: Tensor) -> Tensor:
        return torch.special.entr(probabilities).sum(dim=-1) / math.log(2) + 0.0  # never -0

    batch, sample = entropy(q.mean(dim=0)).item(), entropy(q).mean().item()
    return batch, sample, batch - sample


def entropy_book() -> FlipBook:
    """What images choose, and the two entropies of it, for choices that are more or less sure and different."""
    sliders = [
        Slider("sure", tuple(f"{sure:g}" for sure in SURE)),
        Slider("different", tuple(f"{different:g}" for different in DIFFERENT)),
    ]
    draw = lambda sure, different: _entropy_page(choices(SURE[sure], DIFFERENT[different]))  # noqa: E731
    return FlipBook("Two entropies", sliders, draw, (3, 2))


def _entropy_page(q: Float[Tensor, "image category"]) -> Page:
    figure = go.Figure(layout={"template": figures.house_template(), "height": 290, "bargap": 0.12})
    names = [f"image {image}" for image in range(COUNT, 0, -1)]
    rows = q.flip(0)
    starts = rows.cumsum(dim=1) - rows
    for category in range(COUNT):
        figure.add_bar(
            x=rows[:, category].tolist(), y=names, base=starts[:, category].tolist(), orientation="h",
            marker_color=PALETTE[category], showlegend=False,
        )  # fmt: skip
    batch, sample, told = entropies(q)
    figure.add_bar(
        x=[told, sample, batch], y=["told", "sample", "batch"], orientation="h", xaxis="x2", yaxis="y2",
        marker_color=[TOLD, SAMPLE, BATCH], text=[f"{value:.2f}" for value in (told, sample, batch)], showlegend=False,
    )  # fmt: skip
    figure.update_layout(
        barmode="overlay",
        xaxis={"domain": [0.0, 0.5], "range": [0, 1], "title_text": "probability of each category (a colour each)"},
        xaxis2={"domain": [0.68, 1.0], "range": [0, math.log2(COUNT) + 0.1], "title_text": "bits", "anchor": "y2"},
        yaxis2={"anchor": "x2"},
    )
    words = f"batch entropy {batch:.2f} bit − sample entropy {sample:.2f} bit = told {told:.2f} bit"
    return Page(figure, words)


# ------------------------------------------------------------ straight through, exactly


def gradients(theta: Float[Tensor, "category"], loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Of the mean loss of a category drawn from softmax(theta): the true gradient, and the mean of straight-through's.

    Both are exact: every category's share is its probability.

    Parameters
    ----------
    loss : of a one-hot vector.
    """
    q = torch.softmax(theta, dim=-1).requires_grad_()
    through = torch.zeros_like(theta)
    values = []
    for category in torch.eye(len(theta), dtype=theta.dtype):
        sent = category + (q - q.detach())
        value = loss(sent)
        (slope,) = torch.autograd.grad(value, q, retain_graph=True)
        through = through + q.detach()[(category == 1).nonzero()[0, 0]] * slope
        values.append(value.detach())
    true = torch.stack(values)
    fall = torch.diag(q.detach()) - torch.outer(q.detach(), q.detach())  # dq / dtheta
    return fall @ true, fall @ through


# ------------------------------------------------------------ a codebook in the plane


@dataclass(frozen=True)
class Scene:
    """A codebook that follows features in the plane.

    Attributes
    ----------
    features : of the last step.
    codes : after every step, the start first.
    bits : b(u) of the index after every step.
    used : share of states, the null state among them, that some feature is in.
    """

    features: Float[Tensor, "feature 2"]
    codes: Float[Tensor, "step code 2"]
    bits: tuple[float, ...]
    used: tuple[float, ...]


def follow(dead_below: float, *, steps: int = 60, codes: int = 12, seed: int = 0) -> Scene:
    """Features around a few spots away from 0, and a codebook that starts near 0, as in the textbook.

    Parameters
    ----------
    dead_below : below which share of an even count a code starts anew; `NEVER`, if none does.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = textbook_start(EMAVQTokens(2, heads=1, codes=codes, decay=0.9, dead_below=dead_below), generator)
    angle = torch.arange(6) * (2 * math.pi / 6)
    spots = torch.stack([2.2 + 1.1 * angle.cos(), 1.6 + 1.1 * angle.sin()], dim=1)
    history, bits, used = [tokens.codes[0].clone()], [], []
    for step in range(steps + 1):
        spot = spots[torch.randint(len(spots), (256,), generator=generator)]
        features = spot + 0.16 * torch.randn(256, 2, generator=generator)
        posterior = tokens.eval()(features[:, None])
        bits.append(Information(posterior).total().value)
        used.append(posterior.used().item())
        if step < steps:
            tokens.train()(features[:, None])
            history.append(tokens.codes[0].clone())
    return Scene(features, torch.stack(history), tuple(bits), tuple(used))


def textbook_start(tokens: EMAVQTokens, generator: Generator | None = None) -> EMAVQTokens:
    """Give a codebook small random codes, which count as chosen next to never."""
    tokens.codes.copy_(0.1 * torch.randn(tokens.codes.shape, generator=generator))
    tokens.counts.fill_(FIRST_COUNT)
    return tokens


def codebook_book(stops: Sequence[int] = (0, 1, 2, 3, 5, 10, 20, 40, 60), dead_below: float = 0.1) -> FlipBook:
    """A codebook that follows features, step by step, with codes that stay dead and with codes that start anew."""
    scenes = [follow(NEVER, steps=max(stops)), follow(dead_below, steps=max(stops))]
    sliders = [Slider("dead codes", ("stay dead", "start anew")), Slider("step", tuple(map(str, stops)))]
    return FlipBook("A codebook", sliders, lambda which, stop: _codebook_page(scenes[which], stops[stop]), (0, 0))


def _codebook_page(scene: Scene, step: int) -> Page:
    figure = go.Figure(layout={"template": figures.house_template(), "height": 400, "width": 520})
    figure.add_scatter(
        x=scene.features[:, 0].tolist(), y=scene.features[:, 1].tolist(), mode="markers", name="features",
        marker={"size": 4, "color": "rgba(120,124,132,0.6)"},
    )  # fmt: skip
    codes = scene.codes[step]
    figure.add_scatter(x=codes[:, 0].tolist(), y=codes[:, 1].tolist(), mode="markers", name="codes",
                       marker={"size": 11, "color": SAMPLE, "symbol": "diamond"})  # fmt: skip
    figure.add_scatter(x=[0.0], y=[0.0], mode="markers", name="null state", marker={"size": 9, "color": BATCH,
                       "symbol": "square"})  # fmt: skip
    figure.update_xaxes(range=[-0.6, 4.0], tickvals=[0, 1, 2, 3, 4], title_text="first channel")
    figure.update_yaxes(range=[-0.5, 3.3], tickvals=[0, 1, 2, 3], title_text="second channel")
    states = scene.codes.shape[1] + 1
    words = f"{round(scene.used[step] * states)} of {states} states in use, {scene.bits[step]:.2f} bit"
    return Page(figure, words)


# ------------------------------------------------------------ a codebook in a model


@dataclass(frozen=True)
class CollapsingExperiment(ReconstructionExperiment):
    """A small PRIOR with EMA-VQ tokens whose codebooks start near 0, on clothes of 16 x 16 pixels."""

    dead_below: float = NEVER
    """A code whose count is below this share of an even one starts anew."""

    def build(self) -> Autoencoder:
        """An untrained model with codebooks as the textbook starts them."""
        model = super().build()
        for module in model.modules():
            if isinstance(module, EMAVQTokens):
                module.dead_below = self.dead_below
                textbook_start(module)
        return model


def small_experiment(dead_below: float = NEVER, steps: int = 120) -> CollapsingExperiment:
    """Seven tokens in three levels, trained in seconds."""
    model = AutoencoderConfig(
        ordering="prior", tokens="ema-vq", levels=LEVELS, image_size=16, patch=4, width=32, encoder_depth=1,
        predictor_depth=1, decoder_width=32, decoder_depth=1, coarsest_side=4,
    )  # fmt: skip
    return CollapsingExperiment(
        model, data="fashion", steps=steps, warmup_steps=10, average_decay=0.98, log_every=10, validate_every=40,
        validation_images=64, dead_below=dead_below,
    )  # fmt: skip


def report(state: xr.Dataset) -> dict[str, dict[int, str]]:
    """The health report by level, in words: tokens, states in use, effective states and bits of a token."""
    levels = {int(level): tokens for level, tokens in state.groupby("level")}
    columns = {
        "tokens": lambda tokens: f"{tokens.sizes['token']}",
        "states in use [%]": lambda tokens: f"{100 * float(tokens.used.mean()):.0f}",
        "effective states": lambda tokens: f"{float(tokens.states.mean()):.1f}",
        "bits a token": lambda tokens: f"{float(tokens.information.mean()) / math.log(2):.2f}",
    }
    return {name: {level: write(tokens) for level, tokens in levels.items()} for name, write in columns.items()}


def usage_figure(runs: Mapping[str, Sequence[Record]]) -> go.Figure:
    """Share of states in use at every validation: a panel for each level, a line for each run."""
    figure = go.Figure(layout={"template": figures.house_template(), "height": 280, "hovermode": "closest"})
    for level in range(LEVELS):
        axis = "" if level == 0 else str(level + 1)
        start, words = level * 0.36, f"step, level {level}"
        figure.update_layout({
            f"xaxis{axis}": {"domain": [start, start + 0.28], "anchor": f"y{axis}", "title_text": words},
            f"yaxis{axis}": {"range": [0, 1.05], "anchor": f"x{axis}", "tickvals": [0, 0.5, 1]},
        })  # fmt: skip
        for colour, (name, history) in zip((SAMPLE, TOLD), runs.items(), strict=False):
            seen = [record for record in history if f"used_{level}" in record]
            figure.add_scatter(
                x=[record["step"] for record in seen], y=[record[f"used_{level}"] for record in seen], name=name,
                mode="lines+markers", line={"color": colour, "width": 2.5}, showlegend=level == 0, xaxis=f"x{axis}",
                yaxis=f"y{axis}",
            )  # fmt: skip
    figure.layout.yaxis.title.text = "share of states in use"
    return figure


# ------------------------------------------------------------ what exercises say to an answer


def check_straight_through(answer: object) -> None:
    """Exercise 1: a function from probabilities to a one-hot vector with the gradient of the probabilities."""
    require_answer(answer)
    if not callable(answer):
        not_yet("Give the function itself, without calling it.")
    theta = torch.tensor([[0.2, 1.1, -0.4], [0.9, -1.0, 0.3]], dtype=torch.float64, requires_grad=True)
    q = torch.softmax(theta, dim=-1)
    found = answer(q)
    require_answer(found)
    if not isinstance(found, Tensor) or found.shape != q.shape:
        not_yet("For probabilities [token, category] the function should return a tensor of the same shape.")
    hard, values = torch.nn.functional.one_hot(q.argmax(dim=-1), 3).double(), found.detach().double()
    if torch.allclose(values, q):
        not_yet("These are the probabilities themselves: nothing was chosen. Forward, the values should be 0 and 1.")
    if not torch.allclose(values, hard):
        not_yet("Forward, the likeliest category of each token should be 1 and all others 0.")
    if not found.requires_grad:
        not_yet(
            "The values are right, but no gradient comes through: argmax has none. Add something that is 0 and has."
        )
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.7, -1.0]], dtype=torch.float64)
    (own,) = torch.autograd.grad((found * weights).sum(), theta, retain_graph=True)
    (wanted,) = torch.autograd.grad((q * weights).sum(), theta)
    if torch.allclose(own, -wanted):
        not_yet("The gradient has the wrong sign: it is q, not its detached copy, that should be added.")
    if not torch.allclose(own, wanted):
        not_yet("The gradient should be that of the probabilities q, unchanged; yours is another.")
    right("Forward a sure choice, backward the probabilities.")


def check_probabilities(silent_toss: object, silent_sure: object, one_bit: object) -> None:
    """Exercise 2: choices of four images among four categories, with two ways to tell nothing and one to tell a bit."""
    tables = [
        _probabilities(answer, name)
        for answer, name in ((silent_toss, "unsure"), (silent_sure, "all_the_same"), (one_bit, "one_bit"))
    ]
    first, second, third = (entropies(table) for table in tables)
    batch, told = first[0], first[2]
    if abs(told) > CLOSE:
        not_yet(f"unsure tells {told:.2f} bit. A token tells nothing if all images have the same probabilities.")
    if abs(batch - 2) > CLOSE:
        not_yet(f"unsure tells nothing, but its batch entropy is {batch:.2f} bit; with four categories it can be 2.")
    if abs(second[2]) > CLOSE:
        not_yet(f"all_the_same tells {second[2]:.2f} bit: who sees the category knows something about the image.")
    if second[1] > CLOSE:
        not_yet(f"all_the_same has a sample entropy of {second[1]:.2f} bit; a sure choice has 0.")
    if abs(third[2] - 1) > CLOSE:
        hint = (
            " Four different categories are two bits; how many does a bit tell apart?" if third[2] > 1 + CLOSE else ""
        )
        not_yet(f"one_bit tells {third[2]:.2f} bit.{hint}")
    right("A token tells something only if its choices are sure and differ: either alone tells nothing.")


def _probabilities(answer: object, name: str) -> Float[Tensor, "image category"]:
    require_answer(answer)
    try:
        table = torch.as_tensor(answer, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        not_yet(f"{name} should be four rows of four numbers.")
    if table.shape != (4, 4):
        not_yet(f"{name} should be four rows of four numbers; its shape is {tuple(table.shape)}.")
    if (table < 0).any() or (table.sum(dim=1) - 1).abs().max() > CLOSE:
        not_yet(f"Every row of {name} is a distribution: no number below 0, and their sum is 1.")
    return table


def check_ema_step(answer: object) -> None:
    """Exercise 3: one step of a codebook's moving averages, against the package's own."""
    require_answer(answer)
    if not callable(answer):
        not_yet("Give the function itself, without calling it.")
    codes, counts, vectors, index = _ema_case()
    sums = torch.zeros_like(codes).index_add_(0, index, vectors)
    met = torch.bincount(index, minlength=len(codes)).float()
    found = answer(codes.clone(), counts.clone(), sums.clone(), met.clone(), 0.9)
    if not isinstance(found, tuple) or len(found) != 2:
        not_yet("The function should return two things: new codes, new counts.")
    require_answer(*found)
    new_codes, new_counts = found
    if _same(new_counts, 0.1 * counts + 0.9 * met):
        not_yet("You kept a tenth and took nine tenths of the batch: decay is the share of the old that is kept.")
    if not _same(new_counts, 0.9 * counts + 0.1 * met):
        not_yet("The counts should be decay * old + (1 - decay) * how often each code was chosen in the batch.")
    if _same(new_codes, 0.9 * codes + 0.1 * sums / met.clamp_min(1)[:, None]):
        not_yet("You averaged codes with means of the batch. A code chosen often should move more: average the sums.")
    if _same(new_codes, 0.9 * counts[:, None] * codes + 0.1 * sums):
        not_yet("These are the averaged sums. A code is a mean: divide by the new counts.")
    if _same(new_codes, (0.9 * counts[:, None] * codes + 0.1 * sums) / counts[:, None]):
        not_yet("You divided by the old counts; the sums are new, so the counts should be.")
    if not _same(new_codes, package_step(codes, counts, vectors, index, 0.9)):
        not_yet("The codes should be (decay * old counts * old codes + (1 - decay) * sums of the batch) / new counts.")
    right("These are the codes of the package's EMA-VQ tokens after the same step. Look at the last code: nobody "
          "chose it, so it stays where it is.")  # fmt: skip


def package_step(
    codes: Float[Tensor, "code channel"],
    counts: Float[Tensor, "code"],
    vectors: Float[Tensor, "vector channel"],
    index: Int64[Tensor, "vector"],
    decay: float,
) -> Float[Tensor, "code channel"]:
    """The codes after a step of `EMAVQTokens` without revival; `index` is what it chooses itself."""
    tokens = EMAVQTokens(codes.shape[1], heads=1, codes=len(codes), decay=decay, dead_below=NEVER)
    tokens.codes.copy_(codes[None])
    tokens.counts.copy_(counts[None])
    posterior = tokens.train()(vectors[:, None])
    assert posterior.index[:, 0].equal(index + 1)  # 0 is the null state
    return tokens.codes[0]


def _ema_case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three codes, of which the last is chosen by no vector."""
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    counts = torch.tensor([2.0, 1.0, 1.0])
    vectors = torch.tensor([[1.2, 0.1], [0.8, -0.3], [1.5, 0.2], [0.2, 1.4]])
    return codes, counts, vectors, torch.tensor([0, 0, 0, 1])


def _same(answer: object, truth: Tensor) -> bool:
    return isinstance(answer, Tensor) and answer.shape == truth.shape and torch.allclose(answer, truth, atol=CLOSE)


def check_threshold(dead_below: object) -> None:
    """Exercise 4: from which count on a code is dead, as a share of an even one."""
    share = number(dead_below, "dead_below")
    if share < 0:
        not_yet("No count is below 0, so no code would ever be dead: that is how the codebook collapsed.")
    if share == 0:
        not_yet("A count decays but never reaches 0, and all codes start with a count: none would be called dead.")
    if share >= 1:
        not_yet(
            "Half of all codes have less than an even count even in a sound codebook; they would be thrown away "
            "at every step."
        )
    if share < LEAST:
        not_yet(f"{share:g} is so low that no count falls below it in these few steps. Take a larger share.")
    if share > 0.5:
        not_yet(f"At {share:g} codes start anew that are chosen only a little less than others. Take a smaller share.")
    right(f"A code that is chosen less than {share:g} times as often as an even one starts anew. Now train with it.")


def check_revived(before: xr.Dataset, after: xr.Dataset) -> None:
    """Whether the second model's codebooks are in better health than the first one's."""
    if not warnings(before):
        not_yet("The first model has not collapsed: train it with dead_below = -1.")
    ill = warnings(after)
    if ill:
        not_yet(f"The second model is still ill: {ill[0]}")
    gained = (float(after.information.sum()) - float(before.information.sum())) / math.log(2)
    if gained <= 0:
        not_yet("The second model's tokens tell no more than the first one's. Was it trained with the new threshold?")
    right("No level has a warning any more, and the tokens tell more.")
