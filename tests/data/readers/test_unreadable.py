"""Images that cannot be read stop the reading, or are skipped on request."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prior_lab import InputError
from prior_lab.data import load_dataset
from prior_lab.data.readers import tracks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames of each of three objects, of which four are damaged."""
    for name in ("chair", "mug", "table"):
        (tmp_path / name).mkdir()
        for frame in range(3):
            Image.new("RGB", (12, 10), (frame, 0, 0)).save(tmp_path / name / f"{frame}.png")
    (tmp_path / "chair" / "1.png").write_text("hello")
    for frame in range(3):
        whole = (tmp_path / "mug" / f"{frame}.png").read_bytes()
        (tmp_path / "mug" / f"{frame}.png").write_bytes(whole[:40])
    return tmp_path


@pytest.mark.parametrize("size", [None, 8])
def test_the_first_is_named(folder: Path, size: int | None):
    with pytest.raises(InputError, match=r"chair/1\.png is no readable image"):
        load_dataset("folder", path=folder, size=size)


@pytest.mark.parametrize("size", [None, 8])
def test_they_are_skipped_on_request_with_one_warning(folder: Path, size: int | None):
    with pytest.warns(UserWarning, match=r"4 of 9 images of .* were skipped, the first: .*chair/1\.png is no") as told:
        data = load_dataset("folder", path=folder, size=size, unreadable="skip")
    assert len(told) == 1
    assert data.object_names == ("chair", "mug", "table")
    assert data.objects.tolist() == [0, 0, 2, 2, 2]
    assert data.images[:, 0, 0, 0].tolist() == [0, 2, 0, 1, 2]


def test_skipping_keeps_the_labels_with_their_images(folder: Path):
    (folder / "labels.csv").write_text("object,class\nchair,a\nmug,b\ntable,c\n")
    with pytest.warns(UserWarning, match="4 of 9"):
        data = load_dataset("folder", path=folder, unreadable="skip")
    assert data.labels[:, 0].tolist() == [0, 0, 2, 2, 2]
    assert data.label_names == (("a", "b", "c"),)


def test_images_with_empty_or_unreadable_masks_are_skipped_too(tmp_path: Path):
    for number, value in enumerate((255, 0, 255)):
        Image.new("RGB", (12, 10), (number, 0, 0)).save(tmp_path / f"{number}.jpg")
        Image.new("L", (12, 10), value).save(tmp_path / f"{number}.mask.png")
    (tmp_path / "2.mask.png").write_text("hello")
    with pytest.warns(UserWarning, match=r"2 of 3 images of .*1\.mask\.png is empty"):
        data = load_dataset("folder", path=tmp_path, unreadable="skip")
    assert data.objects.tolist() == [0]
    assert data.masks.shape == (1, 10, 12)
    np.testing.assert_allclose(data.prompts[0, :2], [6, 5])


def test_without_damage_nothing_is_warned_of(save_image):
    path = save_image("a.png").parent
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_dataset("folder", path=path, unreadable="skip")) == 1


@pytest.mark.parametrize("size", [None, 8])
def test_nothing_left_is_told(tmp_path: Path, size: int | None):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=r"has no readable image among 2, the first: .*a\.png is no readable image"):
        load_dataset("folder", path=tmp_path, size=size, unreadable="skip")


def test_other_faults_are_not_skipped(folder: Path):
    Image.new("L", (12, 10)).save(folder / "table" / "0.png")
    with pytest.raises(InputError, match=r"table/0\.png is not RGB but greyscale"):
        load_dataset("folder", path=folder, unreadable="skip")


def test_an_unknown_choice_is_told(save_image, no_shape_checks):
    path = save_image("a.png").parent
    with pytest.raises(InputError, match="unreadable is 'ignore'; one of raise, skip was expected"):
        load_dataset("folder", path=path, unreadable="ignore")


@pytest.mark.parametrize("name", ["household", "faces", "fashion", "fashion-full", "ffhq"])
def test_other_data_sets_are_read_whole(name: str):
    with pytest.raises(
        InputError, match=f"{name} is read whole; unreadable= is for the data sets folder and mvimgnet2"
    ):
        load_dataset(name, unreadable="skip")


def test_too_little_memory_is_told(save_image, monkeypatch: pytest.MonkeyPatch):
    def empty(shape: tuple[int, ...], dtype: type) -> np.ndarray:
        raise MemoryError

    path = save_image("a.png", (1000, 1000)).parent
    monkeypatch.setattr(tracks.np, "empty", empty)
    with pytest.raises(InputError, match="has 1 images, which need 0 GB of memory at 1000x1000; pass a smaller size="):
        load_dataset("folder", path=path)
