"""The written schema of results, version 2: one `xarray.DataTree` per study, saved as NetCDF.

**Root** attributes:

==================  ====================================================================
`schema`            "prior-lab/results"
`schema_version`    2; another one is refused
`name`              of the study, for instance "household-reconstruction"
`dataset`, `task`   what was learnt from, and what for ("reconstruction" or "contrastive")
`commit`            git commit of the code, with "-dirty" after it if files had changed; "unknown" outside a checkout
`versions`          JSON object: package -> version
`hardware`          what it ran on, in words
`wall_time_s`       wall-clock time of training and evaluation, all arms together [s]
`created`           ISO 8601, UTC
==================  ====================================================================

**One child per arm**, named like "prior-gaussian". Attributes: `ordering` (its label, such as "MBOP-TD"),
`token_kind`, `model` (its name for `prior_lab.load_model`, or ""), `config` (JSON of the experiment), `command` (the
exact command that made it), and, in younger studies, `tap` (what probes read of its codes). Variables of every task,
each with the attribute `units`:

=================================================  ================================================================
`information(seed, token)`                         b(u) of eq. 8 over the test images, the plug-in value [nat]
`information_corrected(seed, token)`               with its bias for few images corrected [nat]
`information_error(seed, token)`                   its standard error over objects [nat]
`untrained_information(token)`                     in younger studies: b(u) of the first seed's model before it learnt
                                                   anything [nat]; what a rate is to be compared with
`loss(seed, step)`                                 training objective; NaN at steps where it was not recorded
`validation_ssim(seed, step)`                      SSIM at full budget on the validation split; NaN likewise; for
                                                   contrastive arms `validation_ntxent` [nat]
=================================================  ================================================================

The last two are left out together with `step` where no history was kept. Arms of the task "reconstruction":

=================================================  ================================================================
`quality_by_object(seed, object, metric, budget)`  mean over an object's test frames
`quality(seed, metric, budget)`                    mean over objects
`quality_interval(seed, metric, budget, bound)`    95 % percentile bootstrap over objects, 2,000 resamples
=================================================  ================================================================

and at the root of younger studies

======================================================  ===========================================================
`yardstick_quality(yardstick, metric, prefix)`          of the test images drawn without a learnt code, from as many
                                                        numbers as a prefix [token] has: mean colour, fewer pixels, PCA
`yardstick_interval(yardstick, metric, prefix, bound)`  95 % percentile bootstrap over objects
`codec_quality(codec, setting, metric)`                 of real files of still-image codecs, 256 images at most
`codec_bits(codec, setting)`                            mean size of these files [bit]
`codec_header_bits(codec)`                              size of the smallest file of one grey [bit]
======================================================  ===========================================================

Arms of the task "contrastive", measured on frozen features of the test images:

======================================================  ===========================================================
`accuracy_by_object(seed, object, taxonomy, budget)`    of linear probes, over an object's frames; NaN without a label
`accuracy(seed, taxonomy, budget)`                      mean over objects
`accuracy_interval(seed, taxonomy, budget, bound)`      95 % percentile bootstrap over objects, 2,000 resamples
`strength(seed, taxonomy, budget)`                      of the probes' L2 penalty, chosen on the validation split
`neighbour_accuracy(seed, taxonomy, budget)`            of nearest neighbours among the training images
`average_precision(seed, taxonomy, budget)`             mean average precision of retrieval among the test images, at
                                                        most 2,500 of them, evenly spread
`ntxent(seed, budget)`                                  NT-Xent of the validation objects [nat]
`predicted(taxonomy, budget, image)`                    the label that the first seed's probes say, as its index
======================================================  ===========================================================

and at the root, of the same images, `baseline_accuracy_by_object(baseline, object, taxonomy)`, its mean over objects
`baseline_accuracy(baseline, taxonomy)` and `baseline_interval(baseline, taxonomy, bound)`: "majority" is the most
frequent label, "pixels" a linear probe on the pixels; younger studies also have "pixel neighbours", the nearest ones
among the training images, "untrained", a linear probe on the whole code of a model of the first arm's shape that learnt
nothing (with Gaussian tokens), and "labels", the arms' encoder trained on the labels, if it was: the ceiling.

Where test images come from several sources, such as the artists of `emoji`, contrastive arms have also

==================================================================  ===============================================
`matched_by_object(seed, object, asking, measure, budget)`          of `prior_lab.probes.matching`; NaN where an
                                                                    object was not asked
`matched(seed, asking, measure, budget)`                            mean over objects
`matched_interval(seed, asking, measure, budget, bound)`            95 % percentile bootstrap over objects
==================================================================  ===============================================

and the root `baseline_matched_by_object(yardstick, object, asking, measure)`, its mean `baseline_matched` and
`baseline_matched_interval`: "chance" is a ranking at random, "pixels" that of the pixels, "centred pixels" that of how
they differ from the mean training image (the stronger of the two), "untrained" that of the whole code of an untrained
model. `asking` is "seen" (images of sources that training saw) and, where there are others, "unseen"; those that may be
found are of seen sources.

Coordinates: `seed`, `object` (names), `metric` ("L1", "L2", "PSNR", "SSIM", and "MS-SSIM" where the image size allows),
`unit(metric)`, `taxonomy` (label levels, coarse to fine), `budget` [tokens], `token` (from 0), `bound` ("low", "high"),
`step` (optimiser steps), `image` (from 0).
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import xarray as xr

from prior_lab.checks import described
from prior_lab.errors import InputError
from prior_lab.files import name_for_file, require_file, require_writable, writing
from prior_lab.results import contrastive, reconstruction
from prior_lab.results.arm import ArmRecord

SCHEMA, SCHEMA_VERSION = "prior-lab/results", 2
ROOT_ATTRS = ("name", "dataset", "task", "commit", "versions", "hardware", "wall_time_s", "created")
ARM_ATTRS = tuple(field.name for field in fields(ArmRecord) if field.name != "tap")  # which older studies lack
INFORMATION = dict.fromkeys(("information", "information_corrected", "information_error"), ("seed", "token"))
VARIABLES = {"reconstruction": reconstruction.VARIABLES, "contrastive": contrastive.VARIABLES}
VALIDATION = {"reconstruction": reconstruction.VALIDATION, "contrastive": contrastive.VALIDATION}
BASELINES = {
    "baseline_accuracy_by_object": ("baseline", "object", "taxonomy"),
    "baseline_accuracy": ("baseline", "taxonomy"),
    "baseline_interval": ("baseline", "taxonomy", "bound"),
}
COMPRESSED = 1000  # numbers of a variable from which on its file is smaller when compressed
PARTIAL = (  # may be NaN
    "accuracy_by_object", "baseline_accuracy_by_object", "matched_by_object", "baseline_matched_by_object",
)  # fmt: skip
PACKAGES = ("prior-lab", "torch", "lightning-fabric", "numpy", "xarray", "torchmetrics")


@dataclass(frozen=True)
class Provenance:
    """Where results come from: attributes of a study's root."""

    commit: str
    versions: str
    hardware: str


