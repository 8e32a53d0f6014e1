"""Intervals of what is measured on objects, and what they say of a claim."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from prior_lab.errors import InputError

HOLDS, DOES_NOT_HOLD, CANNOT_BE_TOLD = "holds here", "does not hold here", "cannot be told here"


def bootstrap_interval(
    values: xr.DataArray, *, dim: str = "object", level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> xr.DataArray:
    """Percentile bootstrap interval of the mean over objects.

    Every entry uses the same resamples, so that differences between metrics and budgets are not blurred by the draw.

    Parameters
    ----------
    values : one value per object, along `dim`, or NaN where an object has none; any other dimensions.
    level : coverage.
    resamples : bootstrap samples.
    seed : of the draw.

    Returns
    -------
    DataArray with `bound` ("low", "high") instead of `dim`, in the unit of `values`.
    """
    count = values.sizes[dim]
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) / count
    weights = xr.DataArray(drawn, dims=("resample", dim))
    known = values.astype(np.float64).drop_vars(dim, errors="ignore")
    means = xr.dot(known.fillna(0.0), weights, dim=dim) / xr.dot(known.notnull().astype(np.float64), weights, dim=dim)
    bounds = means.quantile([(1 - level) / 2, (1 + level) / 2], dim="resample").rename(quantile="bound")
    return bounds.assign_coords(bound=["low", "high"]).transpose(..., "bound")


@dataclass(frozen=True)
class Lead:
    """By how much one arm is ahead of another on the same objects, and its 95 % interval.

    >>> lead(prior.accuracy_by_object.sel(budget=127), td.accuracy_by_object.sel(budget=127)).verdict
    'holds here'
    """

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the claim that it is ahead holds here."""
        if self.low > 0:
            return HOLDS
        return DOES_NOT_HOLD if self.high < 0 else CANNOT_BE_TOLD

    def __str__(self) -> str:
        """The lead and its interval."""
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def lead(better: xr.DataArray, worse: xr.DataArray) -> Lead:
    """How far the first is ahead of the second.

    Parameters
    ----------
    better, worse : what is measured of each, larger being better, along `object` and, where there are several,
        `seed`, over which the mean is taken first. Both are of the same objects, so what makes an object hard for both
        does not blur their difference; that is resampled over objects as in `bootstrap_interval`.

    Raises
    ------
    InputError : if the two are of different objects.
    """
    first, second = (values.mean("seed") if "seed" in values.dims else values for values in (better, worse))
    if first.dims != ("object",) or not np.array_equal(first["object"], second["object"]):
        raise InputError("A lead is taken between values of the same objects, with no other dimension than seed.")
    apart = (first - second).reset_coords(drop=True)
    low, high = bootstrap_interval(apart).values.tolist()
    return Lead(float(apart.mean()), low, high)


def verdict_of_all(parts: Iterable[Lead | str]) -> str:
    """The verdict on a claim that is made of several: it holds if all parts do, and does not if one does not."""
    verdicts = {part.verdict if isinstance(part, Lead) else part for part in parts}
    for verdict in (DOES_NOT_HOLD, CANNOT_BE_TOLD):
        if verdict in verdicts:
            return verdict
    return HOLDS
