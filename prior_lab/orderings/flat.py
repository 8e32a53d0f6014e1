"""Flat orderings: one sequence of tokens and one head, trained under masks (eq. 1 and 2), at every prefix, or whole."""

import math
from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn import functional

from prior_lab.levels import Levels
from prior_lab.orderings.base import Ordering, Transmit
from prior_lab.orderings.code import Code, Draws, TrainingCode
from prior_lab.processes import own_rows, process_count
from prior_lab.tokens import Tokens


class Flat(Ordering):
    """One flat sequence, read by one head; a prefix is the sequence with the rest in its masked state.

    Parameters
    ----------
    tokens : the token bottleneck of all N tokens.
    """

    def __init__(self, levels: Levels, channels: int, tokens: Tokens) -> None:
        super().__init__(levels, channels)
        self.tokens = tokens

    @property
    def token_kind(self) -> type[Tokens]:
        """The class of the token bottleneck."""
        return type(self.tokens)

    @property
    def readout_slices(self) -> tuple[slice, ...]:
        """One head for all tokens."""
        return (slice(0, self.levels.tokens),)

    @property
    def state_centres(self) -> list[Float[Tensor, "_ 2"]]:
        """The single state: all tokens, level after level."""
        return [torch.cat([self.levels.centres(level) for level in range(self.levels.count)])]

    def encode(
        self,
        features: Float[Tensor, "batch token channel"],
        generator: Generator | None = None,
        transmit: Transmit | None = None,
    ) -> Code:
        """All tokens, none masked."""
        posterior = self.tokens(features)
        values = posterior.values(self._noise(len(features), generator))
        if transmit is not None:
            values = transmit(values, slice(0, self.levels.tokens))
        return Code(values, posterior, self.prefixes)

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Any."""
        return tuple(range(1, self.levels.tokens + 1))

    @property
    def outcomes(self) -> tuple[int, ...]:
        """Of one bottleneck."""
        return (self._discrete(self.tokens).outcomes,) * self.levels.tokens

    def received(self, index: Int64[Tensor, "batch token"]) -> Code:
        """The states of all tokens are looked up, and cut off again."""
        length = index.shape[1]
        posterior = self._discrete(self.tokens).received(functional.pad(index, (0, self.levels.tokens - length)))
        posterior = posterior.prefix(length)
        return Code(posterior.values(), posterior, self.prefixes)

    def states(self, code: Code) -> list[Float[Tensor, "batch _ channel"]]:
        """The sequence with everything after the prefix in its masked state."""
        return [self._masked_values(code, len(code))]

    def level_outputs(self, code: Code) -> Float[Tensor, "batch token channel"]:
        """The transmitted values."""
        return code.values

    def budget_states(self, code: Code) -> list[Float[Tensor, "stacked _ channel"]]:
        """The sequence masked after each budget, budgets stacked along the batch."""
        return [torch.cat([self._masked_values(code, budget) for budget in self._budgets(code)])]

    def budget_summaries(self, code: Code) -> list[Float[Tensor, "stacked channel"]]:
        """The mean of each budget's tokens, without those after it."""
        return [torch.cat([code.values[:, :budget].mean(dim=1) for budget in self._budgets(code)])]

    def _budgets(self, code: Code) -> list[int]:
        return [budget for budget in self.levels.budgets if budget <= len(code)]

    def _masked_values(self, code: Code, budget: int) -> Float[Tensor, "batch token channel"]:
        """The first `budget` values, then the most likely value of the masked state up to N."""
        kept = code.values[:, :budget]
        blank = code.posterior.prefix(1)
        masked = blank.masked(torch.ones(kept.shape[0], 1, dtype=torch.bool, device=kept.device)).values()
        return torch.cat([kept, masked.expand(-1, self.levels.tokens - budget, -1)], dim=1)


