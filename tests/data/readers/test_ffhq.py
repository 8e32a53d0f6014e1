from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prior_lab import InputError
from prior_lab.data import ffhq, list_datasets, load_dataset
from prior_lab.widgets.pictures import Pictures

NUMBERS = (0, 7, 999, 1000, 59_999, 60_000, 64_999, 65_000, 65_001, 69_999)


def _pixels(number: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def _nested(number: int) -> str:
    return f"{number // 1000 * 1000:05d}/{number:05d}.png"


def _flat(number: int) -> str:
    return f"{number:05d}.png"


def _write(folder: Path, numbers: tuple[int, ...] = NUMBERS, place: Callable[[int], str] = _nested, side: int = 16):
    for number in numbers:
        path = folder / place(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_pixels(number, side)).save(path)


@pytest.mark.parametrize("place", [_nested, _flat])
@pytest.mark.parametrize("folder", ["images1024x1024", "thumbnails128x128", "mine", "."])
def test_published_layouts(tmp_path: Path, folder: str, place: Callable[[int], str]):
    _write(tmp_path / folder, place=place)
    data = load_dataset("ffhq", "all", path=tmp_path / folder)
    assert data.object_names == tuple(f"{number:05d}" for number in NUMBERS)
    expected = np.stack([_pixels(number).transpose(2, 0, 1) for number in NUMBERS])
    np.testing.assert_array_equal(data.images.numpy(), expected)
    assert data.images.dtype == torch.uint8


@pytest.mark.parametrize("folder", ["images1024x1024", "thumbnails128x128"])
def test_parent_of_a_published_folder(tmp_path: Path, folder: str):
    _write(tmp_path / folder)
    (tmp_path / "in-the-wild-images" / "00000").mkdir(parents=True)
    data = load_dataset("ffhq", "all", path=str(tmp_path))
    assert len(data) == len(NUMBERS)


@pytest.mark.parametrize(
    ("split", "numbers"),
    [
        ("train", (0, 7, 999, 1000, 59_999)),
        ("validation", (60_000, 64_999)),
        ("test", (65_000, 65_001, 69_999)),
        ("all", NUMBERS),
    ],
)
def test_splits_are_by_number(tmp_path: Path, split: str, numbers: tuple[int, ...]):
    _write(tmp_path)
    data = load_dataset("ffhq", split, path=tmp_path)
    assert [int(data.object_names[index]) for index in data.objects] == list(numbers)
    np.testing.assert_array_equal(data.images[-1].numpy(), _pixels(numbers[-1]).transpose(2, 0, 1))
    assert data.split == split


def test_train_is_the_default_and_there_are_no_labels(tmp_path: Path):
    _write(tmp_path)
    data = load_dataset("ffhq", path=tmp_path)
    assert str(data) == "ffhq, split train: 5 images of 5 objects, 16 x 16 RGB\nlabel levels: none"
    assert data.labels.shape == (5, 0)
    assert data.masks is data.prompts is None


def test_resizes_on_request(tmp_path: Path):
    _write(tmp_path, (0,))
    _write(tmp_path, (1,), side=24)
    images = load_dataset("ffhq", path=tmp_path, size=8).images
    assert images.shape == (2, 3, 8, 8)
    expected = Image.fromarray(_pixels(0)).resize((8, 8), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(images[0].numpy(), np.asarray(expected).transpose(2, 0, 1))


def test_opens_only_the_images_of_the_split(tmp_path: Path):
    _write(tmp_path)
    (tmp_path / _nested(7)).write_text("damaged")
    assert len(load_dataset("ffhq", "test", path=tmp_path)) == 3


def test_other_files_are_passed_over(tmp_path: Path):
    _write(tmp_path)
    for name in ("LICENSE.txt", "00000/notes.txt", "00000/1.png", "00000/00005.jpg", "00000/01001.png", "x/00009.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image of the set")
    assert len(load_dataset("ffhq", "all", path=tmp_path)) == len(NUMBERS)


def test_the_explorer_shows_them(tmp_path: Path):
    _write(tmp_path)
    pictures = Pictures.of(load_dataset("ffhq", "test", path=tmp_path))
    assert pictures.captions == ("65000", "65001", "69999")
    assert list(pictures.members) == ["all"]


def test_it_is_listed():
    assert any(line.startswith("ffhq: ") for line in list_datasets())


def test_a_missing_path_and_a_wrong_one_are_told(tmp_path: Path):
    with pytest.raises(InputError, match="the data set ffhq needs path=, the folder with the images"):
        load_dataset("ffhq")
    with pytest.raises(InputError, match="nowhere is no folder; expected FFHQ's folder images1024x1024 or thumbnails"):
        load_dataset("ffhq", path=tmp_path / "nowhere")


def test_an_empty_folder_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"has no images of FFHQ; expected 00000/00000\.png or 00000\.png"):
        load_dataset("ffhq", path=tmp_path)
    (tmp_path / "thumbnails128x128").mkdir()
    with pytest.raises(InputError, match="thumbnails128x128 has no images of FFHQ"):
        load_dataset("ffhq", path=tmp_path)


def test_two_choices_are_told(tmp_path: Path):
    for folder in ffhq.LAYOUTS:
        _write(tmp_path / folder, (0,))
    with pytest.raises(InputError, match="has both images1024x1024 and thumbnails128x128; pass path="):
        load_dataset("ffhq", path=tmp_path)
    _write(tmp_path / "thumbnails128x128", (0,), place=_flat)
    with pytest.raises(InputError, match="both in itself and in folders of a thousand"):
        load_dataset("ffhq", path=tmp_path / "thumbnails128x128")


def test_an_empty_split_tells_which_numbers_there_are(tmp_path: Path):
    _write(tmp_path, (3, 7, 1004))
    with pytest.raises(InputError, match="split 'validation', numbers 60000 to 64999; it has 3, from 00003 to 01004"):
        load_dataset("ffhq", "validation", path=tmp_path)


def test_unknown_split_size_and_conversion_are_told(tmp_path: Path):
    _write(tmp_path, (0,))
    with pytest.raises(InputError, match="ffhq has no split 'dev'; there are train, validation, test, all"):
        load_dataset("ffhq", "dev", path=tmp_path)
    with pytest.raises(InputError, match="size is -1; it must be at least 1"):
        load_dataset("ffhq", path=tmp_path, size=-1)
    with pytest.raises(InputError, match="ffhq is RGB; convert= is for the data set folder"):
        load_dataset("ffhq", path=tmp_path, convert="rgb")


@pytest.mark.parametrize("number", [0, 7])
def test_an_unreadable_image_is_named(tmp_path: Path, number: int):
    _write(tmp_path)
    (tmp_path / _nested(number)).write_text("hello")
    with pytest.raises(InputError, match=rf"{number:05d}\.png is no readable image") as told:
        load_dataset("ffhq", path=tmp_path)
    assert "\n" not in str(told.value)


def test_a_truncated_image_is_named(tmp_path: Path):
    _write(tmp_path)
    path = tmp_path / _nested(7)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"00007\.png is no readable image"):
        load_dataset("ffhq", path=tmp_path, size=8)


