"""The written schema of results, version 2: one `xarray.DataTree` per study, saved as NetCDF.

**Root**: no variables. Attributes:

==================  ====================================================================
`schema`            "prior-lab/results"
`schema_version`    2; another one is refused, never guessed at
`name`              of the study, for instance "household-reconstruction"
`dataset`, `task`   what was learnt from, and what for ("reconstruction")
`commit`            git commit of the code, with "-dirty" after it if files had changed; "unknown" outside a checkout
`versions`          JSON object: package -> version
`hardware`          what it ran on, in words
`wall_time_s`       wall-clock time of training and evaluation, all arms together [s]
`created`           ISO 8601, UTC
==================  ====================================================================

**One child per arm**, named like "prior-gaussian". Attributes: `ordering` (its label, such as "MBOP-TD"),
`token_kind`, `model` (its name for `prior_lab.load_model`, or ""), `config` (JSON of the experiment), `command` (the
exact command that made it). Variables, each with the attribute `units`:

=================================================  ================================================================
`quality_by_object(seed, object, metric, budget)`  mean over an object's test frames
`quality(seed, metric, budget)`                    mean over objects
`quality_interval(seed, metric, budget, bound)`    95 % percentile bootstrap over objects, 2,000 resamples
`information(seed, token)`                         b(u) of eq. 8 over the test images, the plug-in value [nat]
`information_corrected(seed, token)`               with its bias for few images corrected [nat]
`information_error(seed, token)`                   its standard error over objects [nat]
`loss(seed, step)`                                 training objective; NaN at steps where it was not recorded
`validation_ssim(seed, step)`                      SSIM at full budget on the validation split; NaN likewise
=================================================  ================================================================

The last two are left out together with `step` where no history was kept. Coordinates: `seed`, `object` (names),
`metric` ("L1", "L2", "PSNR", "SSIM", and "MS-SSIM" where the image size allows), `unit(metric)`, `budget` [tokens],
`token` (from 0), `bound` ("low", "high"), `step` (optimiser steps).
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import xarray as xr

from prior_lab.errors import InputError
from prior_lab.files import replacing

SCHEMA, SCHEMA_VERSION = "prior-lab/results", 2
ROOT_ATTRS = ("name", "dataset", "task", "commit", "versions", "hardware", "wall_time_s", "created")
ARM_ATTRS = ("ordering", "token_kind", "model", "config", "command")
VARIABLES = {
    "quality_by_object": ("seed", "object", "metric", "budget"),
    "quality": ("seed", "metric", "budget"),
    "quality_interval": ("seed", "metric", "budget", "bound"),
    "information": ("seed", "token"),
    "information_corrected": ("seed", "token"),
    "information_error": ("seed", "token"),
}
HISTORY = {"loss": ("seed", "step"), "validation_ssim": ("seed", "step")}
PACKAGES = ("prior-lab", "torch", "lightning-fabric", "numpy", "xarray", "torchmetrics")


@dataclass(frozen=True)
class Run:
    """What the training of one arm with one seed gave.

    Attributes
    ----------
    seed : of the run.
    quality : (metric, budget, image) with the coordinate unit(metric), from `prior_lab.quality.quality_by_budget`.
    information : `information`, `corrected` and `standard_error` (token), from `Information.tokens("nat")`.
    loss, validation_ssim : (step, value) pairs, in order of steps.
    """

    seed: int
    quality: xr.DataArray
    information: xr.Dataset
    loss: Sequence[tuple[int, float]] = ()
    validation_ssim: Sequence[tuple[int, float]] = ()


@dataclass(frozen=True)
class Provenance:
    """Where results come from: attributes of a study's root."""

    commit: str
    versions: str
    hardware: str


def build_arm(
    runs: Sequence[Run],
    objects: Sequence[str],
    *,
    ordering: str,
    token_kind: str,
    config: str,
    command: str,
    model: str = "",
) -> xr.Dataset:
    """One arm of a study from its runs.

    Parameters
    ----------
    runs : one for every seed, with the same metrics, budgets and images.
    objects : the object that each image shows, in the order of the images.
    ordering, token_kind, config, command, model : attributes of the arm; see the module's text.

    Raises
    ------
    InputError : if there is no run, or the runs do not fit each other or `objects`.
    """
    if not runs:
        raise InputError("An arm needs at least one run.")
    first = runs[0].quality
    for run in runs:
        if run.quality.sizes != first.sizes or run.quality.sizes["image"] != len(objects):
            raise InputError(
                f"The run with seed {run.seed} has quality {dict(run.quality.sizes)}; expected {dict(first.sizes)} "
                f"as in the first run, and {len(objects)} images as in `objects`."
            )
    seeds = xr.DataArray([run.seed for run in runs], dims="seed", name="seed")
    by_object = xr.concat([_object_means(run.quality, objects) for run in runs], dim=seeds, join="exact")
    by_object = by_object.transpose("seed", "object", "metric", "budget")
    told = xr.concat([run.information for run in runs], dim=seeds, join="exact").astype(np.float32)
    variables = {
        "quality_by_object": by_object.astype(np.float32),
        "quality": by_object.mean("object").astype(np.float32),
        "quality_interval": bootstrap_interval(by_object).astype(np.float32),
        "information": told["information"],
        "information_corrected": told["corrected"],
        "information_error": told["standard_error"],
        **_history(runs),
    }
    for name, variable in variables.items():
        units = "nat" if name.startswith("information") else "1" if name in HISTORY else "see the coordinate unit"
        variable.attrs = {"units": units}
    arm = xr.Dataset(variables, attrs=dict(zip(ARM_ATTRS, (ordering, token_kind, model, config, command), strict=True)))
    for label, coordinate in arm.coords.items():
        coordinate.attrs = {"units": {"budget": "token", "step": "optimiser step"}.get(str(label), "1")}
    return arm


