"""The bundled part of Fashion-MNIST: what is in it, and that it is what is published."""

from pathlib import Path

import numpy as np
import pytest
import torch

from prior_lab import InputError
from prior_lab.data import load_dataset
from prior_lab.data.fashion import bundle as fashion_bundle
from prior_lab.data.fashion import reader as fashion
from prior_lab.data.fashion.files import Published

installed = pytest.mark.skipif(not fashion.INSTALLED.is_dir(), reason="dataset-fashion-mnist is not installed")
KIND_OF = {
    "T-shirt/top": "top", "Trouser": "trousers", "Pullover": "top", "Dress": "dress", "Coat": "outerwear",
    "Sandal": "footwear", "Shirt": "top", "Sneaker": "footwear", "Bag": "bag", "Ankle boot": "footwear",
}  # fmt: skip


def part(classes: list[int]) -> Published:
    """Images whose pixels tell their position."""
    labels = np.array(classes, dtype=np.uint8)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] + np.zeros((1, 28, 28), np.uint8)
    images[:, 3, 5] = 255  # not the same upside down or on its side
    return Published(images, labels)


@pytest.mark.parametrize(("split", "of_class"), [("train", 1000), ("validation", 200), ("test", 1000)])
def test_nothing_need_be_installed_and_classes_are_equally_frequent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: str, of_class: int
) -> None:
    monkeypatch.setattr(fashion, "INSTALLED", tmp_path / "nowhere")
    data = load_dataset("fashion", split)
    assert data.name == "fashion"
    assert data.images.shape == (10 * of_class, 3, 32, 32)
    assert data.labels[:, 1].bincount().tolist() == [of_class] * 10
    assert data.taxonomies == ("kind", "class")
    assert len(data.objects.unique()) == len(data)


def test_kinds_follow_from_classes() -> None:
    data = load_dataset("fashion", "validation")
    kinds, classes = data.label_names
    assert {classes[one]: kinds[other] for other, one in data.labels.tolist()} == KIND_OF


def test_no_image_is_in_two_splits() -> None:
    splits = [load_dataset("fashion", split) for split in ("train", "validation", "test")]
    images = [image.tobytes() for data in splits for image in data.images[:, 0].numpy()]
    assert len(set(images)) == len(images) == 22_000
    names = [data.object_names[index] for data in splits for index in data.objects.tolist()]
    assert len(set(names)) == 22_000
    assert names[0] == "train/00000"
    assert names[-1] == "test/09999"


@installed
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_bundle_is_the_first_of_every_class_of_what_is_published(split: str) -> None:
    some, every = load_dataset("fashion", split), load_dataset("fashion-full", split)
    places = {every.object_names[index]: place for place, index in enumerate(every.objects.tolist())}
    found = [places[some.object_names[index]] for index in some.objects.tolist()]
    assert found == sorted(found)
    assert torch.equal(some.images, every.images[found])
    assert torch.equal(some.labels, every.labels[found])
    for label in range(10):
        first = (every.labels[:, 1] == label).nonzero()[: fashion_bundle.CHOSEN[split], 0]
        assert torch.equal(first, torch.tensor(found)[some.labels[:, 1] == label])


@installed
@pytest.mark.slow
def test_building_again_gives_the_bundled_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashion_bundle.build_fashion(fashion.INSTALLED, tmp_path / "again.zip") == fashion_bundle.recorded_sha256()
    assert "identical to the bundled file" in capsys.readouterr().out


def test_what_is_written_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_bundle, "CHOSEN", {"train": 2, "validation": 1, "test": 3})
    published = part([*range(10)] * 6)
    splits = {split: fashion_bundle.choose(published, split) for split in ("train", "validation", "test")}
    assert splits["train"].positions.tolist() == list(range(20))
    assert splits["validation"].positions.tolist() == list(range(50, 60))
    path = tmp_path / "small.zip"
    fashion_bundle.write_bundle(path, splits)
    monkeypatch.setattr(fashion_bundle, "recorded_sha256", lambda: fashion_bundle.sha256(path))
    bundle = fashion_bundle.FashionBundle(path)
    for split, chosen in splits.items():
        read = bundle.read(split)
        np.testing.assert_array_equal(read.images, chosen.images)
        np.testing.assert_array_equal(read.labels, chosen.labels)
        np.testing.assert_array_equal(read.positions, chosen.positions)


def test_too_few_images_of_a_class_are_told() -> None:
    with pytest.raises(InputError, match="have 5 of label 0 for the split train; expected 1000 or more"):
        fashion_bundle.choose(part([*range(10)] * 6), "train")


def test_a_damaged_or_missing_bundle_is_told(tmp_path: Path) -> None:
    whole = fashion_bundle.bundle_path().read_bytes()
    path = tmp_path / "fashion.zip"
    for damaged in (whole[:-1], whole[:1000] + b"x" + whole[1001:], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is truncated or altered: its SHA-256 is"):
            load_dataset("fashion", path=path)
    with pytest.raises(InputError, match="nowhere is missing; reinstall prior_lab, or run python -m prior_lab data"):
        load_dataset("fashion", path=tmp_path / "nowhere")


def test_the_publishers_licence_is_in_the_bundle() -> None:
    archive = fashion_bundle.ZipFile(fashion_bundle.bundle_path())
    assert "Copyright © 2017 Zalando SE" in archive.read("LICENSE").decode()
