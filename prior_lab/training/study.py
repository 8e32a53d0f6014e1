"""Studies from finished runs: every run measured on the test split, the seeds of one experiment joined to an arm."""

import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import xarray as xr
from jaxtyping import Bool, Int64
from torch import Tensor

from prior_lab import results, zoo
from prior_lab.data import ImageDataset
from prior_lab.effective_information import Information, encode_images
from prior_lab.errors import InputError
from prior_lab.files import as_path, name_for_file
from prior_lab.levels import Levels
from prior_lab.models import ContrastiveModel
from prior_lab.orderings import LABELS, Code
from prior_lab.probes import Samples, linear_probes, matching, nearest_neighbours, retrieval
from prior_lab.probes.samples import accuracy_table
from prior_lab.quality import quality_by_budget
from prior_lab.results import bootstrap_interval
from prior_lab.tasks import ContrastiveExperiment, Experiment, experiment_from_json, nt_xent_by_budget
from prior_lab.training.ceiling import CEILING_FILE, read_ceiling
from prior_lab.training.checkpoints import read_history
from prior_lab.yardsticks import measure_codecs, measure_yardsticks

MODEL_FILE = "model.safetensors"
ProbedTap = Literal["tokens", "levels"]  # features of a shorter prefix are the first columns of those of a longer one
PROBE_IMAGES = 5100  # training images at most, evenly spread, that probes learn from: all of `emoji`
SOUGHT_IMAGES = (
    2500  # test images at most, evenly spread, that are sought among each other: rankings grow with the square
)


@dataclass(frozen=True)
class FinishedRun:
    """A run that `python -m prior_lab train` finished, as its folder records."""

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
    tap: ProbedTap = "tokens",
) -> xr.DataTree:
    """Measure runs on the test split of their data and gather them in a study (see `results/schema.py`).

    Parameters
    ----------
    folders : run folders of `python -m prior_lab train`; those of one arm may differ in their seed alone.
    model_name : what the study says of where an arm's model lies; as `load_model` takes it, or "".
    tap : what probes read of codes; see `OrderedModel.features`. Choose it on the validation split.

    Raises
    ------
    InputError : if a folder holds no finished run, the runs are of different tasks or data, or two runs of an arm
        differ in more than their seed.
    """
    name_for_file(name, "The study")
    runs = [read_run(folder) for folder in folders]
    places = [run.folder.resolve() for run in runs]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise InputError(f"The run {twice} is given more than once; each counts once.")
    if not runs:
        raise InputError("A study needs at least one run folder.")
    first = runs[0].experiment
    if any(run.experiment.task != first.task for run in runs):
        raise InputError("The runs are of different tasks; measure them as separate studies.")
    if any((run.experiment.data, run.experiment.path) != (first.data, first.path) for run in runs):
        raise InputError("The runs learnt from different data; measure them as separate studies.")
    measurement = _MEASUREMENTS[first.task](first, tap=tap)
    arms = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        same = sorted((run for run in runs if run.arm == arm), key=lambda run: run.experiment.seed)
        if len({_without_seed(run.experiment) for run in same}) > 1:
            raise InputError(f"The runs of {arm} differ in more than their seed; measure them as separate studies.")
        arms[arm] = measurement.arm(same, _record(same[0], model_name(same[0]), tap))
    wall_time = sum(read_history(run.folder)[-1]["seconds"] for run in runs)
    return results.build_study(
        name, arms, dataset=first.data, task=first.task, baselines=measurement.baselines(runs), wall_time_s=wall_time
    )


def bundle_study(
    folders: Sequence[Path], name: str, *, weights: Container[str] | None = None, tap: ProbedTap = "tokens"
) -> None:
    """Measure runs and put the study and the weights of each arm's first seed into the package (for maintainers).

    Parameters
    ----------
    weights : the arms whose weights are bundled; all, if not given. The study names no model for the others.
    tap : as `study_from_runs` takes it.
    """

    def bundled_name(run: FinishedRun) -> str:
        return f"{run.experiment.data}/{run.experiment.task}/{run.arm}" if weights is None or run.arm in weights else ""

    tree = study_from_runs(folders, name=name, model_name=bundled_name, tap=tap)
    path = zoo.BUNDLED / "studies" / f"{name}.nc"
    results.save(tree, path)
    zoo.register("studies", name, path)
    runs = sorted((read_run(folder) for folder in folders), key=lambda run: -run.experiment.seed)
    for run in filter(bundled_name, runs):
        path = zoo.BUNDLED / "models" / f"{bundled_name(run)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.model_file, path)
        zoo.register("models", bundled_name(run), path)