def build_study(
    name: str,
    arms: Mapping[str, xr.Dataset],
    *,
    dataset: str,
    wall_time_s: float,
    task: str = "reconstruction",
    baselines: xr.Dataset | None = None,
    made_by: Provenance | None = None,
) -> xr.DataTree:
    """A study from its arms, by their names.

    Parameters
    ----------
    wall_time_s : training and evaluation of all arms together [s].
    baselines : the root's variables; contrastive studies have them.
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
    root = xr.Dataset() if baselines is None else baselines
    tree = xr.DataTree(root.assign_attrs(attrs), children=children)
    validate(tree)
    return tree


def validate(tree: xr.DataTree) -> None:
    """Check a study against the schema.

    Raises
    ------
    InputError : naming what is missing or wrong.
    """
    if not isinstance(tree, xr.DataTree):
        raise InputError(f"A study is {described(tree)}; an xarray.DataTree was expected.")
    if not isinstance(tree.attrs.get("schema"), str) or tree.attrs["schema"] != SCHEMA:
        raise InputError(f"These are not results of prior_lab: the root's attribute schema is not {SCHEMA!r}.")
    version = tree.attrs.get("schema_version")
    if not isinstance(version, int | np.integer) or version != SCHEMA_VERSION:
        raise InputError(
            f"These results have schema version {described(version)}; this prior_lab reads version {SCHEMA_VERSION}."
        )
    _require_attrs(tree, ROOT_ATTRS, "study")
    name_for_file(tree.attrs["name"], "The study")
    if not tree.children:
        raise InputError(f"The study {tree.attrs['name']!r} has no arms.")
    task = str(tree.attrs["task"])
    if task not in VARIABLES:
        raise InputError(f"The study {tree.attrs['name']!r} is of an unknown task {task!r}; expected {_or(VARIABLES)}.")
    if task == "reconstruction" and "yardstick_quality" in tree:
        _validate_variables("study", tree, reconstruction.YARDSTICKS)
    if task == "contrastive":
        _validate_variables("study", tree, BASELINES)
        if "baseline_matched" in tree:
            _validate_variables("study", tree, contrastive.MATCHED_BASELINES)
    wall_time = tree.attrs["wall_time_s"]
    texts = [name for name in ROOT_ATTRS if name != "wall_time_s" and not isinstance(tree.attrs[name], str)]
    if texts or not isinstance(wall_time, float | int | np.number):
        raise InputError(f"The study's attributes {', '.join(texts) or 'wall_time_s'} are not what the schema says.")
    for name, arm in tree.children.items():
        owner = f"arm {str(name)!r}"
        _require_attrs(arm, ARM_ATTRS, owner)
        texts = [attr for attr in ARM_ATTRS if not isinstance(arm.attrs[attr], str)]
        if texts:
            raise InputError(f"The {owner} has attributes that are no text: {', '.join(texts)}.")
        _validate_variables(owner, arm, {**VARIABLES[task], **INFORMATION})
        if "matched" in arm:
            _validate_variables(owner, arm, contrastive.MATCHED)
        if "untrained_information" in arm:
            _validate_variables(owner, arm, {"untrained_information": ("token",)})
        history = dict.fromkeys(("loss", VALIDATION[task]), ("seed", "step"))
        if "step" in arm.coords or any(key in arm for key in history):
            _validate_variables(owner, arm, history, partial=True)


def save(tree: xr.DataTree, path: str | Path) -> None:
    """Write a study as NetCDF: the file is whole, or what was there before stays.

    Raises
    ------
    InputError : if the study does not fulfil the schema, the path does not end in .nc, or it cannot be written.
    """
    validate(tree)
    require_writable(path, ".nc")
    compressed = {"zlib": True, "shuffle": True, "complevel": 9}
    encoding = {
        node.path: {
            name: compressed
            for name, variable in node.to_dataset(inherit=False).variables.items()
            if variable.size >= COMPRESSED and variable.dtype.kind != "O"
        }
        for node in tree.subtree
    }
    with _no_cluster():
        contents = tree.to_netcdf(engine="h5netcdf", encoding=encoding)  # in memory: HDF5 dies of a full disk
    with writing(path) as temporary:
        temporary.write_bytes(contents)


def load(path: str | Path) -> xr.DataTree:
    """Read a study into memory.

    Raises
    ------
    InputError : if the file is missing, is truncated, is no NetCDF file, or does not fulfil the schema.
    """
    path = require_file(path, "results file")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as file:
            tree = file.load()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, IndexError, MemoryError) as error:
        problem = str(error).partition("\n")[0][:200]
        raise InputError(f"{str(path)!r} is not a whole NetCDF file of results ({problem}).") from error
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
    return Provenance(_commit(Path(__file__).parents[2]), json.dumps(versions), _hardware())


def _no_cluster() -> AbstractContextManager[object]:
    """Where Dask is in use, xarray would ask its cluster for a lock on what is no file."""
    dask = sys.modules.get("dask")
    return dask.config.set(scheduler="synchronous") if dask else nullcontext()


def _require_attrs(node: xr.DataTree, names: Sequence[str], owner: str) -> None:
    missing = [name for name in names if name not in node.attrs]
    if missing:
        raise InputError(f"The {owner} lacks the attributes {', '.join(missing)}.")


def _validate_variables(
    owner: str, node: xr.DataTree, expected: Mapping[str, tuple[str, ...]], *, partial: bool = False
) -> None:
    """Every variable is there, has its dimensions, their coordinates and units, and unless `partial` finite numbers."""
    for key, dims in expected.items():
        if key not in node:
            raise InputError(f"The {owner} lacks the variable {key}({', '.join(dims)}).")
        variable = node[key]
        if variable.dims != dims:
            raise InputError(f"The {owner} has {key}{variable.dims}; expected {key}({', '.join(dims)}).")
        if variable.dtype.kind not in "fiub":
            raise InputError(f"The variable {key} of the {owner} holds {variable.dtype}; real numbers were expected.")
        if not variable.size:
            raise InputError(f"The variable {key} of the {owner} is empty: it has {dict(variable.sizes)}.")
        if "units" not in variable.attrs:
            raise InputError(f"The variable {key} of the {owner} lacks the attribute units.")
        if not partial and key not in PARTIAL and not np.isfinite(variable).all():
            raise InputError(f"The variable {key} of the {owner} holds numbers that are not finite.")
        missing = {*dims, *(["unit"] if "metric" in dims else [])} - set(variable.coords)
        for dim in {"budget", "seed", "token"} & set(dims) - missing:
            numbers = variable[dim].values
            if numbers.dtype.kind not in "iu" or len(np.unique(numbers)) < len(numbers):
                raise InputError(
                    f"The {owner} has {dim}s that are not whole numbers, each once: {numbers[:8].tolist()}."
                )
        if missing:
            raise InputError(f"The {owner} lacks the coordinates {', '.join(sorted(missing))}.")


def _or(names: Iterable[str]) -> str:
    return " or ".join(names)


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
