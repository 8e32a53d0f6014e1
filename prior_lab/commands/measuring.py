"""`quality`, `information` and `probe` of a model, and `measure`, a study from finished runs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tyro

from prior_lab.commands.answers import Answer, Answering, table
from prior_lab.commands.summaries import study_summary, study_table

if TYPE_CHECKING:
    import xarray as xr

    from prior_lab.data import ImageDataset
    from prior_lab.tasks import Experiment


@dataclass(frozen=True, kw_only=True)
class MeasureModel(Answering):
    """What is measured of one model, on the data it learnt from unless others are named."""

    model: tyro.conf.Positional[str]
    """Name of a bundled model, a .safetensors file, or the folder of a run."""
    data: str | None = None
    """Name of the data set; the one that the model learnt from, if not given."""
    path: str | None = None
    """Folder of the images, for data sets that are read from one."""
    convert: Literal["rgb"] | None = None
    """With rgb, such a data set converts images that are not RGB."""
    unreadable: Literal["raise", "skip"] | None = None
    """With skip, such a data set skips images that cannot be read, with a warning."""
    split: str = "test"
    """The images: train, validation or test; some data sets have all."""
    images: int | None = None
    """At most so many images of a split, evenly spread; all, if not given."""

    @property
    def source(self) -> str | Path:
        """The model as `load_model` takes it."""
        from prior_lab.files import as_path
        from prior_lab.training.study import read_run
        from prior_lab.zoo import list_models

        folder = as_path(self.model, "a model")
        return self.model if self.model in list_models() or not folder.is_dir() else read_run(folder).model_file

    @property
    def experiment(self) -> "Experiment":
        """The experiment that trained the model, with the data to measure on."""
        from prior_lab.tasks import experiment_from_json
        from prior_lab.zoo import model_record

        learnt = experiment_from_json(model_record(self.source).config)
        if self.data is not None and self.data != learnt.data:
            learnt = replace(learnt, data=self.data, path=None, convert=None, unreadable="raise")
        return replace(
            learnt,
            path=self.path or learnt.path,
            convert=self.convert or learnt.convert,
            unreadable=self.unreadable or learnt.unreadable,
        )

    def about(self, images: "ImageDataset") -> dict[str, Any]:
        """What was measured on."""
        return {
            "model": self.model,
            "data": images.name,
            "split": images.split,
            "images": len(images),
            "objects": len(images.objects.unique()),
        }


@dataclass(frozen=True, kw_only=True)
class Quality(MeasureModel):
    """Measure how near an autoencoder's reconstructions are to their images at every budget.

    L1, L2, PSNR [dB], SSIM and, of images that are large enough, MS-SSIM; means over objects, with 95 % intervals over
    objects in the JSON.
    """

    def answer(self, command: str) -> Answer:
        """Encode, decode and compare."""
        import xarray as xr

        from prior_lab.quality import UNITS, quality_by_budget
        from prior_lab.results import bootstrap_interval
        from prior_lab.training.study import evenly_spread
        from prior_lab.zoo import load_autoencoder

        model = load_autoencoder(self.source)
        images = evenly_spread(self.experiment.load(self.split), self.images)
        objects = xr.DataArray(images.objects.numpy(), dims="image", name="object")
        by_object = quality_by_budget(model, images.images).astype(np.float64).groupby(objects).mean()
        means, interval = by_object.mean("object"), bootstrap_interval(by_object)
        budgets, metrics = means.budget.values.tolist(), [str(metric) for metric in means.metric.values]
        values = {
            metric: {"unit": UNITS[metric], **_curve(means.sel(metric=metric), interval.sel(metric=metric))}
            for metric in metrics
        }
        rows = [
            [str(budget), *(f"{values[metric]['mean'][place]:.4g}" for metric in metrics)]
            for place, budget in enumerate(budgets)
        ]
        about = self.about(images)
        return Answer(
            about | {"budgets": budgets, "metrics": values}, f"{_heading(about)}\n{table(['budget', *metrics], rows)}"
        )


@dataclass(frozen=True, kw_only=True)
class Information(MeasureModel):
    """Measure the effective information of a model's code: of each level and of each budget, with standard errors."""

    unit: Literal["nat", "bit", "byte"] = "bit"
    """Units of information."""

    def answer(self, command: str) -> Answer:
        """Encode and count."""
        from prior_lab import effective_information
        from prior_lab.levels import Levels
        from prior_lab.training.study import evenly_spread
        from prior_lab.zoo import load_model

        model = load_model(self.source)
        images = evenly_spread(self.experiment.load(self.split), self.images)
        code = effective_information.encode_images(model, images)
        measured = effective_information.Information(code.posterior, images.objects)
        pyramid = Levels(model.config.levels)

        def estimate(tokens: slice) -> dict[str, Any]:
            estimate = measured.total(tokens, "nat" if self.unit == "nat" else "bit")
            scale = 1 / 8 if self.unit == "byte" else 1.0
            return {
                "information": scale * estimate.value,
                "corrected": scale * estimate.corrected,
                "standard_error": scale * estimate.standard_error,
            }

        levels = [
            {"level": level, "first_token": tokens.start, "tokens": size} | estimate(tokens)
            for level, (tokens, size) in enumerate(zip(pyramid.slices, pyramid.sizes, strict=True))
        ]
        budgets = [{"budget": budget} | estimate(slice(budget)) for budget in pyramid.budgets]
        about = self.about(images)
        rows = [
            [str(one["level"]), str(one["tokens"]), _sure(one), str(two["budget"]), _sure(two)]
            for one, two in zip(levels, budgets, strict=True)
        ]
        head = ["level", "tokens", f"information [{self.unit}]", "budget", f"cumulative [{self.unit}]"]
        return Answer(
            about | {"unit": self.unit, "levels": levels, "budgets": budgets},
            f"{_heading(about)}\n{table(head, rows)}",
        )


