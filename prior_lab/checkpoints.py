"""Checkpoints of a training run: one safetensors file holds everything that resuming needs.

A checkpoint is written to a temporary file, synced and renamed; the last two are kept. Tensors are the model's
parameters, their moving average, the optimiser's moments and the random generator's state; the header holds the
experiment, the step and the history as JSON. Nothing is pickled.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Generator, Tensor
from torch.optim import Optimizer

from prior_lab.errors import InputError
from prior_lab.files import reason, replacing, write_tensors
from prior_lab.models import OrderedModel
from prior_lab.tasks import Record

FORMAT = "prior-lab/checkpoint/2"
KEPT = 2


@dataclass
class TrainingState:
    """All that changes while a run goes on."""

    model: OrderedModel
    average: OrderedModel
    optimizer: Optimizer
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
    """Load the newest readable checkpoint of `folder` into `state`; false where there is none.

    Raises
    ------
    InputError : if the run there is of another experiment, or none of its checkpoints can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError):
            continue
        if header.get("format") != FORMAT:
            continue
        if header["experiment"] != experiment:
            raise InputError(
                f"{folder} holds a run of another experiment ({difference(header['experiment'], experiment)}); "
                "choose another folder, or the experiment it was started with."
            )
        _load(state, tensors)
        state.step, state.history = int(header["step"]), json.loads(header["history"])
        return True
    if found:
        raise InputError(
            f"None of the {len(found)} checkpoints in {folder} can be read by this version; move them away "
            "to start anew."
        )
    return False


def read_history(folder: Path) -> list[Record]:
    """The history in a run's newest checkpoint.

    Raises
    ------
    InputError : if the folder holds no checkpoint.
    """
    found = checkpoints(folder)
    if not found:
        raise InputError(f"{folder} holds no checkpoint of a run.")
    with safe_open(found[-1], framework="pt") as file:
        return json.loads(file.metadata()["history"])


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
    state.generator.set_state(tensors["generator"])
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
