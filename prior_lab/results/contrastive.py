"""Arms that distinguish objects: frozen probes at every budget and label level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from prior_lab.checks import Count, described, entry_point
from prior_lab.errors import InputError
from prior_lab.results.arm import ArmRecord, Run, assemble, seed_index, with_units
from prior_lab.results.statistics import Lead, bootstrap_interval, lead

VARIABLES = {
    "accuracy_by_object": ("seed", "object", "taxonomy", "budget"),
    "accuracy": ("seed", "taxonomy", "budget"),
    "accuracy_interval": ("seed", "taxonomy", "budget", "bound"),
    "neighbour_accuracy": ("seed", "taxonomy", "budget"),
    "average_precision": ("seed", "taxonomy", "budget"),
    "strength": ("seed", "taxonomy", "budget"),
    "ntxent": ("seed", "budget"),
    "predicted": ("taxonomy", "budget", "image"),
}
MATCHED = {
    "matched_by_object": ("seed", "object", "asking", "measure", "budget"),
    "matched": ("seed", "asking", "measure", "budget"),
    "matched_interval": ("seed", "asking", "measure", "budget", "bound"),
}
MATCHED_BASELINES = {
    "baseline_matched_by_object": ("yardstick", "object", "asking", "measure"),
    "baseline_matched": ("yardstick", "asking", "measure"),
    "baseline_matched_interval": ("yardstick", "asking", "measure", "bound"),
}
VALIDATION = "validation_ntxent"


@dataclass(frozen=True)
class ContrastiveRun(Run):
    """What the training of one contrastive model gave.

    Attributes
    ----------
    probes : of the test images, from `prior_lab.probes.linear_probes`.
    neighbours : accuracy (budget, taxonomy) of nearest neighbours, from `prior_lab.probes.nearest_neighbours`.
    retrieval : mean average precision (budget, taxonomy), from `prior_lab.probes.retrieval`.
    ntxent : of the validation objects, by budget [nat].
    matching : (asking) of `prior_lab.probes.matching`, where images come from several sources.
    """

    probes: xr.Dataset = field(default_factory=xr.Dataset)
    neighbours: xr.DataArray = field(default_factory=xr.DataArray)
    retrieval: xr.DataArray = field(default_factory=xr.DataArray)
    ntxent: Sequence[float] = ()
    matching: xr.Dataset | None = None


def build_contrastive_arm(runs: Sequence[ContrastiveRun], objects: Sequence[str], record: ArmRecord) -> xr.Dataset:
    """One arm of a study from its runs.

    Parameters
    ----------
    runs : one for every seed, with the same budgets, label levels and images.
    objects : names of the test objects, as the probes number them.

    Raises
    ------
    InputError : if there is no run.
    """
    seeds = seed_index(runs)

    def joined(parts: Sequence[xr.DataArray]) -> xr.DataArray:
        return xr.concat(parts, dim=seeds, join="exact").transpose("seed", ..., "taxonomy", "budget")

    by_object = joined([run.probes["correct_by_object"] for run in runs]).assign_coords(object=list(objects))
    budgets = by_object.coords["budget"]
    ntxent = xr.DataArray([list(run.ntxent) for run in runs], dims=("seed", "budget"), coords={"budget": budgets})
    measured = {
        "accuracy_by_object": by_object,
        "accuracy": by_object.mean("object"),
        "accuracy_interval": bootstrap_interval(by_object),
        "neighbour_accuracy": joined([run.neighbours for run in runs]),
        "average_precision": joined([run.retrieval for run in runs]),
        "strength": joined([run.probes["strength"] for run in runs]),
    }
    matched = [run.matching["matched_by_object"] for run in runs if run.matching is not None]
    if matched:
        every = xr.concat(matched, dim=seeds, join="exact").assign_coords(object=list(objects))
        measured |= _of_objects("matched", every.transpose(*MATCHED["matched_by_object"]))
    variables = {name: with_units(variable, "1") for name, variable in measured.items()}
    variables["ntxent"] = with_units(ntxent.assign_coords(seed=seeds), "nat")
    predicted = runs[0].probes["predicted"].transpose("taxonomy", "budget", "image").astype(np.int16)
    predicted = predicted.assign_coords(image=np.arange(predicted.sizes["image"]))
    variables["predicted"] = predicted.assign_attrs(units="1")
    return assemble(runs, record, variables, validation=VALIDATION)


def matching_baselines(tables: Mapping[str, xr.Dataset], objects: Sequence[str]) -> dict[str, xr.DataArray]:
    """What matching gives without a learnt code: by chance, and by every yardstick.

    Parameters
    ----------
    tables : (asking) of `prior_lab.probes.matching`, each at one budget: of the images themselves (pixels), of the code
        of an untrained model (untrained).
    """
    by_object = {"chance": next(iter(tables.values()))["chance_by_object"]}
    by_object |= {name: table["matched_by_object"].isel(budget=0, drop=True) for name, table in tables.items()}
    yardsticks = xr.DataArray(list(by_object), dims="yardstick", name="yardstick")
    joined = xr.concat(by_object.values(), dim=yardsticks, join="override", coords="minimal", compat="override")
    joined = joined.assign_coords(object=list(objects))
    return _of_objects("baseline_matched", joined.transpose(*MATCHED_BASELINES["baseline_matched_by_object"]))


def _of_objects(name: str, by_object: xr.DataArray) -> dict[str, xr.DataArray]:
    """Values by object, their mean and its interval."""
    return {
        f"{name}_by_object": by_object,
        name: by_object.mean("object"),
        f"{name}_interval": bootstrap_interval(by_object),
    }


@entry_point
def leads_over(
    study: xr.DataTree, arm: str, *, baseline: str = "pixels", taxonomy: str | None = None, budget: Count | None = None
) -> dict[int, Lead]:
    """By how much the probes of an arm are ahead of a baseline on the same test objects, seed by seed.

    Parameters
    ----------
    study : of the task contrastive.
    baseline : one of the study's, such as majority, pixels, pixel neighbours, untrained or labels.
    taxonomy : the label level; the finest, if not given.
    budget : of the code [token]; all of it, if not given.

    Raises
    ------
    InputError : if the study has no such arm, baseline, label level or budget.

    Examples
    --------
    Of the first seed, against a linear probe on the pixels:

    >>> import prior_lab as pl
    >>> from prior_lab.results import leads_over
    >>> leads_over(pl.load_study("household-contrastive"), "prior-gaussian")[0].verdict
    'cannot be told here'
    """
    if arm not in study.children or "accuracy_by_object" not in study[arm]:
        raise InputError(f"The study has no arm {described(arm)} with probes; it has {', '.join(study.children)}.")
    known = study[arm].to_dataset()["accuracy_by_object"]
    there = study.to_dataset()["baseline_accuracy_by_object"]
    wanted = {
        "taxonomy": taxonomy or str(known["taxonomy"].values[-1]),
        "budget": int(known["budget"].max()) if budget is None else budget,
        "baseline": baseline,
    }
    for name, value in wanted.items():
        available = (there if name == "baseline" else known)[name].values.tolist()
        if value not in available:
            raise InputError(f"The study has no {name} {value!r}; it has {', '.join(map(str, available))}.")
    code = known.sel(taxonomy=wanted["taxonomy"], budget=wanted["budget"], drop=True)
    beside = there.sel(taxonomy=wanted["taxonomy"], baseline=baseline, drop=True)
    return {int(seed): lead(code.sel(seed=seed, drop=True), beside) for seed in code["seed"].values}
