"""What arms of every task have in common: what they are, what their tokens carry, how their training went."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from prior_lab.errors import InputError

Curve = Sequence[tuple[int, float]]
UNITS = {"budget": "token", "step": "optimiser step"}


@dataclass(frozen=True)
class ArmRecord:
    """What an arm is: the attributes of its node.

    Attributes
    ----------
    ordering : its label, such as "MBOP-TD".
    token_kind : gaussian, categorical, ...
    config : JSON of the experiment.
    command : the exact command that made it.
    model : its name for `prior_lab.load_model`, or "" if there is none to load.
    tap : what probes read of its codes, as `features` of a contrastive model takes it; studies from before there was
        the choice have no such attribute, and it was the tokens.
    """

    ordering: str
    token_kind: str
    config: str
    command: str
    model: str = ""
    tap: str = "tokens"


@dataclass(frozen=True)
class Run:
    """What the training of one arm with one seed gave, whatever the task.

    Attributes
    ----------
    seed : of the run.
    information : `information`, `corrected` and `standard_error` (token), from `Information.tokens("nat")`.
    untrained : (token) what its model's codes tell before the first step, with the same weights to begin with [nat].
    loss : training objective as (step, value) pairs, in order of steps.
    validation : the task's headline measure at full budget on the validation split, likewise.
    """

    seed: int
    information: xr.Dataset
    untrained: xr.DataArray | None = None
    loss: Curve = ()
    validation: Curve = ()


def seed_index(runs: Sequence[Run]) -> xr.DataArray:
    """The seeds as an index to join runs along.

    Raises
    ------
    InputError : if there is no run.
    """
    if not runs:
        raise InputError("An arm needs at least one run.")
    return xr.DataArray([run.seed for run in runs], dims="seed", name="seed")


def assemble(
    runs: Sequence[Run], record: ArmRecord, measured: Mapping[str, xr.DataArray], *, validation: str
) -> xr.Dataset:
    """An arm of what a task measured, the information of its tokens and its training curves.

    Parameters
    ----------
    measured : the task's variables, each with its units.
    validation : name of the variable that holds the validation curve.
    """
    tokens = xr.concat([run.information for run in runs], dim=seed_index(runs), join="exact").astype(np.float32)
    information = {
        "information": tokens["information"],
        "information_corrected": tokens["corrected"],
        "information_error": tokens["standard_error"],
    }
    if runs[0].untrained is not None:
        information["untrained_information"] = runs[0].untrained.astype(np.float32)
    curves = _curves({"loss": [run.loss for run in runs], validation: [run.validation for run in runs]})
    for variables, units in ((information, "nat"), (curves, "1")):
        for variable in variables.values():
            variable.attrs = {"units": units}
    arm = xr.Dataset({**measured, **information, **curves}, attrs=asdict(record))
    for label, coordinate in arm.coords.items():
        coordinate.attrs = {"units": UNITS.get(str(label), "1")}
    return arm


def with_units(variable: xr.DataArray, units: str) -> xr.DataArray:
    """In single precision, with its units."""
    return variable.astype(np.float32).assign_attrs(units=units)


def _curves(curves: Mapping[str, Sequence[Curve]]) -> dict[str, xr.DataArray]:
    """Every run's curves on the union of their steps; nothing if there are none."""
    steps = sorted({step for seeds in curves.values() for curve in seeds for step, _ in curve})
    if not steps:
        return {}
    found = {}
    for name, seeds in curves.items():
        rows = [[dict(curve).get(step, np.nan) for step in steps] for curve in seeds]
        found[name] = xr.DataArray(np.array(rows, np.float32), dims=("seed", "step"), coords={"step": steps})
    return found
