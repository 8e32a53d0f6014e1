import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prior_lab import InputError
from prior_lab.data import list_datasets, load_dataset
from prior_lab.data.fashion import reader as fashion

TRAIN, TEST = 24, 6
installed = pytest.mark.skipif(not fashion.INSTALLED.is_dir(), reason="dataset-fashion-mnist is not installed")


def _pixels(part: str) -> np.ndarray:
    generator = np.random.default_rng(len(part))
    return generator.integers(0, 256, (TRAIN if part == "train" else TEST, 28, 28), dtype=np.uint8)


def _idx(array: np.ndarray) -> bytes:
    head = [0x0800 + array.ndim, *array.shape]
    return b"".join(number.to_bytes(4) for number in head) + array.tobytes()


def _write(folder: Path, name: str, data: bytes, packed: bool = True) -> Path:
    path = folder / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def _write_all(folder: Path, packed: bool) -> Path:
    for part in ("train", "t10k"):
        pixels = _pixels(part)
        _write(folder, f"{part}-images-idx3-ubyte", _idx(pixels), packed)
        _write(folder, f"{part}-labels-idx1-ubyte", _idx((np.arange(len(pixels)) % 10).astype(np.uint8)), packed)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Few images in the published layout."""
    return _write_all(tmp_path, packed=True)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("split", "part", "kept", "first"),
    [("train", "train", slice(0, 20), 0), ("validation", "train", slice(20, 24), 20), ("test", "t10k", slice(6), 24)],
)
def test_splits_are_by_position(tmp_path: Path, packed: bool, split: str, part: str, kept: slice, first: int):
    data = load_dataset("fashion-full", split, path=_write_all(tmp_path, packed))
    expected = _pixels(part)[kept]
    assert data.images.shape == (len(expected), 3, 32, 32)
    np.testing.assert_array_equal(data.images[:, :, 2:30, 2:30].numpy(), expected[:, None].repeat(3, axis=1))
    assert data.objects.tolist() == list(range(first, first + len(expected)))
    assert data.labels[:, 1].tolist() == [number % 10 for number in range(kept.start or 0, kept.stop)]
    assert data.split == split


def test_the_margin_is_background(folder: Path):
    images = load_dataset("fashion-full", path=folder).images.clone()
    images[:, :, 2:30, 2:30] = 0
    assert not images.any()


def test_the_published_pixels_are_had_at_their_size(folder: Path):
    images = load_dataset("fashion-full", "test", path=str(folder), size=28).images
    np.testing.assert_array_equal(images[:, 0].numpy(), _pixels("t10k"))


def test_any_other_size_is_resized(folder: Path):
    image = load_dataset("fashion-full", "test", path=folder, size=45).images[3, 2]
    expected = Image.fromarray(_pixels("t10k")[3]).resize((45, 45), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(image.numpy(), np.asarray(expected))


def test_every_image_is_an_object_of_its_own_and_has_a_class(folder: Path):
    data = load_dataset("fashion-full", path=folder)
    assert str(data) == (
        "fashion-full, split train: 20 images of 20 objects, 32 x 32 RGB\n"
        "label levels: kind (6 labels), class (10 labels)"
    )
    assert data.object_names[0] == "train/00000"
    assert data.object_names[-1] == "test/00005"
    assert len(data.object_names) == TRAIN + TEST
    assert data.label_names == (fashion.kind_names(), fashion.class_names())
    assert data.masks is data.prompts is None


def test_it_is_listed():
    assert any(line.startswith("fashion-full: ") for line in list_datasets())


def test_without_the_package_tells_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(fashion, "INSTALLED", tmp_path / "nowhere")
    with pytest.raises(InputError, match="apt-get install dataset-fashion-mnist, or pass path=, a folder with"):
        load_dataset("fashion-full")


def test_unknown_split_size_and_conversion_are_told():
    with pytest.raises(InputError, match="fashion-full has no split 'all'; there are train, validation, test"):
        load_dataset("fashion-full", "all")
    with pytest.raises(InputError, match="size is 0; it must be at least 1"):
        load_dataset("fashion-full", size=0)
    with pytest.raises(InputError, match="fashion-full is RGB; convert= is for the data set folder"):
        load_dataset("fashion-full", convert="rgb")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_told(folder: Path, name: str):
    (folder / f"{name}.gz").unlink()
    with pytest.raises(InputError, match=rf"has neither {name}\.gz nor {name}; expected the four files"):
        load_dataset("fashion-full", path=folder)


def test_damaged_gzip_files_are_told(folder: Path):
    path = folder / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (whole[:1000], whole[:500] + b"\0\0\0\0" + whole[504:], b"hello", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz (cannot be read|is no such file)") as told:
            load_dataset("fashion-full", path=folder)
        assert "\n" not in str(told.value)


def test_a_truncated_file_is_told(folder: Path):
    _write(folder, "train-images-idx3-ubyte", _idx(_pixels("train"))[:-1])
    with pytest.raises(InputError, match=r"has 18,815 bytes of data; expected 24 x 28 x 28"):
        load_dataset("fashion-full", path=folder)


@pytest.mark.parametrize("data", [b"", b"\0\0\x08\x03", _idx(np.zeros((TRAIN, 28), np.uint8)), b"hello " * 100])
def test_a_file_of_another_kind_is_told(folder: Path, data: bytes):
    _write(folder, "train-images-idx3-ubyte", data)
    with pytest.raises(InputError, match="is no such file of Fashion-MNIST; expected it to begin with 0x00000803"):
        load_dataset("fashion-full", path=folder)


def test_images_of_another_size_are_told(folder: Path):
    _write(folder, "train-images-idx3-ubyte", _idx(np.zeros((TRAIN, 32, 30), np.uint8)))
    with pytest.raises(InputError, match="has images train of 30x32; those of Fashion-MNIST are 28x28"):
        load_dataset("fashion-full", path=folder)


def test_another_number_of_labels_is_told(folder: Path):
    _write(folder, "t10k-labels-idx1-ubyte", _idx(np.zeros(7, np.uint8)))
    with pytest.raises(InputError, match="has 6 images t10k but 7 labels; expected one each"):
        load_dataset("fashion-full", "test", path=folder)


def test_a_label_beyond_the_classes_is_told(folder: Path):
    _write(folder, "t10k-labels-idx1-ubyte", _idx(np.array([0, 1, 10, 3, 4, 5], np.uint8)))
    with pytest.raises(InputError, match="has a label 10 in t10k; those of Fashion-MNIST are 0 to 9"):
        load_dataset("fashion-full", "test", path=folder)


def test_too_few_images_for_a_split_are_told(folder: Path):
    _write(folder, "train-images-idx3-ubyte", _idx(_pixels("train")[:5]))
    _write(folder, "train-labels-idx1-ubyte", _idx(np.zeros(5, np.uint8)))
    with pytest.raises(InputError, match="has too few images for a split 'validation': 5 published as train"):
        load_dataset("fashion-full", "validation", path=folder)


@installed
def test_the_installed_test_images():
    data = load_dataset("fashion-full", "test")
    assert len(data) == 10_000
    assert data.labels[:, 1].bincount().tolist() == [1000] * 10
    assert [data.label_names[1][label] for label in data.labels[:4, 1]] == [
        "Ankle boot",
        "Pullover",
        "Trouser",
        "Trouser",
    ]
    assert torch.equal(data.images[:, 0], data.images[:, 2])