@dataclass(frozen=True, kw_only=True)
class Probe(MeasureModel):
    """Probe the frozen code of a contrastive model at every budget and label level: linear probes and neighbours.

    Probes learn from the training split and are chosen on the validation split. Accuracies are means over objects, with
    95 % intervals over objects; the most frequent label stands beside them.
    """

    tap: Literal["tokens", "levels"] = "tokens"
    """What probes read: the transmitted tokens, or PRIOR's outputs y^ of all levels of the prefix."""

    def answer(self, command: str) -> Answer:
        """Encode, fit and score."""
        from prior_lab.training.study import ContrastiveMeasurement
        from prior_lab.zoo import load_contrastive

        model = load_contrastive(self.source)
        measurement = ContrastiveMeasurement(self.experiment, split=self.split, images=self.images, tap=self.tap)
        probed = measurement.probe(model)
        budgets = probed.linear.budget.values.tolist()
        names = [str(name) for name in probed.linear.taxonomy.values]
        tables = {"linear": probed.linear, "neighbours": probed.neighbours}
        taxonomies = {
            name: {
                "majority": float(probed.linear.majority.sel(taxonomy=name)),
                **{
                    reader: _curve(scores.accuracy.sel(taxonomy=name), scores.interval.sel(taxonomy=name))
                    for reader, scores in tables.items()
                },
            }
            for name in names
        }
        about = self.about(measurement.test) | {"training_images": len(measurement.train)}
        return Answer(
            about | {"budgets": budgets, "taxonomies": taxonomies},
            "\n\n".join([_heading(about), *(_probe_table(name, budgets, taxonomies[name]) for name in names)]),
        )


