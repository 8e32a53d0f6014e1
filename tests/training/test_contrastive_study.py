"""From the command line to a contrastive study: train on one's own tracks with labels, measure, explore."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import prior_lab as pl
from prior_lab import results, zoo
from prior_lab.__main__ import main
from prior_lab.errors import InputError
from prior_lab.training.study import ContrastiveMeasurement, bundle_study, read_run, study_from_runs
from prior_lab.widgets.probes.arms import ProbedArm
from prior_lab.widgets.probes.images import ProbedImages

SMALL = (
    "--task contrastive --data folder --levels 3 --image-size 32 --width 32 --encoder-depth 1 --predictor-depth 1 "
    "--sides 4 8 --patches 12 --steps 4 --batch-size 8 --precision 32-true"
)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of each of 30 discs, small or large, red or blue; one is without a colour."""
    folder = tmp_path_factory.mktemp("tracks")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    rows = ["object,size,colour"]
    for number in range(30):
        size, colour = ("small", "large")[number % 2], ("red", "blue")[number // 2 % 2]
        (folder / f"disc-{number:02d}").mkdir()
        for frame in range(3):
            centre = generator.uniform(12, 20, 2)
            disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (5 if size == "small" else 10) ** 2
            paint = (200, 40, 40) if colour == "red" else (40, 40, 200)
            pixels = np.where(disc[..., None], paint, generator.integers(200, 240)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"disc-{number:02d}" / f"{frame}.png")
        rows.append(f"disc-{number:02d},{size},{'' if number == 5 else colour}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def runs(tracks: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of PRIOR and one of MBOP-TD."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for name, flags in {"prior-0": "", "prior-1": "--seed 1", "td": "--ordering td --tokens ema-vq"}.items():
        made.append(folder / name)
        main(f"train {SMALL} --path {tracks} --out {made[-1]} {flags}".split())
    return made


def test_a_study_of_object_codes_is_measured_and_explored(runs: list[Path], tracks: Path, tmp_path: Path) -> None:
    main(["measure", *map(str, runs), "--out", str(tmp_path / "discs.nc"), "--name", "discs"])
    study = pl.load_study(tmp_path / "discs.nc")
    assert study.attrs["task"] == "contrastive"
    assert list(study.children) == ["prior-gaussian", "td-ema-vq"]
    test = pl.load_dataset("folder", "test", path=tracks, size=32)
    arm = study["prior-gaussian"]
    assert arm.seed.values.tolist() == [0, 1]
    assert arm["taxonomy"].values.tolist() == ["size", "colour"]
    assert arm["accuracy"].sizes == {"seed": 2, "taxonomy": 2, "budget": 3}
    assert sorted(arm["object"].values) == sorted({test.object_names[index] for index in test.objects.tolist()})
    assert (arm["ntxent"] > 0).all()
    told = arm["predicted"].sel(taxonomy="size", budget=7).values
    right = told == test.labels[:, 0].numpy()
    of_objects = [right[(test.objects == index).numpy()].mean() for index in test.objects.unique()]
    np.testing.assert_allclose(arm["accuracy"].sel(seed=0, taxonomy="size", budget=7), np.mean(of_objects), rtol=1e-6)
    assert study["baseline_accuracy"].sel(baseline="pixels", taxonomy="colour") == 1.0  # red or blue is easy
    pixels = study["baseline_accuracy_by_object"].sel(baseline="pixels")
    np.testing.assert_allclose(pixels.mean("object"), study["baseline_accuracy"].sel(baseline="pixels"), rtol=1e-6)
    assert pixels.object.values.tolist() == arm["object"].values.tolist()
    explorer = pl.explore_probes(study, images=test)
    explorer.budget = 3
    assert "discs" in explorer.summary()
    with pytest.raises(InputError, match="has no arm with a quality curve"):
        pl.explore(study, images=test)


def test_probes_read_levels_where_asked_to(runs: list[Path], tracks: Path) -> None:
    """PRIOR's outputs differ from what it transmits, those of a flat ordering do not; the study says what was read."""
    studies = {tap: study_from_runs(runs, name=tap, tap=tap) for tap in ("tokens", "levels")}
    assert {arm.attrs["tap"] for arm in studies["levels"].children.values()} == {"levels"}
    flat = [study["td-ema-vq"] for study in studies.values()]
    for name in ("accuracy_by_object", "neighbour_accuracy"):
        np.testing.assert_array_equal(*(arm[name] for arm in flat))
    prior = [study["prior-gaussian"]["accuracy_by_object"] for study in studies.values()]
    np.testing.assert_array_equal(*(accuracy.sel(budget=1) for accuracy in prior))
    arms = [study.children["prior-gaussian"] for study in studies.values()]
    images = ProbedImages.of(pl.load_dataset("folder", "test", path=tracks, size=32), arms[0])
    maps = [ProbedArm(arm, images).embedding.objects for arm in arms]
    np.testing.assert_array_equal(*(one[0] for one in maps))
    assert not np.allclose(*(one[2] for one in maps)), "the map shows what the probes read"


def test_tasks_are_not_mixed_and_unlabelled_tracks_cannot_be_probed(
    runs: list[Path], pictures: Path, tmp_path: Path
) -> None:
    shape = "--levels 2 --image-size 32 --patch 8 --width 32 --encoder-depth 1 --decoder-width 32 --decoder-depth 1"
    main(f"train --data folder --path {pictures} {shape} --steps 1 --out {tmp_path / 'pictures'}".split())
    with pytest.raises(InputError, match="The runs are of different tasks; measure them as separate studies"):
        study_from_runs([runs[0], tmp_path / "pictures"], name="mixed")
    main(f"train {SMALL} --path {pictures} --out {tmp_path / 'bare'}".split())
    with pytest.raises(InputError, match="folder has no labels to probe; a folder brings them in labels.csv"):
        study_from_runs([tmp_path / "bare"], name="bare")


def test_a_bundled_study_has_the_weights_of_some_arms(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "BUNDLED", tmp_path)
    for folder in ("studies", "models"):
        (tmp_path / folder).mkdir()
    (tmp_path / "index.json").write_text('{"models": {}, "studies": {}}')
    bundle_study(runs, "discs", weights=("prior-gaussian",))
    assert pl.list_models() == ["folder/contrastive/prior-gaussian"]
    named = {name: arm.attrs["model"] for name, arm in pl.load_study("discs").children.items()}
    assert named == {"prior-gaussian": "folder/contrastive/prior-gaussian", "td-ema-vq": ""}
    first_seed = zoo.load_contrastive(runs[0] / "model.safetensors").state_dict()
    bundled = zoo.load_contrastive("folder/contrastive/prior-gaussian").state_dict()
    assert all(torch.equal(first_seed[key], bundled[key]) for key in first_seed)


@pytest.mark.slow
def test_drawings_are_matched_across_artists_and_artists_are_not_probed(tmp_path: Path) -> None:
    """With hardly any training, chance, pixels and codes stand side by side, for artists seen and not."""
    folder = tmp_path / "run"
    main(f"train {SMALL.replace('folder', 'emoji')} --out {folder}".split())
    run = read_run(folder)
    measurement = ContrastiveMeasurement(run.experiment, images=600)
    arm = measurement.arm([run], results.ArmRecord("PRIOR", "gaussian", run.experiment.to_json(), run.command))
    root = measurement.baselines([run])
    assert arm.taxonomy.values.tolist() == root.taxonomy.values.tolist() == ["group", "subgroup"]
    assert arm.matched.dims == ("seed", "asking", "measure", "budget")
    assert arm.asking.values.tolist() == ["seen", "unseen"]
    assert ((arm.matched >= 0) & (arm.matched <= 1)).all()
    assert root["yardstick"].values.tolist() == ["chance", "pixels", "centred pixels", "untrained"]
    assert (root.baseline_matched.sel(yardstick="pixels") > root.baseline_matched.sel(yardstick="chance")).all()
    study = results.build_study(
        "drawings", {"prior-gaussian": arm}, dataset="emoji", task="contrastive", wall_time_s=1.0, baselines=root
    )
    results.save(study, tmp_path / "drawings.nc")
    assert pl.load_study(tmp_path / "drawings.nc")["prior-gaussian"].matched.shape == (1, 2, 3, 3)
