"""What PRIOR foresees is not sent: how likely each state of the next level is, given its prediction by eq. 4.

A small network turns a token's prediction into a linear and a quadratic form over the codebook, so that near codes gain
and lose together; their sum with the log of the static tables is the log of the weights.

Sender and receiver must come to the same weights, bit for bit. Both compute in float64 and round logs to a grid, in
which two machines differ by 1e-12 or less. Where a log lies within `MARGIN` of the middle between two grid points, the
sender codes that level of that picture with the static tables and says so.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Self, cast

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn
from torch.nn import functional

from prior_lab.codec.ranges import Weights
from prior_lab.codec.tables import Tables
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.orderings import Residual
from prior_lab.tokens import DiscreteTokens

HIDDEN = 64
GRID = 64  # steps of a log weight in a nat
DEEPEST = 20 * GRID  # log weights end so far below the largest
MARGIN = 1e-9  # of a step: rounding in float64 moves logs by a thousandth of that
LARGEST = 2.0**30  # weight
BATCH = 32  # images at once: their weights at 64 tokens of 1,024 states take 17 MB


class Foresight(nn.Module):
    """Weights of the states of every level after the first, from the levels before.

    Parameters
    ----------
    ordering : of the model; its predictors and states are used, in float64.
    tables : the static weights that it starts from.
    """

    def __init__(self, ordering: Residual, tables: Tables) -> None:
        super().__init__()
        if not isinstance(ordering.tokens[0], DiscreteTokens):
            raise InputError("Foresight needs tokens in countable states; Gaussian tokens are real numbers.")
        self.ordering = copy.deepcopy(ordering).double().eval().requires_grad_(False)
        self.nets = nn.ModuleList(_net(ordering.channels) for _ in ordering.levels.slices[1:])
        logs = (torch.from_numpy(weights / weights.sum(axis=1, keepdims=True)).log() for weights in tables.weights)
        self._logs = list(logs)
        self._forms = [_forms(cast(DiscreteTokens, tokens)) for tokens in self.ordering.tokens]

    @classmethod
    def fitted(
        cls, model: Autoencoder, tables: Tables, symbols: Int64[Tensor, "image token"], *, steps: int, seed: int = 0
    ) -> Self | None:
        """Trained on the states of training images, level by level; None where an ordering predicts nothing."""
        ordering = model.ordering
        if not isinstance(ordering, Residual) or not isinstance(ordering.tokens[0], DiscreteTokens):
            return None
        made = cls(ordering, tables)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.nets = nn.ModuleList(_net(ordering.channels) for _ in made.nets)
        predictions = made._predictions(symbols)
        for level in range(1, len(ordering.levels.slices)):
            made._train(level, next(predictions).float(), symbols, steps, generator)
        return made._rounded().requires_grad_(False)

    @classmethod
    def restored(cls, model: Autoencoder, tables: Tables, arrays: Mapping[str, np.ndarray]) -> Self | None:
        """What `arrays` was taken of; None where they have none."""
        named = {name.removeprefix("foresight."): array for name, array in arrays.items() if "foresight." in name}
        if not named:
            return None
        assert isinstance(model.ordering, Residual)
        made = cls(model.ordering, tables)
        made.nets.load_state_dict({name: torch.from_numpy(array).double() for name, array in named.items()})
        return made._rounded().requires_grad_(False)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps: the networks in half precision."""
        named = self.nets.state_dict()
        return {f"foresight.{name}": weight.numpy().astype(np.float16) for name, weight in named.items()}

    @torch.inference_mode()
    def weights(self, level: int, prediction: Float64[Tensor, "image token channel"]) -> Iterator[tuple[Weights, bool]]:
        """For each image, how likely every state of a level's tokens is, and whether any machine would say the same."""
        for part in prediction.split(BATCH):
            logs = self._logits(level, part) * GRID
            steps = logs - logs.amax(dim=-1, keepdim=True)
            nearest = steps.round()
            sure = ((steps - nearest).abs() < 0.5 - MARGIN) | (nearest < -DEEPEST)
            index = nearest.clamp_min(-DEEPEST).neg().long()
            yield from zip(_scale()[index.numpy()], sure.flatten(1).all(dim=1).tolist(), strict=True)

    @torch.inference_mode()
    def follow(
        self, level: int, state: Float64[Tensor, "image token channel"] | None, index: Int64[Tensor, "image token"]
    ) -> tuple[Tensor, Tensor]:
        """A level's output, from its prediction and its states, and the prediction of the next level."""
        values = cast(DiscreteTokens, self.ordering.tokens[level]).received(index).values().double()
        output = values if state is None else state + values
        is_last = level == self.ordering.levels.count - 1
        return output, output if is_last else self.ordering.predict(level, output)

    def _predictions(self, symbols: Int64[Tensor, "image token"]) -> Iterator[Float64[Tensor, "image token channel"]]:
        """Of the second and later levels."""
        prediction = None
        for level, place in enumerate(self.ordering.levels.slices[:-1]):
            parts = [
                self.follow(level, None if prediction is None else prediction[start : start + 256], index)[1]
                for start, index in zip(range(0, len(symbols), 256), symbols[:, place].split(256), strict=True)
            ]
            prediction = torch.cat(parts)
            yield prediction

    def _logits(self, level: int, prediction: Tensor) -> Tensor:
        forms = self._forms[level].to(prediction.dtype)
        return self._logs[level].to(prediction.dtype) + self.nets[level - 1](prediction) @ forms

    def _train(
        self,
        level: int,
        predictions: Tensor,
        symbols: Int64[Tensor, "image token"],
        steps: int,
        generator: torch.Generator,
    ) -> None:
        """Adam on the cross-entropy of the states, which is the length of the code."""
        place = self.ordering.levels.slices[level]
        targets, net = symbols[:, place], self.nets[level - 1].float()
        batch = max(32, 2048 // targets.shape[1])
        optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
        for _ in range(steps):
            rows = torch.randint(len(targets), (batch,), generator=generator)
            logits = self._logits(level, predictions[rows])
            loss = functional.cross_entropy(logits.flatten(0, 1), targets[rows].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    def _rounded(self) -> Self:
        """In float64, of weights that half precision holds: what wrote a file and what reads it are the same."""
        self.nets.half().double()
        return self


def _net(channels: int) -> nn.Module:
    last = nn.Linear(HIDDEN, 2 * channels)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, HIDDEN), nn.GELU(), last)


def _forms(tokens: DiscreteTokens) -> Float64[Tensor, "form outcome"]:
    """The coordinates of every state and their squares, in units of the states' spread."""
    states = tokens.received(torch.arange(tokens.outcomes)[None]).values()[0].double()
    states = states / states.std().clamp_min(torch.finfo(states.dtype).tiny)
    return torch.cat([states, states.square()], dim=1).T.contiguous()


@lru_cache(maxsize=1)
def _scale() -> Float64[np.ndarray, "step"]:
    """Weights by steps below the largest: whole numbers, of which no two machines round one to another."""
    return np.array([max(1.0, float(round(LARGEST * math.exp(-step / GRID)))) for step in range(DEEPEST + 1)])
