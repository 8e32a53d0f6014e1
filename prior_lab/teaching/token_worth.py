"""Lesson 3, what a token is worth: rate and distortion of a Gaussian source, and the price of a Gaussian token.

A source x ~ N(0, 1) is known exactly: the least error at R bits is D(R) = 2^(-2R) (Shannon 1959), and a code that is
sent in stages need not be worse (Equitz and Cover 1991). Rates are in bits, errors are mean squares as a share of the
source's variance.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from prior_lab import figures
from prior_lab.models import Autoencoder
from prior_lab.teaching.exercises import not_yet, number, require_answer, right
from prior_lab.teaching.flipbook import FlipBook, Page, Slider
from prior_lab.tokens import GaussianPosterior

NORMAL = NormalDist()
LIMIT, STAGED, TOGETHER, WASTED = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
STAGES = 6  # of the widget [bit]
NOISES = tuple(range(6))  # the widget's noise variances are 2^-k
GAINS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
EDGE = 3.3  # of what is drawn of N(0, 1)
CUTTING = 30  # rounds after which a cut stands still
CLOSE = 0.01  # relative error that an answer may have


def limit(rate: float | int) -> float:
    """The least error at a rate [bit], D(R) = 2^(-2R)."""
    return 2.0 ** (-2 * rate)


# ------------------------------------------------------------ quantisers of N(0, 1), exactly


@dataclass(frozen=True)
class Quantiser:
    """Cells of the line, each sent as the mean of the source inside it.

    Attributes
    ----------
    edges : of the cells, from -inf to inf.
    """

    edges: tuple[float, ...]

    @property
    def shares(self) -> list[float]:
        """How often x falls into each cell."""
        return [NORMAL.cdf(high) - NORMAL.cdf(low) for low, high in itertools.pairwise(self.edges)]

    @property
    def means(self) -> list[float]:
        """What the receiver writes down for each cell: the mean of x there, which is the best it can do."""
        drops = [NORMAL.pdf(low) - NORMAL.pdf(high) for low, high in itertools.pairwise(self.edges)]
        return [drop / share for drop, share in zip(drops, self.shares, strict=True)]

    @property
    def rate(self) -> float:
        """Bits of an index."""
        return math.log2(len(self.edges) - 1)

    @property
    def entropy(self) -> float:
        """Bits of an index for a sender who gives short words to frequent cells."""
        return -sum(share * math.log2(share) for share in self.shares)

    @property
    def error(self) -> float:
        """Mean square of what is left; 1 - E[mean^2], for what is left is uncorrelated with the mean."""
        return 1 - sum(share * mean**2 for share, mean in zip(self.shares, self.means, strict=True))


def staged_quantisers(stages: int, rounds: int = 0) -> list[Quantiser]:
    """One more bit a stage, which cuts every cell in two.

    Parameters
    ----------
    rounds : with 0 a cell is cut at the value it was sent as, so that the bit is the sign of what is left. Every round
        moves the cut halfway between the values of the two new cells, where it does best in the end.

    Returns
    -------
    list : the quantisers after 0, 1, ... stages.
    """
    found = [Quantiser((-math.inf, math.inf))]
    for _ in range(stages):
        edges = found[-1].edges
        cuts = [_cut(low, high, rounds) for low, high in itertools.pairwise(edges)]
        found.append(Quantiser(tuple(sorted([*edges, *cuts]))))
    return found


def _cut(low: float, high: float, rounds: int) -> float:
    """Where a cell is cut in two."""
    (cut,) = Quantiser((low, high)).means
    for _ in range(rounds):
        cut = sum(Quantiser((low, cut, high)).means) / 2
    return cut


def one_shot_quantiser(cells: int, rounds: int = 1000) -> Quantiser:
    """The best quantiser of that many cells, which no stage of a shorter one needs to fit (Lloyd 1957, Max 1960)."""
    wide = NormalDist(sigma=math.sqrt(3))  # cells of the best quantiser thin out like a wider bell
    inner = [wide.inv_cdf(place / cells) for place in range(1, cells)]
    quantiser = Quantiser((-math.inf, *inner, math.inf))
    for _ in range(rounds):
        halfway = [(low + high) / 2 for low, high in itertools.pairwise(quantiser.means)]
        quantiser = Quantiser((-math.inf, *halfway, math.inf))
    return quantiser


# ------------------------------------------------------------ several numbers at once


def staged_blocks(size: int, stages: int, generator: Generator, samples: int = 8192) -> list[float]:
    """The errors of codes that send blocks of numbers, one bit for each number and stage.

    A stage is a codebook of 2^size blocks, trained by Lloyd's algorithm on what earlier stages left.

    Parameters
    ----------
    size : numbers of a block.

    Returns
    -------
    list : the error after 1, 2, ... stages, of samples that no codebook has seen.
    """
    seen, fresh = (torch.randn(samples, size, generator=generator, dtype=torch.float64) for _ in range(2))
    errors = []
    for _ in range(stages):
        codes = _codebook(seen, 2**size)
        seen, fresh = (blocks - codes[_nearest(blocks, codes)] for blocks in (seen, fresh))
        errors.append(fresh.square().mean().item())
    return errors


def _codebook(blocks: Float[Tensor, "sample size"], count: int, rounds: int = 10) -> Float[Tensor, "code size"]:
    codes = blocks[:count].clone()
    for _ in range(rounds):
        nearest = _nearest(blocks, codes)
        sums = torch.zeros_like(codes).index_add_(0, nearest, blocks)
        chosen = torch.bincount(nearest, minlength=count)
        codes = torch.where(chosen[:, None] > 0, sums / chosen.clamp_min(1)[:, None], codes)
    return codes


def _nearest(blocks: Float[Tensor, "sample size"], codes: Float[Tensor, "code size"]) -> Tensor:
    return (blocks @ codes.T - codes.square().sum(dim=1) / 2).argmax(dim=1)


# ------------------------------------------------------------ a Gaussian token


@dataclass(frozen=True)
class LinearChannel:
    """A token of one number, z = gain x + sqrt(noise) e with e ~ N(0, 1), that a receiver expects to be N(0, 1).

    Attributes
    ----------
    gain : how strongly it depends on x.
    noise : variance of its posterior q(z|x).
    source : variance of x.
    """

    gain: float | int
    noise: float | int
    source: float | int = 1.0

    @property
    def spread(self) -> float:
        """Variance of z over all x."""
        return self.gain**2 * self.source + self.noise

    @property
    def paid(self) -> float:
        """E_x KL(q(z|x) || N(0, 1)) [bit]: b(u) of eq. 8."""
        return (self.spread - 1 - math.log(self.noise)) / (2 * math.log(2))

    @property
    def told(self) -> float:
        """What z tells of x, the mutual information I(x; z) [bit]."""
        return math.log2(self.spread / self.noise) / 2

    @property
    def wasted(self) -> float:
        """KL(q(z) || N(0, 1)) [bit], q(z) being the tokens of all x together: what is paid and not told."""
        return (self.spread - 1 - math.log(self.spread)) / (2 * math.log(2))

    @property
    def error(self) -> float:
        """The least error of a receiver who knows z, as a share of the source's variance."""
        return self.noise / self.spread


