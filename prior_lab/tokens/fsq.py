"""FSQ tokens: finite scalar quantisation (Mentzer et al. 2023, arXiv 2309.15505). Not in the paper; a fourth kind.

A few numbers per token, each bounded by tanh and rounded to a few values with a straight-through gradient: a codebook
without a codebook, which cannot collapse and needs no regulariser.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from prior_lab.layers import GroupedLinear
from prior_lab.tokens.base import DiscreteTokens, Posterior, per_head
from prior_lab.tokens.indexed import IndexedPosterior


class FSQTokens(DiscreteTokens):
    """FSQ tokens: a linear map to the numbers that are rounded, and one back to the channels.

    Parameters
    ----------
    channels : channels of a token.
    heads : separate maps: as many as there are tokens (masking orderings), or 1 for all (a level of PRIOR).
    levels : values of each number; (8, 6, 5) is what the authors recommend for about 2^8 states.
    """

    posterior = IndexedPosterior

    def __init__(self, channels: int, *, heads: int, levels: Sequence[int] = (8, 6, 5)) -> None:
        super().__init__()
        self.inner = GroupedLinear(heads, channels, len(levels))
        self.outer = GroupedLinear(heads, len(levels), channels)
        self._outcomes = 1 + math.prod(levels)
        steps = torch.tensor(levels, dtype=torch.float32)
        self.register_buffer("half_width", (steps - 1) * (1 + 1e-3) / 2, persistent=False)
        self.register_buffer("step", (steps / 2).floor(), persistent=False)
        self.register_buffer("even", (steps % 2 == 0) * 0.5, persistent=False)
        place = torch.tensor([math.prod(levels[:number]) for number in range(len(levels))])
        self.register_buffer("place", place, persistent=False)

    def forward(self, features: Float[Tensor, "batch token channel"]) -> IndexedPosterior:
        """The rounded numbers, mapped back to channels; states count from 1, for 0 is the null state."""
        half_width, step, even, place = (self.get_buffer(name) for name in ("half_width", "step", "even", "place"))
        shift = torch.atanh(even / half_width)
        bounded = torch.tanh(per_head(self.inner, features).float() + shift) * half_width - even
        rounded = bounded.detach().round() + (bounded - bounded.detach())
        states = per_head(self.outer, (rounded / step).to(features.dtype))
        index = 1 + ((rounded.detach() + step).long() * place).sum(dim=-1)
        outcomes = index.new_full((1, 1), self.outcomes).expand_as(index)
        return IndexedPosterior(states, index, torch.zeros_like(bounded[..., 0]), outcomes)

    @property
    def outcomes(self) -> int:
        """How many states a token can be in, the null state among them."""
        return self._outcomes

    def received(self, index: Int64[Tensor, "batch token"]) -> IndexedPosterior:
        """The states, looked up."""
        states = self.vectors()
        head = torch.arange(len(states), device=index.device).repeat_interleave(index.shape[1] // len(states))
        return IndexedPosterior.of(states[head, index], index, self.outcomes)

    def vectors(self) -> Float[Tensor, "head state channel"]:
        """The null state, and what every combination of rounded numbers is mapped to."""
        step, place = self.get_buffer("step"), self.get_buffer("place")
        widths = (2 * self.get_buffer("half_width") / (1 + 1e-3) + 1).round().long()
        numbers = torch.arange(self.outcomes - 1, device=step.device)[:, None] // place % widths
        rounded = (numbers - step) / step
        states = self.outer(rounded.expand(len(self.outer.weight), -1, -1))
        return torch.cat([torch.zeros_like(states[:, :1]), states], dim=1)

    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """Zero."""
        assert isinstance(posterior, IndexedPosterior)
        return posterior.cost.mean()
