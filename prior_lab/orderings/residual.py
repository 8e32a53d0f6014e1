"""Residual orderings: a pyramid of levels, each of which encodes what the level above did not predict (eq. 4 to 6)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from prior_lab.layers import Block, GroupedLinear, GroupedNorm, position_code
from prior_lab.levels import Levels
from prior_lab.orderings.base import Ordering, Transmit
from prior_lab.orderings.code import Code, Draws, TrainingCode
from prior_lab.tokens import Posterior, Tokens

PredictionAverage = Literal["levels", "tokens"]


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

    weights: Tensor

    def __init__(self, levels: Levels, channels: int, bottlenecks: Sequence[Tokens]) -> None:
        super().__init__(levels, channels)
        self.tokens = nn.ModuleList(bottlenecks)
        self.register_buffer("weights", levels.weights(), persistent=False)  # of eq. 6, where the features are

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

    def encode(
        self,
        features: Float[Tensor, "batch token channel"],
        generator: Generator | None = None,
        transmit: Transmit | None = None,
    ) -> Code:
        """Level by level, each residual taken against the prediction from the levels already encoded."""
        values, posteriors, _, _ = self._residual_pass(features, self._noise(len(features), generator), transmit)
        return Code(torch.cat(values, dim=1), type(posteriors[0]).join(posteriors), self.prefixes)

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Those of whole levels."""
        return self.levels.budgets

    @property
    def outcomes(self) -> tuple[int, ...]:
        """Of each level's bottleneck."""
        sizes = enumerate(self.levels.sizes)
        return tuple(self._discrete(self.tokens[level]).outcomes for level, size in sizes for _ in range(size))

    def received(self, index: Int64[Tensor, "batch token"]) -> Code:
        """Level by level; a prefix has whole levels."""
        places = [place for place in self.levels.slices if place.stop <= index.shape[1]]
        parts = [
            self._discrete(tokens).received(index[:, place]) for tokens, place in zip(self.tokens, places, strict=False)
        ]
        posterior = type(parts[0]).join(parts)
        return Code(posterior.values(), posterior, self.prefixes)

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
        summaries = [state.mean(dim=1) for state in states]
        error = self.prediction_error(predictions[1:], features)
        return TrainingCode(states, summaries, self.weights, regulariser, error)

    def _bottleneck(self, level: int) -> Tokens:
        """Q of eq. 4."""
        tokens = self.tokens[level]
        assert isinstance(tokens, Tokens)
        return tokens

    def _residual_pass(
        self,
        features: Float[Tensor, "batch token channel"],
        noise: Float[Tensor, "batch token channel"] | None,
        transmit: Transmit | None = None,
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
            sent = posterior.values(None if noise is None else noise[:, place])
            values.append(sent if transmit is None else transmit(sent, place))
            posteriors.append(posterior)
            predictions.append(prediction)
            states.append(prediction + values[-1])
        return values, posteriors, predictions, states


class Prior(Residual):
    """Predictive residual inference, eq. 4: each level encodes the residual of its prediction.

    Parameters
    ----------
    bottlenecks : the token bottleneck Q of every level.
    depth : transformer blocks of each predictor.
    average : what eq. 5 weighs alike: levels, or tokens, so that level l weighs 2^l as the norm over a level implies.
    """

    def __init__(
        self,
        levels: Levels,
        channels: int,
        bottlenecks: Sequence[Tokens],
        *,
        depth: int,
        average: PredictionAverage = "levels",
    ) -> None:
        super().__init__(levels, channels, bottlenecks)
        self._average = average
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
        errors = [(prediction - features[:, place].detach()).square() for prediction, place in pairs]
        if self._average == "tokens":
            return torch.cat(errors, dim=1).mean()
        return torch.stack([error.mean() for error in errors]).mean()


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