def bits_by_cause(posterior: GaussianPosterior) -> dict[str, float]:
    """What Gaussian tokens cost [bit an image], divided by what causes it.

    KL = (m^2 + s - 1 - ln s) / 2 for each channel; the mean of m^2 over images is the square of m's mean and m's
    variance. Only the means that change can tell images apart, and a narrow posterior only sharpens what they tell.
    """
    mean, variance = posterior.mean.double(), posterior.log_variance.double().exp()
    parts = {
        "narrow posteriors": (variance - 1 - variance.log()).mean(dim=0),
        "means that never change": mean.mean(dim=0).square(),
        "means that change": mean.var(dim=0, correction=0),
    }
    return {cause: part.sum().item() / (2 * math.log(2)) for cause, part in parts.items()}


def untrained_like(model: Autoencoder, seed: int = 0) -> Autoencoder:
    """A model of the same shape that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(model.config).eval().requires_grad_(False)


# ------------------------------------------------------------ figures


def limit_figure(top: float | int) -> go.Figure:
    """Error against rate, with the curve that nothing can cross; to be drawn on."""
    figure = go.Figure(layout={"template": figures.house_template(), "hovermode": "closest"})
    line = {"color": LIMIT, "width": 2.5}
    figure.add_scatter(x=[0, top], y=[1, limit(top)], mode="lines", name="the limit D(R)", line=line)
    figure.update_xaxes(title_text="rate [bit a number]", range=[-0.05 * top, 1.03 * top])
    return figure.update_yaxes(title_text="error", type="log")


def block_figure(errors: dict[int, Sequence[float]]) -> go.Figure:
    """How many bits codes of blocks need beyond the limit for the error that they reach, by block size."""
    figure = go.Figure(layout={"template": figures.house_template(), "hovermode": "closest"})
    rates = list(range(1, 1 + len(next(iter(errors.values())))))
    for place, (size, found) in enumerate(errors.items()):
        extra = [rate + math.log2(error) / 2 for rate, error in zip(rates, found, strict=True)]
        name = "1 number a block" if size == 1 else f"{size} numbers"
        colour = list(figures.COLOURS.values())[place]
        figure.add_scatter(x=rates, y=extra, name=name, mode="lines+markers", line={"color": colour, "width": 2.5})
    figure.add_scatter(x=rates, y=[0] * len(rates), name="the limit", mode="lines", line={"color": figures.INK})
    figure.update_xaxes(title_text="stages, of one bit a number each", tickvals=rates, range=[0.8, rates[-1] + 0.2])
    return figure.update_yaxes(title_text="bits beyond the limit", rangemode="tozero")


def bits_and_errors(found: dict[str, Sequence[tuple[float, float]]]) -> go.Figure:
    """Errors against bits of some models, as (bits, error) from narrow posteriors to wide ones."""
    figure = go.Figure(layout={"template": figures.house_template(), "hovermode": "closest", "height": 300})
    for colour, (name, pairs) in zip((LIMIT, STAGED), found.items(), strict=False):
        bits, errors = zip(*pairs, strict=True)
        figure.add_scatter(x=bits, y=errors, name=name, mode="lines+markers", line={"color": colour, "width": 2.5})
    figure.update_xaxes(title_text="bits an image", rangemode="tozero")
    return figure.update_yaxes(title_text="mean absolute error", rangemode="tozero")


def rate_book(start: int = 1) -> FlipBook:
    """The staged quantiser at every rate: its cells, and its error beside the limit."""
    quantisers = staged_quantisers(STAGES, CUTTING)
    slider = Slider("rate", tuple(str(rate) for rate in range(STAGES + 1)), "bits")
    return FlipBook("A number in stages", [slider], lambda stage: _rate_page(quantisers, stage), (start,))


def _rate_page(quantisers: list[Quantiser], stage: int) -> Page:
    now = quantisers[stage]
    figure = _two_panels(STAGES)
    figure.update_layout(xaxis2_title_text="x, with cells and what is sent for each")
    for parity, strength in enumerate((0.2, 0.45)):  # neighbours in two tints; all cells of one are one outline
        xs, ys = _outline(list(itertools.pairwise(now.edges))[parity::2])
        figure.add_scatter(
            x=xs, y=ys, xaxis="x2", yaxis="y2", mode="lines", fill="toself", fillcolor=f"rgba(213,94,0,{strength})",
            line={"width": 0, "color": STAGED}, showlegend=False,
        )  # fmt: skip
    dots = {"size": 9 if stage < 4 else 5, "color": STAGED}
    figure.add_scatter(x=now.means, y=[0.0] * len(now.means), xaxis="x2", yaxis="y2", mode="markers", marker=dots,
                       showlegend=False)  # fmt: skip
    rates = list(range(stage + 1))
    errors = [quantisers[rate].error for rate in rates]
    figure.add_scatter(x=rates, y=errors, mode="lines+markers", name="stages", line={"color": STAGED, "width": 2},
                       marker={"size": 7})  # fmt: skip
    _ring(figure, stage, now.error, STAGED)
    cells = "1 cell" if stage == 0 else f"{2**stage} cells"
    words = f"{cells}, error {now.error:.4f}. No code of {_bits(stage)} has less than {limit(stage):.4f}."
    return Page(figure, words)


def _bits(count: int) -> str:
    return "1 bit" if count == 1 else f"{count} bits"


def channel_book(noise: int = 0, gain: int = 4) -> FlipBook:
    """A Gaussian token for every noise and gain: what it costs, what it tells, and the error of the best receiver."""
    sliders = [
        Slider("noise s", tuple("1" if k == 0 else f"1/{2**k}" for k in NOISES), ""),
        Slider("gain a", tuple(f"{gain:g}" for gain in GAINS), ""),
    ]
    draw = lambda k, g: _channel_page(LinearChannel(GAINS[g], 2.0 ** -NOISES[k]))  # noqa: E731
    return FlipBook("What a Gaussian token costs and tells", sliders, draw, (noise, gain))


def _channel_page(channel: LinearChannel) -> Page:
    top = 5.0
    figure = _two_panels(top)
    figure.update_layout(xaxis2_title_text="z; every curve drawn to the same height")
    for name, variance, look in (
        ("prior N(0, 1)", 1.0, {"color": figures.INK, "dash": "dash", "width": 2}),
        ("all tokens", channel.spread, {"color": TOGETHER, "width": 2.5}),
    ):
        xs, ys = _bell(0.0, variance)
        figure.add_scatter(x=xs, y=ys, xaxis="x2", yaxis="y2", mode="lines", name=name, line=look)
    xs, ys = [], []
    for x in (-1.5, 0.0, 1.5):
        across, up = _bell(channel.gain * x, channel.noise)
        xs, ys = [*xs, across[0], *across, across[-1]], [*ys, 0.0, *up, 0.0]
    figure.add_scatter(x=xs, y=ys, xaxis="x2", yaxis="y2", mode="lines", fill="toself", showlegend=False,
                       fillcolor="rgba(213,94,0,0.2)", line={"color": STAGED, "width": 0})  # fmt: skip
    figure.add_scatter(x=xs, y=ys, xaxis="x2", yaxis="y2", mode="lines", name="the tokens of three x",
                       line={"color": STAGED, "width": 1})  # fmt: skip
    figure.add_scatter(x=[channel.told, channel.paid], y=[channel.error] * 2, mode="lines", name="wasted",
                       line={"color": WASTED, "width": 5})  # fmt: skip
    _ring(figure, channel.told, channel.error, LIMIT)
    _ring(figure, channel.paid, channel.error, WASTED)
    words = (
        f"paid {channel.paid:.2f} bit = told {channel.told:.2f} bit + wasted {channel.wasted:.2f} bit; "
        f"error {channel.error:.3f}"
    )
    return Page(figure, words)


def _two_panels(top: float | int) -> go.Figure:
    """The distribution to the left, error against rate to the right."""
    figure = limit_figure(top)
    figure.update_layout(
        height=300,
        xaxis={"domain": [0.62, 1.0], "anchor": "y"},
        yaxis={"anchor": "x", "range": [math.log10(limit(top)) - 0.05, 0.12]},
        xaxis2={"domain": [0.0, 0.5], "anchor": "y2", "range": [-EDGE, EDGE], "tickvals": [-3, -2, -1, 0, 1, 2, 3]},
        yaxis2={"anchor": "x2", "range": [-0.02, 0.44], "showticklabels": False, "showgrid": False, "tickvals": []},
    )
    return figure


def _bell(mean: float, variance: float) -> tuple[list[float], list[float]]:
    """A normal density, drawn as high as that of N(0, 1)."""
    width = math.sqrt(variance)
    xs = [mean + width * step / 12 for step in range(-38, 39)]
    seen = [x for x in xs if abs(x) <= EDGE]
    return seen, [NORMAL.pdf((x - mean) / width) for x in seen]


def _outline(cells: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The normal density over some cells, from one to the next along the ground."""
    xs: list[float] = []
    ys: list[float] = []
    for low, high in cells:
        start, stop = max(low, -EDGE), min(high, EDGE)
        inside = [start + (stop - start) * step / 24 for step in range(25)]
        xs += [start, *inside, stop]
        ys += [0.0, *map(NORMAL.pdf, inside), 0.0]
    return xs, ys


