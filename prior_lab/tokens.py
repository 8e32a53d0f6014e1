"""What a token is: its posterior, its masked state, its regulariser and its usage (table 1, eq. 8).

A token kind is two small classes. A `Tokens` module turns features into a `Posterior`; the posterior is what a code
carries: it gives the transmitted values, the masked state and the usage b(u). Adding a kind means adding such a pair
here and a name in `models.py`.

Gaussian tokens: q(z|x) = N(mean, exp(log_variance)), sampled by reparameterisation, masked state N(0, I), regularised
by the free-bits KL divergence (Kingma et al. 2017, arXiv 1606.04934).
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

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
        return cls(*(torch.cat(fields, dim=1) for fields in zip(*(part._fields() for part in parts), strict=True)))

    def _fields(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @abstractmethod
    def values(self, generator: Generator | None = None) -> Float[Tensor, "batch token channel"]:
        """The transmitted token values: a draw with a generator, the most likely value without one."""

    @abstractmethod
    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """The posterior with the masked state of table 1 wherever `mask` is true."""

    @abstractmethod
    def usage(self) -> Float[Tensor, "token"]:
        """b(u) of eq. 8 over the images of the batch, in nats per token."""


class Tokens(nn.Module, ABC):
    """A token bottleneck: features to posterior, with the regulariser that goes with the kind."""

    @abstractmethod
    def forward(self, features: Float[Tensor, "batch token channel"]) -> Posterior:
        """Posterior of every token."""

    @abstractmethod
    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """The kind's term of the loss (table 1), unweighted."""


@dataclass(frozen=True, eq=False)
class GaussianPosterior(Posterior):
    """Diagonal Gaussian posterior of every token."""

    mean: Float[Tensor, "batch token channel"]
    log_variance: Float[Tensor, "batch token channel"]

    def values(self, generator: Generator | None = None) -> Float[Tensor, "batch token channel"]:
        """Mean, or mean + standard deviation * noise (reparameterisation) with a generator."""
        if generator is None:
            return self.mean
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """N(0, I) wherever `mask` is true."""
        gone = mask[..., None]
        return type(self)(self.mean.masked_fill(gone, 0.0), self.log_variance.masked_fill(gone, 0.0))

    def divergence(self) -> Float[Tensor, "batch token"]:
        """KL(q(z|x) || N(0, I)) of every token of every image, in nats."""
        mean, log_variance = self.mean.float(), self.log_variance.float()
        return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=-1)

    def usage(self) -> Float[Tensor, "token"]:
        """E_x[KL(q(z|x) || N(0, I))], in nats per token."""
        return self.divergence().mean(dim=0)


class GaussianTokens(Tokens):
    """Gaussian tokens: a biased linear map of each token's features to mean and log-variance.

    Parameters
    ----------
    channels : channels of a token.
    heads : separate linear maps: as many as there are tokens (masking orderings), or 1 for all (a level of PRIOR).
    free_nats : kappa of table 1, the divergence per token that costs nothing [nat].
    initial_log_variance : where log-variances start. Posteriors that start wide (0) keep every ordering at the mean
        image for hundreds of steps; -4 does not.
    """

    log_variance_range = (-12.0, 4.0)

    def __init__(
        self, channels: int, *, heads: int, free_nats: float = 0.0, initial_log_variance: float = -4.0
    ) -> None:
        super().__init__()
        self.free_nats = free_nats
        self.heads = heads
        self.linear = GroupedLinear(heads, channels, 2 * channels)
        with torch.no_grad():
            self.linear.weight[..., channels:].mul_(0.1)
            self.linear.bias[..., channels:].fill_(initial_log_variance)

    def forward(self, features: Float[Tensor, "batch token channel"]) -> GaussianPosterior:
        """Posterior of every token; log-variances are held in a range where exp is harmless."""
        if self.heads == 1:
            mean, log_variance = self.linear(features[None])[0].chunk(2, dim=-1)
        else:
            mean, log_variance = self.linear(features.transpose(0, 1)).transpose(0, 1).chunk(2, dim=-1)
        return GaussianPosterior(mean, log_variance.clamp(*self.log_variance_range))

    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """Free-bits KL of table 1, E_j[max(0, KL_j - kappa)], the mean over tokens and images, in nats per token."""
        assert isinstance(posterior, GaussianPosterior)
        return (posterior.divergence() - self.free_nats).clamp_min(0.0).mean()
