"""Orderings: features in, ordered code out, and back to the states that heads read (eq. 1 to 6).

`TailDrop` (MBOP-TD) and `IndependentTailDrop` (MBOP-ITD) put pressure on the order by masking late tokens in training;
`Prior` predicts each level from the one above and encodes the residual. Two more, not in the paper, tell what the
ingredients of PRIOR add: `Matryoshka` supervises every prefix without masking and without prediction, and
`PriorWithoutPrediction` has residual levels over plain upsampling.

A new ordering is one class (a subclass of `Masking` that draws another mask, of `Flat` or `Residual` for another way to
train their codes, or of `Ordering`) and its name in `OrderingName`, `LABELS` and `make_ordering`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from prior_lab.errors import InputError
from prior_lab.layers import Block, GroupedLinear, GroupedNorm, position_code
from prior_lab.levels import Levels
from prior_lab.processes import own_rows, process_count
from prior_lab.tokens import Posterior, TokenName, Tokens, make_tokens

OrderingName = Literal["prior", "itd", "td", "matryoshka", "prior-without-prediction"]
LABELS = {
    "prior": "PRIOR",
    "itd": "MBOP-ITD",
    "td": "MBOP-TD",
    "matryoshka": "Matryoshka",
    "prior-without-prediction": "PRIOR without prediction",
}


@dataclass(frozen=True, eq=False)
class Code:
    """An ordered sequence of tokens for a batch of images; `code[:k]` is the prefix that a budget of k tokens sends.

    Attributes
    ----------
    values : the transmitted tokens: all that decoding needs.
    posterior : their distribution, from which information is measured.
    prefixes : the lengths a prefix may have: whole levels for PRIOR, any length for masking orderings.
    """

    values: Float[Tensor, "batch token channel"]
    posterior: Posterior
    prefixes: tuple[int, ...]

    def __len__(self) -> int:
        """Number of tokens."""
        return self.values.shape[1]

    def __getitem__(self, prefix: slice) -> "Code":
        """The first k tokens, `code[:k]`.

        Raises
        ------
        InputError : if the slice is no prefix, or its length is none that this ordering can stop at.
        """
        if not isinstance(prefix, slice) or prefix.start not in (None, 0) or prefix.step not in (None, 1):
            raise InputError("A code is cut to a prefix: write code[:k], without a start or a step.")
        length = len(self) if prefix.stop is None else prefix.stop
        if length not in self.prefixes or length > len(self):
            raise InputError(
                f"A budget of {length} tokens is no prefix of this code of {len(self)}; {self._available()}."
            )
        return Code(self.values[:, :length], self.posterior.prefix(length), self.prefixes)

    def __repr__(self) -> str:
        """Shape and kind, not the numbers."""
        batch, tokens, channels = self.values.shape
        kind = type(self.posterior).__name__.removesuffix("Posterior")
        return f"Code({batch} images, {tokens} {kind} tokens of {channels} channels)"

    def select(self, images: Int64[Tensor, "selected"]) -> "Code":
        """The code of some of the images."""
        return Code(self.values[images], self.posterior.select(images), self.prefixes)

    @property
    def information(self) -> Float[Tensor, "token"]:
        """b(u) of eq. 8 over these images, in nats per token."""
        return self.posterior.usage()

    @property
    def nbytes(self) -> float:
        """Bytes per image that an ideal coder spends on this code: its information divided by 8 ln 2."""
        return self.information.sum().item() / (8 * math.log(2))

    def _available(self) -> str:
        lengths = [length for length in self.prefixes if length <= len(self)]
        if lengths == list(range(1, len(self) + 1)):
            return f"choose any length from 1 to {len(self)}"
        return f"choose one of {', '.join(map(str, lengths))}"


@dataclass(eq=False)
class Draws:
    """What chance decides about the code of a training batch, so that a step is a function of tensors alone.

    Attributes
    ----------
    noise : for the values of tokens; nothing for token kinds without.
    mask : which tokens are masked; nothing for orderings that mask none.
    blank : noise for the values of tokens that are left out, where that is not the same.
    """

    noise: Float[Tensor, "batch token channel"] | None = None
    mask: Bool[Tensor, "batch token"] | None = None
    blank: Float[Tensor, "batch token channel"] | None = None


@dataclass(eq=False)
class TrainingCode:
    """What a training step sees of a code; not frozen, for Fabric rebuilds what a forward pass returns field by field.

    Attributes
    ----------
    states : what each head reads, coarse to fine (a single one for flat orderings). A head that reads several states of
        each image has them stacked along the batch.
    summaries : the mean token of each state, of those tokens that are not masked.
    weights : the weight of each head's objective; they sum to one (eq. 6).
    regulariser : the token regulariser of table 1, the mean over tokens and images.
    prediction_error : the refinement loss of eq. 5, the squared error per channel; zero where nothing is predicted.
    """

    states: list[Float[Tensor, "_ _ channel"]]
    summaries: list[Float[Tensor, "_ channel"]]
    weights: Float[Tensor, "head"]
    regulariser: Float[Tensor, ""]
    prediction_error: Float[Tensor, ""]


class Ordering(nn.Module, ABC):
    """A bottleneck that turns the features of N tokens into an ordered code.

    Parameters
    ----------
    levels : how the tokens are laid out.
    channels : channels of a token.
    """

    def __init__(self, levels: Levels, channels: int) -> None:
        super().__init__()
        self.levels, self.channels = levels, channels

    @property
    @abstractmethod
    def readout_slices(self) -> tuple[slice, ...]:
        """The runs of tokens whose features come from one readout head of the encoder."""

    @property
    @abstractmethod
    def state_centres(self) -> list[Float[Tensor, "_ 2"]]:
        """For every state that a head reads, where its tokens lie in the unit square."""

    @abstractmethod
    def encode(self, features: Float[Tensor, "batch token channel"], generator: Generator | None = None) -> Code:
        """The full code: most likely token values, or a draw from the posterior with a generator."""

    @abstractmethod
    def states(self, code: Code) -> list[Float[Tensor, "batch _ channel"]]:
        """What the heads read of this prefix; the last state is that of the prefix itself."""

    @abstractmethod
    def level_outputs(self, code: Code) -> Float[Tensor, "batch token channel"]:
        """What a probe reads of the prefix, token by token: level outputs where there are levels, else the values."""

    @abstractmethod
    def budget_states(self, code: Code) -> list[Float[Tensor, "stacked _ channel"]]:
        """What the heads read at every whole-level budget within the code, stacked so that each head runs once.

        Unstacked and in order, the states are those of the budgets 1, 3, 7, ...
        """

    @abstractmethod
    def budget_summaries(self, code: Code) -> list[Float[Tensor, "stacked channel"]]:
        """The mean token at every whole-level budget within the code, stacked like `budget_states`."""

    @abstractmethod
    def draw(self, batch: int, generator: Generator) -> Draws:
        """What chance decides about the code of this process's part of a batch, for `train_code`.

        Parameters
        ----------
        batch : images of this process.
        generator : in the same state in every process that trains with it.
        """

    @abstractmethod
    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """The code under the ordering's pressure, with what the loss needs."""

    @property
    @abstractmethod
    def token_kind(self) -> type[Tokens]:
        """The class of the token bottlenecks."""

    def _noise(self, batch: int, generator: Generator | None) -> Float[Tensor, "batch token channel"] | None:
        """Noise for all tokens; none without a generator."""
        shape = (batch, self.levels.tokens, self.channels)
        return None if generator is None else self.token_kind.noise(shape, generator)

    def _own_noise(self, batch: int, generator: Generator) -> Float[Tensor, "batch token channel"] | None:
        """Noise for the part of a joint batch that this process has."""
        noise = self._noise(batch * process_count(), generator)
        return None if noise is None else own_rows(noise)


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

    def encode(self, features: Float[Tensor, "batch token channel"], generator: Generator | None = None) -> Code:
        """All tokens, none masked."""
        posterior = self.tokens(features)
        values = posterior.values(self._noise(len(features), generator))
        return Code(values, posterior, tuple(range(1, self.levels.tokens + 1)))

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
        most likely value of that state instead tells the decoder which tokens are there, and it then fails where more
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


