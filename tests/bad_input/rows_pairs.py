"""Pairs of views: their settings, and data that have no pairs of frames."""

import dataclasses
import json

import torch
from case import Case, Ground, contrastive_shape

from prior_lab.data.feeding.augmentation import Augmentation, PairSampler
from prior_lab.tasks import ContrastiveExperiment, experiment_from_json
from prior_lab.training.loop import train

NAN, INF = float("nan"), float("inf")
CPU = torch.device("cpu")


def _single(ground: Ground, **settings: object) -> ContrastiveExperiment:
    """A tiny run on pictures with a single frame each."""
    small = {"steps": 1, "batch_size": 4, "data": "folder", "path": str(ground.folder / "pictures")}
    return ContrastiveExperiment(contrastive_shape(), **(small | settings))  # type: ignore[arg-type]


def _sampled(ground: Ground, frames: slice, pairs: int, pairing: str) -> PairSampler:
    data = ground.data.select(frames)
    return PairSampler(data, pairs, Augmentation(), CPU, seed=0, pairing=pairing)  # type: ignore[arg-type]


def _from_json(change: dict[str, object]) -> object:
    experiment = json.loads(ContrastiveExperiment(contrastive_shape()).to_json())
    return experiment_from_json(json.dumps(experiment | change))


CASES = [
    *(
        Case(f"augmentation {name}={value!r}", lambda _, name=name, value=value: Augmentation(**{name: value}), says)
        for name in ("crop", "brightness", "contrast", "occlusion")
        for value, says in (
            (-0.1, f"^augmentation {name} is -0.1; it must lie in 0..1"),
            (1.5, f"^augmentation {name} is 1.5; it must lie in 0..1"),
            (NAN, "finite"),
            ("0.5", "a number was expected"),
            (None, "a number was expected"),
        )
    ),
    *(
        Case(f"augmentation blur={value!r}", lambda _, value=value: Augmentation(blur=value), says)
        for value, says in ((-1.0, "not be negative"), (100.0, "at most 64"), (INF, "finite"), ([1], "a number was"))
    ),
    *(
        Case(
            f"experiment pairs={value!r}",
            lambda _, value=value: ContrastiveExperiment(contrastive_shape(), pairs=value),
            "^pairs is .*one of auto, frames, views was expected",
        )
        for value in ("both", "", None, True, 2)
    ),
    *(
        Case(
            f"contrastive places={value!r}",
            lambda _, value=value: contrastive_shape(places=value),
            "^places is .*one of attention, embedding was expected",
        )
        for value in ("patch", None, 1)
    ),
    Case(
        "pairs of frames of pictures with a single one",
        lambda ground: train(_single(ground, pairs="frames"), "run", progress=False),
        "two frames or more of every object of folder; .* With pairs=views a pair is two views of one frame",
    ),
    Case(
        "more pairs of views than pictures",
        lambda ground: train(_single(ground, batch_size=64), "run", progress=False),
        "A batch of 64 pairs needs as many objects; folder has .* Choose batch_size",
    ),
    Case(
        "pairs of no objects",
        lambda ground: _sampled(ground, slice(0, 0), 1, "auto"),
        "Contrastive pairs need objects; there are no objects in the split test of specimen",
    ),
    Case(
        "frames where an object has one",
        lambda ground: _sampled(ground, slice(0, 15), 2, "frames"),
        "two frames or more of every object of specimen; 1 of 8 have one, 'h' first",
    ),
    Case(
        "an experiment's JSON with other pairs",
        lambda _: _from_json({"pairs": "threes"}),
        "^pairs is 'threes'; one of auto, frames, views was expected",
    ),
    Case(
        "an experiment's JSON with another augmentation",
        lambda _: _from_json({"augmentation": {"zoom": 0.1}}),
        "This is not the JSON of an experiment",
    ),
    Case(
        "an experiment's JSON with too large a crop",
        lambda _: _from_json({"augmentation": dataclasses.asdict(Augmentation()) | {"crop": 2}}),
        "^augmentation crop is 2; it must lie in 0..1",
    ),
]