def read_run(folder: Path) -> FinishedRun:
    """What a run folder records of its run.

    Raises
    ------
    InputError : if there is no finished run.
    """
    path = as_path(folder, "a run's folder") / MODEL_FILE
    if not path.is_file():
        raise InputError(f"{folder} holds no finished run: {MODEL_FILE} is missing.")
    record = zoo.model_record(path)
    return FinishedRun(path.parent, experiment_from_json(record.config), record.command)


def _without_seed(experiment: Experiment) -> Experiment:
    """What the runs of one arm have in common."""
    return replace(experiment, seed=0, rate_weight=experiment.regulariser_weight)


def _record(run: FinishedRun, model_name: str, tap: ProbedTap) -> results.ArmRecord:
    return results.ArmRecord(
        ordering=LABELS[run.experiment.model.ordering],
        token_kind=run.experiment.model.tokens,
        config=run.experiment.to_json(),
        command=run.command,
        model=model_name,
        tap=tap,
    )


class Measurement(ABC):
    """What is measured of the runs of one task, on data that are loaded once.

    Parameters
    ----------
    experiment : names the data.
    split : what is measured on.
    images : at most so many of each split, evenly spread; all, if not given.
    tap : what probes read of codes.

    Raises
    ------
    InputError : if there is no such tap.
    """

    def __init__(
        self, experiment: Experiment, *, split: str = "test", images: int | None = None, tap: ProbedTap = "tokens"
    ) -> None:
        if tap not in get_args(ProbedTap):
            raise InputError(f"Probes read the tap {' or '.join(get_args(ProbedTap))}, of whole prefixes; got {tap!r}.")
        self.test, self._tap = evenly_spread(experiment.load(split), images), tap

    @abstractmethod
    def arm(self, runs: Sequence[FinishedRun], record: results.ArmRecord) -> xr.Dataset:
        """The runs of one arm, a seed each."""

    def baselines(self, runs: Sequence[FinishedRun]) -> xr.Dataset | None:
        """What the study's root holds."""
        return None

    def _common(self, run: FinishedRun, code: Code) -> dict[str, Any]:
        """What every task records of a run: seed, information of the test images' codes, curves."""
        history = read_history(run.folder)
        last = f"{run.experiment.headline}_{len(code)}"
        return {
            "seed": run.experiment.seed,
            "information": Information(code.posterior, self.test.objects).tokens("nat"),
            "untrained": self._untrained_information(run.experiment),
            "loss": [(int(record["step"]), record["loss"]) for record in history],
            "validation": [(int(record["step"]), record[last]) for record in history if last in record],
        }

    def _untrained_information(self, experiment: Experiment) -> xr.DataArray:
        """What the codes of test images tell before the first step."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            model = experiment.build().eval()
        posterior = encode_images(model, self.test).posterior
        return Information(posterior, self.test.objects).tokens("nat")["information"]


class ReconstructionMeasurement(Measurement):
    """The quality of reconstructions."""

    def arm(self, runs: Sequence[FinishedRun], record: results.ArmRecord) -> xr.Dataset:
        """The runs of one arm, a seed each."""
        objects = [self.test.object_names[index] for index in self.test.objects.tolist()]
        return results.build_reconstruction_arm([self._run(run) for run in runs], objects, record)

    def baselines(self, runs: Sequence[FinishedRun]) -> xr.Dataset:
        """What pictures are worth without a learnt code, at the numbers and bits that codes spend."""
        shape = runs[0].experiment.model
        train, budgets = runs[0].experiment.load("train").images, Levels(shape.levels).budgets
        objects = [self.test.object_names[index] for index in self.test.objects.tolist()]
        yardsticks = measure_yardsticks(train, self.test.images, budgets, shape.channels)
        return results.build_yardsticks(yardsticks, measure_codecs(self.test.images), objects)

    def _run(self, run: FinishedRun) -> results.ReconstructionRun:
        model = zoo.load_autoencoder(run.model_file)
        quality = quality_by_budget(model, self.test.images)
        return results.ReconstructionRun(**self._common(run, encode_images(model, self.test)), quality=quality)


@dataclass(frozen=True, eq=False)
class Probed:
    """What frozen probes read from a contrastive model's codes.

    Attributes
    ----------
    code : of the test images.
    samples : their features.
    widths : how many leading columns each budget [token] reads.
    linear, neighbours : of the test images, from `linear_probes` and `nearest_neighbours`.
    """

    code: Code
    samples: Samples
    widths: dict[int, int]
    linear: xr.Dataset
    neighbours: xr.Dataset


class ContrastiveMeasurement(Measurement):
    """Frozen probes, nearest neighbours and retrieval, with a linear probe on the pixels beside them.

    A taxonomy whose labels vary within objects, such as the artists of `emoji`, says where an image comes from: images
    are matched across it, and no probe predicts it.

    With the tap `tokens` they read the transmitted values, with `levels` PRIOR's outputs y^ of all levels one after the
    other, which a receiver can work out: the paper's "first k concatenated levels" may mean either. On the validation
    split of `household` the levels were no better at full budget with any kind of token; on that of `fashion` they tell
    0.829 of the classes where the tokens tell 0.805 (EMA-VQ tokens, once).
    """

    def __init__(
        self, experiment: Experiment, *, split: str = "test", images: int | None = None, tap: ProbedTap = "tokens"
    ) -> None:
        super().__init__(experiment, split=split, images=images, tap=tap)
        train, self.validation = experiment.load("train"), evenly_spread(experiment.load("validation"), images)
        probed = train.select(torch.arange(0, len(train), math.ceil(len(train) / PROBE_IMAGES)))
        self.train = evenly_spread(probed, images)
        if not self.test.taxonomies:
            raise InputError(f"{experiment.data} has no labels to probe; a folder brings them in labels.csv.")
        self._sources = _sources(train, self.test)
        names = train.object_taxonomies()
        self.train, self.validation, self.test = (
            data.with_taxonomies(names) for data in (self.train, self.validation, self.test)
        )

    def arm(self, runs: Sequence[FinishedRun], record: results.ArmRecord) -> xr.Dataset:
        """The runs of one arm, a seed each."""
        return results.build_contrastive_arm([self._run(run) for run in runs], self._objects(), record)

    def baselines(self, runs: Sequence[FinishedRun]) -> xr.Dataset:
        """Accuracy on the test images without a learnt code, and of the runs' encoder trained on the labels.

        That is, of the most frequent label (majority), of a linear probe (pixels) and of the nearest neighbours (pixel
        neighbours) on the pixels, of a linear probe on the whole code of a model that learnt nothing (untrained), and,
        where `train_ceiling` left it in a run's folder, of the labels themselves (labels), the mean over such runs.
        """
        splits = (self.train, self.validation, self.test)
        train, validation, test = (_samples(data, data.images.flatten(1).float() / 255) for data in splits)
        names = self.test.taxonomies
        widths = {1: train.features.shape[1]}
        blank = tuple(map(self._untrained(runs[0].experiment), splits))
        whole = {1: blank[0].features.shape[1]}
        frequent = torch.stack([labels[labels >= 0].mode().values for labels in train.labels.T])
        tables = {
            "majority": accuracy_table(frequent[None, :, None].expand(1, -1, len(test)), test, [1], names),
            "pixels": linear_probes(train, validation, test, widths=widths, taxonomies=names),
            "pixel neighbours": nearest_neighbours(train, test, widths=widths, taxonomies=names),
            "untrained": linear_probes(*blank, widths=whole, taxonomies=names),
        }
        by_object = {name: table["correct_by_object"].isel(budget=0, drop=True) for name, table in tables.items()}
        by_object = {name: told.assign_coords(object=self._objects()) for name, told in by_object.items()}
        if ceilings := self._ceilings(runs):
            by_object["labels"] = xr.concat(ceilings, dim="run", join="exact").mean("run")
        names_of = xr.DataArray(list(by_object), dims="baseline", name="baseline")
        joined = xr.concat(by_object.values(), dim=names_of, join="exact").transpose("baseline", "object", "taxonomy")
        measured = xr.Dataset(
            {
                "baseline_accuracy_by_object": joined,
                "baseline_accuracy": joined.mean("object"),
                "baseline_interval": bootstrap_interval(joined),
            }
        )
        if self._sources:
            centred = _samples(self.test, test.features - train.features.mean(dim=0))
            matched = {
                "pixels": self._matching(test, widths),
                "centred pixels": self._matching(centred, widths),
                "untrained": self._matching(blank[2], whole),
            }
            measured = measured.assign(results.matching_baselines(matched, self._objects()))
        for variable in measured.variables.values():
            variable.attrs["units"] = "1"
        return measured

    def _untrained(self, experiment: Experiment) -> Callable[[ImageDataset], Samples]:
        """What tells the whole code of an experiment's model before training, with Gaussian tokens.

        Other kinds of tokens would tell less: a codebook is empty before the first step.
        """
        assert isinstance(experiment, ContrastiveExperiment)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            model = ContrastiveModel(replace(experiment.model, tokens="gaussian")).eval()
        return lambda data: _samples(data, model.features(encode_images(model, data), self._tap))

    def _ceilings(self, runs: Sequence[FinishedRun]) -> list[xr.DataArray]:
        """What was told right by the runs' encoders that learnt from the labels, of the images that are measured."""
        found = []
        for run in runs:
            path = run.folder / CEILING_FILE
            if path.is_file() and isinstance(run.experiment, ContrastiveExperiment):
                told = read_ceiling(path, run.experiment)["correct_by_object"]
                if told["object"].values.tolist() != self._objects():
                    raise InputError(f"{str(path)!r} tells of other test objects than the data have; remove it.")
                found.append(told)
        return found

    def _objects(self) -> list[str]:
        return [self.test.object_names[index] for index in self.test.objects.unique().tolist()]

    def probe(self, model: ContrastiveModel) -> Probed:
        """What frozen probes and nearest neighbours read from a model's codes at every budget."""
        codes = [encode_images(model, data) for data in (self.train, self.validation, self.test)]
        splits = zip(codes, (self.train, self.validation, self.test), strict=True)
        train, validation, test = (_samples(data, model.features(code, self._tap)) for code, data in splits)
        widths = {budget: budget * model.config.channels for budget in model.budgets}
        names = self.test.taxonomies
        return Probed(
            code=codes[2],
            samples=test,
            widths=widths,
            linear=linear_probes(train, validation, test, widths=widths, taxonomies=names),
            neighbours=nearest_neighbours(train, test, widths=widths, taxonomies=names),
        )

    def _matching(self, samples: Samples, widths: Mapping[int, int]) -> xr.Dataset:
        """Images of seen and of unseen sources that ask those of seen ones."""
        assert self._sources is not None
        of, seen = self._sources.of_images, self._sources.seen
        asking = {"seen": seen} | ({} if seen.all() else {"unseen": ~seen})
        tables = [matching(samples, of, widths=widths, asking=mask, answering=seen) for mask in asking.values()]
        return xr.concat(tables, dim=xr.DataArray(list(asking), dims="asking", name="asking"), join="exact")

    def _sought(self, samples: Samples) -> Samples:
        chosen = _spread(len(samples), SOUGHT_IMAGES)
        return Samples(samples.features[chosen], samples.labels[chosen], samples.objects[chosen])

    def _run(self, run: FinishedRun) -> results.ContrastiveRun:
        assert isinstance(run.experiment, ContrastiveExperiment)
        model = zoo.load_contrastive(run.model_file)
        probed = self.probe(model)
        found = retrieval(self._sought(probed.samples), widths=probed.widths, taxonomies=self.test.taxonomies)
        return results.ContrastiveRun(
            **self._common(run, probed.code),
            probes=probed.linear,
            neighbours=probed.neighbours["accuracy"],
            retrieval=found["mean_average_precision"],
            matching=self._matching(probed.samples, probed.widths) if self._sources else None,
            ntxent=nt_xent_by_budget(
                model, run.experiment.validation_pairs(self.validation), run.experiment.temperature
            ),
        )


