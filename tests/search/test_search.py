"""Searches of real runs: what is kept, what a killed one goes on from, and what is refused."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import xarray as xr

from prior_lab.errors import InputError
from prior_lab.search import best, load_search, objective, search
from prior_lab.tasks import ReconstructionExperiment

SPACE = {"learning_rate": (1e-3, 1e-2), "rate_weight": (1e-6, 1e-3)}


def short(experiment: ReconstructionExperiment, folder: Path, **options: object) -> xr.Dataset:
    settings = {"space": SPACE, "evaluations": 4, "first": 2, "anchors": 1, "steps": 4, "progress": False}
    return search(experiment, folder, device="cpu", **(settings | options))  # type: ignore[arg-type]


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    for name in ("setting_value", "distortion", "bits", "curve"):
        np.testing.assert_array_equal(one[name].values, other[name].values)


def _search_in_a_child(pictures: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    short(tiny.reconstruction(pictures), folder)


def test_a_search_keeps_every_trial_and_tells_the_best_anchor(pictures: Path, tmp_path: Path) -> None:
    found = short(tiny.reconstruction(pictures), tmp_path, anchors=2)
    assert found.stage.values.tolist() == ["broad", "broad", "refined", "refined", "anchor", "anchor"]
    assert found.horizon.values.tolist() == [4, 4, 4, 4, 8, 8]
    xr.testing.assert_identical(found, load_search(tmp_path))
    order = objective(found)[:4].argsort().values
    np.testing.assert_array_equal(found.setting_value[4:6], found.setting_value[order[:2]])
    anchor = int(objective(found)[4:].values.argmin()) + 4
    assert best(found) == dict(zip(SPACE, found.setting_value.values[anchor].tolist(), strict=True))
    assert not any((tmp_path / "runs").iterdir())


def test_the_price_of_a_bit_can_be_set_after_the_search(pictures: Path, tmp_path: Path) -> None:
    found = short(tiny.reconstruction(pictures), tmp_path, price=1e-3)
    by_hand = (found.distortion + 1e-3 * found.bits).mean(["arm", "budget"])
    np.testing.assert_allclose(objective(found), by_hand)
    np.testing.assert_allclose(objective(found, price=0.0), found.distortion.mean(["arm", "budget"]))
    assert (np.diff(found.bits, axis=-1) > 0).all()  # of prefixes


def test_a_search_that_was_killed_ends_as_one_that_was_not(pictures: Path, tmp_path: Path) -> None:
    whole = short(tiny.reconstruction(pictures), tmp_path / "whole")
    folder = tmp_path / "killed"
    for trials in (1, 3):
        child = multiprocessing.get_context("spawn").Process(target=_search_in_a_child, args=(pictures, folder))
        child.start()
        deadline = time.monotonic() + 120
        while child.is_alive() and len(list((folder / "trials").glob("*.json"))) <= trials:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    same(whole, short(tiny.reconstruction(pictures), folder))


@pytest.mark.slow
def test_two_processes_share_a_joint_search(pictures: Path, tmp_path: Path) -> None:
    arms = [tiny.reconstruction(pictures, ordering) for ordering in ("itd", "td")]
    with ProcessPoolExecutor(
        2, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        found = search(
            arms, tmp_path, space=SPACE, evaluations=4, anchors=0, steps=4, batch=2, executor=pool, device="cpu",
            progress=False,
        )  # fmt: skip
    assert found.arm.values.tolist() == ["itd-gaussian", "td-gaussian"]
    assert found.distortion.notnull().all()
    lowest = found.distortion.mean(["arm", "budget"]).values.argmin()
    assert list(best(found).values()) == found.setting_value[int(lowest)].values.tolist()


def _children(process: int) -> set[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False)
    return set(map(int, found.stdout.split()))


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pgrep") is None, reason="pgrep tells which processes a command started")
def test_a_command_that_is_killed_takes_its_workers_along_and_goes_on(tmp_path: Path) -> None:
    shape = "--image-size 32 --sides 8 --patches 4 --levels 2 --width 32 --encoder-depth 1 --predictor-depth 1"
    told = f"--batch-size 4 --validation-images 16 --evaluations 3 --first 2 --anchors 0 --horizon 4 --steps 8 {shape}"
    which = "--task contrastive --ordering itd,td --tokens gaussian --joint --data fashion --workers 2 --device cpu"
    command = [sys.executable, "-m", "prior_lab", "search", *which.split(), *told.split(), "--out", str(tmp_path / "s")]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "s").glob("runs/*/checkpoint-*")) or len(_children(first.pid)) < 2:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.01)
    workers = _children(first.pid)
    first.kill()
    first.wait()
    while any(map(_is_there, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=240, check=False)
    assert again.returncode == 0, again.stderr
    found = load_search(tmp_path / "s")
    assert found.stage.values.tolist() == ["broad", "broad", "refined"]
    assert found.arm.values.tolist() == ["itd-gaussian", "td-gaussian"]
    assert found.distortion.notnull().all()


def test_a_run_that_diverges_is_a_bad_value(pictures: Path, tmp_path: Path) -> None:
    experiment = replace(tiny.reconstruction(pictures), clip_norm=1e30, steps=30)
    found = short(experiment, tmp_path, space={"learning_rate": (1e-3, 1e18)}, steps=30, evaluations=6, first=4)
    told = objective(found)[found.stage != "anchor"]
    assert 1 <= int(told.isnull().sum()) < 6
    assert best(found)["learning_rate"] < 1e6


def test_kept_models_can_be_loaded(pictures: Path, tmp_path: Path) -> None:
    from prior_lab.zoo import load_model

    short(tiny.reconstruction(pictures), tmp_path, evaluations=2, anchors=0, keep=True)
    kept = sorted((tmp_path / "runs").glob("*/model.safetensors"))
    assert [path.parent.name for path in kept] == ["0000-prior-gaussian", "0001-prior-gaussian"]
    assert load_model(kept[0]).config == tiny.reconstruction(pictures).model


def test_another_search_in_the_folder_is_refused(pictures: Path, tmp_path: Path) -> None:
    short(tiny.reconstruction(pictures), tmp_path, evaluations=2, anchors=0)
    with pytest.raises(InputError, match=r"holds another search \(its steps is 4, not 5\)"):
        short(tiny.reconstruction(pictures), tmp_path, steps=5)
    more = short(tiny.reconstruction(pictures), tmp_path, evaluations=3, anchors=0)  # more of the same goes on
    assert more.sizes["trial"] == 3


def test_damaged_trials_and_results_are_told(pictures: Path, tmp_path: Path) -> None:
    short(tiny.reconstruction(pictures), tmp_path / "a", evaluations=2, anchors=0)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "trials" / "0001.json").write_text("{")
    with pytest.raises(InputError, match="0001.json' is no whole trial"):
        short(tiny.reconstruction(pictures), tmp_path / "a", evaluations=2, anchors=0)
    (tmp_path / "b" / "search.nc").write_bytes(b"no")
    with pytest.raises(InputError, match="is not a whole result of a search"):
        load_search(tmp_path / "b")
    with pytest.raises(InputError, match="search result"):
        load_search(tmp_path / "c.nc")


def test_settings_that_are_not_there_or_not_allowed_are_refused_before_training(pictures: Path, tmp_path: Path) -> None:
    for space, sentence in (
        ({"momentum": (0.1, 1.0)}, "There is no setting 'momentum' to search; choose among .*learning_rate"),
        ({"model.levels": (1.0, 3.0)}, "There is no setting 'model.levels'"),
        ({"average_decay": (0.5, 2.0)}, "average_decay is 2.0; it must lie in 0..1"),
    ):
        with pytest.raises(InputError, match=sentence):
            short(tiny.reconstruction(pictures), tmp_path, space=space)
    other = tiny.contrastive(pictures)
    with pytest.raises(InputError, match="differ in task, data or levels"):
        search([tiny.reconstruction(pictures), other], tmp_path, space=SPACE)
    twice = [tiny.reconstruction(pictures), replace(tiny.reconstruction(pictures), seed=1)]
    with pytest.raises(InputError, match="a search takes each arm once"):
        search(twice, tmp_path, space=SPACE)
    assert not (tmp_path / "plan.json").exists()
