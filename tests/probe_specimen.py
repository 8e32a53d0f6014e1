"""A contrastive study that costs a second: invented answers of probes about any data set, and untrained models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from prior_lab import zoo
from prior_lab.data import ImageDataset
from prior_lab.models import ContrastiveConfig, ContrastiveModel
from prior_lab.orderings import LABELS
from prior_lab.results import ArmRecord, ContrastiveRun, Provenance, build_contrastive_arm, build_study

HERE = Provenance(commit="0" * 40, versions="{}", hardware="2 x a core")
TALENT = {"PRIOR": 0.9, "MBOP-ITD": 0.75, "MBOP-TD": 0.8}  # share of right answers that an ordering comes to


@dataclass(frozen=True)
class Invented:
    """An arm that nobody trained."""

    ordering: str
    tokens: str
    model: str = ""

    @property
    def name(self) -> str:
        """Of its node."""
        return f"{self.ordering}-{self.tokens}"


def tiny(ordering: str = "prior", tokens: str = "gaussian") -> ContrastiveModel:
    """Seven tokens of 32 channels."""
    torch.manual_seed(0)
    config = ContrastiveConfig(
        ordering=ordering, tokens=tokens, levels=3, image_size=64, width=32, channels=32, encoder_depth=1,
        predictor_depth=1, sides=(4, 8), patches=12, registers=2,
    )  # fmt: skip
    return ContrastiveModel(config).eval().requires_grad_(False)


def saved(model: ContrastiveModel, folder: Path) -> str:
    """A model file, by its path."""
    path = folder / f"{model.config.ordering}-{model.config.tokens}.safetensors"
    zoo.save_model(model, path, config="{}", command="none")
    return str(path)


def study(dataset: ImageDataset, arms: Sequence[Invented], budgets: Sequence[int], seeds: int = 1) -> xr.DataTree:
    """A study of the schema: answers get better with the budget, and worse with every finer level."""
    owners = np.unique(dataset.objects.numpy(), return_inverse=True)[1]
    names = [dataset.object_names[number] for number in dataset.objects.unique().tolist()]
    built = {}
    for number, arm in enumerate(arms):
        record = ArmRecord(LABELS[arm.ordering], arm.tokens, config="{}", command="none", model=arm.model)
        runs = [_run(dataset, owners, budgets, record.ordering, 10 * number + seed) for seed in range(seeds)]
        built[arm.name] = build_contrastive_arm(runs, names, record)
    return build_study(
        "specimen-contrastive", built, dataset="specimen", wall_time_s=1.0, task="contrastive",
        baselines=_baselines(dataset), made_by=HERE,
    )  # fmt: skip


def _run(dataset: ImageDataset, owners: np.ndarray, budgets: Sequence[int], ordering: str, seed: int) -> ContrastiveRun:
    generator = np.random.default_rng(seed)
    labels = dataset.labels.numpy().T
    said = np.stack(
        [_answers(level, row, labels, dataset, budgets, ordering, generator) for level, row in enumerate(labels)]
    )
    correct = np.where(labels[:, None] >= 0, (said == labels[:, None]).astype(float), np.nan)
    frames = [np.flatnonzero(owners == thing) for thing in range(owners.max() + 1)]
    by_object = np.stack([correct[..., found].mean(-1) for found in frames])
    coords: Mapping[str, Sequence] = {"taxonomy": list(dataset.taxonomies), "budget": list(budgets)}
    flat = xr.DataArray(np.nanmean(correct, -1), dims=("taxonomy", "budget"), coords=coords)
    probes = xr.Dataset(
        {
            "predicted": (("taxonomy", "budget", "image"), said),
            "correct_by_object": (("object", "taxonomy", "budget"), by_object),
            "strength": (("taxonomy", "budget"), np.ones(said.shape[:2])),
        },
        coords={**coords, "image": np.arange(len(dataset))},
    )
    count = max(budgets)
    told = xr.Dataset({name: ("token", np.ones(count)) for name in ("information", "corrected", "standard_error")})
    return ContrastiveRun(
        seed, told.assign_coords(token=np.arange(count)), probes=probes, neighbours=flat.T, retrieval=flat.T,
        ntxent=[2.0] * len(budgets),
    )  # fmt: skip


def _answers(
    level: int, truth: np.ndarray, labels: np.ndarray, dataset: ImageDataset, budgets: Sequence[int], ordering: str,
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Right, or else the label of another image: half of the time one of the same coarsest label."""
    said = np.empty((len(budgets), len(truth)), np.int64)
    talent, luck = TALENT.get(ordering, 0.7) * 0.82**level, generator.random(len(truth))
    for place in range(len(budgets)):
        alike = [generator.choice(np.flatnonzero(labels[0] == value)) for value in labels[0]]
        other = np.where(generator.random(len(truth)) < 0.5, alike, generator.integers(0, len(truth), len(truth)))
        known = max(0.2, talent * (0.45 + 0.55 * place / max(1, len(budgets) - 1)))
        said[place] = np.where(luck < known, truth, truth[other])
    count = len(dataset.label_names[level])
    return np.where(said < 0, generator.integers(0, count, said.shape), said)


def _baselines(dataset: ImageDataset) -> xr.Dataset:
    values = np.stack([[0.3 / (level + 1), 0.42 / (level + 1)] for level in range(len(dataset.taxonomies))], axis=1)
    coords = {"baseline": ["majority", "pixels"], "taxonomy": list(dataset.taxonomies), "bound": ["low", "high"]}
    names = [dataset.object_names[index] for index in dataset.objects.unique().tolist()]
    by_object = np.repeat(values[:, None], len(names), axis=1)
    interval = np.stack([values - 0.05, values + 0.05], -1)
    variables = {
        "baseline_accuracy_by_object": (("baseline", "object", "taxonomy"), by_object, {"units": "1"}),
        "baseline_accuracy": (("baseline", "taxonomy"), values, {"units": "1"}),
        "baseline_interval": (("baseline", "taxonomy", "bound"), interval, {"units": "1"}),
    }
    return xr.Dataset(variables, coords | {"object": names})
