"""The contrastive task in the one training loop; what every task shares is in `test_loop.py`."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from torch import Generator

from prior_lab import zoo
from prior_lab.__main__ import main
from prior_lab.data import load_dataset
from prior_lab.data.feeding.augmentation import Augmentation, track_table
from prior_lab.errors import InputError
from prior_lab.models import ContrastiveModel
from prior_lab.objectives import nt_xent
from prior_lab.orderings import OrderingName
from prior_lab.tasks import ContrastiveExperiment, experiment_from_json, nt_xent_by_budget
from prior_lab.tokens import TokenName
from prior_lab.training.checkpoints import checkpoints
from prior_lab.training.loop import train


@pytest.mark.parametrize(
    ("ordering", "tokens"), [("prior", "gaussian"), ("itd", "gaussian"), ("prior", "categorical"), ("prior", "ema-vq")]
)
def test_training_learns_to_tell_objects_apart(
    pictures: Path, tmp_path: Path, ordering: OrderingName, tokens: TokenName
) -> None:
    """NT-Xent of the twelve objects, a pair of frames each: a model that tells nothing has log 23."""
    steps = 120 if tokens == "gaussian" else 200
    experiment = replace(
        tiny.contrastive(pictures, ordering, tokens), steps=steps, batch_size=8, warmup_steps=20, log_every=steps,
        validate_every=steps, average_decay=0.9, augmentation=Augmentation(colour=0.1), learning_rate=2e-3,
    )  # fmt: skip
    model = train(experiment, tmp_path, progress=False).model
    assert isinstance(model, ContrastiveModel)
    everything = load_dataset("folder", "all", path=pictures, size=32)
    assert nt_xent_by_budget(model, everything, 0.1)[-1] < 0.8 * math.log(23)


def test_a_resumed_run_ends_with_the_weights_of_one_that_never_stopped(pictures: Path, tmp_path: Path) -> None:
    experiment = tiny.contrastive(pictures, "itd")
    whole = train(experiment, tmp_path / "whole", progress=False).model.state_dict()
    train(experiment, tmp_path / "stopped", progress=False)
    checkpoints(tmp_path / "stopped")[-1].unlink()
    resumed = train(experiment, tmp_path / "stopped", progress=False).model.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_validation_is_nt_xent_of_one_pair_of_every_object(pictures: Path) -> None:
    """With two frames of each object there is one batch: the objects' first frames and their second ones."""
    data = load_dataset("folder", "all", path=pictures, size=32)
    model = tiny.contrastive_model().eval()
    table = track_table(data)
    projections = model.project(model.encode(data.images))
    expected = nt_xent(projections[:, table[:, :2].flatten()], 0.2)
    torch.testing.assert_close(torch.tensor(nt_xent_by_budget(model, data, 0.2)), expected, atol=1e-4, rtol=1e-4)


def test_single_images_are_learnt_from_as_pairs_of_views(tmp_path: Path) -> None:
    """A model that tells nothing has log 79 on forty pairs; what it validates is the same every time."""
    experiment = ContrastiveExperiment(
        tiny.contrastive_model().config, data="fashion", steps=60, batch_size=16, warmup_steps=10, precision="32-true",
        validate_every=60, log_every=60, validation_images=40, average_decay=0.9, learning_rate=4e-3,
        augmentation=Augmentation(crop=0.3, brightness=0.2, occlusion=0.1),
    )  # fmt: skip
    trained = train(experiment, tmp_path, progress=False)
    assert trained.history[-1]["ntxent_7"] < 0.8 * math.log(79)
    assert isinstance(trained.model, ContrastiveModel)
    pairs = experiment.validation_pairs(experiment.load("validation"))
    assert len(pairs) == 80
    assert nt_xent_by_budget(trained.model, pairs, experiment.temperature) == pytest.approx(
        [trained.history[-1][f"ntxent_{budget}"] for budget in (1, 3, 7)], rel=1e-4
    )


def test_what_is_validated_follows_the_pairs(pictures: Path) -> None:
    data = load_dataset("folder", "all", path=pictures, size=32)
    frames, views = (
        replace(tiny.contrastive(pictures), pairs=pairs).validation_pairs(data) for pairs in ("auto", "views")
    )
    assert torch.equal(frames.images, data.images)
    assert len(views) == 2 * len(data)
    assert not torch.equal(views.images[0::2], data.images)


def test_an_experiment_survives_its_json(pictures: Path) -> None:
    experiment = replace(
        tiny.contrastive(pictures), temperature=0.07, pairs="views", augmentation=Augmentation(crop=0.5, blur=1.0)
    )
    assert experiment_from_json(experiment.to_json()) == experiment
    with pytest.raises(InputError, match="There is no task 'poetry'; choose reconstruction or contrastive"):
        experiment_from_json('{"task": "poetry"}')


def test_the_command_line_trains_a_contrastive_model_that_loads(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], generator: Generator
) -> None:
    settings = "--levels 3 --image-size 32 --width 32 --encoder-depth 1 --patches 12 --sides 4 8 --predictor-depth 1"
    run = f"--steps 2 --batch-size 4 --validate-every 2 --colour 0.1 --out {tmp_path / 'run'}"
    main(f"train --task contrastive --tokens ema-vq --data folder --path {pictures} {settings} {run}".split())
    assert "validation NT-Xent  1: " in capsys.readouterr().out
    model = zoo.load_contrastive(tmp_path / "run" / "model.safetensors")
    assert len(model.encode(torch.rand(2, 3, 32, 32, generator=generator))) == 7
    with pytest.raises(InputError, match="is contrastive: it encodes objects but has no decoder"):
        zoo.load_autoencoder(tmp_path / "run" / "model.safetensors")
    with pytest.raises(InputError, match="is an autoencoder; a contrastive model was expected"):
        zoo.load_contrastive("household/reconstruction/td-gaussian")


def test_more_pairs_than_objects_end_the_command_with_a_sentence(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--task", "contrastive", "--data", "folder", "--path", str(pictures), "--out", str(tmp_path)])
    assert "A batch of 64 pairs needs as many objects" in capsys.readouterr().err
    assert not checkpoints(tmp_path)
