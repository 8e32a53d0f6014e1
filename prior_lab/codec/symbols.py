"""Codes as whole numbers and back: states of discrete tokens, and Gaussian tokens rounded to their own precision."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from prior_lab.models import Autoencoder
from prior_lab.orderings import Code
from prior_lab.tokens import DiscretePosterior, GaussianPosterior

BATCH = 256  # images that are encoded at once
REACH = 127  # steps from the mean to the outermost number that a rounded channel can be
GOLDEN = 0.6180339887498949  # whose multiples fill a step evenly


class Symbols(ABC):
    """How a code is written as whole numbers.

    Attributes
    ----------
    parts : numbers of a token.
    """

    parts: int

    def encode(self, model: Autoencoder, images: UInt8[Tensor, "image 3 h w"] | Float[Tensor, "image 3 h w"]) -> Tensor:
        """The numbers of images' codes, as `of` gives them."""
        return torch.cat([self.of(code) for code in self.codes(model, images)])

    @abstractmethod
    def codes(
        self, model: Autoencoder, images: UInt8[Tensor, "image 3 h w"] | Float[Tensor, "image 3 h w"]
    ) -> Iterator[Code]:
        """Codes of images, batch by batch, as a receiver of the numbers has them."""

    @abstractmethod
    def outcomes(self, model: Autoencoder) -> tuple[int, ...]:
        """How many numbers there are for each token of a code."""

    @abstractmethod
    def of(self, code: Code) -> Int64[Tensor, "image symbol"]:
        """The numbers of a code."""

    @abstractmethod
    def code(self, model: Autoencoder, numbers: Int64[Tensor, "image symbol"]) -> Code:
        """What a receiver of the numbers of the first tokens has."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps of it."""


@dataclass(frozen=True)
class States(Symbols):
    """The indices of the states of Categorical, EMA-VQ and FSQ tokens: nothing is lost."""

    parts: int = 1

    def codes(
        self, model: Autoencoder, images: UInt8[Tensor, "image 3 h w"] | Float[Tensor, "image 3 h w"]
    ) -> Iterator[Code]:
        """As the model gives them."""
        for part in images.split(BATCH):
            with torch.inference_mode():
                code = model.encode(part)
            yield code

    def outcomes(self, model: Autoencoder) -> tuple[int, ...]:
        """Of the ordering's tokens."""
        return model.ordering.outcomes

    def of(self, code: Code) -> Int64[Tensor, "image symbol"]:
        """The index of every token."""
        assert isinstance(code.posterior, DiscretePosterior)
        return code.posterior.sent()

    @torch.no_grad()
    def code(self, model: Autoencoder, numbers: Int64[Tensor, "image symbol"]) -> Code:
        """The states, looked up."""
        return model.ordering.received(numbers.to(model.device))

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}


@dataclass(frozen=True, eq=False)
class Rounding(Symbols):
    """Gaussian tokens, each channel rounded to steps as wide as its posterior is.

    A step of sqrt(12) posterior deviations leaves an error with the variance of the noise that decoders were trained
    with. The grid of each channel is shifted by a number that sender and receiver know (subtractive dither), so that
    the error is even over a step and has nothing to do with the value, as that noise had. Bits-back coding would send
    the noise itself and win its bits back, but of a single picture of some hundred bytes there is nothing to win back.

    Attributes
    ----------
    mean : of each channel of each token, over training images.
    step : of each.
    """

    mean: Float[np.ndarray, "token channel"]
    step: Float[np.ndarray, "token channel"]

    @property
    def parts(self) -> int:  # type: ignore[override]
        """A number for each channel."""
        return self.mean.shape[1]

    @classmethod
    @torch.inference_mode()
    def fitted(cls, model: Autoencoder, images: UInt8[Tensor, "image 3 h w"]) -> Self:
        """From the posteriors of training images."""
        posteriors = [model.encode(part).posterior for part in images.split(BATCH)]
        posterior = GaussianPosterior.stack(posteriors)  # type: ignore[arg-type]
        variance = posterior.log_variance.double().exp().mean(dim=0)
        mean = posterior.mean.double().mean(dim=0)
        return cls(_half(mean), _half((12 * variance).sqrt()))

    def codes(
        self, model: Autoencoder, images: UInt8[Tensor, "image 3 h w"] | Float[Tensor, "image 3 h w"]
    ) -> Iterator[Code]:
        """Level by level: each residual is taken against what the receiver has of the levels before."""
        for part in images.split(BATCH):
            with torch.inference_mode():
                code = model.ordering.encode(model.encoder(model.prepare(part)), transmit=self._rounded)
            yield code

    def outcomes(self, model: Autoencoder) -> tuple[int, ...]:
        """As many steps to either side."""
        return (2 * REACH + 1,) * model.ordering.levels.tokens

    def of(self, code: Code) -> Int64[Tensor, "image symbol"]:
        """Steps from the lower end of each channel's grid."""
        return self._steps(code.values, slice(0, len(code))).flatten(1)

    def code(self, model: Autoencoder, numbers: Int64[Tensor, "image symbol"]) -> Code:
        """The middles of the steps."""
        steps = numbers.unflatten(1, (-1, self.parts)).to(model.device)
        values = self._values(steps, slice(0, steps.shape[1]))
        width = torch.from_numpy(self.step[: steps.shape[1]]).to(values)
        log_variance = (width.square() / 12).log().expand_as(values)
        return Code(values, GaussianPosterior(values, log_variance), model.ordering.prefixes)

    def arrays(self) -> dict[str, np.ndarray]:
        """Means and steps."""
        return {"mean": self.mean, "step": self.step}

    def _rounded(self, values: Float[Tensor, "image token channel"], tokens: slice) -> Tensor:
        return self._values(self._steps(values, tokens), tokens)

    def _steps(
        self, values: Float[Tensor, "image token channel"], tokens: slice
    ) -> Int64[Tensor, "image token channel"]:
        mean, step, dither = self._grid(tokens, values.device)
        return ((values.double() - mean) / step - dither).round().clamp(-REACH, REACH).long() + REACH

    def _values(
        self, steps: Int64[Tensor, "image token channel"], tokens: slice
    ) -> Float[Tensor, "image token channel"]:
        mean, step, dither = self._grid(tokens, steps.device)
        return ((steps - REACH + dither) * step + mean).float()

    def _grid(self, tokens: slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        dither = (np.arange(1, self.mean.size + 1) * GOLDEN % 1.0 - 0.5).reshape(self.mean.shape)
        grid = (self.mean, self.step, dither)
        mean, step, shift = (torch.from_numpy(part[tokens].astype(np.float64)).to(device) for part in grid)
        return mean, step, shift


def restored(arrays: Mapping[str, np.ndarray]) -> Symbols:
    """What `arrays` was taken of."""
    return Rounding(arrays["mean"], arrays["step"]) if "mean" in arrays else States()


def _half(numbers: Tensor) -> np.ndarray:
    """As a file keeps them, so that who wrote it and who reads it have the same."""
    return numbers.cpu().numpy().astype(np.float16)
