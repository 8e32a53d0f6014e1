"""The encoder of a contrastive run trained on the labels, and its place in a study."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import xarray as xr
from PIL import Image

import prior_lab as pl
from prior_lab.__main__ import main
from prior_lab.data.feeding.augmentation import Augmentation
from prior_lab.errors import InputError
from prior_lab.results import leads_over
from prior_lab.tasks import ContrastiveExperiment
from prior_lab.training.ceiling import CEILING_FILE, read_ceiling, train_ceiling
from prior_lab.training.runs import run_experiment
from prior_lab.training.study import study_from_runs


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single pictures of sixty discs, dark or light, of which every tenth has no size."""
    folder = tmp_path_factory.mktemp("shades")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    rows = ["object,shade,size"]
    for number in range(60):
        radius, grey = (6, 11)[number // 2 % 2], (60, 190)[number % 2]
        pixels = np.where((x - 16) ** 2 + (y - 16) ** 2 < radius**2, grey, generator.integers(115, 135))
        Image.fromarray(pixels[..., None].repeat(3, axis=2).astype(np.uint8)).save(folder / f"disc-{number:02d}.png")
        size = "" if number % 10 == 0 else ("small", "large")[number // 2 % 2]
        rows.append(f"disc-{number:02d}.png,{('dark', 'light')[number % 2]},{size}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def experiment(shades: Path) -> ContrastiveExperiment:
    return ContrastiveExperiment(
        tiny.contrastive_model().config, data="folder", path=str(shades), steps=80, batch_size=16, warmup_steps=10,
        learning_rate=4e-3, validate_every=20, log_every=20, average_decay=0.9, precision="32-true",
        augmentation=Augmentation(turn=5.0), validation_images=4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(experiment: ContrastiveExperiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished contrastive run."""
    folder = tmp_path_factory.mktemp("ceilings") / "run"
    run_experiment(replace(experiment, steps=2), folder, command="train", progress=False)
    return folder


def test_labels_that_can_be_seen_are_learnt_from(experiment: ContrastiveExperiment, tmp_path: Path) -> None:
    ceiling = train_ceiling(experiment, tmp_path, progress=False)
    test = experiment.load("test")
    assert ceiling["object"].values.tolist() == [test.object_names[index] for index in test.objects.unique().tolist()]
    assert ceiling["taxonomy"].values.tolist() == ["shade", "size"]
    assert float(ceiling["correct_by_object"].sel(taxonomy="shade").mean()) == 1.0
    known = test.labels[:, 1] >= 0
    assert np.array_equal(np.isnan(ceiling["correct_by_object"].sel(taxonomy="size")), ~known)
    assert ceiling["step"].values.tolist() == [20, 40, 60, 80]
    best = ceiling["validation"].max()
    assert ceiling["validation"].sel(step=ceiling.attrs["step"]) == best


def test_what_is_there_is_read_and_of_another_experiment_refused(
    experiment: ContrastiveExperiment, tmp_path: Path
) -> None:
    short = replace(experiment, steps=2)
    first = train_ceiling(short, tmp_path, progress=False)
    before = (tmp_path / CEILING_FILE).read_bytes()
    xr.testing.assert_identical(train_ceiling(short, tmp_path, progress=False), first)
    assert (tmp_path / CEILING_FILE).read_bytes() == before
    with pytest.raises(InputError, match="is the ceiling of another experiment; remove it to train it anew"):
        train_ceiling(replace(short, seed=1), tmp_path, progress=False)
    (tmp_path / CEILING_FILE).write_bytes(before[: len(before) // 2])
    with pytest.raises(InputError, match="is not a whole file of a ceiling; remove it to train it anew"):
        read_ceiling(tmp_path / CEILING_FILE, short)


def test_it_is_a_function_of_the_experiment(experiment: ContrastiveExperiment, tmp_path: Path) -> None:
    short = replace(experiment, steps=10, validate_every=5)
    one, other = (train_ceiling(short, tmp_path / name, progress=False) for name in ("one", "other"))
    assert torch.equal(torch.tensor(one["correct_by_object"].values), torch.tensor(other["correct_by_object"].values))
    assert one["validation"].values.tolist() == other["validation"].values.tolist()


def test_a_study_has_the_ceiling_that_lies_in_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = study_from_runs([run], name="without")
    assert without["baseline"].values.tolist() == ["majority", "pixels", "pixel neighbours", "untrained"]
    main(["ceiling", str(run)])
    said = capsys.readouterr().out
    assert "shade" in said
    assert f"wrote {run / CEILING_FILE}" in said
    study = study_from_runs([run], name="with")
    assert study["baseline"].values.tolist() == ["majority", "pixels", "pixel neighbours", "untrained", "labels"]
    with xr.open_dataset(run / CEILING_FILE, engine="h5netcdf") as file:
        told = file["correct_by_object"].load()
    np.testing.assert_array_equal(study["baseline_accuracy_by_object"].sel(baseline="labels").T, told)
    np.testing.assert_allclose(study["baseline_accuracy"].sel(baseline="labels"), told.mean("object"))
    assert study["baseline_accuracy"].sel(baseline="pixel neighbours", taxonomy="shade") == 1.0
    of_shades = study["baseline_accuracy"].sel(taxonomy="shade")
    assert of_shades.sel(baseline="untrained") > of_shades.sel(baseline="majority"), "random features see what is dark"
    low, high = study["baseline_interval"].sel(baseline="labels", taxonomy="size").values
    assert low <= float(told.sel(taxonomy="size").mean()) <= high
    main(["measure", str(run), "--out", str(tmp_path / "measured.nc")])
    assert "labels" in pl.load_study(tmp_path / "measured.nc")["baseline"].values
    printed = capsys.readouterr().out
    accuracy, low, high = (
        f"{value:.3f}"
        for value in (
            float(study["baseline_accuracy"].sel(baseline="labels", taxonomy="size")),
            *study["baseline_interval"].sel(baseline="labels", taxonomy="size").values,
        )
    )
    assert re.search(rf"^labels +{accuracy} +\({low} to {high}\)$", printed, re.MULTILINE)
    (lead,) = leads_over(study, "prior-gaussian").values()
    assert re.search(rf"^prior-gaussian +{re.escape(str(lead))}$", printed, re.MULTILINE)


def test_data_without_labels_have_no_ceiling(pictures: Path, tmp_path: Path) -> None:
    experiment = ContrastiveExperiment(
        tiny.contrastive_model().config, data="folder", path=str(pictures), batch_size=4, steps=2
    )
    with pytest.raises(InputError, match="folder has no labels to train on; a folder brings them in labels.csv"):
        train_ceiling(experiment, tmp_path, progress=False)


def test_other_runs_have_no_ceiling(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = "--levels 2 --image-size 32 --patch 8 --width 32 --encoder-depth 1 --decoder-width 32 --decoder-depth 1"
    main(f"train --data folder --path {pictures} {shape} --steps 1 --out {tmp_path / 'run'}".split())
    with pytest.raises(SystemExit, match="2"):
        main(["ceiling", str(tmp_path / "run")])
    assert "holds a run of reconstruction; only contrastive ones are probed" in capsys.readouterr().err
