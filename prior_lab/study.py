"""Studies from finished runs: every run measured on the test split, the seeds of one experiment joined to an arm."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from prior_lab import results, zoo
from prior_lab.checkpoints import read_history
from prior_lab.data import ImageDataset
from prior_lab.effective_information import Information, encode_images
from prior_lab.errors import InputError
from prior_lab.orderings import LABELS
from prior_lab.quality import quality_by_budget
from prior_lab.tasks import Experiment, experiment_from_json

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class FinishedRun:
    """A run that `python -m prior_lab train` finished, as its folder tells."""

    folder: Path
    experiment: Experiment
    command: str

    @property
    def model_file(self) -> Path:
        """The weights."""
        return self.folder / MODEL_FILE

    @property
    def arm(self) -> str:
        """The arm's name in a study, such as prior-gaussian."""
        return f"{self.experiment.model.ordering}-{self.experiment.model.tokens}"


def study_from_runs(
    folders: Sequence[Path],
    *,
    name: str,
    model_name: Callable[[FinishedRun], str] = lambda run: str(run.model_file.resolve()),
) -> xr.DataTree:
    """Measure runs on the test split of their data and gather them in a study (see `results/schema.py`).

    Parameters
    ----------
    folders : run folders of `python -m prior_lab train`; those of one arm may differ in their seed alone.
    model_name : what the study says of where an arm's model lies; as `load_model` takes it.

    Raises
    ------
    InputError : if a folder holds no finished run, a run does not reconstruct, the runs are of different data, or two
        runs of an arm differ in more than their seed.
    """
    runs = [read_run(folder) for folder in folders]
    if not runs:
        raise InputError("A study needs at least one run folder.")
    if any(run.experiment.task != "reconstruction" for run in runs):
        raise InputError("Only runs of the task reconstruction can be measured; contrastive ones need probes, to come.")
    if len({(run.experiment.data, run.experiment.path) for run in runs}) > 1:
        raise InputError("The runs learnt from different data; measure them as separate studies.")
    arms = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        same = sorted((run for run in runs if run.arm == arm), key=lambda run: run.experiment.seed)
        if len({_without_seed(run.experiment) for run in same}) > 1:
            raise InputError(f"The runs of {arm} differ in more than their seed; measure them as separate studies.")
        arms[arm] = _measure_arm(same, model_name(same[0]))
    wall_time = sum(read_history(run.folder)[-1]["seconds"] for run in runs)
    return results.build_study(name, arms, dataset=runs[0].experiment.data, wall_time_s=wall_time)


def bundle_study(folders: Sequence[Path], name: str) -> None:
    """Measure runs and put the study and the weights of each arm's first seed into the package (for maintainers)."""

    def bundled_name(run: FinishedRun) -> str:
        return f"{run.experiment.data}/reconstruction/{run.arm}"

    tree = study_from_runs(folders, name=name, model_name=bundled_name)
    path = zoo.BUNDLED / "studies" / f"{name}.nc"
    results.save(tree, path)
    zoo.register("studies", name, path)
    runs = sorted((read_run(folder) for folder in folders), key=lambda run: -run.experiment.seed)
    for run in runs:
        path = zoo.BUNDLED / "models" / f"{bundled_name(run)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.model_file, path)
        zoo.register("models", bundled_name(run), path)


def read_run(folder: Path) -> FinishedRun:
    """What a run folder tells of its run.

    Raises
    ------
    InputError : if there is no finished run.
    """
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        raise InputError(f"{folder} holds no finished run: {MODEL_FILE} is missing.")
    record = zoo.model_record(path)
    return FinishedRun(Path(folder), experiment_from_json(record.config), record.command)


def _without_seed(experiment: Experiment) -> Experiment:
    """What the runs of one arm have in common."""
    return replace(experiment, seed=0, rate_weight=experiment.regulariser_weight)


def _measure_arm(runs: Sequence[FinishedRun], model_name: str) -> xr.Dataset:
    experiment = runs[0].experiment
    test = experiment.load("test")
    record = results.ArmRecord(
        ordering=LABELS[experiment.model.ordering],
        token_kind=experiment.model.tokens,
        config=experiment.to_json(),
        command=runs[0].command,
        model=model_name,
    )
    objects = [test.object_names[index] for index in test.objects.tolist()]
    return results.build_reconstruction_arm([_measure_run(run, test) for run in runs], objects, record)


def _measure_run(run: FinishedRun, test: ImageDataset) -> results.ReconstructionRun:
    model = zoo.load_autoencoder(run.model_file)
    history = read_history(run.folder)
    last = f"{run.experiment.headline}_{model.budgets[-1]}"
    return results.ReconstructionRun(
        seed=run.experiment.seed,
        information=Information(encode_images(model, test).posterior, test.objects).tokens("nat"),
        loss=[(int(record["step"]), record["loss"]) for record in history],
        validation=[(int(record["step"]), record[last]) for record in history if last in record],
        quality=quality_by_budget(model, test.images),
    )