def _ring(figure: go.Figure, x: float | int, y: float | int, colour: str) -> None:
    ring = {"size": 13, "color": colour, "symbol": "circle-open", "line": {"width": 3, "color": colour}}
    figure.add_scatter(x=[x], y=[y], mode="markers", marker=ring, showlegend=False)


# ------------------------------------------------------------ what exercises say to an answer


def check_least_bits(channel: object, code: object) -> None:
    """Exercise 1: bits for an error of 1 %, of one number and of a code of 127 tokens with 32 channels."""
    one, whole = number(channel, "The rate of one number"), number(code, "The rate of the code")
    truth = math.log2(100) / 2
    if _is(one, 2 * truth):
        not_yet("That is log2(1/D). D(R) falls by a factor of 4 with every bit, not of 2: look at the exponent.")
    if _is(one, truth * math.log(2)):
        not_yet("That is in nats, for it has a natural logarithm. One nat is 1.44 bit.")
    if _is(one, limit(0.01)):
        not_yet("You put 0.01 in as a rate. It is the error: solve D(R) = 0.01 for R.")
    if not _is(one, truth):
        not_yet(f"At {one:.3g} bit the least error is {limit(one):.3g} of the variance, and 0.01 was asked for.")
    for count, words in ((127, "127 numbers, and a token has 32 of them"), (32, "one token"), (1, "a single number")):
        if _is(whole, count * truth):
            not_yet(f"The second answer is that of {words}; the code has 127 tokens of 32 channels each.")
    if not _is(whole, 127 * 32 * truth):
        not_yet(f"The code has 127 x 32 numbers, each of which needs what one needs; that is not {whole:.4g} bit.")
    right(f"{truth:.2f} bits a number. A code of 127 x 32 independent numbers needs {127 * 32 * truth:,.0f} bits.")


