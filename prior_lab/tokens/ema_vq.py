"""EMA-VQ tokens: the nearest code of a codebook that follows the features by exponential moving averages.

van den Oord et al. 2017 (arXiv 1711.00937, appendix A.1). The feature is sent as its nearest code, straight-through;
the zero vector is one more code, the null state, that never moves and that masked tokens are in (table 1). The
regulariser is the commitment loss |x - sg[code]|^2 / C.

Of the two moving averages, of counts and of sums, only the counts are kept beside the codes: a sum is its code times
its smoothed count. Across processes all vectors are gathered, so every rank makes the update that one process would
make with the joint batch: up to rounding, and to vectors whose two nearest codes are equally near within rounding, of
which another machine may choose the other. Copies of a code would make that common; no two dead codes start alike.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from prior_lab.processes import joined
from prior_lab.tokens.base import DiscreteTokens, Posterior
from prior_lab.tokens.indexed import IndexedPosterior

STRIDE = 7919  # a prime, so that dead codes that lie side by side start at vectors that do not, and at different ones
REVIVED = 2.5  # count of a code that starts anew, in the counts below which it is dead again


class EMAVQTokens(DiscreteTokens):
    """EMA-VQ tokens; there is no projection, a code is as wide as a feature.

    In evaluation mode codebooks are frozen. In training a code that too few vectors choose is dead: it starts anew at a
    vector of the batch, which is also how codebooks start at the first batch.

    Parameters
    ----------
    channels : channels of a token.
    heads : separate codebooks: as many as there are tokens (masking orderings), or 1 for all (a level of PRIOR).
    codes : codes of a codebook, besides the null state.
    decay : of the moving averages, per step.
    smoothing : Laplace's, added to every code's count.
    dead_below : a code is dead when its count is at most this share of what an evenly used code would have; at 0, when
        nothing ever chose it.
    """

    posterior = IndexedPosterior

    codes: Tensor
    counts: Tensor
    revived: Tensor
    steps: Tensor

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        codes: int,
        decay: float = 0.99,
        smoothing: float = 1e-5,
        dead_below: float = 0.1,
    ) -> None:
        super().__init__()
        self.decay, self.smoothing, self.dead_below = decay, smoothing, dead_below
        self.register_buffer("codes", torch.zeros(heads, codes, channels))
        self.register_buffer("counts", torch.zeros(heads, codes))
        self.register_buffer("revived", torch.zeros(heads, dtype=torch.int64))  # dead codes so far, for the record
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Float[Tensor, "batch token channel"]) -> IndexedPosterior:
        """The nearest codes; in training, codebooks then follow the vectors that chose them."""
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            vectors = features.detach().float()
            index = self._nearest(vectors)
            codes = self._looked_up(index)
            if self.training:
                self._follow(vectors, index)
        states, cost = _Commit.apply(features, codes)
        outcomes = index.new_full((1, 1), self.outcomes).expand_as(index)
        return IndexedPosterior(states, index, cost, outcomes)

    @property
    def outcomes(self) -> int:
        """How many states a token can be in."""
        return self.codes.shape[1] + 1

    def received(self, index: Int64[Tensor, "batch token"]) -> IndexedPosterior:
        """The codes, looked up."""
        return IndexedPosterior.of(self._looked_up(index), index, self.outcomes)

    def vectors(self) -> Float[Tensor, "head state channel"]:
        """The null state and the codes."""
        return torch.cat([torch.zeros_like(self.codes[:, :1]), self.codes], dim=1)

    def regulariser(self, posterior: Posterior) -> Float[Tensor, ""]:
        """Commitment loss, the mean squared distance per channel to the (stopped) code."""
        assert isinstance(posterior, IndexedPosterior)
        return posterior.cost.mean()

    def _nearest(self, vectors: Float[Tensor, "batch token channel"]) -> Int64[Tensor, "batch token"]:
        """State of every vector: the largest x.e - |e|^2 / 2, which is 0 for the null state."""
        by_head = vectors.unflatten(1, (len(self.codes), -1)).transpose(0, 1).flatten(1, 2)
        half_norms = 0.5 * torch.linalg.vector_norm(self.codes, dim=-1).square()
        score, code = torch.baddbmm(half_norms[:, None], by_head, self.codes.mT, beta=-1).max(dim=-1)
        state = torch.where(score > 0, code + 1, 0)
        return state.unflatten(1, (len(vectors), -1)).transpose(0, 1).flatten(1, 2)

    def _looked_up(self, index: Int64[Tensor, "batch token"]) -> Float[Tensor, "batch token channel"]:
        """The chosen codes; zero for the null state."""
        codes = self.codes.flatten(0, 1).index_select(0, self._rows(index).flatten())
        return codes.view(*index.shape, -1).mul_((index > 0)[..., None])

    def _rows(self, index: Int64[Tensor, "batch token"]) -> Int64[Tensor, "batch token"]:
        """Where the chosen codes lie among all codes of all codebooks; for the null state, any place."""
        heads, codes, _ = self.codes.shape
        head = torch.arange(heads, device=index.device).repeat_interleave(index.shape[1] // heads)
        return (index - 1).clamp_min(0) + codes * head

    def _follow(self, vectors: Float[Tensor, "batch token channel"], index: Int64[Tensor, "batch token"]) -> None:
        """Move the codes; see the module's text."""
        vectors, index = joined(vectors), joined(index)
        rows, before = self._rows(index).flatten(), self._smoothed()
        share = (index > 0).flatten() * (1 - self.decay)
        self.counts.mul_(self.decay).flatten().index_add_(0, rows, share)
        after = self._smoothed()
        self.codes.mul_((self.decay * before / after)[..., None])
        share = share / after.flatten()[rows]
        self.codes.flatten(0, 1).index_add_(0, rows, vectors.flatten(0, 1) * share[:, None])
        self._revive(vectors)

    def _smoothed(self) -> Float[Tensor, "head code"]:
        """Laplace smoothing of the counts, which keeps their sum; above 0 also where all of them are 0."""
        total = self.counts.sum(dim=-1, keepdim=True)
        smoothed = (self.counts + self.smoothing) / (total + self.counts.shape[1] * self.smoothing) * total
        return smoothed.clamp_min(torch.finfo(smoothed.dtype).tiny)

    def _revive(self, vectors: Float[Tensor, "batch token channel"]) -> None:
        """Start dead codes anew at vectors of the batch, each at another; which ones changes with the step.

        Of more dead codes than vectors the rest stay dead until a later step: copies of one code would tie, so that
        rounding chose between them, and an index would seem to carry what the vector it stands for does not.
        """
        (batch, tokens, _), (heads, codes, _) = vectors.shape, self.codes.shape
        count, even = batch * tokens // heads, batch * tokens / heads / codes
        dead = self.counts <= self.dead_below * even
        number = dead.cumsum(dim=1) - 1
        dead &= number < count
        by_head = vectors.unflatten(1, (heads, -1)).transpose(0, 1).flatten(1, 2)
        place = (number * (STRIDE if count % STRIDE else 1) + self.steps) % count
        if dead.device.type == "cpu":
            head, code = dead.nonzero(as_tuple=True)
            self.codes[head, code] = by_head[head, place[head, code]]
        else:  # for living codes too: asking which are dead would wait for the device
            anew = by_head.gather(1, place[..., None].expand_as(self.codes))
            self.codes.copy_(torch.where(dead[..., None], anew, self.codes))
        self.counts.masked_fill_(dead, REVIVED * self.dead_below * even)
        self.revived.add_(dead.sum(dim=-1))
        self.steps.add_(1)


class _Commit(torch.autograd.Function):
    """Codes in place of features, and what that costs: their squared distance per channel.

    The gradient of the codes goes straight through to the features, that of the cost reaches the features alone. As one
    function the backward pass reads each vector once; written out as a sum and a square it reads it five times.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Float[Tensor, "batch token channel"], codes: Float[Tensor, "batch token channel"]
    ) -> tuple[Float[Tensor, "batch token channel"], Float[Tensor, "batch token"]]:
        """The codes, and the cost of each."""
        difference = features.float() - codes
        ctx.save_for_backward(difference)
        return codes, torch.linalg.vector_norm(difference, dim=-1).square() / codes.shape[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_codes: Tensor, to_cost: Tensor) -> tuple[Tensor, None]:
        """Both gradients, added up."""
        (difference,) = ctx.saved_tensors
        return torch.addcmul(to_codes, difference, to_cost[..., None], value=2 / difference.shape[-1]), None
