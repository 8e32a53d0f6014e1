"""Gaussian tokens: q(z|x) = N(mean, exp(log_variance)), sampled by reparameterisation, masked state N(0, I).

Regularised by the free-bits KL divergence (Kingma et al. 2017, arXiv 1606.04934).
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from prior_lab.layers import GroupedLinear
from prior_lab.tokens.base import Posterior, Tokens, per_head

ACTIVE = 0.01  # nats per channel; below it, a channel is a posterior that has collapsed to its prior


@dataclass(frozen=True, eq=False)
class GaussianPosterior(Posterior):
    """Diagonal Gaussian posterior of every token."""

    mean: Float[Tensor, "batch token channel"]
    log_variance: Float[Tensor, "batch token channel"]

    def values(self, noise: Float[Tensor, "batch token channel"] | None = None) -> Float[Tensor, "batch token channel"]:
        """Mean, or mean + standard deviation * noise (reparameterisation)."""
        if noise is None:
            return self.mean
        return self.mean + torch.exp(0.5 * self.log_variance) * noise.to(self.mean.dtype)

    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """N(0, I) wherever `mask` is true."""
        gone = mask[..., None]
        return type(self)(self.mean.masked_fill(gone, 0.0), self.log_variance.masked_fill(gone, 0.0))

    def divergence(self) -> Float[Tensor, "batch token"]:
        """KL(q(z|x) || N(0, I)) of every token of every image, in nats."""
        return self._divergence_by_channel().sum(dim=-1)

    def pointwise(self) -> Float[Tensor, "batch token"]:
        """The divergence: b(u) = E_x[KL(q(z|x) || N(0, I))]."""
        return self.divergence()

    def bias(self) -> Float[Tensor, "token"]:
        """Zero: a mean over images is unbiased."""
        return self.mean.new_zeros(self.mean.shape[1], dtype=torch.float32)

    def used(self) -> Float[Tensor, "token"]:
        """Share of active channels: those with more than 0.01 nats on average."""
        return (self._divergence_by_channel().mean(dim=0) > ACTIVE).float().mean(dim=-1)

    def _divergence_by_channel(self) -> Float[Tensor, "batch token channel"]:
        mean, log_variance = self.mean.float(), self.log_variance.float()
        return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


class GaussianTokens(Tokens):
    """Gaussian tokens: a biased linear map of each token's features to mean and log-variance.

    Parameters
    ----------
    channels : channels of a token.
    heads : separate linear maps: as many as there are tokens (masking orderings), or 1 for all (a level of PRIOR).
    free_nats : kappa of table 1, the divergence per token that costs nothing [nat].
    initial_log_variance : where log-variances start. Posteriors that start wide (0) keep every ordering at the mean
        image for hundreds of steps; -4 does not.
    log_variance_gain : log-variances are so many times what the linear map says. An optimiser whose steps are as long
        as its learning rate moves them by two or three in a whole training otherwise, so that narrow posteriors stay
        narrow, whether or not anything reads them, and their rate is that of the start.
    """

    posterior = GaussianPosterior

    log_variance_range = (-12.0, 4.0)

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        free_nats: float = 0.0,
        initial_log_variance: float = -4.0,
        log_variance_gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.free_nats, self.gain = free_nats, log_variance_gain
        self.linear = GroupedLinear(heads, channels, 2 * channels)
        with torch.no_grad():
            self.linear.weight[..., channels:].mul_(0.1 / self.gain)
            self.linear.bias[..., channels:].fill_(initial_log_variance / self.gain)

    @staticmethod
    def noise(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "batch token channel"]:
        """Standard normal numbers."""
        return torch.randn(shape, generator=generator, device=generator.device)

    def forward(self, features: Float[Tensor, "batch token channel"]) -> GaussianPosterior:
        """Posterior of every token; log-variances are held in a range where exp is harmless."""
        mean, log_variance = per_head(self.linear, features).chunk(2, dim=-1)
        return GaussianPosterior(mean, (self.gain * log_variance).clamp(*self.log_variance_range))

    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """Free-bits KL of table 1, E_j[max(0, KL_j - kappa)], in nats per token."""
        assert isinstance(posterior, GaussianPosterior)
        return (posterior.divergence() - self.free_nats).clamp_min(0.0).mean()
