"""What a search found, as an `xarray.Dataset`.

=====================================  ============================================================================
`setting_value(trial, setting)`        the settings of every trial
`point(trial, setting)`                their places between the bounds, in 0..1
`stage(trial)`, `horizon(trial)`       broad, refined or anchor; optimiser steps of its runs
`distortion(trial, arm, budget)`       on the validation split: 1 - SSIM, or NT-Xent [nat]; NaN where the run diverged
`bits(trial, arm, budget)`             information of the prefix [bit]
`curve(trial, arm, record)`            training loss, at `curve_step(trial, record)`
`seconds(trial)`                       of training, all arms together [s]
=====================================  ============================================================================

Attributes: `experiments` and `space` (JSON), `price` (per bit), `data`, `task`, `commit`, `versions`, `hardware`,
`created`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from prior_lab import results, zoo
from prior_lab.checks import entry_point
from prior_lab.errors import InputError
from prior_lab.files import require_file, writing
from prior_lab.search.space import Setting, Space
from prior_lab.search.trials import RECORDS, Trial
from prior_lab.tasks import Experiment

KIND = "prior-lab/search"
MEASURE = {"ssim": "1 - SSIM", "ntxent": "NT-Xent"}


def build_result(experiments: Sequence[Experiment], space: Space, trials: Sequence[Trial], price: float) -> xr.Dataset:
    """The data set of trials that have ended."""
    levels = experiments[0].model.levels
    budgets = [2 ** (level + 1) - 1 for level in range(levels)]
    arms = [f"{one.model.ordering}-{one.model.tokens}" for one in experiments]
    shape = (len(trials), len(arms), levels)
    distortion, bits = np.full(shape, np.nan), np.full(shape, np.nan)
    curve, steps = np.full((len(trials), len(arms), RECORDS + 1), np.nan), np.zeros((len(trials), RECORDS + 1))
    for row, trial in enumerate(trials):
        for column, outcome in enumerate(trial.outcomes):
            if outcome.distortion:
                distortion[row, column] = [outcome.distortion[budget] for budget in budgets]
                bits[row, column] = np.cumsum(outcome.bits)
            told = list(outcome.curve.items())[: RECORDS + 1]
            for place, (step, loss) in enumerate(told):
                curve[row, column, place], steps[row, place] = loss, step
    unit = "nat" if experiments[0].headline == "ntxent" else "1"
    units = {
        "setting_value": "1", "point": "1", "horizon": "step", "distortion": unit, "bits": "bit", "curve": "1",
        "curve_step": "step", "seconds": "s", "stage": "1",
    }  # fmt: skip
    variables: dict[str, Any] = {
        "setting_value": (("trial", "setting"), [[one.settings[name] for name in space.names] for one in trials]),
        "point": (("trial", "setting"), [one.point for one in trials]),
        "stage": ("trial", [one.stage for one in trials]),
        "horizon": ("trial", [one.steps for one in trials]),
        "distortion": (("trial", "arm", "budget"), distortion),
        "bits": (("trial", "arm", "budget"), bits),
        "curve": (("trial", "arm", "record"), curve),
        "curve_step": (("trial", "record"), steps),
        "seconds": ("trial", [sum(outcome.seconds for outcome in one.outcomes) for one in trials]),
    }
    made_by = results.provenance()
    return xr.Dataset(
        {name: (*told, {"units": units[name]}) for name, told in variables.items()},
        {"trial": [one.number for one in trials], "setting": list(space.names), "arm": arms, "budget": budgets},
        {
            "kind": KIND,
            "experiments": json.dumps([json.loads(one.to_json()) for one in experiments]),
            "space": json.dumps([asdict(setting) for setting in space.settings]),
            "price": price,
            "measure": MEASURE[experiments[0].headline],
            "data": experiments[0].data,
            "task": experiments[0].task,
            "commit": made_by.commit,
            "versions": made_by.versions,
            "hardware": made_by.hardware,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def save_search(result: xr.Dataset, path: Path) -> None:
    """Write a result; the file is whole, or what was there before stays."""
    contents = result.to_netcdf(engine="h5netcdf")
    with writing(path) as temporary:
        temporary.write_bytes(contents)


@entry_point
def load_search(name: str | Path) -> xr.Dataset:
    """A result that a search wrote.

    Parameters
    ----------
    name : one of `prior_lab.list_searches()`, or the path of a `.nc` file or of the folder of a search.

    Raises
    ------
    InputError : if there is none, or it is damaged.

    Examples
    --------
    >>> import prior_lab as pl
    >>> found = pl.load_search("household-reconstruction-prior-gaussian")
    >>> found.sizes["trial"], found.attrs["task"]
    (6, 'reconstruction')
    >>> {name: float(f"{value:.2g}") for name, value in pl.search.best(found).items()}
    {'learning_rate': 0.0058, 'rate_weight': 0.00033, 'model.free_nats': 0.46, 'prediction_weight': 0.0091}
    """
    path = Path(name)
    if path.is_dir() or path.suffix:
        path = require_file(path / "search.nc" if path.is_dir() else path, "search result")
    else:
        path = zoo.bundled_file("searches", str(name))
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            result = file.load()
        if result.attrs["kind"] == KIND:
            return result
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{str(path)!r} is not a whole result of a search.") from error
    raise InputError(f"{str(path)!r} is not the result of a search.")


def objective(result: xr.Dataset, price: float | None = None) -> xr.DataArray:
    """What is minimised: the mean over arms and budgets of the distortion, plus a price for every bit of the prefix.

    Parameters
    ----------
    price : of a bit; the search's own, if not given. What was tried can be judged at any price.

    Returns
    -------
    By trial; NaN where a run diverged.
    """
    price = float(result.attrs["price"]) if price is None else price
    told = result["distortion"] + price * result["bits"]
    return told.mean(["arm", "budget"], skipna=False).assign_attrs(units=result["distortion"].attrs["units"])


def best(result: xr.Dataset, price: float | None = None) -> dict[str, float]:
    """The settings with the lowest objective, among the anchors if there are any.

    Raises
    ------
    InputError : if every run diverged.
    """
    told = objective(result, price)
    anchors = told.where(result["stage"] == "anchor", drop=True).dropna("trial")
    sound = anchors if anchors.size else told.dropna("trial")
    if not sound.size:
        raise InputError("Every run of the search diverged; give bounds with lower learning rates or weights.")
    chosen = result["setting_value"].sel(trial=sound.trial[int(sound.values.argmin())])
    return {str(name): float(value) for name, value in zip(chosen.setting.values, chosen.values, strict=True)}


def space_of(result: xr.Dataset) -> Space:
    """What the search might vary."""
    return Space(tuple(Setting(**setting) for setting in json.loads(result.attrs["space"])))
