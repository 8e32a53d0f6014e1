"""What is the user's stays: nothing is removed but what this program began, nothing is written outside the folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

import prior_lab as pl
from prior_lab import files, results
from prior_lab.commands.lab import write_notebook
from prior_lab.errors import InputError
from prior_lab.training.checkpoints import checkpoints
from prior_lab.training.loop import train
from prior_lab.training.runs import run_experiment
from prior_lab.training.study import MODEL_FILE
from prior_lab.zoo import load_study

USERS = (".2024-notes.txt", ".1.backup", ".12.checkpoint-00000004.safetensors", ".prior-lab-notes.part")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def full_of_users(tmp_path: Path) -> Path:
    """A folder with hidden files and folders of a user's own."""
    folder = tmp_path / "mine"
    (folder / ".3d.cache").mkdir(parents=True)
    for name in (*USERS, ".3d.cache/model.bin"):
        (folder / name).write_text(name)
    (folder / files.part_beside(folder / "x").name).mkdir()  # bears the marker, and is a folder
    return folder


def gone() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_training_into_a_folder_leaves_the_users_hidden_files(pictures: Path, full_of_users: Path) -> None:
    before = contents(full_of_users)
    train(tiny.reconstruction(pictures), full_of_users, progress=False)
    assert before.items() <= contents(full_of_users).items()


def test_training_that_is_refused_leaves_the_folder_as_it_was(pictures: Path, full_of_users: Path) -> None:
    before = contents(full_of_users)
    with pytest.raises(InputError, match="no such folder|is no folder|does not exist|no folder"):
        train(replace(tiny.reconstruction(pictures), path="nowhere"), full_of_users, progress=False)
    assert contents(full_of_users) == before | {".lock": b""}


def test_only_what_a_process_that_is_gone_began_is_removed(tmp_path: Path) -> None:
    dead, alive = gone(), os.getpid()
    names = {
        f".prior-lab-{files.MACHINE}-{dead}-0123abcd.part": False,
        f".prior-lab-{files.MACHINE}-{alive}-0123abcd.part": True,
        f".prior-lab-00000000-{dead}-0123abcd.part": True,  # another machine's
        f".prior-lab-{files.MACHINE}-{dead}-0123abcd.part.txt": True,
        f"prior-lab-{files.MACHINE}-{dead}-0123abcd.part": True,
    }
    for name in names:
        (tmp_path / name).touch()
    target = tmp_path / "target"
    target.touch()
    link = tmp_path / f".prior-lab-{files.MACHINE}-{dead}-99999999.part"
    link.symlink_to(target)
    with files.held(tmp_path):
        assert {name for name in names if (tmp_path / name).exists()} == {
            name for name, stays in names.items() if stays
        }
        assert link.is_symlink()
        assert target.exists()


def test_a_finished_model_is_never_overwritten_by_another_run(pictures: Path, tmp_path: Path) -> None:
    experiment = tiny.reconstruction(pictures)
    model_file = run_experiment(experiment, tmp_path, command="mine", progress=False).model_file
    for checkpoint in checkpoints(tmp_path):
        checkpoint.unlink()
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"finished run of another experiment \(its seed is 0, not 1\)"):
        run_experiment(replace(experiment, seed=1), tmp_path, command="other", progress=False)
    with pytest.raises(InputError, match="finished model of this run, but none of its checkpoints"):
        run_experiment(experiment, tmp_path, command="again", progress=False)
    assert contents(tmp_path) == before
    assert model_file == tmp_path / MODEL_FILE


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/b", "", ".", "..", ".hidden", "a\0b", "x" * 201])
def test_a_study_is_written_into_its_folder_only(pictures: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "here" / "studies"
    with pytest.raises(InputError, match="becomes that of a file"):
        pl.run_study([tiny.reconstruction(pictures)], folder, name=name, progress=False)
    assert not contents(tmp_path).keys() - {"pictures"}


def test_a_file_cannot_choose_where_a_notebook_is_written(tmp_path: Path) -> None:
    folder, path = tmp_path / "working", tmp_path / "evil.nc"
    folder.mkdir()
    tree = load_study("faces-reconstruction")
    tree.attrs["name"] = "x/../../escaped"
    tree.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError, match="becomes that of a file"):
        write_notebook(str(path), folder)
    assert contents(tmp_path).keys() == {"evil.nc"}


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a few bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs the rights to do so")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_study_that_a_full_disk_does_not_hold_ends_in_a_sentence(full_disk: Path) -> None:
    path = full_disk / "study.nc"
    path.write_bytes(b"an older one")
    code = (
        "import prior_lab as pl\n"
        "try: pl.results.save(pl.load_study('household-contrastive'), __import__('sys').argv[1])\n"
        "except pl.InputError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("study.nc' cannot be written (No space left on device); nothing there was changed.\n")
    assert contents(full_disk) == {"study.nc": b"an older one"}


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "a text or a pathlib.Path was expected"),
        (None, "a text or a pathlib.Path was expected"),
        (".", "does not end in .nc"),
        ("folder.nc", "is a folder"),
        ("file/study.nc", "is no folder in which one may write"),
        ("study.txt", "does not end in .nc"),
        ("x" * 300 + ".nc", "than file systems take"),
        ("a\0.nc", "holds a character that no path can hold"),
        ("\ud800.nc", "holds a character that no path can hold"),
    ],
)
def test_a_path_that_cannot_be_written_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.nc").mkdir()
    Path("file").touch()
    with pytest.raises(InputError, match=f"(?i){sentence}"):
        results.save(load_study("faces-reconstruction"), path)
    assert sorted(os.listdir()) == ["file", "folder.nc"]
