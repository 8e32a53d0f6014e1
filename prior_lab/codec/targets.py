"""How many levels an image needs: the fewest that meet a target, seen by the sender or forecast from few levels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from prior_lab.checks import check_fields, entry_point
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.orderings import Code
from prior_lab.quality import quality

Measure = Literal["SSIM", "PSNR", "L1", "L2"]
ERRORS = ("L1", "L2")
BATCH = 64  # images whose pictures at all budgets are held together
PENALTY = 1000.0  # of the ridge regression, in training images: of 10 to 10,000 the best on validation


class Target(ABC):
    """What a file has to reach."""

    @abstractmethod
    def budgets(self, model: Autoencoder, code: Code, images: Tensor) -> list[int]:
        """The fewest tokens of whole levels that reach it, for each image; all where none do."""


@dataclass(frozen=True)
class Quality(Target):
    """Pictures as near to the image as this: the sender decodes every budget, in one pass, and looks.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.codec.Quality.parse("ssim=0.9")
    Quality(measure='SSIM', value=0.9)
    """

    measure: Measure = "SSIM"
    """SSIM, PSNR [dB], L1 or L2, on images in [0, 1]."""
    value: float = 0.9
    """At least so much; of L1 and L2, at most."""

    def __post_init__(self) -> None:
        _require_measure(self.measure)
        check_fields(self)
        if not np.isfinite(self.value):
            raise InputError(f"A target of {self.measure} {self.value} is no number to reach.")

    @classmethod
    @entry_point
    def parse(cls, text: str) -> Self:
        """From "ssim=0.9".

        Raises
        ------
        InputError : if it is written otherwise.
        """
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError as error:
            raise InputError(f"The target {text!r} is not written like ssim=0.9 or l1=0.02.") from error
        return cls(name.strip().upper(), value)  # type: ignore[arg-type]

    def budgets(self, model: Autoencoder, code: Code, images: Tensor) -> list[int]:
        """From the pictures at all budgets."""
        return self.smallest(qualities(model, code, images, self.measure), model.budgets)

    def smallest(self, found: Float[np.ndarray, "budget image"], budgets: tuple[int, ...]) -> list[int]:
        """The fewest tokens at which a quality is reached; all where it is at none."""
        reached = found <= self.value if self.measure in ERRORS else found >= self.value
        return _first(reached, budgets)


@dataclass(frozen=True)
class Worth(Target):
    """As much as the next tokens are worth: the budget at which the quality, less a price for each token, is greatest.

    A quality that every image shall reach is dear where an image never reaches it; a price gives tokens to the images
    that gain most by them, which at equal mean size no fixed budget can better.
    """

    price: float
    """What a token costs, in units of the measure."""
    measure: Measure = "SSIM"
    """SSIM, PSNR [dB], L1 or L2, on images in [0, 1]."""

    def __post_init__(self) -> None:
        _require_measure(self.measure)
        check_fields(self)
        if not self.price >= 0:
            raise InputError(f"A price of {self.price} for each token; it must not be negative.")

    def budgets(self, model: Autoencoder, code: Code, images: Tensor) -> list[int]:
        """From the pictures at all budgets."""
        return self.best(qualities(model, code, images, self.measure), model.budgets)

    def best(self, found: Float[np.ndarray, "budget image"], budgets: tuple[int, ...]) -> list[int]:
        """The budgets at which most is left when the tokens are paid."""
        sign = -1 if self.measure in ERRORS else 1
        left = sign * found - self.price * np.array(budgets)[:, None]
        return [budgets[at] for at in left.argmax(axis=0)]


@dataclass(frozen=True, eq=False)
class Forecast(Target):
    """The same, forecast from the first levels of the code instead of seen: nothing is decoded by the sender.

    A ridge regression from the values of the first tokens to the quality at every budget, as KARL's single pass in
    place of ALIT's trials.

    Attributes
    ----------
    target : what is to be reached.
    tokens : how many tokens it reads.
    weights : from their values, and a constant, to the quality at each budget.
    """

    target: Quality
    tokens: int
    weights: Float32[Tensor, "feature budget"]

    @classmethod
    @entry_point
    def fitted(
        cls, model: Autoencoder, images: UInt8[Tensor, "image 3 height width"], target: Quality, levels: int = 5
    ) -> Self:
        """From the qualities of training images.

        Raises
        ------
        InputError : if there are no such levels.
        """
        if not 1 <= levels <= len(model.budgets):
            raise InputError(f"The forecast reads {levels} levels; this model has 1 to {len(model.budgets)}.")
        tokens = model.budgets[levels - 1]
        with torch.inference_mode():
            codes = [model.encode(part) for part in images.split(BATCH)]
        found = [
            qualities(model, code, part, target.measure) for code, part in zip(codes, images.split(BATCH), strict=True)
        ]
        features = torch.cat([_features(code, tokens) for code in codes]).double()
        truth = torch.from_numpy(np.concatenate(found, axis=1).T).double()
        square = features.T @ features
        square.diagonal()[:-1] += PENALTY * features[:, :-1].var(dim=0).mean()
        return cls(target, tokens, torch.linalg.solve(square, features.T @ truth).float())

    def budgets(self, model: Autoencoder, code: Code, images: Tensor) -> list[int]:
        """From the first tokens alone; never fewer than it has to read."""
        foreseen = (_features(code, self.tokens) @ self.weights).T.numpy()
        chosen = self.target.smallest(foreseen, model.budgets)
        return [max(budget, self.tokens) for budget in chosen]


@torch.inference_mode()
def qualities(model: Autoencoder, code: Code, images: Tensor, measure: Measure) -> Float[np.ndarray, "budget image"]:
    """What every budget of a code is worth as a picture."""
    rows = []
    for start in range(0, len(images), BATCH):
        some = torch.arange(start, min(start + BATCH, len(images)))
        pictures = model.decode_budgets(code.select(some))
        rows.append([quality(images[some], picture).sel(metric=measure).values for picture in pictures])
    return np.concatenate(rows, axis=1)


def _require_measure(measure: object) -> None:
    if measure not in ("SSIM", "PSNR", *ERRORS):
        raise InputError(f"Unknown measure {measure!r}; choose one of SSIM, PSNR, L1, L2.")


def _first(reached: Bool[np.ndarray, "budget image"], budgets: tuple[int, ...]) -> list[int]:
    place = np.where(reached.any(axis=0), reached.argmax(axis=0), len(budgets) - 1)
    return [budgets[at] for at in place]


def _features(code: Code, tokens: int) -> Float32[Tensor, "image feature"]:
    values = code.values[:, :tokens].detach().cpu().flatten(1).float()
    return torch.cat([values, values.new_ones(len(values), 1)], dim=1)
