"""Intervals of what is measured on objects."""

import numpy as np
import xarray as xr


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
