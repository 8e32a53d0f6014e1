"""Lesson 1, "Why order?": a picture as numbers in several orders, each cut short.

Every way has the same two halves, `encode` and `decode`, and a code is cut as a code of a model is:

    cosines = Cosines()
    picture = cosines.decode(cosines.encode(images)[:, :96])  # what the first 96 numbers show
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from prior_lab.checks import nearest
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.teaching.cut_slider import Cuts, CutSlider, levels_off
from prior_lab.teaching.exercises import not_yet, number, require_answer, right

SIDE = 64  # of the pictures of this lesson [pixel]
PIXELS = SIDE * SIDE
NUMBERS = 3 * PIXELS
STOPS = tuple(3 * 2**step for step in range(13))  # 3, 6, 12, ... 12,288 numbers

# ---------------------------------------------------------------- pictures


def drawings(data: ImageDataset, names: Sequence[str], artist: str = "noto") -> UInt8[Tensor, "image 3 64 64"]:
    """One artist's drawings of some concepts of `emoji`, in the order of their names.

    Raises
    ------
    InputError : if a name is none of this split's, with those that come nearest.
    """
    column = data.taxonomies.index("artist")
    theirs = (data.labels[:, column] == data.label_names[column].index(artist)).nonzero()[:, 0].tolist()
    places = {data.object_names[int(data.objects[place])]: place for place in theirs}
    for name in names:
        if name not in places:
            raise InputError(f"There is no {name!r} among these emoji; the nearest are {nearest(name, places)}.")
    return data.images[[places[name] for name in names]]


def mean_levels_off(
    pictures: Float[Tensor, "*batch 3 64 64"], images: UInt8[Tensor, "image 3 64 64"]
) -> Float[Tensor, "*batch"]:
    """The same with the mean absolute difference, in which a large error counts no more than several small ones."""
    return 255 * (pictures - images.float() / 255).abs().mean(dim=(-3, -2, -1))


def two_errors(
    images: UInt8[Tensor, "image 3 64 64"], shown: Mapping[str, Sequence[Tensor]]
) -> dict[tuple[str, str], list[float]]:
    """Columns of a table: both errors of every way, the mean over the images.

    Parameters
    ----------
    shown : by way, what it shows of the images at every budget.
    """
    kinds = {"levels off": levels_off, "mean distance": mean_levels_off}
    return {
        (kind, way): [float(error(pictures, images).mean()) for pictures in by_budget]
        for kind, error in kinds.items()
        for way, by_budget in shown.items()
    }


# ---------------------------------------------------------------- four ways


class Way(ABC):
    """A picture as numbers in an order, and pictures from the first few of them."""

    @abstractmethod
    def encode(self, images: UInt8[Tensor, "image 3 64 64"]) -> Float[Tensor, "image number"]:
        """All numbers of each image, in this way's order."""

    @abstractmethod
    def decode(self, numbers: Float[Tensor, "image kept"]) -> Float[Tensor, "image 3 64 64"]:
        """Pictures in [0, 1] from the numbers that came before the line broke off."""


