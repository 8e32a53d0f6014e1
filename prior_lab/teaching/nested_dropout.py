"""Lesson 2, "Nested dropout is PCA": linear autoencoders trained under masks, and the answer that is known beforehand.

Nested dropout (Rippel, Gelbart & Adams 2014, arXiv 1402.0915) keeps a random prefix of the tokens and drops the tail.
For a linear autoencoder of centred data with covariance C and cutoff probabilities P(c = k) the expected loss is

    sum_k P(c = k) E |x - D_k E_k x|^2  >=  sum_k P(c = k) (trace C - lambda_1 - ... - lambda_k)

with E_k the first k rows of the encoder and D_k the first k columns of the decoder. Equality holds if and only if every
D_k E_k is the projector on the first k principal directions, and so every token is one of them, in their order.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw, ImageFont
from torch import Generator, Tensor

from prior_lab.figures import COLOURS, INK, house_template
from prior_lab.teaching.cut_slider import WIDTH
from prior_lab.teaching.exercises import not_yet, number, require_answer, right
from prior_lab.teaching.flipbook import FlipBook, Page, Slider
from prior_lab.widgets import LossPlot

SIZES = (7, 15, 31, 63)  # tokens of the codes whose masks are shown
DRAWS = 4
SHOWN = 16  # pictures whose masks are shown
ALIKE = 0.99  # cosine from which two directions are called the same here
SHADE = (0, 114, 178)  # of a cosine of one
COUNTED = 4000  # pictures whose kept tokens are counted
RULES = {  # in words, colour and marker
    "no mask": ("all are kept", COLOURS["Unordered"], "triangle-down"),
    "eq. 1": ("one cutoff for all", COLOURS["MBOP-TD"], "diamond"),
    "eq. 2": ("each token for itself", COLOURS["MBOP-ITD"], "square"),
}

Keep = Callable[[int, int, Generator], Bool[Tensor, "image token"]]

# ---------------------------------------------------------------- masks


def cutoff_probabilities(tokens: int) -> Float[Tensor, "token"]:
    """P(c = k) of eq. 1 for k = 1 to N: log((k + 1) / k) / log(N + 1)."""
    k = torch.arange(1.0, tokens + 1)
    return torch.log((k + 1) / k) / math.log(tokens + 1)


def keep_probabilities(tokens: int) -> Float[Tensor, "token"]:
    """The probability that token i, counted from 0, is kept, by eq. 1 and by eq. 2: 1 - log(i + 1) / log(N + 1)."""
    return 1 - torch.log(torch.arange(1.0, tokens + 1)) / math.log(tokens + 1)


def keep_all(images: int, tokens: int, generator: Generator) -> Bool[Tensor, "image token"]:
    """Every token of every image: no mask."""
    return torch.ones(images, tokens, dtype=torch.bool)


def keep_prefix(images: int, tokens: int, generator: Generator) -> Bool[Tensor, "image token"]:
    """Eq. 1, tail dropping: u ~ U(0, log(N + 1)), and of each image the first floor(exp u) tokens."""
    u = torch.rand(images, 1, generator=generator) * math.log(tokens + 1)
    return torch.arange(tokens) < torch.exp(u).floor()


def keep_at_least(fewest: int) -> Keep:
    """Cutoffs from `fewest` to N, each as frequent as any other."""

    def keep(images: int, tokens: int, generator: Generator) -> Bool[Tensor, "image token"]:
        cutoff = torch.randint(fewest, tokens + 1, (images, 1), generator=generator)
        return torch.arange(tokens) < cutoff

    return keep


def keep_each(images: int, tokens: int, generator: Generator) -> Bool[Tensor, "image token"]:
    """Eq. 2, independent tail dropping: each token for itself, as often as by eq. 1."""
    dropped = torch.rand(images, tokens, generator=generator) < 1 - keep_probabilities(tokens)
    return ~dropped


# ---------------------------------------------------------------- the autoencoder


@dataclass(frozen=True, eq=False)
class LinearAutoencoder:
    """Tokens z = E x, pictures D z.

    Attributes
    ----------
    encoder : E, a row for each token.
    decoder : D, a column for each token.
    """

    encoder: Float[Tensor, "token pixel"]
    decoder: Float[Tensor, "pixel token"]

    def directions(self) -> Float[Tensor, "token pixel"]:
        """What each token adds to a picture, scaled to length one."""
        return (self.decoder / self.decoder.norm(dim=0)).T

    def prefix_error(self, x: Float[Tensor, "image pixel"], k: int) -> float:
        """The mean squared length of what the first k tokens leave out."""
        told = x @ self.encoder[:k].T @ self.decoder[:, :k].T
        return float((x - told).square().sum(dim=1).mean())


def fit(
    x: Float[Tensor, "image pixel"],
    keep: Keep,
    *,
    tokens: int = 5,
    steps: int = 1200,
    batch: int = 512,
    rate: float = 0.02,
    seed: int = 0,
    plot: LossPlot | None = None,
) -> LinearAutoencoder:
    """Train a linear autoencoder whose tokens are masked at random.

    Parameters
    ----------
    x : centred data.
    keep : draws which tokens of each image are kept.
    rate : of Adam at first; it falls to zero along a cosine.
    plot : shows the loss as it falls.
    """
    generator = torch.Generator().manual_seed(seed)
    size = x.shape[1]
    encoder = (torch.randn(tokens, size, generator=generator) / size**0.5).requires_grad_()
    decoder = (torch.randn(size, tokens, generator=generator) / size**0.5).requires_grad_()
    optimiser = torch.optim.Adam([encoder, decoder], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    history: list[dict[str, Any]] = []
    for step in range(steps):
        some = x[torch.randint(len(x), (batch,), generator=generator)]
        z = some @ encoder.T * keep(batch, tokens, generator)
        loss = (some - z @ decoder.T).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if plot is not None and (step % 20 == 0 or step == steps - 1):
            history.append({"step": step + 1, "objective": float(loss.detach())})
        if plot is not None and (step % 100 == 0 or step == steps - 1):
            plot(history)
    return LinearAutoencoder(encoder.detach(), decoder.detach())


def loss_plot() -> LossPlot:
    """A `LossPlot` that has room for the training loss only: nothing is validated here."""
    plot = LossPlot()
    plot.figure.update_layout(
        height=300, xaxis={"anchor": "y"}, yaxis={"domain": [0.0, 1.0], "title": "training loss"},
        yaxis2={"visible": False},
    )  # fmt: skip
    return plot


# ---------------------------------------------------------------- the answer that is known


def principal(x: Float[Tensor, "image pixel"]) -> tuple[Float[Tensor, "pixel"], Float[Tensor, "direction pixel"]]:
    """The variances of centred data along its principal directions, and these, the widest first."""
    values, vectors = torch.linalg.eigh((x.T @ x / len(x)).double())
    return values.flip(0).float(), vectors.flip(1).T.float()


def least_errors(variances: Float[Tensor, "direction"], tokens: int) -> Float[Tensor, "budget"]:
    """The mean squared error that no k directions can beat, for k = 1 to N: the variances after the k-th."""
    return variances.sum() - variances[:tokens].cumsum(0)


def cosines(a: Float[Tensor, "one pixel"], b: Float[Tensor, "other pixel"]) -> Float[Tensor, "one other"]:
    """The cosine of the angle between any two directions, without its sign: a direction and its opposite are one."""
    return (a @ b.T).abs()


def shared_space(a: Float[Tensor, "one pixel"], b: Float[Tensor, "other pixel"]) -> float:
    """The cosine of the largest angle between the spaces that two sets of directions span; 1 if they are the same."""
    bases = [torch.linalg.qr(one.T.double()).Q for one in (a, b)]
    return float(torch.linalg.svdvals(bases[0].T @ bases[1]).min())


# ---------------------------------------------------------------- what is shown


def mask_book() -> FlipBook:
    """Masks of eq. 1 and of eq. 2 side by side, and how often each token is kept: a page for each N and each draw."""
    sliders = [
        Slider("tokens N", tuple(map(str, SIZES)), "tokens"),
        Slider("draw", tuple(map(str, range(1, DRAWS + 1)))),
    ]
    return FlipBook("Which tokens are kept", sliders, _mask_page, start=(1, 0))


def _mask_page(size: int, draw: int) -> Page:
    tokens = SIZES[size]
    generator = torch.Generator().manual_seed(draw)
    kept = {"eq. 1": keep_prefix(COUNTED, tokens, generator), "eq. 2": keep_each(COUNTED, tokens, generator)}
    prefixes = {name: int(is_prefix(one[:SHOWN]).sum()) for name, one in kept.items()}
    caption = (
        f"Above, {SHOWN} pictures and the tokens that each keeps: a prefix for {prefixes['eq. 1']} of {SHOWN} by "
        f"eq. 1, for {prefixes['eq. 2']} by eq. 2. Below, how often each token is kept: counted in {COUNTED:,} "
        "pictures (bars) and computed (line)."
    )
    return Page(mask_figure(kept), caption)


def is_prefix(kept: Bool[Tensor, "image token"]) -> Bool[Tensor, "image"]:
    """Whether no token is kept after one that is dropped."""
    return ~(kept[:, 1:] & ~kept[:, :-1]).any(dim=1)


def mask_figure(kept: Mapping[str, Bool[Tensor, "image token"]]) -> go.Figure:
    """The masks of a few images under two rules, and below how often each token is kept."""
    layout = {"template": house_template(), "height": 460, "width": WIDTH, "showlegend": False, "bargap": 0.2}
    figure = go.Figure(layout=layout)
    for place, (name, rule) in enumerate(kept.items()):
        _add_rule(figure, place, name, rule)
    return figure


def _add_rule(figure: go.Figure, place: int, name: str, rule: Bool[Tensor, "image token"]) -> None:
    """One half of the figure: the board of masks, and the shares below it."""
    tokens, colour = rule.shape[1], RULES[name][1]
    numbers = list(range(tokens))
    counted = [round(share, 3) for share in rule.float().mean(dim=0).tolist()]
    computed = [round(share, 4) for share in keep_probabilities(tokens).tolist()]
    rows, columns = (part.tolist() for part in torch.nonzero(rule[:SHOWN], as_tuple=True))
    above, below = ("", "2") if place == 0 else ("3", "4")
    marker = {"symbol": "square", "color": colour, "size": max(3, min(11, 200 // tokens))}
    figure.add_traces(
        [
            go.Scatter(x=columns, y=rows, mode="markers", marker=marker, xaxis=f"x{above}", yaxis=f"y{above}"),
            go.Bar(
                x=numbers, y=counted, marker={"color": colour, "opacity": 0.4}, xaxis=f"x{below}", yaxis=f"y{below}"
            ),
            go.Scatter(
                x=numbers, y=computed, mode="lines", line={"color": colour}, xaxis=f"x{below}", yaxis=f"y{below}"
            ),
        ]
    )
    left = 0.54 * place
    wide = {"domain": [left, left + 0.46], "range": [-0.7, tokens - 0.3]}
    shares = {"domain": [0.0, 0.3], "range": [0, 1.05], "title": "share kept" if place == 0 else ""}
    figure.update_layout(
        {
            f"xaxis{above}": {**wide, "anchor": f"y{above}", "showticklabels": False},
            f"yaxis{above}": {
                "domain": [0.42, 1.0], "range": [SHOWN - 0.3, -0.7], "anchor": f"x{above}", "tickvals": [],
                "title": "pictures" if place == 0 else "",
            },
            f"xaxis{below}": {**wide, "anchor": f"y{below}", "title": "token i, counted from 0"},
            f"yaxis{below}": {**shares, "anchor": f"x{below}"},
        }
    )  # fmt: skip
    figure.add_annotation(
        text=f"<b>{name}</b>, {RULES[name][0]}", x=left, y=1.01, xref="paper", yref="paper", xanchor="left",
        yanchor="bottom", showarrow=False, font={"color": colour, "size": 13},
    )  # fmt: skip


def error_figure(found: Mapping[str, Sequence[float]], least: Sequence[float]) -> go.Figure:
    """The squared error of every prefix of some autoencoders, and the least one there is.

    Parameters
    ----------
    found : by how they were trained, "no mask", "eq. 1" or "eq. 2"; an error for each prefix.
    least : what PCA leaves out.
    """
    budgets = list(range(1, len(least) + 1))
    layout = go.Layout(
        template=house_template(),
        width=WIDTH,
        xaxis={"title": "tokens kept", "tickvals": budgets},
        yaxis={"title": "squared error", "rangemode": "tozero"},
    )
    figure = go.Figure(layout=layout)
    for name, errors in found.items():
        _, colour, symbol = RULES[name]
        marker = {"symbol": symbol, "size": 9, "color": colour}
        figure.add_scatter(
            x=budgets, y=[round(error, 4) for error in errors], name=name, mode="lines+markers",
            line={"color": colour, "width": 2}, marker=marker,
        )  # fmt: skip
    dashes = {"color": INK, "width": 2, "dash": "dash"}
    figure.add_scatter(
        x=budgets, y=[round(error, 4) for error in least], name="least possible", mode="lines", line=dashes
    )
    return figure


def cosine_board(found: Float[Tensor, "token direction"], *, cell: int = 62) -> Image.Image:
    """Cosines as a board of shades: a row for each token, a column for each principal direction.

    Parameters
    ----------
    cell : side of a field [px].
    """
    rows, columns = found.shape
    font, head, left, gap = ImageFont.load_default(13), 24, 66, 3
    board = Image.new("RGBA", (left + columns * (cell + gap) - gap, head + rows * (cell + gap) - gap), (0, 0, 0, 0))
    draw = ImageDraw.Draw(board)
    for column in range(columns):
        draw.text((left + column * (cell + gap) + cell // 2, head // 2), f"d{column + 1}", INK, font, "mm")
    for row in range(rows):
        top = head + row * (cell + gap)
        draw.text((left - 10, top + cell // 2), f"token {row}", INK, font, "rm")
        for column in range(columns):
            value, x = float(found[row, column]), left + column * (cell + gap)
            shade = tuple(round(242 + (tone - 242) * value) for tone in SHADE)
            draw.rounded_rectangle((x, top, x + cell - 1, top + cell - 1), 5, fill=shade)
            ink = "#ffffff" if value > 0.5 else "#1f2328"
            draw.text((x + cell // 2, top + cell // 2), f"{value:.2f}", ink, font, "mm")
    return board


def as_tiles(found: Float[Tensor, "token pixel"]) -> list[Float[Tensor, "3 side side"]]:
    """Directions as pictures: mid-grey adds nothing, each is stretched to its largest entry.

    A direction and its opposite are one; of the two that one is shown whose entries sum to more than zero.
    """
    sides = math.isqrt(found.shape[1] // 3)
    signs = torch.where(found.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    stretched = 0.5 + 0.5 * signs * found / found.abs().amax(dim=1, keepdim=True)
    return list(stretched.unflatten(1, (3, sides, sides)))


# ---------------------------------------------------------------- checks of the exercises


def check_keep(keep: Callable[[Tensor, int], Any], tokens: int = 7) -> None:
    """Whether a function draws the kept tokens of eq. 1 from uniform numbers.

    Raises
    ------
    NotYet : if it does not, and what it does instead.
    """
    uniform = torch.linspace(0, 1, 1001)[:-1]
    found = keep(uniform, tokens)
    require_answer(found)
    if not isinstance(found, Tensor):
        not_yet(f"`keep` should return a tensor, and returns {type(found).__name__}.")
    if found.shape == (tokens, len(uniform)):
        not_yet("Rows and columns are exchanged: a row for each picture, a column for each token. r[:, None] helps.")
    if found.shape != (len(uniform), tokens):
        not_yet(f"For {len(uniform):,} pictures and {tokens} tokens the shape is {tuple(found.shape)}.")
    kept = found.bool()
    wanted = _kept(torch.exp(uniform * math.log(tokens + 1)).floor(), tokens)
    few = 4  # of thousands may differ: a cutoff at the very edge of a step is rounded either way
    for wrong, sentence in _wrong_masks(uniform, wanted):
        if (kept != wrong).sum() <= few:
            not_yet(sentence)
    if (kept != wanted).sum() > few:
        counts, meant = (int(one.sum(1).float().mean() * 100) / 100 for one in (kept, wanted))
        not_yet(f"On average {counts} tokens are kept, and {meant} are meant: i < c, with c = floor(exp u).")
    right("A cutoff that is uniform in log k: half of all pictures have to do with a few tokens, and learn to.")


def _kept(cutoff: Float[Tensor, "image"], tokens: int) -> Bool[Tensor, "image token"]:
    return torch.arange(tokens) < cutoff[:, None]


def _wrong_masks(
    uniform: Float[Tensor, "image"], wanted: Bool[Tensor, "image token"]
) -> list[tuple[Bool[Tensor, "image token"], str]]:
    """What wrong answers draw, and what is wrong with them."""
    tokens = wanted.shape[1]
    growing = torch.exp(uniform * math.log(tokens + 1))
    even = "Here every cutoff is as frequent as any other. By eq. 1 its *logarithm* is: short ones come more often."
    return [
        (~wanted, "This is the mask, true where a token is dropped. `keep` is true where it stays."),
        (_kept((uniform * tokens).floor() + 1, tokens), even),
        (_kept((uniform * (tokens + 1)).floor(), tokens), even),
        (_kept((uniform * tokens).floor(), tokens), f"{even} And a picture may be left without any token."),
        (
            _kept(growing.floor() + 1, tokens),
            "One token too many: as i counts from 0, the first c tokens are those with i < c; and c is rounded down.",
        ),
        (
            _kept(growing.floor() - 1, tokens),
            "One token too few: some pictures are left with none. exp(u) is never below 1, so c is at least 1.",
        ),
        (
            _kept(torch.exp(uniform * math.log(tokens)).floor(), tokens),
            "With log(N) in place of log(N + 1), c never reaches N: the last token would never be kept.",
        ),
    ]


def check_share(tail: object, independent: object, token: int = 3, tokens: int = 7) -> None:
    """Whether it was found how often a token is kept under eq. 1 and under eq. 2.

    Raises
    ------
    NotYet : if one of the two is another number.
    """
    wanted = float(keep_probabilities(tokens)[token])
    only = float(cutoff_probabilities(tokens)[token - 1])
    wrong = {
        1 - wanted: "is how often it is dropped; how often is it kept?",
        1 - math.log(token) / math.log(tokens + 1): "is right for the token before it: i counts from 0.",
        1 - math.log(token + 1) / math.log(tokens): "has log(N) in it where log(N + 1) is meant.",
        only: f"is how often exactly {token} tokens are kept. Token {token} is kept whenever {token + 1} or more are.",
        float(cutoff_probabilities(tokens)[token]): f"is how often exactly {token + 1} tokens are kept; more may be.",
        1 - token / tokens: "would be right if every cutoff were as frequent as any other.",
    }
    for name, answer in (("eq. 1", tail), ("eq. 2", independent)):
        found = number(answer, name)
        if math.isclose(found, wanted, abs_tol=0.004):
            continue
        for value, sentence in wrong.items():
            if math.isclose(found, value, abs_tol=0.004):
                not_yet(f"{name}: {found:.3g} {sentence}")
        if name == "eq. 2":
            not_yet(f"eq. 2: {found:.3g} is not 1 minus the probability that the equation gives for i = {token}.")
        not_yet(f"eq. 1: token {token} is kept if c > {token}, so if exp u >= {token + 1}. How often is u that large?")
    right(
        f"{wanted:.3g} for both. Token for token the two rules are the same; they differ in which tokens are kept "
        "*together*."
    )


def check_least(least: object, variances: Float[Tensor, "direction"], tokens: int, reached: float) -> None:
    """Whether the least loss under eq. 1 was found.

    Parameters
    ----------
    reached : the loss that training reached.

    Raises
    ------
    NotYet : if it is another number.
    """
    found = number(least, "least")
    chances, tails = cutoff_probabilities(tokens), least_errors(variances, tokens)
    before = torch.cat([variances.sum()[None], tails[:-1]])
    kept = variances.sum() - tails
    wanted = float(chances @ tails)
    wrong = {
        float(tails[-1]): f"This is the error of all {tokens} tokens, but most pictures have fewer.",
        float(tails.mean()): "This is the plain mean over the prefixes; eq. 1 does not draw them equally often.",
        float(tails.sum()): "The errors are added up without their probabilities.",
        float(chances @ kept): "This is the variance that is kept, on average; the loss is what is left out.",
        float(chances @ before): "One variance too many: k tokens leave out all after the k-th, not from the k-th on.",
        float(variances.sum()): "This is the variance of the data, the loss without any token.",
    }
    if math.isclose(found, wanted, rel_tol=0.002):
        right(f"At the least {wanted:.2f}; training reached {reached:.2f}. There was only one way to get there.")
        return
    for value, sentence in wrong.items():
        if math.isclose(found, value, rel_tol=0.002):
            not_yet(sentence)
    not_yet("Sum over k: the probability of the cutoff k (`chances`) times what k tokens leave out (`tails`).")


def check_which(which: object, found: Sequence[float]) -> None:
    """Whether it was seen which tokens find a direction of their own if the first three are never dropped.

    Parameters
    ----------
    found : of every token, the cosine with the principal direction of its place, as measured.

    Raises
    ------
    NotYet : if other tokens are named.
    """
    require_answer(which)
    if not isinstance(which, Iterable) or isinstance(which, str):
        not_yet("Give a list of tokens, such as [0, 1].")
    answer, tokens = sorted(int(one) for one in which), len(found)
    if answer == list(range(tokens)):
        not_yet("Not all of them: which tokens are never seen without each other? Nothing tells those apart.")
    if answer == [0, 1, 2]:
        not_yet("It is the other way round: 0, 1 and 2 are always there together, so they may be mixed at will.")
    if not answer:
        not_yet("Some do. Token 3 is dropped where 0, 1 and 2 stay: what is best for it to add to what they draw?")
    if answer == [4, 5] or any(one >= tokens for one in answer):
        not_yet(f"Tokens count from 0 here; there are 0 to {tokens - 1}.")
    if answer != [3, 4]:
        not_yet("A token has a direction of its own if the loss sees the prefix before it and the prefix with it.")
    high = [str(token) for token, value in enumerate(found) if value > ALIKE]
    right(f"Measured: a cosine above {ALIKE} for the tokens {', '.join(high)}. What is never cut is never ordered.")
