"""A point of a search as training runs: one for each arm that shares the settings, short ones or at full length."""

import fcntl
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from prior_lab.checks import parse_json
from prior_lab.errors import InputError
from prior_lab.files import replacing
from prior_lab.tasks import Experiment, Record
from prior_lab.training import NotFiniteError, train
from prior_lab.training.checkpoints import checkpoints, read_history
from prior_lab.training.hardware import DeviceName
from prior_lab.zoo import save_model

Stage = Literal["broad", "refined", "anchor"]
SHORTEST_WARMUP = 4  # a short run warms up for at most one of so many steps
RECORDS = 20  # of the loss in a trial's curve


@dataclass(frozen=True)
class Outcome:
    """What a run of a trial found on the validation split.

    Attributes
    ----------
    distortion : by budget; 1 - SSIM, or NT-Xent [nat]. Empty where the run diverged.
    bits : information of each level's tokens [bit].
    curve : the training loss by step.
    seconds : of training [s].
    """

    distortion: dict[int, float]
    bits: tuple[float, ...]
    curve: dict[int, float]
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A point that is tried, and what was found there.

    Attributes
    ----------
    point : places of the settings in 0..1.
    steps : the horizon of its runs.
    outcomes : of every arm; nothing while it is going on.
    """

    number: int
    stage: Stage
    point: tuple[float, ...]
    settings: dict[str, float]
    steps: int
    outcomes: tuple[Outcome, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it to a folder of trials."""
        with replacing(folder / f"{self.number:04d}.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "Trial":
        """What `save` wrote.

        Raises
        ------
        InputError : if it is damaged.
        """
        try:
            told = parse_json(path.read_text(), "The trial")
            outcomes = tuple(
                Outcome(_by_number(one["distortion"]), tuple(one["bits"]), _by_number(one["curve"]), one["seconds"])
                for one in told.pop("outcomes")
            )
            return cls(**{**told, "point": tuple(told["point"])}, outcomes=outcomes)
        except (TypeError, KeyError, AttributeError, ValueError, InputError) as error:
            raise InputError(
                f"{str(path)!r} is no whole trial of a search; remove it to have it tried anew."
            ) from error


def _by_number(told: Mapping[str, float]) -> dict[int, float]:
    return {int(number): float(value) for number, value in told.items()}


def require_settings(experiments: Sequence[Experiment], names: Sequence[str]) -> None:
    """Refuse names that are no number of an experiment or its model."""
    for experiment in experiments:
        known = [*_numbers(experiment), *(f"model.{name}" for name in _numbers(experiment.model))]
        for name in names:
            if name not in known:
                raise InputError(f"There is no setting {name!r} to search; choose among {', '.join(sorted(known))}.")


def _numbers(owner: Any) -> list[str]:
    """The fields of a data class that hold a number which is no whole one."""
    values = {field.name: getattr(owner, field.name) for field in fields(owner)}
    return [name for name, value in values.items() if isinstance(value, float) or name == "rate_weight"]


def usual_space(experiments: Sequence[Experiment]) -> dict[str, tuple[float, float]]:
    """What is worth searching for an arm: its learning rate, and the weights of what its loss adds to the objective.

    Bounds lie a factor of three beside the learning rate and one of thirty beside the other settings; those that are 0
    have bounds of their own.
    """
    first = experiments[0]
    kinds, orderings = {one.model.tokens for one in experiments}, {one.model.ordering for one in experiments}
    space = {"learning_rate": (first.learning_rate / 3, 3 * first.learning_rate)}
    if kinds != {"fsq"}:
        middle = first.regulariser_weight
        space["rate_weight"] = (middle / 30, 30 * middle) if middle else (1e-5, 1e-2)
    if "gaussian" in kinds:
        space["model.free_nats"] = (0.1, 10.0)
    if "categorical" in kinds:
        space["model.batch_entropy"] = (0.3, 10.0)
    if "prior" in orderings:
        middle = first.prediction_weight
        space["prediction_weight"] = (middle / 30, 30 * middle) if middle else (1e-3, 1.0)
    return space


def experiment_at(experiment: Experiment, settings: Mapping[str, float], steps: int) -> Experiment:
    """The experiment with settings in place of its own, trained for a number of steps and validated at their end."""
    own: dict[str, Any] = {name: value for name, value in settings.items() if "." not in name}
    shape: dict[str, Any] = {name.removeprefix("model."): value for name, value in settings.items() if "." in name}
    return replace(
        experiment,
        **own,
        model=replace(experiment.model, **shape),
        steps=steps,
        warmup_steps=min(experiment.warmup_steps, steps // SHORTEST_WARMUP),
        validate_every=steps,
        log_every=max(1, steps // RECORDS),
    )


def run_trial(experiment: Experiment, folder: Path, *, device: DeviceName, command: str, keep: bool) -> Outcome:
    """Train a run of a trial in a folder, which afterwards holds the model or nothing.

    Parameters
    ----------
    keep : write `model.safetensors`.
    """
    _wait_for(folder)
    try:
        trained = train(experiment, folder, device=device, progress=False)
    except NotFiniteError:
        history = read_history(folder) if checkpoints(folder) else []
        _clear(folder)
        return Outcome({}, (), _curve(history), history[-1]["seconds"] if history else 0.0)
    if keep:
        save_model(trained.model, folder / "model.safetensors", config=experiment.to_json(), command=command)
    _clear(folder)
    last = trained.history[-1]
    prefix = f"{experiment.headline}_"
    told = {int(name.removeprefix(prefix)): value for name, value in last.items() if name.startswith(prefix)}
    distortion = {budget: 1 - value if experiment.headline == "ssim" else value for budget, value in told.items()}
    bits = tuple(last[f"information_{level}"] / math.log(2) for level in range(experiment.model.levels))
    if not all(map(math.isfinite, (*distortion.values(), *bits))):
        distortion = {}
    return Outcome(distortion, bits, _curve(trained.history), last["seconds"])


def _wait_for(folder: Path) -> None:
    """Let a run end that a search which was killed has left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def _clear(folder: Path) -> None:
    """Remove the checkpoints of a run that has ended, and its folder where nothing is left."""
    for path in checkpoints(folder):
        path.unlink()
    (folder / ".lock").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _curve(history: Sequence[Record]) -> dict[int, float]:
    return {int(record["step"]): float(record["loss"]) for record in history}
