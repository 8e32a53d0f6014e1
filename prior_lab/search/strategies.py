"""Where to look next: the paper's two stages, and random search and a grid to compare them with.

A strategy sees the points of the unit cube that were tried and what was found there (to be minimised, NaN where a run
diverged), and proposes further ones. It keeps no state, so a search that was killed goes on as if it had not been.
"""

import math
from itertools import product
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.quasirandom import SobolEngine

from prior_lab.errors import InputError
from prior_lab.search.surrogate import Surrogate

StrategyName = Literal["two-stage", "random", "grid"]
EXPLOITING = 3  # every third proposal of the second stage is where the surrogate's mean is lowest
NEAR = 0.01  # to a point that was tried; nothing new would be found there


@runtime_checkable
class Strategy(Protocol):
    """Proposes points."""

    def propose(
        self, points: Float64[Tensor, "tried setting"], found: Float64[Tensor, "tried"], count: int
    ) -> Float64[Tensor, "count setting"]:
        """Further points, to be tried side by side.

        Parameters
        ----------
        points, found : what was tried so far, in the order of the search.
        """
        ...


class Random:
    """Points drawn evenly from the cube."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def propose(
        self, points: Float64[Tensor, "tried setting"], found: Float64[Tensor, "tried"], count: int
    ) -> Float64[Tensor, "count setting"]:
        """Random points; which ones depends on the seed and how many were tried."""
        generator = torch.Generator().manual_seed(self._seed)
        drawn = torch.rand(len(points) + count, points.shape[1], generator=generator, dtype=torch.float64)
        return drawn[len(points) :]


class Grid:
    """The points of a grid, each once, from the middle of its cells.

    Parameters
    ----------
    evaluations : as many as the search will make; a side of the grid has as many places as that allows.
    """

    def __init__(self, evaluations: int) -> None:
        self._evaluations = evaluations

    def propose(
        self, points: Float64[Tensor, "tried setting"], found: Float64[Tensor, "tried"], count: int
    ) -> Float64[Tensor, "count setting"]:
        """The next points of the grid.

        Raises
        ------
        InputError : if the grid is through.
        """
        side = max(1, math.floor(self._evaluations ** (1 / points.shape[1]) + 1e-9))
        places = [(index + 0.5) / side for index in range(side)]
        grid = torch.tensor(list(product(places, repeat=points.shape[1])), dtype=torch.float64)
        if len(points) + count > len(grid):
            raise InputError(
                f"A grid of {side} places for each of {points.shape[1]} settings has {len(grid)} points; ask for as "
                "many evaluations."
            )
        return grid[len(points) : len(points) + count]


class TwoStage:
    """The paper's two stages: broad scrambled Sobol samples, then what a Gaussian process makes of them.

    In the second stage two of three proposals are where the expected improvement is largest, by its logarithm (LogEI,
    Ament et al. 2023, arXiv 2310.20708), and the third where the surrogate's mean is lowest. Proposals of one batch are
    made one after the other, each as if those before it had found what the surrogate expects there.

    Parameters
    ----------
    first : points of the first stage.
    """

    def __init__(self, first: int, seed: int = 0) -> None:
        self._first, self._seed = first, seed

    def propose(
        self, points: Float64[Tensor, "tried setting"], found: Float64[Tensor, "tried"], count: int
    ) -> Float64[Tensor, "count setting"]:
        """Sobol points while the first stage lasts or fewer than two runs were sound, then the surrogate's."""
        tried, sound = len(points), int(found.isfinite().sum())
        broad = count if sound < 2 else min(count, max(0, self._first - tried))
        sobol = SobolEngine(points.shape[1], scramble=True, seed=self._seed).draw(tried + broad, dtype=torch.float64)
        chosen = sobol[tried:]
        for number in range(tried + broad, tried + count):
            known = torch.cat([points, chosen[: number - tried]])
            surrogate = Surrogate(points, found, seed=self._seed + number, imagined=known[tried:])
            best = surrogate.lowest_mean()
            if number % EXPLOITING != EXPLOITING - 1 or torch.cdist(best[None], known).min() < NEAR:
                best = surrogate.most_promising()
            chosen = torch.cat([chosen, best[None]])
        return chosen


def make_strategy(name: str, evaluations: int, first: int, seed: int) -> Strategy:
    """A strategy by its name.

    Raises
    ------
    InputError : if there is none of that name.
    """
    match name:
        case "two-stage":
            return TwoStage(first, seed)
        case "random":
            return Random(seed)
        case "grid":
            return Grid(evaluations)
    raise InputError(f"Unknown strategy {name!r}; choose two-stage, random or grid.")
