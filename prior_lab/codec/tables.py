"""How often each outcome of each symbol occurred in training images: whole numbers, alike on every machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Int64

from prior_lab.codec.ranges import Weights

BEHIND = 320  # occurrences by which a token is taken to be like its level: of 80, 320 and 1000 the best on validation
FINENESS = 4  # classes of spread, for symbols of many outcomes, in a factor of two


@dataclass(frozen=True, eq=False)
class Tables:
    """Occurrences by level.

    Attributes
    ----------
    counts : for each level, how often each outcome occurred, for each row of symbols that share one.
    rows : for each level, the row of each of its symbols.
    """

    counts: tuple[Int64[np.ndarray, "_ _"], ...]
    rows: tuple[Int64[np.ndarray, "_"], ...]

    @classmethod
    def fitted(cls, levels: Sequence[tuple[Int64[np.ndarray, "image _"], int]], *, by_spread: bool) -> Self:
        """From the symbols of training images.

        Parameters
        ----------
        levels : the symbols of each level, and how many outcomes each has.
        by_spread : whether symbols share a row that are spread alike; otherwise each has its own.
        """
        counts, rows = [], []
        for symbols, outcomes in levels:
            row = _classes(symbols) if by_spread else np.arange(symbols.shape[1])
            places = row * outcomes + symbols
            counts.append(np.bincount(places.ravel(), minlength=(row.max() + 1) * outcomes).reshape(-1, outcomes))
            rows.append(row)
        return cls(tuple(counts), tuple(rows))

    @cached_property
    def weights(self) -> tuple[Weights, ...]:
        """For each level, how likely every outcome of each symbol is, up to a factor.

        What a row did not see is taken to be as frequent as in the level, where nothing is impossible.
        """
        weights = []
        for counts, row in zip(self.counts, self.rows, strict=True):
            level = 2 * counts.sum(axis=0) + 1
            weights.append((counts * level.sum() + BEHIND * level)[row].astype(np.float64))
        return tuple(weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps."""
        named: dict[str, np.ndarray] = {}
        for level, (counts, row) in enumerate(zip(self.counts, self.rows, strict=True)):
            named |= {f"counts.{level}": counts.astype(np.uint32), f"rows.{level}": row.astype(np.uint16)}
        return named

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` was taken of."""
        levels = range(sum(name.startswith("rows.") for name in arrays))
        counts, rows = (
            tuple(arrays[f"{name}.{level}"].astype(np.int64) for level in levels) for name in ("counts", "rows")
        )
        return cls(counts, rows)


def _classes(symbols: Int64[np.ndarray, "image symbol"]) -> Int64[np.ndarray, "symbol"]:
    """Symbols whose spreads are alike, numbered without gaps."""
    spread = np.log2(symbols.std(axis=0) + 0.1)
    return np.unique(np.floor(FINENESS * spread), return_inverse=True)[1]
