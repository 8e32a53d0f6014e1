"""The arithmetic of a code's levels: 1, 2, 4, ..., 2^(L-1) tokens, their slices, budgets and loss weights.

Level l holds 2^l tokens, so L levels hold N = 2^L - 1 (eq. 3; L = 7 gives N = 127), and the budgets at which orderings
are compared are the cumulative sizes 1, 3, 7, ..., N. "eq." numbers are those of Ayari, Traub & Butz 2026
(arXiv 2606.25232) throughout the package.

Examples
--------
>>> import prior_lab as pl
>>> levels = pl.levels.Levels(4)
>>> levels.tokens, levels.sizes, levels.budgets
(15, (1, 2, 4, 8), (1, 3, 7, 15))
>>> [round(float(weight), 3) for weight in levels.weights()]
[0.067, 0.133, 0.267, 0.533]
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from prior_lab.checks import check_fields
from prior_lab.errors import InputError


@dataclass(frozen=True)
class Levels:
    """A pyramid of `count` levels; level l has 2^l tokens."""

    count: int = 7

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.count <= 16:
            raise InputError(f"A code has 1 to 16 levels, not {self.count}.")

    @cached_property
    def tokens(self) -> int:
        """N, the number of tokens of the full code (eq. 3)."""
        return 2**self.count - 1

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Tokens of each level: 1, 2, 4, ..."""
        return tuple(2**level for level in range(self.count))

    @cached_property
    def budgets(self) -> tuple[int, ...]:
        """Tokens of each prefix of whole levels: 1, 3, 7, ..., N."""
        return tuple(2 ** (level + 1) - 1 for level in range(self.count))

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each level's tokens lie in the code."""
        return tuple(slice(size - 1, 2 * size - 1) for size in self.sizes)

    def weights(self) -> Float[Tensor, "level"]:
        """Loss weights 2^-(L-1-l) / Z of eq. 6: they double from a level to the next and sum to one."""
        weights = torch.tensor([2.0 ** -(self.count - 1 - level) for level in range(self.count)])
        return weights / weights.sum()

    def centres(self, level: int) -> Float[Tensor, "token 2"]:
        """Centres (x, y) in the unit square of the 2^level cells of a binary subdivision, halved in turn in y and in x.

        Cell i of a level is the union of the cells 2i and 2i + 1 of the next: the same doubling a predictor performs.
        Orderings do not use this; it gives position codes of tokens a sensible start.
        """
        cells = [(0.0, 0.0, 1.0, 1.0)]
        for depth in range(level):
            cells = [half for cell in cells for half in _halve(cell, vertical=depth % 2 == 1)]
        return torch.tensor([[x + width / 2, y + height / 2] for x, y, width, height in cells])


def _halve(cell: tuple[float, float, float, float], vertical: bool) -> list[tuple[float, float, float, float]]:
    x, y, width, height = cell
    if vertical:
        return [(x, y, width / 2, height), (x + width / 2, y, width / 2, height)]
    return [(x, y, width, height / 2), (x, y + height / 2, width, height / 2)]
