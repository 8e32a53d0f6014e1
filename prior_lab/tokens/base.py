"""What every token kind provides: a `Posterior` that a code carries, and a `Tokens` module that makes it."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from prior_lab.layers import GroupedLinear


@dataclass(frozen=True, eq=False)
class Posterior(ABC):
    """Distribution over the tokens of a code. Every field is a tensor whose first axes are (batch, token)."""

    def prefix(self, length: int) -> Self:
        """The posterior of the first `length` tokens."""
        return type(self)(*(field[:, :length] for field in self._fields()))

    def select(self, images: Int64[Tensor, "selected"]) -> Self:
        """The posterior of some of the images."""
        return type(self)(*(field[images] for field in self._fields()))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The posterior of consecutive groups of tokens as one."""
        return cls._concatenate(parts, dim=1)

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """The posterior of consecutive batches of images as one."""
        return cls._concatenate(parts, dim=0)

    @classmethod
    def _concatenate(cls, parts: Sequence[Self], dim: int) -> Self:
        return cls(*(torch.cat(fields, dim) for fields in zip(*(part._fields() for part in parts), strict=True)))

    def _fields(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @abstractmethod
    def values(self, noise: Float[Tensor, "batch token channel"] | None = None) -> Float[Tensor, "batch token channel"]:
        """The transmitted token values: a draw with noise of `Tokens.noise`, the most likely value without."""

    @abstractmethod
    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """The posterior with the masked state of table 1 wherever `mask` is true."""

    @abstractmethod
    def pointwise(self) -> Float[Tensor, "batch token"]:
        """What each image contributes to b(u) of eq. 8 [nat]: the mean over the batch is the plug-in b(u).

        To first order it is also the influence of the image on b(u), so the spread of its sum over some tokens gives
        the standard error of their I(S).
        """

    @abstractmethod
    def bias(self) -> Float[Tensor, "token"]:
        """What the plug-in b(u) is expected to fall short by, for this many independent images [nat]."""

    @abstractmethod
    def used(self) -> Float[Tensor, "token"]:
        """Share of a token's states (or, for Gaussian tokens, of its channels) in use over the batch, in 0..1."""

    def usage(self) -> Float[Tensor, "token"]:
        """b(u) of eq. 8 over the images of the batch, in nats per token."""
        return self.pointwise().mean(dim=0).clamp_min(0.0)


class Tokens(nn.Module, ABC):
    """A token bottleneck: features to posterior, with the regulariser that goes with the kind.

    Attributes
    ----------
    posterior : the class of its posteriors.
    """

    posterior: ClassVar[type[Posterior]]

    @staticmethod
    def noise(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "batch token channel"] | None:
        """What chance contributes to values of this shape, on the generator's device; nothing where none is drawn."""
        return None

    @abstractmethod
    def forward(self, features: Float[Tensor, "batch token channel"]) -> Posterior:
        """Posterior of every token."""

    def vectors(self) -> Float[Tensor, "head state channel"] | None:
        """The vectors of all states, the null state first, where there are finitely many; nothing elsewhere."""
        return None

    @abstractmethod
    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """The kind's term of the loss (table 1), unweighted: the mean over tokens and images; masked tokens cost 0."""


class DiscretePosterior(Posterior):
    """Of tokens in one of a finite number of states, whose index is all that is sent."""

    @abstractmethod
    def sent(self) -> Int64[Tensor, "batch token"]:
        """The index of the likeliest state."""


class DiscreteTokens(Tokens):
    """Tokens in one of a finite number of states."""

    @property
    @abstractmethod
    def outcomes(self) -> int:
        """How many states a token can be in."""

    @abstractmethod
    def received(self, index: Int64[Tensor, "batch token"]) -> DiscretePosterior:
        """What a receiver of the states' indices knows."""


def per_head(
    linear: GroupedLinear, features: Float[Tensor, "batch token channel"]
) -> Float[Tensor, "batch token width"]:
    """Every token through its own map of `linear`, or all through the only one, as one batched product."""
    if len(linear.weight) == 1:
        return linear(features[None])[0]
    return linear(features.transpose(0, 1)).transpose(0, 1)
