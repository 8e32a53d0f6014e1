"""Checkpoints of a training run: one safetensors file holds everything that resuming needs.

A checkpoint is written to a temporary file, synced and renamed; the last two are kept. Tensors are the model's
parameters, their moving average, the optimiser's moments and the random generator's state; the header holds the
experiment, the step and the history as JSON. Nothing is pickled.
"""

import json
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Generator, Tensor

from prior_lab.checks import parse_json
from prior_lab.errors import InputError
from prior_lab.files import UNREADABLE, reason, replacing, write_tensors
from prior_lab.models import OrderedModel
from prior_lab.tasks import Record, experiment_from_json
from prior_lab.training.optimizers import MuonAdamW

FORMAT = "prior-lab/checkpoint/2"
KEPT = 2


@dataclass
class TrainingState:
    """All that changes while a run goes on."""

    model: OrderedModel
    average: OrderedModel
    optimizer: MuonAdamW
    generator: Generator
    step: int
    history: list[Record]


def save_checkpoint(state: TrainingState, experiment: str, folder: Path) -> Path:
    """Write the state as `folder/checkpoint-STEP.safetensors`, then remove all but the last two.

    Parameters
    ----------
    experiment : the experiment as JSON; resuming checks it.

    Raises
    ------
    InputError : if it cannot be written, because the disk is full for instance; those before it are kept.
    """
    path = folder / f"checkpoint-{state.step:08d}.safetensors"
    header = {
        "format": FORMAT,
        "experiment": experiment,
        "step": str(state.step),
        "history": json.dumps(state.history),
    }
    try:
        with replacing(path) as temporary:
            write_tensors(temporary, _tensors(state), header)
    except OSError as error:
        raise InputError(
            f"The checkpoint of step {state.step} cannot be written to {folder} ({reason(error)}); the one before it "
            "is kept. Make room, then train again to go on from there."
        ) from error
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def restore_checkpoint(state: TrainingState, experiment: str, folder: Path) -> bool:
    """Load the newest whole checkpoint of `folder` into `state`; false where there is none.

    One that is damaged is passed over, with a warning. On another kind of device than it was written on, chance goes on
    from a seed that depends on the step.

    Raises
    ------
    InputError : if the run there is of another experiment, or none of its checkpoints can be read.
    """
    found, problems = checkpoints(folder), []
    for path in reversed(found):
        try:
            header, tensors = _header(path), _read_tensors(path)
            if (there := _as_of_now(header.experiment)) != experiment:
                raise InputError(
                    f"{folder} holds a run of another experiment ({difference(there, experiment)}); "
                    "choose another folder, or the experiment it was started with."
                )
            _require_whole(state, header, tensors)
        except DamagedError as error:
            problems.append(f"{path.name} {error}")
            continue
        if problems:
            message = f"In {folder} {'; '.join(problems)}; training goes on from {path.name}, the one before."
            warnings.warn(message, stacklevel=2)
        state.step, state.history = header.step, header.history
        _load(state, tensors)
        return True
    if found:
        raise InputError(
            f"None of the {len(found)} checkpoints in {folder} can be read by this version ({problems[0]}); move them "
            "away to start anew."
        )
    return False


def _as_of_now(experiment: str) -> str:
    """The JSON of an experiment with the settings that are younger than it at their defaults."""
    with suppress(InputError):
        return experiment_from_json(experiment).to_json()
    return experiment


def read_history(folder: Path) -> list[Record]:
    """The history in a run's newest whole checkpoint.

    Raises
    ------
    InputError : if the folder holds none.
    """
    found, problem = checkpoints(folder), ""
    for path in reversed(found):
        try:
            return _header(path).history
        except DamagedError as error:
            problem = problem or f": {path.name} {error}"
    raise InputError(f"{folder} holds no checkpoint of a run that can be read{problem}.")


class DamagedError(Exception):
    """Why a file is no whole checkpoint, as the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class _Header:
    experiment: str
    step: int
    history: list[Record]


def _header(path: Path) -> _Header:
    """What a checkpoint says of itself."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except UNREADABLE as error:
        raise DamagedError(f"is truncated or is not a safetensors file ({error})") from error
    if metadata.get("format") != FORMAT:
        raise DamagedError("is no checkpoint, or one of another version")
    missing = [name for name in ("experiment", "step", "history") if name not in metadata]
    if missing:
        raise DamagedError(f"lacks its {', '.join(missing)}")
    try:
        history, experiment = (
            parse_json(metadata["history"], "history"),
            parse_json(metadata["experiment"], "experiment"),
        )
        step = int(metadata["step"])
    except ValueError as error:
        raise DamagedError("holds a header that cannot be read") from error
    records = isinstance(history, list) and all(isinstance(one, dict) and _is_record(one) for one in history)
    if not records or not history or not isinstance(experiment, dict):
        raise DamagedError("holds a history or an experiment that cannot be read")
    if history[-1]["step"] != step or not 1 <= step <= experiment.get("steps", 0):
        raise DamagedError("holds a step that does not belong to its history and its experiment")
    return _Header(metadata["experiment"], step, history)


def _is_record(values: dict[Any, Any]) -> bool:
    numbers = all(isinstance(value, int | float) for value in values.values())
    return numbers and {"step", "seconds"} <= values.keys()


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise DamagedError(f"is truncated ({error})") from error


def _require_whole(state: TrainingState, header: _Header, tensors: dict[str, Tensor]) -> None:
    """All that resuming needs is there, as large as it should be, and finite."""
    wanted = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    wanted |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    if "generator" not in tensors:
        raise DamagedError("lacks the tensor generator")
    for name, value in wanted.items():
        if name not in tensors or (tensors[name].shape, tensors[name].dtype) != (value.shape, value.dtype):
            raise DamagedError(f"lacks the tensor {name}, or has it in another shape")
    names = {parameter: name for name, parameter in state.model.named_parameters()}
    for group in state.optimizer.param_groups:
        size = sum(parameter.numel() for parameter in group["params"])
        moments = _under(f"optimizer.{names[group['params'][0]]}.", tensors)
        moments.pop("step", None)
        if not moments or any(moment.numel() != size for moment in moments.values()):
            raise DamagedError(f"lacks the optimiser's moments of {names[group['params'][0]]}")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise DamagedError("holds numbers that are not finite")


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"))


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    tensors["generator"] = state.generator.get_state()
    for name, parameter in state.model.named_parameters():
        moments = state.optimizer.state.get(parameter, {})
        tensors |= {f"optimizer.{name}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _load(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    state.model.load_state_dict(_under("model.", tensors))
    state.average.load_state_dict(_under("average.", tensors))
    if tensors["generator"].shape == state.generator.get_state().shape:
        state.generator.set_state(tensors["generator"])
    else:
        state.generator.manual_seed(state.generator.initial_seed() + state.step)
    for name, parameter in state.model.named_parameters():
        moments = _under(f"optimizer.{name}.", tensors)
        state.optimizer.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()
        }


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def difference(there: str, here: str) -> str:
    """The first field in which two experiments differ, for a person to read."""
    old, new = _flat(json.loads(there)), _flat(json.loads(here))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            return f"its {name} is {old.get(name)!r}, not {new.get(name)!r}"
    return "it was written by another version"


def _flat(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
