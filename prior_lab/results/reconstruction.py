"""Arms that reconstruct: the quality of images at every budget."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from prior_lab.errors import InputError
from prior_lab.results.arm import ArmRecord, Run, assemble, seed_index, with_units
from prior_lab.results.statistics import bootstrap_interval

VARIABLES = {
    "quality_by_object": ("seed", "object", "metric", "budget"),
    "quality": ("seed", "metric", "budget"),
    "quality_interval": ("seed", "metric", "budget", "bound"),
}
YARDSTICKS = {
    "yardstick_quality": ("yardstick", "metric", "prefix"),
    "yardstick_interval": ("yardstick", "metric", "prefix", "bound"),
    "codec_quality": ("codec", "setting", "metric"),
    "codec_bits": ("codec", "setting"),
    "codec_header_bits": ("codec",),
}
VALIDATION = "validation_ssim"


@dataclass(frozen=True)
class ReconstructionRun(Run):
    """What the training of one autoencoder gave.

    Attributes
    ----------
    quality : (metric, budget, image) with the coordinate unit(metric), from `prior_lab.quality.quality_by_budget`.
    """

    quality: xr.DataArray = field(default_factory=xr.DataArray)


def build_reconstruction_arm(
    runs: Sequence[ReconstructionRun], objects: Sequence[str], record: ArmRecord
) -> xr.Dataset:
    """One arm of a study from its runs.

    Parameters
    ----------
    runs : one for every seed, with the same metrics, budgets and images.
    objects : the object that each image shows, in the order of the images.

    Raises
    ------
    InputError : if there is no run, or the runs do not fit each other or `objects`.
    """
    seeds = seed_index(runs)
    first = runs[0].quality
    for run in runs:
        if run.quality.sizes != first.sizes or run.quality.sizes["image"] != len(objects):
            raise InputError(
                f"The run with seed {run.seed} has quality {dict(run.quality.sizes)}; expected {dict(first.sizes)} "
                f"as in the first run, and {len(objects)} images as in `objects`."
            )
    by_object = xr.concat([_object_means(run.quality, objects) for run in runs], dim=seeds, join="exact")
    by_object = by_object.transpose("seed", "object", "metric", "budget")
    measured = {
        "quality_by_object": by_object,
        "quality": by_object.mean("object"),
        "quality_interval": bootstrap_interval(by_object),
    }
    variables = {name: with_units(variable, "see the coordinate unit") for name, variable in measured.items()}
    return assemble(runs, record, variables, validation=VALIDATION)


def build_yardsticks(yardsticks: xr.DataArray, codecs: xr.Dataset, objects: Sequence[str]) -> xr.Dataset:
    """What stands at the root of a study beside its arms.

    Parameters
    ----------
    yardsticks : (yardstick, metric, budget, image), from `prior_lab.yardsticks.measure_yardsticks`.
    codecs : from `prior_lab.yardsticks.measure_codecs`.
    objects : the object that each image shows.
    """
    by_object = _object_means(yardsticks, objects).rename(budget="prefix")  # arms have budgets of their own
    told = codecs.assign(
        yardstick_quality=by_object.mean("object").transpose(*YARDSTICKS["yardstick_quality"]),
        yardstick_interval=bootstrap_interval(by_object).transpose(*YARDSTICKS["yardstick_interval"]),
    )
    units = dict.fromkeys(YARDSTICKS, "see the coordinate unit") | {"codec_bits": "bit", "codec_header_bits": "bit"}
    return told.assign({name: with_units(told[name], unit) for name, unit in units.items()})


def _object_means(quality: xr.DataArray, objects: Sequence[str]) -> xr.DataArray:
    labels = xr.DataArray(list(objects), dims="image", name="object")
    return quality.astype(np.float64).groupby(labels).mean()
