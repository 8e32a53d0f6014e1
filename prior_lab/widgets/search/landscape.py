"""What the surrogate expects in the planes of two settings, the others as in the best trial."""

from itertools import combinations

import numpy as np
import torch
import xarray as xr

from prior_lab.errors import InputError
from prior_lab.search.result import objective
from prior_lab.search.surrogate import Surrogate

SIDE = 25  # places along each side of a plane

Plane = dict[str, list[float]]


def planes(result: xr.Dataset, price: float) -> dict[str, Plane]:
    """Mean, uncertainty and promise over the plane of every pair of settings, row by row from below.

    Returns
    -------
    By "ACROSS UP", the names of the two settings in the order of the search; nothing where there is no surrogate, for
    want of BoTorch or of two sound trials.
    """
    short = result.where(result["stage"] != "anchor", drop=True)
    found = torch.from_numpy(objective(short, price).to_numpy().astype(np.float64))
    points = torch.from_numpy(short["point"].to_numpy().astype(np.float64))
    try:
        surrogate = Surrogate(points, found)
    except InputError:
        return {}
    best = points[found.nan_to_num(torch.inf).argmin()]
    names = [str(name) for name in result["setting"].to_numpy()]
    pairs = list(combinations(range(len(names)), 2)) or [(0, 0)]
    return {f"{names[across]} {names[up]}": _plane(surrogate, best, across, up) for across, up in pairs}


def _plane(surrogate: Surrogate, best: torch.Tensor, across: int, up: int) -> Plane:
    places = torch.linspace(0, 1, SIDE, dtype=torch.float64)
    grid = best.expand(SIDE, SIDE, -1).clone()
    grid[:, :, up] = places[:, None]
    grid[:, :, across] = places
    flat = grid.flatten(0, 1)
    mean, spread = surrogate.expected(flat)
    told = {"expected": mean, "uncertainty": spread, "promise": surrogate.promise(flat)}
    return {name: [float(f"{value:.5g}") for value in values.tolist()] for name, values in told.items()}
