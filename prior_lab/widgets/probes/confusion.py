"""What probes take for what: images counted by their label and by what a probe says."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Int

ROWS = 12  # confusions that are listed
MATRIX = 8  # labels at most for a matrix that can be read

Labels = Int[np.ndarray, "image"]


@dataclass(frozen=True, eq=False)
class Confusion:
    """Images with a label, by that and by what the probe says.

    Attributes
    ----------
    counts : images.
    related : which labels belong to the same coarsest one.
    """

    counts: Int[np.ndarray, "label said"]
    related: np.ndarray

    @classmethod
    def of(cls, truth: Labels, said: Labels, parents: Int[np.ndarray, "label"]) -> Self:
        """Count; images without a label, or about which the probe says none, are left out.

        Parameters
        ----------
        parents : the coarsest label of every label, or -1.
        """
        known = (truth >= 0) & (said >= 0)
        counts = np.zeros((len(parents), len(parents)), np.int64)
        np.add.at(counts, (truth[known], said[known]), 1)
        return cls(counts, (parents[:, None] == parents) & (parents[:, None] >= 0))

    @property
    def total(self) -> int:
        """Images counted."""
        return int(self.counts.sum())

    @property
    def right(self) -> int:
        """Images of which the probe says their label."""
        return int(np.trace(self.counts))

    @property
    def near_misses(self) -> int:
        """Images of which it says another label of the same coarsest one."""
        return int(self.counts[self.related].sum()) - int(np.diag(self.counts)[np.diag(self.related)].sum())

    def rows(self, count: int = ROWS) -> list[tuple[int, int, int]]:
        """The most frequent confusions: label, what the probe says instead, images."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [divmod(int(place), len(wrong)) for place in order]
        return [(truth, said, int(wrong[truth, said])) for truth, said in pairs if wrong[truth, said]]

    def for_browser(self) -> dict[str, Any]:
        """What is drawn: a matrix of few labels, a list for many."""
        told = {"right": self.right, "total": self.total, "near": self.near_misses}
        if len(self.counts) <= MATRIX:
            return told | {"matrix": self.counts.tolist()}
        sizes = self.counts.sum(1)
        return told | {"rows": [[truth, said, number, int(sizes[truth])] for truth, said, number in self.rows()]}