def pixel_order() -> Int64[Tensor, "4096"]:
    """All pixels, row after row numbered, from coarse to fine: each doubling of their number halves a grid's step."""
    shifted = (torch.arange(SIDE) - SIDE // 2) % SIDE  # the first pixel is the one in the middle
    finest = int(math.log2(SIDE))
    halvings = torch.tensor([0 if not at else finest - _trailing_zeros(int(at)) for at in shifted])
    grid = torch.maximum(2 * halvings[:, None], (2 * halvings[None] - 1).clamp_min(0))
    return grid.flatten().argsort(stable=True)


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


class Pixels(Way):
    """Pixels from coarse to fine, as a web page loads an interlaced picture; each place shows the nearest one sent."""

    def encode(self, images: UInt8[Tensor, "image 3 64 64"]) -> Float[Tensor, "image number"]:
        """Red, green and blue of one pixel after the other."""
        return (images.float() / 255).flatten(2)[:, :, pixel_order()].transpose(1, 2).flatten(1)

    def decode(self, numbers: Float[Tensor, "image kept"]) -> Float[Tensor, "image 3 64 64"]:
        """The nearest pixel that came whole, everywhere; mid-grey before the first."""
        count = numbers.shape[1] // 3
        if not count:
            return torch.full((len(numbers), 3, SIDE, SIDE), 0.5)
        order = pixel_order()
        places = torch.stack([order // SIDE, order % SIDE], dim=1).float()
        nearest_sent = torch.empty_like(order)
        nearest_sent[order] = torch.cdist(places, places[:count], compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        colours = numbers[:, : 3 * count].unflatten(1, (count, 3))
        return colours[:, nearest_sent].transpose(1, 2).unflatten(2, (SIDE, SIDE))


def cosine_matrix(count: int) -> Float[Tensor, "wave place"]:
    """Row u is the u-th cosine over some places, scaled to length one."""
    places = torch.arange(count) + 0.5
    rows = torch.cos(math.pi / count * torch.arange(count)[:, None] * places) * math.sqrt(2 / count)
    rows[0] /= math.sqrt(2)
    return rows


def zigzag(side: int = SIDE) -> Int64[Tensor, "place"]:
    """JPEG's way through a square of coefficients, row after row numbered: diagonal by diagonal, to and fro."""
    cells = [(row, column) for row in range(side) for column in range(side)]
    cells.sort(key=lambda cell: (sum(cell), cell[0] if sum(cell) % 2 else -cell[0]))
    return torch.tensor([row * side + column for row, column in cells])


class Cosines(Way):
    """The picture as a sum of cosine patterns, the slow ones first."""

    def encode(self, images: UInt8[Tensor, "image 3 64 64"]) -> Float[Tensor, "image number"]:
        """How much of each pattern is in red, green and blue."""
        waves = cosine_matrix(SIDE)
        told = waves @ (images.float() / 255) @ waves.T
        return told.flatten(2)[:, :, zigzag()].transpose(1, 2).flatten(1)

    def decode(self, numbers: Float[Tensor, "image kept"]) -> Float[Tensor, "image 3 64 64"]:
        """The sum of the patterns whose numbers came."""
        padded = torch.zeros(len(numbers), NUMBERS)
        padded[:, : numbers.shape[1]] = numbers
        told = torch.empty(len(numbers), 3, PIXELS)
        told[:, :, zigzag()] = padded.unflatten(1, (PIXELS, 3)).transpose(1, 2)
        waves = cosine_matrix(SIDE)
        return (waves.T @ told.unflatten(2, (SIDE, SIDE)) @ waves).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Principal(Way):
    """Principal component analysis (PCA): the directions along which other pictures differ most, the widest first.

    Attributes
    ----------
    mean : the mean of those pictures, from which every number counts.
    directions : of length one, at right angles to each other.
    variances : of those pictures along each direction.
    """

    mean: Float[Tensor, "12288"]
    directions: Float[Tensor, "direction 12288"]
    variances: Float[Tensor, "direction"]

    @classmethod
    def fitted(cls, images: UInt8[Tensor, "image 3 64 64"], count: int = 1000) -> Self:
        """The first `count` principal directions of some images, of which there must be more."""
        pixels = images.flatten(1).float() / 255
        mean = pixels.mean(dim=0)
        pixels -= mean
        squares, mixtures = torch.linalg.eigh(pixels @ pixels.T)  # far smaller than the pixels' own covariance
        squares, mixtures = squares[-count:].flip(0), mixtures[:, -count:].flip(1)
        return cls(mean, mixtures.T @ pixels / squares.sqrt()[:, None], squares / len(images))

    def encode(self, images: UInt8[Tensor, "image 3 64 64"]) -> Float[Tensor, "image number"]:
        """How far each image lies from the mean along every direction."""
        return (images.flatten(1).float() / 255 - self.mean) @ self.directions.T

    def decode(self, numbers: Float[Tensor, "image kept"]) -> Float[Tensor, "image 3 64 64"]:
        """The mean and the steps that came; there are no more steps than directions."""
        kept = numbers[:, : len(self.directions)]
        return (self.mean + kept @ self.directions[: kept.shape[1]]).clamp(0, 1).unflatten(1, (3, SIDE, SIDE))


@dataclass(frozen=True, eq=False)
class Random(Way):
    """As many random directions as there are numbers, of length one and at right angles to each other.

    They are a cosine transform behind random signs, shuffled: nearly as random as drawn ones, and quick.

    Attributes
    ----------
    mean : from which every number counts, as in PCA.
    """

    mean: Float[Tensor, "12288"]
    seed: int = 0
    _signs: Float[Tensor, "3 64 64"] = field(init=False)
    _order: Int64[Tensor, "12288"] = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        signs = torch.randint(0, 2, (3, SIDE, SIDE), generator=generator) * 2.0 - 1
        object.__setattr__(self, "_signs", signs)
        object.__setattr__(self, "_order", torch.randperm(NUMBERS, generator=generator))

    def encode(self, images: UInt8[Tensor, "image 3 64 64"]) -> Float[Tensor, "image number"]:
        """How far each image lies from the mean along every direction."""
        waves = cosine_matrix(SIDE)
        away = (images.flatten(1).float() / 255 - self.mean).unflatten(1, (3, SIDE, SIDE))
        return (waves @ (away * self._signs) @ waves.T).flatten(1)[:, self._order]

    def decode(self, numbers: Float[Tensor, "image kept"]) -> Float[Tensor, "image 3 64 64"]:
        """The mean and the steps that came."""
        told = torch.zeros(len(numbers), NUMBERS)
        told[:, self._order[: numbers.shape[1]]] = numbers
        waves = cosine_matrix(SIDE)
        away = (waves.T @ told.unflatten(1, (3, SIDE, SIDE)) @ waves) * self._signs
        return (self.mean.unflatten(0, (3, SIDE, SIDE)) + away).clamp(0, 1)


# ---------------------------------------------------------------- bits


@dataclass(frozen=True, eq=False)
class Rounded:
    """Numbers rounded to steps of one size, which is all that a line of bits can carry, and what they cost.

    The receiver expects a Laplace distribution of every number, as wide as that number is over other pictures; an
    arithmetic coder then spends -log2 of the probability of what is sent.

    Attributes
    ----------
    way : whose numbers are rounded.
    mean, spread : of every number over other pictures, its mean and standard deviation.
    """

    way: Way
    mean: Float[Tensor, "number"]
    spread: Float[Tensor, "number"]

    @classmethod
    def fitted(cls, way: Way, images: UInt8[Tensor, "image 3 64 64"], count: int = 1000) -> Self:
        """What to expect of a way's first `count` numbers, from other pictures."""
        numbers = way.encode(images)[:, :count]
        return cls(way, numbers.mean(dim=0), numbers.std(dim=0))

    def send(
        self, images: UInt8[Tensor, "image 3 64 64"], bits: float | int
    ) -> tuple[Float[Tensor, "image 3 64 64"], float]:
        """What comes out where the images may cost some bits on average, and what they cost."""
        numbers = self.way.encode(images)[:, : len(self.spread)] - self.mean
        low, high = 1e-3, 1e3
        for _ in range(20):  # the finest step that is not too dear
            step = math.sqrt(low * high)
            low, high = (step, high) if self._bits(numbers, step) > bits else (low, step)
        return self.way.decode(self.mean + (numbers / high).round() * high), self._bits(numbers, high)

    def _bits(self, numbers: Float[Tensor, "image number"], step: float) -> float:
        """The mean cost of an image [bit]."""
        decay = step / (self.spread / math.sqrt(2)).clamp_min(
            1e-6
        )  # a Laplace distribution falls by exp(-decay) a step
        return float(laplace_bits((numbers / step).round(), decay).sum(dim=1).mean())


def laplace_bits(steps: Float[Tensor, "image number"], decay: Float[Tensor, "number"]) -> Float[Tensor, "image number"]:
    """-log2 of the probability of whole numbers of steps under a Laplace distribution [bit].

    Parameters
    ----------
    decay : by exp(-decay) the density falls from one step to the next.
    """
    away, half = steps.abs(), decay / 2
    none = -(-torch.expm1(-half)).clamp_min(1e-30).log2()
    some = (away * decay) / math.log(2) - torch.sinh(half.clamp_max(40.0)).log2()
    return torch.where(away == 0, none, some)


# ---------------------------------------------------------------- what is shown


def slide(
    ways: Mapping[str, Way], images: UInt8[Tensor, "image 3 64 64"], captions: Sequence[str], stop: int = 96
) -> "CutSlider":
    """Pictures side by side, each from the first few numbers of a way, with a slider over how few.

    Parameters
    ----------
    ways : by name.
    images : one of them is shown at a time.
    captions : one per image.
    stop : where the slider stands at first, one of `STOPS`.
    """
    codes = {name: (way, way.encode(images)) for name, way in ways.items()}
    draw = {name: lambda k, one=one, code=code: one.decode(code[:, :k]) for name, (one, code) in codes.items()}
    cuts = Cuts.drawn(draw, images, captions, STOPS, heading="What the first numbers show")
    return CutSlider(cuts, stop)


def patterns(weights: Float[Tensor, "pattern *picture"]) -> Float[Tensor, "pattern 3 height width"]:
    """Patterns of weights as pictures: mid-grey is nothing, each is stretched to its largest weight."""
    flat = weights.flatten(1)
    shown = 0.5 + 0.5 * flat / flat.abs().amax(dim=1, keepdim=True)
    if weights.ndim == 3:
        return shown.unflatten(1, weights.shape[1:])[:, None].expand(-1, 3, -1, -1)
    return shown.unflatten(1, (3, SIDE, SIDE))


# ---------------------------------------------------------------- checks of the exercises

Keep = Callable[[Float[Tensor, "image number"], int], Any]


def check_keep(keep: Keep) -> None:
    """Whether a function leaves the first k numbers of each image and zeros after them.

    Raises
    ------
    NotYet : if it does not, and what it does instead.
    """
    numbers = torch.tensor([[3.0, -1.0, 0.5, 7.0, -2.0], [1.0, 9.0, -8.0, 2.0, 6.0], [-4.0, 5.0, 0.2, 0.1, 0.3]])
    given = numbers.clone()
    found = keep(given, 2)
    require_answer(found)
    if not isinstance(found, Tensor):
        not_yet(f"`keep` should return a tensor, and returns {type(found).__name__}.")
    for wrong, sentence in _wrong_cuts(numbers, 2):
        if torch.equal(found, wrong):
            not_yet(sentence)
    if found.shape != numbers.shape:
        not_yet(f"Of numbers of shape {tuple(numbers.shape)} it makes {tuple(found.shape)}; the shape should stay.")
    wanted = _first(numbers, 2)
    if not torch.equal(found, wanted):
        not_yet(f"Of {numbers[0].tolist()} and k = 2 it makes {found[0].tolist()}; {wanted[0].tolist()} is meant.")
    if not torch.equal(given, numbers):
        not_yet("The result is right, but the numbers that were handed over have changed too: begin with a copy.")
    right("A prefix needs no labels: that these are the first k is all that the receiver must know.")


def _first(numbers: Float[Tensor, "image number"], k: int) -> Float[Tensor, "image number"]:
    return numbers * (torch.arange(numbers.shape[1]) < k)


def _wrong_cuts(numbers: Float[Tensor, "image number"], k: int) -> list[tuple[Tensor, str]]:
    """What wrong answers make of some numbers, and what is wrong with them."""
    largest = torch.zeros_like(numbers).scatter(1, numbers.abs().topk(k).indices, 1.0) * numbers
    whole = numbers * (torch.arange(len(numbers)) < k)[:, None]
    label = "the receiver knows only that the first k came, and exercise 4 asks what more would cost"
    return [
        (numbers, "Nothing is cut: all numbers came back."),
        (numbers[:, :k], "These are the right numbers, but every number has a place: put zeros where nothing came."),
        (numbers - _first(numbers, k), "This throws the first k away and keeps the rest; the first k should stay."),
        (largest, f"These are the k largest numbers of each picture; {label}."),
        (whole, "This keeps the first k pictures. The first index counts pictures, the second numbers: [:, :k]."),
        (numbers[:k], "These are the first k pictures. The first index counts pictures, the second numbers: [:, :k]."),
        (_first(numbers, k + 1), "One number too many: Python's [:, :k] ends before k, and [:, k:] begins there."),
        (_first(numbers, k - 1), "One number too few: Python's [:, :k] holds k numbers, of which the first is 0."),
    ]


def check_reversed(whole: object, short: object, off: Mapping[str, float]) -> None:
    """Whether it is seen that an order changes prefixes only.

    Parameters
    ----------
    whole, short : "better", "the same" or "worse", of all numbers and of 96 of them.
    off : levels off of PCA's first 96 numbers, `forwards`, and of its last 96, `backwards`.

    Raises
    ------
    NotYet : if one of the two is wrong.
    """
    require_answer(whole, short)
    for answer in (whole, short):
        if answer not in ("better", "the same", "worse"):
            not_yet(f"Answer with 'better', 'the same' or 'worse'; {answer!r} is none of them.")
    if whole != "the same":
        not_yet("Of all numbers: every direction is there, and a sum does not depend on the order of its terms.")
    if short == "the same":
        not_yet("Of 96 numbers: those that come now belong to other directions. Along which do emoji differ least?")
    if short == "better":
        not_yet("Of 96 numbers: now those directions come first along which emoji differ least. What can they tell?")
    right(
        f"An order means nothing to the whole and everything to a prefix: {off['forwards']:.1f} levels off with the "
        f"first 96 numbers, {off['backwards']:.1f} with the last 96."
    )


def check_times(times: object, needed: Mapping[str, int], below: float | int) -> None:
    """Whether the ratio of the pixels' numbers to PCA's was found.

    Parameters
    ----------
    needed : by way, the numbers needed.
    below : the levels off that were asked for.

    Raises
    ------
    NotYet : if it is another number.
    """
    found, pixels, pca = number(times, "times"), needed["pixels"], needed["PCA"]
    wrong = {
        pca / pixels: "This is PCA's count over the pixels'; the question is the other way round.",
        float(pixels - pca): "This is a difference. How many times as many is a ratio.",
        float(pixels): "This is the pixels' own count; divide it by PCA's.",
        float(pca): "This is PCA's own count; the pixels' should be divided by it.",
        needed["cosines"] / pca: "This is the ratio for the cosines; the pixels are asked for.",
        pixels / needed["cosines"]: "This compares pixels with cosines; PCA is asked for.",
        2 * pixels / pca: f"Double of it: in each column take the first row whose error is below {below:g}.",
        pixels / pca / 2: f"Half of it: in each column take the first row whose error is below {below:g}.",
    }
    if math.isclose(found, pixels / pca):
        right(
            f"{pixels:,} against {pca:,}. Pixels serve any picture; PCA has seen other emoji, and what a receiver "
            "knows beforehand need not be sent."
        )
        return
    for value, sentence in wrong.items():
        if math.isclose(found, value):
            not_yet(sentence)
    not_yet(f"PCA falls below {below:g} levels at {pca:,} numbers; find that row for the pixels too, and divide.")


def check_places(bits: object, kept: int = 96, of: int = NUMBERS) -> None:
    """Whether the bits were found that say which of the numbers were kept.

    Raises
    ------
    NotYet : if it is another number.
    """
    found, choices = number(bits, "bits"), math.comb(of, kept)
    wanted, naive = math.log2(choices), kept * math.log2(of)
    if found == 0:
        not_yet("The first k need no label. The k largest lie elsewhere in every picture; the receiver must be told.")
    if math.isclose(found, naive, rel_tol=0.01) or found == kept * math.ceil(math.log2(of)):
        not_yet(
            f"One place named after the other: {found:.0f} bits. That also tells in which order they were named, which "
            "nobody needs. Count the sets of places: math.comb."
        )
    if math.isclose(found, math.log(choices), rel_tol=0.01):
        not_yet("This is the natural logarithm, which gives nats; bits are of math.log2.")
    if found == of:
        not_yet("A yes or no for every number would do, but so few are kept that it is wasteful: log2 of all sets.")
    if math.isclose(found, choices):
        not_yet("This is how many sets there are. To name one of n takes log2(n) bits.")
    if not math.isclose(found, wanted, rel_tol=0.01):
        not_yet(f"How many sets of {kept} places are there among {of:,}? One of n is named with log2(n) bits.")
    right(
        f"{wanted:.0f} bits, {wanted / kept:.1f} for each number that is kept, only to say which they are. "
        "A prefix says so for nothing."
    )
