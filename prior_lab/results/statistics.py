"""Intervals of what is measured on objects, and what they say of a claim."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from prior_lab.errors import InputError

RESAMPLES = 2000
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

    Examples
    --------
    >>> from prior_lab.results import Lead
    >>> print(Lead(0.017, 0.011, 0.023), "-", Lead(0.017, 0.011, 0.023).verdict)
    +0.017 (+0.011 to +0.023) - holds here
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
    better, worse : what is measured of each, larger being better, along `object` and, where there are several runs,
        `seed`. Both are of the same objects, so what makes an object hard for both does not blur their difference.

    Returns
    -------
    Lead : its interval is a percentile bootstrap over objects and training runs together, 2,000 resamples. Objects are
        drawn for both alike, runs for each; of n runs the spread is taken sqrt(n / (n - 1)) times, for so much too
        small it is among so few.

    Raises
    ------
    InputError : if the two are of different objects.
    """
    return _compared(better, worse, ("object",))


def lead_of_peaks(better: xr.DataArray, worse: xr.DataArray) -> Lead:
    """How far the best budget of the first is ahead of the best budget of the second.

    As `lead`, of values that have `budget` too. Which budget is best is chosen anew in every resample, so that what
    looks best by chance is not taken for an advantage.
    """
    return _compared(better, worse, ("object", "budget"))


def _compared(better: xr.DataArray, worse: xr.DataArray, dims: tuple[str, ...]) -> Lead:
    pair = [values if "seed" in values.dims else values.expand_dims("seed") for values in (better, worse)]
    fitting = all(set(values.dims) == {"seed", *dims} for values in pair)
    if not fitting or not np.array_equal(pair[0]["object"], pair[1]["object"]):
        others = " and ".join(("seed", *dims[1:]))
        raise InputError(f"A lead is taken between values of the same objects, with no other dimension than {others}.")
    arrays = [values.transpose("seed", *dims).to_numpy().astype(np.float64) for values in pair]
    arrays = [values.reshape(*values.shape[:2], -1) for values in arrays]  # run, object, budget
    known = np.logical_and.reduce([np.isfinite(values).all(axis=(0, 2)) for values in arrays])
    first, second = (values[:, known] for values in arrays)
    generator, count = np.random.default_rng(0), int(known.sum())
    objects = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
    peaks = [_resampled(values, objects, generator).max(axis=1) for values in (first, second)]
    value = first.mean(axis=(0, 1)).max() - second.mean(axis=(0, 1)).max()
    return Lead(float(value), *np.quantile(peaks[0] - peaks[1], [0.025, 0.975]).tolist())


def _resampled(values: np.ndarray, objects: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Means (resample, budget) of values (run, object, budget): over objects by weights, over runs drawn here."""
    runs = len(values)
    by_run = np.stack([objects @ one for one in values], axis=1)
    middle = by_run.mean(axis=1)
    if runs == 1:
        return middle
    drawn = generator.multinomial(runs, np.full(runs, 1 / runs), size=RESAMPLES) / runs
    return middle + (runs / (runs - 1)) ** 0.5 * (np.einsum("rs,rsb->rb", drawn, by_run) - middle)


def verdict_of_all(parts: Iterable[Lead | str]) -> str:
    """The verdict on a claim that is made of several: it holds if all parts do, and does not if one does not."""
    verdicts = {part.verdict if isinstance(part, Lead) else part for part in parts}
    for verdict in (DOES_NOT_HOLD, CANNOT_BE_TOLD):
        if verdict in verdicts:
            return verdict
    return HOLDS
