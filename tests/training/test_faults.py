"""What may happen to a run: it is killed, the disk is full, another process is there. Nothing is lost."""

import multiprocessing
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import tiny
import torch

from prior_lab.errors import InputError
from prior_lab.tasks import ReconstructionExperiment, Record
from prior_lab.training.checkpoints import checkpoints
from prior_lab.training.loop import Trained, train

KILLS = 20


def run(experiment: ReconstructionExperiment, folder: Path) -> None:
    torch.set_num_threads(1)  # as a child of the fork server has to
    train(experiment, folder, progress=False)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start at once, for their parent has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prior_lab.training.loop", "lightning_fabric", "tiny"])
    return context


def test_a_run_killed_twenty_times_ends_with_the_weights_of_one_that_was_not(
    pictures: Path, tmp_path: Path, processes: ForkServerContext
) -> None:
    """Checkpoints at every step make writing them a good part of what is interrupted."""
    experiment = replace(tiny.reconstruction(pictures), steps=100, validate_every=1, log_every=1)
    chance, folder = random.Random(0), tmp_path / "killed"
    cycle, began = 0.0, 2  # the first life is longer by two steps, to tell how long a step with its checkpoint takes
    for _ in range(KILLS):
        child = processes.Process(target=run, args=(experiment, folder))
        child.start()
        deadline = time.monotonic() + 60
        while child.is_alive() and _newest(folder) <= began:  # it has loaded what was there, and gone on
            assert time.monotonic() < deadline, "training does not go on after a kill"
            time.sleep(0.002)
        cycle = cycle or _seconds_between(folder)
        time.sleep(chance.uniform(0.0, cycle))  # any moment of the next step and its checkpoint
        child.kill()
        child.join()
        assert child.exitcode == -9, "the run ended before it was killed as often as it should"
        assert _newest(folder) > began
        began = _newest(folder)
        assert 1 <= len(checkpoints(folder)) <= 3  # one more than are kept, if it was killed before the oldest went
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    resumed, whole = (train(experiment, where, progress=False) for where in (folder, tmp_path / "whole"))
    torch.set_num_threads(threads)
    assert_same_weights(whole, resumed)
    left = {path.name for path in folder.iterdir()}
    assert left == {path.name for path in checkpoints(folder)} | {".lock"}


def assert_same_weights(one: Trained, other: Trained) -> None:
    for (name, value), same in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(value, same), name


def _seconds_between(folder: Path) -> float:
    """Between the last two checkpoints."""
    times = [path.stat().st_mtime for path in checkpoints(folder)[-2:]]
    return times[-1] - times[0]


def _newest(folder: Path) -> int:
    """Step of the newest checkpoint, or -1."""
    return max((int(path.stem.removeprefix("checkpoint-")) for path in checkpoints(folder)), default=-1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs the rights to do so")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_stops_the_run_with_a_sentence_and_resuming_loses_nothing(
    pictures: Path, tmp_path: Path, small_disk: Path
) -> None:
    experiment, folder, filler = tiny.reconstruction(pictures), small_disk / "run", small_disk / "filler"

    def fill(history: list[Record]) -> None:
        if history[-1]["step"] == 6:  # the first checkpoint is there, the second is not
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(b"0" * 4096):
                    pass

    with pytest.raises(InputError, match=r"The checkpoint of step 8 cannot be written to .* \(.*No space left"):
        train(experiment, folder, progress=False, monitor=fill)
    assert {path.name for path in folder.iterdir()} == {".lock", "checkpoint-00000004.safetensors"}
    filler.unlink()
    resumed, whole = (train(experiment, where, progress=False) for where in (folder, tmp_path / "whole"))
    assert_same_weights(whole, resumed)


def test_two_runs_into_one_folder_are_refused(pictures: Path, tmp_path: Path, processes: ForkServerContext) -> None:
    experiment, folder = replace(tiny.reconstruction(pictures), steps=10_000), tmp_path / "run"
    child = processes.Process(target=run, args=(experiment, folder))
    child.start()
    deadline = time.monotonic() + 60
    while not checkpoints(folder):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(InputError, match=r"Another process is at work in .*run; wait, or choose another folder"):
        train(experiment, folder, progress=False)
    child.kill()
    child.join()
    ended = replace(experiment, steps=2)
    with pytest.raises(InputError, match="its steps is 10000, not 2"):  # the lock went with its process
        train(ended, folder, progress=False)
