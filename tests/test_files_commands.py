"""The commands `compress` and `decompress`: files, pictures, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from command_line import refused, told
from PIL import Image

import prior_lab as pl
from prior_lab.__main__ import main

MODEL = "emoji/reconstruction/prior-ema-vq"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawings as PNG images."""
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(pl.load_dataset("emoji", split="test").images[::700]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def files(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their files."""
    folder = tmp_path_factory.mktemp("files")
    main(["compress", str(images), "--out", str(folder), "--model", MODEL])
    return folder


def test_files_decode_to_what_the_library_decodes(files: Path, images: Path, tmp_path: Path) -> None:
    main(["decompress", str(files), "--out", str(tmp_path)])
    found = pl.decompress([path.read_bytes() for path in sorted(files.glob("*.prior"))])
    for path, picture in zip(sorted(tmp_path.glob("*.png")), found.images, strict=True):
        drawn = np.asarray(Image.open(path))
        assert (drawn == (255 * picture).round().byte().permute(1, 2, 0).numpy()).all()


def test_fewer_bytes_give_fewer_levels(capsys: pytest.CaptureFixture[str], files: Path, tmp_path: Path) -> None:
    answer = told(capsys, ["decompress", str(files), "--out", str(tmp_path), "--bytes", "40"])
    assert {row["bytes"] for row in answer["files"]} == {40}
    assert all(0 < row["levels"] < 7 and "cut off" in row["note"] for row in answer["files"])


def test_sizes_are_those_on_disk_and_a_budget_is_kept(
    capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path
) -> None:
    arguments = ["compress", str(images), "--out", str(tmp_path), "--model", MODEL, "--budget", "31"]
    answer = told(capsys, arguments)
    assert [row["bytes"] for row in answer["files"]] == [
        (tmp_path / row["file"]).stat().st_size for row in answer["files"]
    ]
    assert {row["tokens"] for row in answer["files"]} == {31}


def test_a_target_is_reached_or_all_is_written(
    capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path
) -> None:
    arguments = ["compress", str(images), "--out", str(tmp_path), "--model", MODEL, "--target", "ssim=0.5"]
    assert all(row["SSIM"] >= 0.5 or row["tokens"] == 127 for row in told(capsys, arguments)["files"])


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str], files: Path, images: Path) -> None:
    before = {path: path.read_bytes() for path in files.glob("*.prior")}
    sentence = refused(capsys, ["compress", str(images), "--out", str(files), "--model", MODEL, "--budget", "1"])
    assert "is there already; nothing was written over it" in sentence
    assert {path: path.read_bytes() for path in files.glob("*.prior")} == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("compress {images} --out {out} --target ssim", "is not written like ssim=0.9"),
        ("compress {images} --out {out} --target lpips=1", "Unknown measure 'LPIPS'"),
        ("compress {images} --out {out} --target ssim=1 --budget 3", "Give a target or a budget, not both."),
        ("compress {images} --out {out} --budget 5", "A file holds whole levels"),
        ("compress {images} --out {out} --model household/reconstruction/td-gaussian", "There is no codec for"),
        ("compress {images} --out {out} --codec {images}/0.png", "is no codec file"),
        ("compress {out} --out {out}", "is no folder"),
        ("decompress {images} --out {out}", "has no files that end in .prior"),
        ("decompress {images}/0.png --out {out}", "are no file of prior_lab"),
        ("decompress {out}/none.prior --out {out}", "There is no file of compress"),
        ("decompress {files} --out {out} --bytes 9", "holds no whole level"),
        ("decompress {files} --out {images}/0.png", "cannot be written to"),
    ],
)
def test_wrong_input_gives_one_sentence(
    no_shape_checks: None,
    capsys: pytest.CaptureFixture[str],
    images: Path,
    files: Path,
    tmp_path: Path,
    arguments: str,
    sentence: str,
) -> None:
    places = {"images": images, "files": files, "out": tmp_path / "out"}
    said = refused(capsys, [word.format(**places) for word in arguments.split()])
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("out/*.p*"))