@dataclass(frozen=True, kw_only=True)
class Ceiling(Answering):
    """Train the encoder of a contrastive run on the labels themselves: the ceiling of its probes.

    RUN-FOLDER is one of `train --task contrastive`. Views, steps and schedule are the run's. The result lies in that
    folder, where `measure` and `study` find it for the other baselines; it takes about as long as the run.
    """

    run_folder: tyro.conf.Positional[Path]
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What to train on."""

    def answer(self, command: str) -> Answer:
        """Train, or read what is there."""
        from prior_lab.errors import InputError
        from prior_lab.results import bootstrap_interval
        from prior_lab.tasks import ContrastiveExperiment
        from prior_lab.training.ceiling import CEILING_FILE, train_ceiling
        from prior_lab.training.study import read_run

        run = read_run(self.run_folder)
        if not isinstance(run.experiment, ContrastiveExperiment):
            raise InputError(
                f"{self.run_folder} holds a run of {run.experiment.task}; only contrastive ones are probed."
            )
        ceiling = train_ceiling(run.experiment, run.folder, device=self.device)
        by_object = ceiling["correct_by_object"]
        means, interval = by_object.mean("object"), bootstrap_interval(by_object)
        values = {
            str(name): {"mean": float(means.sel(taxonomy=name)), **_bounds(interval.sel(taxonomy=name))}
            for name in by_object["taxonomy"].values
        }
        about = {"run": str(run.folder), "step": int(ceiling.attrs["step"]), "taxonomies": values}
        rows = [[name, _percent_of(told)] for name, told in values.items()]
        text = f"{table(['label level', 'accuracy on test [%]'], rows)}\nwrote {run.folder / CEILING_FILE}"
        return Answer(about, text)


@dataclass(frozen=True, kw_only=True)
class Measure(Answering):
    """Measure finished runs on the test split and write a study, which load_study and explore read.

    RUNS are folders of `train`; runs that differ only in their seed become one arm.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    name: str = "my-study"
    tap: Literal["tokens", "levels"] = "tokens"
    """What the probes of contrastive runs read: the transmitted tokens, or PRIOR's outputs y^ of all levels."""

    def answer(self, command: str) -> Answer:
        """Measure and save."""
        from prior_lab import results
        from prior_lab.files import name_for_file, require_writable
        from prior_lab.training.study import study_from_runs

        require_writable(self.out, ".nc")
        name_for_file(self.name, "The study")
        tree = study_from_runs(self.runs, name=self.name, tap=self.tap)
        results.save(tree, self.out)
        return Answer(study_summary(tree, self.out), f"{study_table(tree)}\nwrote {self.out}")


def _heading(about: dict[str, Any]) -> str:
    """In words."""
    return (
        f"{about['model']}\n{about['data']}, split {about['split']}: {about['images']:,} images of "
        f"{about['objects']:,} objects"
    )


def _curve(mean: "xr.DataArray", interval: "xr.DataArray") -> dict[str, list[float]]:
    """Along budgets."""
    bounds = {bound: interval.sel(bound=bound).values.tolist() for bound in ("low", "high")}
    return {"mean": mean.values.tolist(), **bounds}


def _bounds(interval: "xr.DataArray") -> dict[str, float]:
    return {bound: float(interval.sel(bound=bound)) for bound in ("low", "high")}


def _percent_of(told: dict[str, float]) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * told[key] for key in ("mean", "low", "high")))


def _sure(estimate: dict[str, Any]) -> str:
    return f"{estimate['information']:,.2f} ± {estimate['standard_error']:.2f}"


def _probe_table(name: str, budgets: list[int], scores: dict[str, Any]) -> str:
    """Accuracies of a label level [%]."""
    readers = ("linear", "neighbours")
    rows = [
        [str(budget), *(_percent(scores[reader], place) for reader in readers)] for place, budget in enumerate(budgets)
    ]
    head = ["budget", *(f"{reader} [%]" for reader in readers)]
    return f"{name}: the most frequent label makes {100 * scores['majority']:.1f} %\n{table(head, rows)}"


def _percent(curve: dict[str, list[float]], place: int) -> str:
    mean, low, high = (100 * curve[key][place] for key in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"
