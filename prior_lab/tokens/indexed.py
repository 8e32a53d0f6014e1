"""The posterior of tokens that are sent as an index: a sure choice among a finite number of states.

State 0 is the null state: the zero vector, which masked tokens are in and a vector may select as well.
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from prior_lab.tokens.base import DiscretePosterior


@dataclass(frozen=True, eq=False)
class IndexedPosterior(DiscretePosterior):
    """The chosen state of every token.

    Attributes
    ----------
    states : the vectors of the chosen states, with straight-through gradients; zero for the null state.
    index : which state, 0 being the null state.
    cost : what the choice costs in the regulariser (the commitment loss of EMA-VQ).
    outcomes : how many states the token can be in, the null state among them.
    """

    states: Float[Tensor, "batch token channel"]
    index: Int64[Tensor, "batch token"]
    cost: Float[Tensor, "batch token"]
    outcomes: Int64[Tensor, "batch token"]

    @classmethod
    def of(
        cls, states: Float[Tensor, "batch token channel"], index: Int64[Tensor, "batch token"], outcomes: int
    ) -> Self:
        """The posterior that a receiver of the index has; what the choice cost is not sent."""
        everywhere = index.new_full((1, 1), outcomes).expand_as(index)
        return cls(states, index, torch.zeros_like(states[..., 0]), everywhere)

    def values(self, noise: Float[Tensor, "batch token channel"] | None = None) -> Float[Tensor, "batch token channel"]:
        """The vectors of the chosen states; there is nothing to draw."""
        return self.states

    def masked(self, mask: Bool[Tensor, "batch token"]) -> Self:
        """The null state wherever `mask` is true."""
        return type(self)(
            self.states.masked_fill(mask[..., None], 0.0),
            self.index.masked_fill(mask, 0),
            self.cost.masked_fill(mask, 0.0),
            self.outcomes,
        )

    def pointwise(self) -> Float[Tensor, "batch token"]:
        """-log of how often the chosen state is chosen: its mean is b(u) = H(E_x[onehot(index)])."""
        count = self._counts().float() / len(self.index)
        return -count.log().gather(1, self.index.T).T

    def sent(self) -> Int64[Tensor, "batch token"]:
        """The index."""
        return self.index

    def bias(self) -> Float[Tensor, "token"]:
        """(K - 1) / 2n with K the number of states seen (Miller 1955, Madow)."""
        return ((self._counts() > 0).sum(dim=1) - 1) / (2 * len(self.index))

    def used(self) -> Float[Tensor, "token"]:
        """Share of the states that some image is in; of as many as there are images, if those are fewer."""
        return (self._counts() > 0).sum(dim=1) / self.outcomes[0].clamp_max(len(self.index))

    def _counts(self) -> Int64[Tensor, "token state"]:
        """How many images are in each state."""
        tokens, states = self.index.shape[1], int(self.outcomes[0].max())
        places = self.index + states * torch.arange(tokens, device=self.index.device)
        return torch.bincount(places.flatten(), minlength=tokens * states).view(tokens, states)
