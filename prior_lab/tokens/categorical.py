"""Categorical tokens: one of as many categories as a token has channels, sent as a one-hot vector.

Sampled with the straight-through estimator (the one-hot draw forward, the probabilities backward); the masked state is
the uniform vector (1/C) 1. Regularised by the sample entropy E[H(q)], which asks every image for a sure choice, and by
the negative batch entropy -H(E[q]), which asks the choices to differ between images (table 1).
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn import functional

from prior_lab.layers import GroupedLinear
from prior_lab.processes import process_count, summed
from prior_lab.tokens.base import DiscretePosterior, DiscreteTokens, Posterior, per_head


@dataclass(frozen=True, eq=False)
class CategoricalPosterior(DiscretePosterior):
    """Probabilities of every token's categories, and which tokens are masked."""

    probabilities: Float[Tensor, "batch token category"]
    blank: Bool[Tensor, "batch token"]

    def values(
        self, noise: Float[Tensor, "batch token category"] | None = None
    ) -> Float[Tensor, "batch token category"]:
        """One-hot vector of a draw, or of the likeliest category; uniform where masked. Gradients are straight-through.

        A draw is the largest of log q + Gumbel noise, which is q over exponential noise; it has the category's
        probability.
        """
        q = self.probabilities
        scores = q if noise is None else q / noise
        hard = functional.one_hot(scores.argmax(dim=-1), q.shape[-1]).to(q.dtype)
        return torch.where(self.blank[..., None], 1.0 / q.shape[-1], hard + (q - q.detach()))

    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """(1/C) 1 wherever `mask` is true."""
        uniform = 1.0 / self.probabilities.shape[-1]
        return type(self)(self.probabilities.masked_fill(mask[..., None], uniform), self.blank | mask)

    def entropy(self) -> Float[Tensor, "batch token"]:
        """H(q) of every token of every image, in nats."""
        return _entropy(self.probabilities.float())

    def pointwise(self) -> Float[Tensor, "batch token"]:
        """KL(q(z|x) || E_x[q]), whose mean is b(u) = H(E_x[q]) - E_x[H(q)]; masked images have their own, uniform q."""
        q = self.probabilities.float()
        return (torch.xlogy(q, q) - q * _safe_log(q.mean(dim=0))).sum(dim=-1)

    def sent(self) -> Int64[Tensor, "batch token"]:
        """The likeliest category."""
        return self.probabilities.argmax(dim=-1)

    def bias(self) -> Float[Tensor, "token"]:
        """Second-order term of H(E_x[q]), sum_c Var(q_c) / (2 n E[q_c]): Miller-Madow's (K - 1) / 2n for sure q."""
        q = self.probabilities.float()
        mean = q.mean(dim=0)
        variance = (q.square().mean(dim=0) - mean.square()).clamp_min(0.0)
        return (variance / mean.clamp_min(torch.finfo(mean.dtype).tiny)).sum(dim=-1) / (2 * len(q))

    def used(self) -> Float[Tensor, "token"]:
        """Share of categories that are some image's likeliest; of as many as there are images, if those are fewer."""
        count = self.probabilities.shape[-1]
        chosen = functional.one_hot(self.probabilities.argmax(dim=-1), count).amax(dim=0).sum(dim=-1)
        return chosen / min(count, len(self.probabilities))


class CategoricalTokens(DiscreteTokens):
    """Categorical tokens: a biased linear map of each token's features to the logits of as many categories.

    Parameters
    ----------
    channels : channels of a token and number of its categories.
    heads : separate linear maps: as many as there are tokens (masking orderings), or 1 for all (a level of PRIOR).
    batch_entropy : weight of the negative batch entropy, relative to that of the sample entropy.
    """

    posterior = CategoricalPosterior

    # Logits are so many times the map's output: choices that start unsure are noise, and every ordering then stays at
    # the mean image for hundreds of steps, as with wide Gaussian posteriors.
    sharpness = 5.0

    def __init__(self, channels: int, *, heads: int, batch_entropy: float = 1.0) -> None:
        super().__init__()
        self.batch_entropy = batch_entropy
        self.linear = GroupedLinear(heads, channels, channels)

    @staticmethod
    def noise(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "batch token category"]:
        """Exponential numbers of mean 1."""
        return torch.empty(shape, device=generator.device).exponential_(generator=generator)

    def forward(self, features: Float[Tensor, "batch token channel"]) -> CategoricalPosterior:
        """Posterior of every token."""
        probabilities = torch.softmax(self.sharpness * per_head(self.linear, features).float(), dim=-1)
        return CategoricalPosterior(probabilities, torch.zeros_like(probabilities[..., 0], dtype=torch.bool))

    @property
    def outcomes(self) -> int:
        """How many states a token can be in."""
        return self.linear.weight.shape[-1]

    def received(self, index: Int64[Tensor, "batch token"]) -> CategoricalPosterior:
        """A sure choice of the category."""
        chosen = functional.one_hot(index, self.outcomes).to(self.linear.weight.dtype)
        return CategoricalPosterior(chosen, torch.zeros_like(index, dtype=torch.bool))

    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """E[H(q)] - batch_entropy * H(E[q]), in nats per token, over the images in which a token is not masked.

        Of several processes that train together, the mean of what they return is that of the joint batch.
        """
        assert isinstance(posterior, CategoricalPosterior)
        present = (~posterior.blank).float()
        counts = summed(present.sum(dim=0))
        mean = summed((posterior.probabilities * present[..., None]).sum(dim=0)) / counts.clamp_min(1.0)[:, None]
        sample = (posterior.entropy() * present).sum(dim=0) * process_count()
        return (sample - self.batch_entropy * counts * _entropy(mean)).mean() / (len(present) * process_count())


def _safe_log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _entropy(probabilities: Float[Tensor, "*axes category"]) -> Float[Tensor, "*axes"]:
    return -(probabilities * _safe_log(probabilities)).sum(dim=-1)