def check_spending(order: object, variances: Sequence[float | int], bits: int = 6) -> None:
    """Exercise 2: which number each bit is spent on, so that every prefix has the least error."""
    require_answer(order)
    if isinstance(order, str) or not isinstance(order, Sequence) or any(one is ... for one in order):
        not_yet(f"Give a list of {bits} numbers of sources, such as [0, 0, 1, ...].")
    if len(order) != bits or any(one not in range(len(variances)) for one in order):
        not_yet(f"Give {bits} entries, each the number of a source from 0 to {len(variances) - 1}.")
    left = list(variances)
    for place, one in enumerate(order, start=1):
        best = left.index(max(left))
        if one != best:
            listed = ", ".join(f"{error:.3g}" for error in left)
            not_yet(
                f"Before bit {place} the errors are {listed}. A bit takes away 3/4 of one of them: spent on source "
                f"{one} that is {0.75 * left[one]:.3g}, on another it would be {0.75 * left[best]:.3g}.{_habit(order)}"
            )
        left[one] /= 4
    right(f"Every prefix is as good as any code of that length; after {bits} bits the error is {sum(left):.3g}.")


def _habit(order: Sequence[object]) -> str:
    """A word on how the bits seem to have been dealt out."""
    if len(set(order)) == 1:
        return " A source that has had some bits is soon no longer the worst."
    if list(order) == sorted(order, key=str) or order[0] == order[1]:
        return " Do not finish with one source before the next: whoever is cut off early would lack the others."
    return ""