def _spread(total: int, count: int) -> Tensor:
    """At most so many positions, evenly spread."""
    return torch.linspace(0, total - 1, min(count, total)).long()


def evenly_spread(data: ImageDataset, images: int | None) -> ImageDataset:
    """At most so many images, evenly spread over the data; all of them without a number.

    Raises
    ------
    InputError : if the number is below 1.
    """
    if images is None:
        return data
    if images < 1:
        raise InputError(f"images is {images}; it must be at least 1.")
    return data.select(_spread(len(data), images))


@dataclass(frozen=True, eq=False)
class _Sources:
    """Where test images come from, and whether training images come from there too."""

    of_images: Int64[Tensor, "image"]
    seen: Bool[Tensor, "image"]


def _sources(train: ImageDataset, test: ImageDataset) -> _Sources | None:
    """Of the data's source taxonomy; None if they have none."""
    name = train.source_taxonomy()
    if name is None:
        return None
    of_train, of_test = (data.labels[:, data.taxonomies.index(name)] for data in (train, test))
    return _Sources(of_test, torch.isin(of_test, of_train.unique()))


def _samples(data: ImageDataset, features: Tensor) -> Samples:
    return Samples(features.detach().contiguous(), data.labels, data.objects)


_MEASUREMENTS: dict[str, type[Measurement]] = {
    "reconstruction": ReconstructionMeasurement,
    "contrastive": ContrastiveMeasurement,
}
