"""From the command line to a study: train, measure, explore, with two seeds of one arm and another arm."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import prior_lab as pl
from prior_lab.__main__ import main
from prior_lab.errors import InputError
from prior_lab.tasks import experiment_from_json
from prior_lab.training.study import study_from_runs
from prior_lab.zoo import model_record, save_model

SMALL = (
    "--levels 3 --image-size 32 --patch 8 --width 32 --channels 32 --encoder-depth 1 --decoder-width 32 "
    "--decoder-depth 1 --predictor-depth 1 --steps 4 --batch-size 4 --validation-images 4 --precision 32-true"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, flags in {
        "prior-0": "--ordering prior",
        "prior-1": "--ordering prior --seed 1",
        "td": "--ordering td",
    }.items():
        made[name] = folder / name
        main(
            [
                "train",
                "--out",
                str(made[name]),
                "--data",
                "folder",
                "--path",
                str(pictures),
                *SMALL.split(),
                *flags.split(),
            ]
        )
    return made


def test_a_study_joins_the_seeds_of_an_arm(runs: dict[str, Path], pictures: Path) -> None:
    study = study_from_runs(list(runs.values()), name="discs")
    assert list(study.children) == ["prior-gaussian", "td-gaussian"]
    prior = study["prior-gaussian"]
    assert prior.attrs["ordering"] == "PRIOR"
    assert prior.seed.values.tolist() == [0, 1]
    assert prior.budget.values.tolist() == [1, 3, 7]
    assert prior.validation_ssim.sel(step=4).notnull().all()
    command = prior.attrs["command"]
    assert command.startswith("python -m prior_lab train --out ")
    model = pl.load_model(runs["prior-0"] / "model.safetensors")
    test = pl.load_dataset("folder", split="test", path=pictures, size=32)
    expected = model.encode(test.images).information.detach().numpy()
    np.testing.assert_allclose(prior.information.sel(seed=0), expected, rtol=1e-4)
    measured = pl.quality.quality_by_budget(model, test.images).mean("image")
    np.testing.assert_allclose(prior.quality.sel(seed=0), measured.transpose("metric", "budget"), rtol=1e-4)


def test_measure_writes_a_study_that_the_explorer_opens(
    runs: dict[str, Path], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "discs.nc"
    main(["measure", *map(str, runs.values()), "--out", str(path), "--name", "discs"])
    assert f"wrote {path}" in capsys.readouterr().out
    explorer = pl.explore(pl.load_study(path), images=pl.load_dataset("folder", split="test", path=pictures, size=32))
    explorer.budget = 3
    assert "discs" in explorer.summary()


def test_the_model_file_says_what_made_it_and_keeps_half_precision(runs: dict[str, Path]) -> None:
    record = model_record(runs["prior-1"] / "model.safetensors")
    assert json.loads(record.config)["seed"] == 1
    assert "--seed 1" in record.command
    weights = pl.load_model(runs["prior-1"] / "model.safetensors").state_dict()
    assert all(torch.equal(value, value.half().float()) for value in weights.values() if value.is_floating_point())


def test_runs_that_do_not_belong_together_are_refused(
    runs: dict[str, Path], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="holds no finished run: model.safetensors is missing"):
        study_from_runs([tmp_path], name="nothing")
    with pytest.raises(InputError, match="at least one run"):
        study_from_runs([], name="nothing")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stored = model_record(runs["td"] / "model.safetensors")
    experiment = replace(experiment_from_json(stored.config), path="/elsewhere")
    model = pl.load_model(runs["td"] / "model.safetensors")
    save_model(model, elsewhere / "model.safetensors", config=experiment.to_json(), command=stored.command)
    with pytest.raises(InputError, match="learnt from different data"):
        study_from_runs([runs["prior-0"], elsewhere], name="mixed")
    other = [*SMALL.split(), "--learning-rate", "0.001", "--path", str(pictures), "--data", "folder"]
    main(["train", "--out", str(tmp_path / "other"), *other])
    with pytest.raises(InputError, match="runs of prior-gaussian differ in more than their seed"):
        study_from_runs([runs["prior-0"], tmp_path / "other"], name="mixed")


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--out", "x", "--data", "folder", "--path", "/no/such/folder"], "/no/such/folder"),
        (["train", "--out", "x", "--image-size", "48"], "both must be powers of two"),
        (["train", "--out", "x", "--steps", "0"], "steps is 0; it must be at least 1"),
        (["measure", "no-such-run", "--out", "x.nc"], "no-such-run holds no finished run"),
        (["data", "build", "household", "--source", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_the_command_line_ends_with_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert stop.value.code == 2
    assert sentence in said
    assert "Traceback" not in said


def test_data_list_names_the_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "list"])
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "household",
        "emoji",
        "faces",
        "fashion",
        "fashion-full",
        "ffhq",
        "mvimgnet2",
        "folder",
        "packed",
    ]


def test_help_tells_the_presets_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--preset", "paper", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--width INT Width of the transformers, a multiple of 32. (default: 224)" in said
    assert "--steps INT Optimiser steps. (default: 1200)" in said