def check_channel(gain: object, noise: object, source: float = 4.0, bits: float = 2.0) -> None:
    """Exercise 3: a token that costs two bits, all of them told, of a source of another variance."""
    a, s = number(gain, "The gain"), number(noise, "The noise")
    if s <= 0:
        not_yet("The noise is a variance: it is above 0.")
    token = LinearChannel(a, s, source)
    if _is(a, 0.0) or abs(a) < CLOSE:
        not_yet(f"With a gain of 0 the token tells nothing of x, and {token.paid:.2f} bit are paid for its width.")
    if abs(a**2 + s - 1) < CLOSE and source != 1:
        not_yet(
            f"a^2 + s = 1 holds for a source of variance 1. Here x has variance {source:g}, so all tokens together "
            f"have variance a^2 * {source:g} + s = {token.spread:.2f}."
        )
    if token.wasted > CLOSE:
        side = "wider" if token.spread > 1 else "narrower"
        not_yet(
            f"{token.wasted:.2f} bit are wasted: all tokens together have variance {token.spread:.3g} and are {side} "
            "than the prior N(0, 1)."
        )
    if _is(token.told, bits / 2):
        not_yet(f"This tells {token.told:.2f} bit. The rate is log2(1/s) / 2: mind the half.")
    if _is(token.told * math.log(2), bits):
        not_yet(f"This tells {bits:g} nats, which are {token.told:.2f} bit.")
    if not _is(token.told, bits):
        not_yet(f"Nothing is wasted, but {token.told:.2f} bit are told and {bits:g} were asked for.")
    right(f"{bits:g} bits paid, {bits:g} bits told, error {token.error:.4f} of the variance: exactly D({bits:g}).")