class Masking(Flat):
    """Masking-based ordering pressure: late tokens are masked more often in training."""

    @abstractmethod
    def mask(self, batch: int, generator: Generator) -> Bool[Tensor, "batch token"]:
        """A draw of the training mask; true where a token is masked."""

    def draw(self, batch: int, generator: Generator) -> Draws:
        """A mask, and noise."""
        mask = own_rows(self.mask(batch * process_count(), generator))
        return Draws(self._own_noise(batch, generator), mask)

    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """The sequence under a mask.

        Masked tokens are draws from their masked state too, as table 1 has it, and cost no rate. Setting them to the
        most likely value of that state instead shows the decoder which tokens are there, and it then fails where more
        are there than it ever saw: MBOP-ITD's error at full budget was 39 % above that at 31 tokens.
        """
        mask = draws.mask
        assert mask is not None
        masked = self.tokens(features).masked(mask)
        values = masked.values(draws.noise)
        kept = (~mask).to(values.dtype)
        summary = torch.einsum("btc,bt->bc", values, kept / kept.sum(dim=1, keepdim=True))
        cost = self.tokens.regulariser(masked)
        return TrainingCode([values], [summary], values.new_ones(1), cost, values.new_zeros(()))


class TailDrop(Masking):
    """MBOP-TD, eq. 1: one log-uniform cutoff per sample, everything from it on masked."""

    def mask(self, batch: int, generator: Generator) -> Bool[Tensor, "batch token"]:
        """Token i (from 0) is masked where i >= floor(exp u), u ~ U(0, log(N + 1)); the first always stays."""
        uniform = torch.rand(batch, 1, generator=generator, device=generator.device)
        cutoff = torch.exp(uniform * math.log(self.levels.tokens + 1)).floor()
        return torch.arange(self.levels.tokens, device=generator.device) >= cutoff


class IndependentTailDrop(Masking):
    """MBOP-ITD, eq. 2: every token masked on its own, late ones more often."""

    def mask(self, batch: int, generator: Generator) -> Bool[Tensor, "batch token"]:
        """Token i (from 0) is masked with probability log(i + 1) / log(N + 1); the first always stays."""
        count = self.levels.tokens
        probability = torch.log(torch.arange(1, count + 1.0)) / math.log(count + 1)
        uniform = torch.rand(batch, count, generator=generator, device=generator.device)
        return uniform < probability.to(generator.device)


class Matryoshka(Flat):
    """Every whole-level prefix supervised alike (Kusupati et al. 2022, arXiv 2205.13147), without a mask to draw."""

    def draw(self, batch: int, generator: Generator) -> Draws:
        """Noise for tokens that are kept, and for those that are cut off."""
        return Draws(self._own_noise(batch, generator), blank=self._own_noise(batch, generator))

    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """The sequence cut at every budget, the cuts stacked along the batch.

        What a cut leaves out is drawn from its masked state, as under a mask.
        """
        posterior = self.tokens(features)
        values = posterior.values(draws.noise)
        everything = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        blank = posterior.masked(everything).values(draws.blank)
        cuts = [torch.cat([values[:, :budget], blank[:, budget:]], dim=1) for budget in self.levels.budgets]
        means = [values[:, :budget].mean(dim=1) for budget in self.levels.budgets]
        cost = self.tokens.regulariser(posterior)
        return TrainingCode([torch.cat(cuts)], [torch.cat(means)], values.new_ones(1), cost, values.new_zeros(()))


class Unordered(Flat):
    """The same sequence without any pressure to order it: only the whole code is trained.

    What masking costs shows beside it, at full budget; shorter prefixes mean nothing.
    """

    def draw(self, batch: int, generator: Generator) -> Draws:
        """Noise."""
        return Draws(self._own_noise(batch, generator))

    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """The whole sequence."""
        posterior = self.tokens(features)
        values = posterior.values(draws.noise)
        cost = self.tokens.regulariser(posterior)
        return TrainingCode([values], [values.mean(dim=1)], values.new_ones(1), cost, values.new_zeros(()))