class Predictor(nn.Module):
    """f of eq. 4: a level's output to the prediction of the next level, twice as long.

    Token i becomes tokens 2i and 2i + 1. Facts of size: with width 128 and depth 3 the six predictors of seven levels
    hold 3.778 M parameters, as table 2 prints.
    """

    def __init__(self, centres: Float[Tensor, "token 2"], channels: int, depth: int) -> None:
        super().__init__()
        self.position = nn.Parameter(0.1 * position_code(centres, channels))
        self.blocks = nn.Sequential(*(Block(1, channels) for _ in range(depth)))
        self.norm = GroupedNorm(1, channels)
        self.expand = GroupedLinear(1, channels, 2 * channels)
        self.out_norm = GroupedNorm(1, channels)

    def forward(self, state: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch doubled channel"]:
        """The prediction y^pred of the next level."""
        doubled = self.expand(self.norm(self.blocks((state + self.position)[None])))
        batch, tokens, channels = state.shape
        return self.out_norm(doubled.reshape(1, batch, 2 * tokens, channels))[0]


class Residual(Ordering):
    """A pyramid of levels, each of which encodes the residual against a prediction from the level above.

    Parameters
    ----------
    bottlenecks : the token bottleneck Q of every level.
    """

    def __init__(self, levels: Levels, channels: int, bottlenecks: Sequence[Tokens]) -> None:
        super().__init__(levels, channels)
        self.tokens = nn.ModuleList(bottlenecks)

    @property
    def token_kind(self) -> type[Tokens]:
        """The class of every level's token bottleneck."""
        return type(self._bottleneck(0))

    @abstractmethod
    def predict(
        self, level: int, state: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch doubled channel"]:
        """The prediction y^pred of the level after `level`, from this level's output."""

    @abstractmethod
    def prediction_error(
        self, predictions: Sequence[Float[Tensor, "batch _ channel"]], features: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, ""]:
        """What training adds to the loss for the predictions of the second and later levels."""

    @property
    def readout_slices(self) -> tuple[slice, ...]:
        """One head per level."""
        return self.levels.slices

    @property
    def state_centres(self) -> list[Float[Tensor, "_ 2"]]:
        """One state per level."""
        return [self.levels.centres(level) for level in range(self.levels.count)]

    def encode(self, features: Float[Tensor, "batch token channel"], generator: Generator | None = None) -> Code:
        """Level by level, each residual taken against the prediction from the levels already encoded."""
        values, posteriors, _, _ = self._residual_pass(features, self._noise(len(features), generator))
        return Code(torch.cat(values, dim=1), type(posteriors[0]).join(posteriors), self.levels.budgets)

    def states(self, code: Code) -> list[Float[Tensor, "batch _ channel"]]:
        """The level outputs y^_0, ..., y^_l of the levels within the prefix."""
        states = [code.values[:, :1]]
        for level in range(1, self.levels.budgets.index(len(code)) + 1):
            states.append(self.predict(level - 1, states[-1]) + code.values[:, self.levels.slices[level]])
        return states

    def level_outputs(self, code: Code) -> Float[Tensor, "batch token channel"]:
        """The level outputs of the prefix, one after the other."""
        return torch.cat(self.states(code), dim=1)

    def budget_states(self, code: Code) -> list[Float[Tensor, "stacked _ channel"]]:
        """The level outputs: a budget is a number of levels."""
        return self.states(code)

    def budget_summaries(self, code: Code) -> list[Float[Tensor, "stacked channel"]]:
        """The mean of each level's output."""
        return [state.mean(dim=1) for state in self.states(code)]

    def draw(self, batch: int, generator: Generator) -> Draws:
        """Noise."""
        return Draws(self._own_noise(batch, generator))

    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """All levels at once, weighted by eq. 6."""
        _, posteriors, predictions, states = self._residual_pass(features, draws.noise)
        sizes = self.levels.sizes
        costs = [
            self._bottleneck(level).regulariser(posterior) * sizes[level] for level, posterior in enumerate(posteriors)
        ]
        regulariser = torch.stack(costs).sum() / self.levels.tokens
        weights = self.levels.weights().to(features.device)
        summaries = [state.mean(dim=1) for state in states]
        return TrainingCode(states, summaries, weights, regulariser, self.prediction_error(predictions[1:], features))

    def _bottleneck(self, level: int) -> Tokens:
        """Q of eq. 4."""
        tokens = self.tokens[level]
        assert isinstance(tokens, Tokens)
        return tokens

    def _residual_pass(
        self, features: Float[Tensor, "batch token channel"], noise: Float[Tensor, "batch token channel"] | None
    ) -> tuple[list[Tensor], list[Posterior], list[Tensor], list[Tensor]]:
        """Eq. 4: values, posterior, prediction and output of every level."""
        values: list[Tensor] = []
        posteriors: list[Posterior] = []
        predictions: list[Tensor] = []
        states: list[Tensor] = []
        for level, place in enumerate(self.levels.slices):
            y = features[:, place]
            prediction = self.predict(level - 1, states[-1]) if level else torch.zeros_like(y)
            posterior = self._bottleneck(level)(y - prediction)
            values.append(posterior.values(None if noise is None else noise[:, place]))
            posteriors.append(posterior)
            predictions.append(prediction)
            states.append(prediction + values[-1])
        return values, posteriors, predictions, states


class Prior(Residual):
    """Predictive residual inference, eq. 4: each level encodes what its predictor could not foresee.

    Parameters
    ----------
    bottlenecks : the token bottleneck Q of every level.
    depth : transformer blocks of each predictor.
    """

    def __init__(self, levels: Levels, channels: int, bottlenecks: Sequence[Tokens], *, depth: int) -> None:
        super().__init__(levels, channels, bottlenecks)
        self.predictors = nn.ModuleList(
            Predictor(levels.centres(level), channels, depth) for level in range(levels.count - 1)
        )

    def predict(
        self, level: int, state: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch doubled channel"]:
        """The predictor f of eq. 4."""
        return self.predictors[level](state)

    def prediction_error(
        self, predictions: Sequence[Float[Tensor, "batch _ channel"]], features: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, ""]:
        """The refinement loss of eq. 5, as squared error per channel; its gradient stops at the features."""
        pairs = zip(predictions, self.levels.slices[1:], strict=True)
        errors = [(prediction - features[:, place].detach()).square().mean() for prediction, place in pairs]
        return torch.stack(errors).mean()


class PriorWithoutPrediction(Residual):
    """PRIOR with its predictors replaced by upsampling: what supervision at every level does without prediction."""

    def predict(
        self, level: int, state: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch doubled channel"]:
        """Every token twice."""
        return state.repeat_interleave(2, dim=1)

    def prediction_error(
        self, predictions: Sequence[Float[Tensor, "batch _ channel"]], features: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, ""]:
        """Zero: there is nothing to learn."""
        return features.new_zeros(())


def make_ordering(
    name: OrderingName,
    levels: Levels,
    *,
    tokens: TokenName,
    channels: int,
    predictor_depth: int,
    free_nats: float,
    batch_entropy: float,
) -> Ordering:
    """An untrained ordering: masking orderings have parameters for every token, residual ones for every level."""

    def bottleneck(count: int, *, shared: bool) -> Tokens:
        weights = {"free_nats": free_nats, "batch_entropy": batch_entropy}
        return make_tokens(tokens, channels, tokens=count, shared=shared, **weights)

    def every_level() -> list[Tokens]:
        return [bottleneck(size, shared=True) for size in levels.sizes]

    match name:
        case "prior":
            return Prior(levels, channels, every_level(), depth=predictor_depth)
        case "prior-without-prediction":
            return PriorWithoutPrediction(levels, channels, every_level())
        case "itd":
            return IndependentTailDrop(levels, channels, bottleneck(levels.tokens, shared=False))
        case "td":
            return TailDrop(levels, channels, bottleneck(levels.tokens, shared=False))
        case "matryoshka":
            return Matryoshka(levels, channels, bottleneck(levels.tokens, shared=False))