def check_paid_and_told(paid: object, told: object, channels: int = 32, log_variance: float = -4.0) -> None:
    """Exercise 4: what a token costs whose means never change, and what it tells."""
    cost, worth = number(paid, "What is paid"), number(told, "What is told")
    truth = channels * LinearChannel(0.0, math.exp(log_variance)).paid
    if _is(cost, truth / channels):
        not_yet(f"That is one channel; the token has {channels}.")
    if _is(cost, truth * math.log(2)):
        not_yet("That is in nats: divide by ln 2.")
    if _is(cost, 2 * truth):
        not_yet("Twice too much: the KL divergence has a factor of 1/2 in front.")
    if _is(cost, channels * -log_variance / (2 * math.log(2))):
        not_yet("You took -ln s / 2 alone. The terms s - 1 belong to it as well.")
    if abs(cost) < CLOSE:
        not_yet("The receiver expects N(0, 1) and gets something far narrower: that is not for nothing.")
    if not _is(cost, truth):
        not_yet(
            f"{cost:.4g} bit is not {channels} times (m^2 + s - 1 - ln s) / (2 ln 2) at m = 0, ln s = {log_variance:g}."
        )
    if abs(worth) > CLOSE:
        not_yet("The token is drawn from the same distribution whatever the image is. What can a receiver learn of it?")
    right(f"{truth:.1f} bits are paid for a token that tells nothing; 127 of them cost {127 * truth:,.0f} bits.")


def _is(value: float | int, truth: float | int) -> bool:
    return abs(value - truth) <= CLOSE * abs(truth)