def test_different_sizes_are_told(tmp_path: Path):
    _write(tmp_path, (0, 1))
    _write(tmp_path, (2,), side=20)
    with pytest.raises(InputError, match=r"00002\.png is 20x20, but 00000\.png is 16x16; pass size="):
        load_dataset("ffhq", path=tmp_path)


@pytest.mark.parametrize("size", [None, 8])
def test_an_oblong_image_is_told(tmp_path: Path, size: int | None):
    _write(tmp_path, (0,))
    Image.new("RGB", (20, 16)).save(tmp_path / _nested(1))
    with pytest.raises(InputError, match=r"00001\.png is 20x16; expected squares, so not FFHQ's in-the-wild-images"):
        load_dataset("ffhq", path=tmp_path, size=size)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_modes_are_told(tmp_path: Path, mode: str):
    _write(tmp_path, (0,))
    Image.new(mode, (16, 16)).save(tmp_path / _nested(1))
    with pytest.raises(InputError, match=rf"00001\.png is not RGB but of mode {mode}; the images of FFHQ are RGB"):
        load_dataset("ffhq", path=tmp_path)


def test_too_little_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def empty(shape: tuple[int, ...], dtype: type) -> np.ndarray:
        raise MemoryError

    _write(tmp_path, (0,), side=1024)
    monkeypatch.setattr(ffhq.np, "empty", empty)
    with pytest.raises(InputError, match="1 images of 1024x1024 need 0 GB of memory; pass size="):
        load_dataset("ffhq", path=tmp_path)