def build_study(
    name: str,
    arms: Mapping[str, xr.Dataset],
    *,
    dataset: str,
    wall_time_s: float,
    task: str = "reconstruction",
    made_by: Provenance | None = None,
) -> xr.DataTree:
    """A study from its arms, by their names.

    Parameters
    ----------
    wall_time_s : training and evaluation of all arms together [s].
    made_by : where the results come from; this process and this machine unless given.

    Raises
    ------
    InputError : if the result does not fulfil the schema.
    """
    origin = made_by or provenance()
    attrs = {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "name": name, "dataset": dataset, "task": task,
        "commit": origin.commit, "versions": origin.versions, "hardware": origin.hardware,
        "wall_time_s": float(wall_time_s), "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    children = {key: xr.DataTree(arm) for key, arm in arms.items()}
    tree = xr.DataTree(xr.Dataset(attrs=attrs), children=children)
    validate(tree)
    return tree


def bootstrap_interval(
    values: xr.DataArray, *, dim: str = "object", level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> xr.DataArray:
    """Percentile bootstrap interval of the mean over objects.

    Every entry uses the same resamples, so that differences between metrics and budgets are not blurred by the draw.

    Parameters
    ----------
    values : one value per object, along `dim`; any other dimensions.
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
    means = xr.dot(values.astype(np.float64).drop_vars(dim, errors="ignore"), weights, dim=dim)
    bounds = means.quantile([(1 - level) / 2, (1 + level) / 2], dim="resample").rename(quantile="bound")
    return bounds.assign_coords(bound=["low", "high"]).transpose(..., "bound")


def validate(tree: xr.DataTree) -> None:
    """Check a study against the schema.

    Raises
    ------
    InputError : naming what is missing or wrong.
    """
    if tree.attrs.get("schema") != SCHEMA:
        raise InputError(f"These are not results of prior_lab: the root's attribute schema is not {SCHEMA!r}.")
    if tree.attrs.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"These results have schema version {tree.attrs.get('schema_version')}; "
            f"this prior_lab reads version {SCHEMA_VERSION}."
        )
    _require_attrs(tree, ROOT_ATTRS, "study")
    if not tree.children:
        raise InputError(f"The study {tree.attrs['name']!r} has no arms.")
    for name, arm in tree.children.items():
        _validate_arm(str(name), arm)


def save(tree: xr.DataTree, path: str | Path) -> None:
    """Write a study as NetCDF: the file is whole, or what was there before stays.

    Raises
    ------
    InputError : if the study does not fulfil the schema.
    OSError : if the file cannot be written.
    """
    validate(tree)
    with replacing(Path(path)) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def load(path: str | Path) -> xr.DataTree:
    """Read a study into memory.

    Raises
    ------
    InputError : if the file is missing, is truncated, is no NetCDF file, or does not fulfil the schema.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no results file {str(path)!r}.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as file:
            tree = file.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{str(path)!r} is not a whole NetCDF file of results: {error}") from error
    validate(tree)
    return tree


def provenance() -> Provenance:
    """Commit, package versions and hardware of this process; the commit is "unknown" outside a git checkout."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return Provenance(_commit(Path(__file__).parents[1]), json.dumps(versions), _hardware())


def _object_means(quality: xr.DataArray, objects: Sequence[str]) -> xr.DataArray:
    labels = xr.DataArray(list(objects), dims="image", name="object")
    return quality.astype(np.float64).groupby(labels).mean()


def _history(runs: Sequence[Run]) -> dict[str, xr.DataArray]:
    """Both curves of every run on the union of their steps."""
    steps = sorted({step for run in runs for step, _ in (*run.loss, *run.validation_ssim)})
    if not steps:
        return {}
    curves = {}
    for name in HISTORY:
        rows = [[dict(getattr(run, name)).get(step, np.nan) for step in steps] for run in runs]
        curves[name] = xr.DataArray(np.array(rows, np.float32), dims=("seed", "step"), coords={"step": steps})
    return curves


def _require_attrs(node: xr.DataTree, names: Sequence[str], owner: str) -> None:
    missing = [name for name in names if name not in node.attrs]
    if missing:
        raise InputError(f"The {owner} lacks the attributes {', '.join(missing)}.")


def _validate_arm(name: str, arm: xr.DataTree) -> None:
    _require_attrs(arm, ARM_ATTRS, f"arm {name!r}")
    expected = {**VARIABLES, **{key: dims for key, dims in HISTORY.items() if key in arm or "step" in arm.coords}}
    for key, dims in expected.items():
        if key not in arm:
            raise InputError(f"The arm {name!r} lacks the variable {key}({', '.join(dims)}).")
        variable = arm[key]
        if variable.dims != dims:
            raise InputError(f"The arm {name!r} has {key}{variable.dims}; expected {key}({', '.join(dims)}).")
        if "units" not in variable.attrs:
            raise InputError(f"The variable {key} of the arm {name!r} lacks the attribute units.")
        if key not in HISTORY and not np.isfinite(variable).all():
            raise InputError(f"The variable {key} of the arm {name!r} holds numbers that are not finite.")
    missing = {"object", "metric", "unit", "budget", "bound", "token", "seed"} - set(arm.coords)
    if missing:
        raise InputError(f"The arm {name!r} lacks the coordinates {', '.join(sorted(missing))}.")


def _commit(checkout: Path) -> str:
    """Commit of a checkout, never of a repository that merely surrounds an installed package."""
    if not (checkout / ".git").exists():
        return "unknown"
    try:
        command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _hardware() -> str:
    import torch  # here, so that looking at a study does not load it

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else platform.processor() or platform.machine()}"
