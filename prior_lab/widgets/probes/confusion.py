"""Confusions of probes: images counted by their label and by the label that a probe predicts."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Int

ROWS = 12  # confusions that are listed
MATRIX = 8  # labels at most for a matrix that can be read

Labels = Int[np.ndarray, "image"]


@dataclass(frozen=True, eq=False)
class Confusion:
    """Images with a label, by that and by the predicted one.

    Attributes
    ----------
    counts : images.
    related : which labels belong to the same coarsest one.
    """

    counts: Int[np.ndarray, "label predicted"]
    related: np.ndarray

    @classmethod
    def of(cls, truth: Labels, predicted: Labels, parents: Int[np.ndarray, "label"]) -> Self:
        """Count; images without a label, or for which the probe predicts none, are left out.

        Parameters
        ----------
        parents : the coarsest label of every label, or -1.
        """
        known = (truth >= 0) & (predicted >= 0)
        counts = np.zeros((len(parents), len(parents)), np.int64)
        np.add.at(counts, (truth[known], predicted[known]), 1)
        return cls(counts, (parents[:, None] == parents) & (parents[:, None] >= 0))

    @property
    def total(self) -> int:
        """Images counted."""
        return int(self.counts.sum())

    @property
    def correct(self) -> int:
        """Images whose label the probe predicts."""
        return int(np.trace(self.counts))

    @property
    def near_misses(self) -> int:
        """Images for which it predicts another label of the same coarsest one."""
        return int(self.counts[self.related].sum()) - int(np.diag(self.counts)[np.diag(self.related)].sum())

    def rows(self, count: int = ROWS) -> list[tuple[int, int, int]]:
        """The most frequent confusions: label, predicted label, images."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [divmod(int(place), len(wrong)) for place in order]
        return [
            (truth, predicted, int(wrong[truth, predicted])) for truth, predicted in pairs if wrong[truth, predicted]
        ]

    def for_browser(self) -> dict[str, Any]:
        """What is drawn: a matrix of few labels, a list for many."""
        sums = {"correct": self.correct, "total": self.total, "near": self.near_misses}
        if len(self.counts) <= MATRIX:
            return sums | {"matrix": self.counts.tolist()}
        sizes = self.counts.sum(1)
        return sums | {"rows": [[truth, other, number, int(sizes[truth])] for truth, other, number in self.rows()]}
