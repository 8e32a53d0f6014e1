"""The cards of `fashion`, `mvimgnet2` and `folder` tell what their readers give."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from prior_lab.data import ImageDataset, load_dataset
from prior_lab.data.fashion import bundle as fashion_bundle
from prior_lab.data.fashion import reader as fashion
from prior_lab.data.readers import folder, mvimgnet2, tracks

NAMES = ["fashion", "mvimgnet2", "folder"]
HEADINGS = [
    "Summary",
    "Motivation",
    "An instance",
    "Creation",
    "Splits",
    "Biases and limits",
    "Permitted uses",
    "Citation",
]
installed = pytest.mark.skipif(not fashion.INSTALLED.is_dir(), reason="dataset-fashion-mnist is not installed")


@pytest.fixture(scope="module")
def cards(root: Path) -> dict[str, str]:
    """The cards, by name."""
    return {name: (root / "data_cards" / f"{name}.md").read_text(encoding="utf-8") for name in NAMES}


@pytest.fixture(scope="module")
def heads(cards: dict[str, str]) -> dict[str, dict]:
    """Their machine-readable heads."""
    return {name: yaml.safe_load(text.split("---\n")[1]) for name, text in cards.items()}


@pytest.fixture(scope="module")
def clothes() -> dict[str, ImageDataset]:
    """All splits of fashion-full."""
    return {split: load_dataset("fashion-full", split) for split in fashion.SPLITS}


@pytest.fixture(scope="module")
def pixels(clothes: dict[str, ImageDataset]) -> dict[str, torch.Tensor]:
    """Pixels of fashion-full from 0 to 1, without the margin, which is 0."""
    return {split: data.images[:, 0, 2:30, 2:30].flatten(1) / 255 for split, data in clothes.items()}


def _blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("heading", HEADINGS)
def test_card_has_what_a_reader_needs(cards: dict[str, str], name: str, heading: str):
    assert f"\n## {heading}\n" in cards[name]


@pytest.mark.parametrize("name", NAMES)
def test_head_names_the_data_set(heads: dict[str, dict], name: str):
    assert heads[name]["name"] == name
    assert heads[name]["bundled"] is (name == "fashion")
    assert heads[name]["downloaded_by_prior_lab"] is False


def test_fashion_classes_and_kinds(cards: dict[str, str]):
    rows = re.findall(r"^\| (\d) \| ([\w/ -]+) \| (\w+) \|$", cards["fashion"], flags=re.MULTILINE)
    data = load_dataset("fashion", "validation")
    kinds, classes = data.label_names
    kind_of = dict(zip(data.labels[:, 1].tolist(), data.labels[:, 0].tolist(), strict=True))
    assert rows == [(str(number), name, kinds[kind_of[number]]) for number, name in enumerate(classes)]


def test_fashion_head_tells_of_the_bundle(heads: dict[str, dict]):
    told = heads["fashion"]["bundle"]
    path = fashion_bundle.bundle_path()
    assert told["file"].endswith(path.name)
    assert told["sha256"] == fashion_bundle.recorded_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["bytes"] == path.stat().st_size <= 8_000_000


def test_fashion_head_counts_bundled_images(heads: dict[str, dict]):
    head = heads["fashion"]
    some = {split: load_dataset("fashion", split) for split in fashion.SPLITS}
    assert head["splits"]["fashion"] == _counted(some)
    assert head["taxonomies"] == {
        level: {"labels": len(names)}
        for level, names in zip(some["test"].taxonomies, some["test"].label_names, strict=True)
    }
    _, channels, height, width = some["test"].images.shape
    expected = {"width": width, "height": height, "channels": channels, "dtype": "uint8", "frames_per_object": 1}
    assert head["image"] == expected
    assert (head["published"]["width"], head["published"]["height"]) == (28, 28)


@installed
def test_fashion_head_counts_images(heads: dict[str, dict], clothes: dict[str, ImageDataset]):
    assert heads["fashion"]["splits"]["fashion-full"] == _counted(clothes)


def _counted(splits: dict[str, ImageDataset]) -> dict[str, dict[str, int]]:
    return {name: {"objects": len(data.objects.unique()), "images": len(data)} for name, data in splits.items()}


@installed
def test_fashion_hashes(heads: dict[str, dict]):
    for name, told in heads["fashion"]["sha256_of_contents"].items():
        data = gzip.decompress((fashion.INSTALLED / f"{name}.gz").read_bytes())
        assert hashlib.sha256(data).hexdigest() == told


@installed
def test_fashion_table_of_classes(cards: dict[str, str], clothes: dict[str, ImageDataset]):
    rows = re.findall(r"^\| ([\w/ -]+) \| (\d+) \| (\d+) \| (\d+) \|$", cards["fashion"], flags=re.MULTILINE)
    counted = [data.labels[:, 1].bincount().tolist() for data in clothes.values()]
    assert rows == [(name, *map(str, counts)) for name, *counts in zip(fashion.class_names(), *counted, strict=True)]


@installed
def test_fashion_no_image_is_there_twice(clothes: dict[str, ImageDataset]):
    images = [image.tobytes() for data in clothes.values() for image in data.images[:, 0].numpy()]
    assert len(set(images)) == len(images) == 70_000


@installed
def test_fashion_baselines(cards: dict[str, str], clothes: dict[str, ImageDataset], pixels: dict[str, torch.Tensor]):
    labels = {split: data.labels[:, 1] for split, data in clothes.items()}
    means = torch.stack([pixels["train"][labels["train"] == label].mean(0) for label in range(10)])
    for split, image in pixels.items():
        told = re.search(rf"^\| {split} \| ([\d.]+) % \|$", cards["fashion"], flags=re.MULTILINE)
        hits = torch.cdist(image, means).argmin(1) == labels[split]
        assert float(told[1]) == pytest.approx(100 * hits.float().mean().item(), abs=0.05)
    background = re.search(r"(\d+) % of a 32 x 32 image of train is background", cards["fashion"])
    share = 1 - pixels["train"].count_nonzero().item() / (len(pixels["train"]) * fashion.SIZE**2)
    assert int(background[1]) == pytest.approx(100 * share, abs=0.5)


@installed
def test_fashion_principal_components(cards: dict[str, str], pixels: dict[str, torch.Tensor]):
    train, test = (pixels[split] - pixels["train"].mean(0) for split in ("train", "test"))
    components = torch.linalg.eigh(train.T @ train).eigenvectors.flip(1)
    rows = re.findall(r"^\| (\d+) \| (\d+\.\d\d) \|$", cards["fashion"], flags=re.MULTILINE)
    assert [int(count) for count, _ in rows] == [0, 1, 3, 7, 15, 31, 63, 127]
    for count, told in rows:
        basis = components[:, : int(count)]
        error = (test - test @ basis @ basis.T).square().sum(1) / fashion.SIZE**2
        assert float(told) == pytest.approx(-10 * error.log10().mean().item(), abs=0.01)


@pytest.mark.parametrize(("name", "splits"), [("mvimgnet2", mvimgnet2.SPLITS), ("folder", folder.SPLITS)])
def test_shares_of_the_splits(heads: dict[str, dict], name: str, splits: tuple[str, ...]):
    shares = {split: high - low for split, (low, high) in (tracks.SHARES | {"all": (0, 1)}).items()}
    told = heads[name]["splits"]
    assert tuple(told) == splits
    assert {split: told[split]["share"] for split in splits} == pytest.approx(
        {split: shares[split] for split in splits}
    )


def test_mvimgnet2_head(heads: dict[str, dict]):
    head = heads["mvimgnet2"]
    assert head["verified_on_the_data"] is False
    assert head["layout"]["labels"] == tracks.LABELS
    assert head["image"]["width"] == head["image"]["height"] == mvimgnet2.SIZE
    assert head["image"]["frames_per_object"] == mvimgnet2.FRAMES


def test_mvimgnet2_layout_is_what_is_read(heads: dict[str, dict], cards: dict[str, str], tmp_path: Path):
    layout = heads["mvimgnet2"]["layout"]
    for number, mask in enumerate(layout["masks"]):
        for place, mode in ((layout["images"], "RGB"), (mask, "L")):
            path = tmp_path / place.replace("CLASS", "192").replace("INSTANCE", f"{number:08x}")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (8, 8), "white").save(path)
    (tmp_path / layout["labels"]).write_text(*_blocks(cards["mvimgnet2"], "csv"))
    data = load_dataset("mvimgnet2", "all", path=tmp_path)
    assert len(data) == len(layout["masks"]) == 3
    assert data.masks.all()
    assert data.taxonomies == ("coarse", "mid", "fine", "class")
    labels = [names[label] if label >= 0 else "" for names, label in zip(data.label_names, data.labels[0], strict=True)]
    assert labels == ["food", "fruit", "", "apple"]


def test_mvimgnet2_memory(cards: dict[str, str]):
    rows = re.findall(r"^\| ([\d,]+) objects at (\d+)(.*) \| ([\d.]+) \|$", cards["mvimgnet2"], flags=re.MULTILINE)
    assert len(rows) == 4
    for objects, side, without, told in rows:
        planes = 3 if without else 4
        bytes_held = int(objects.replace(",", "")) * mvimgnet2.FRAMES * planes * int(side) ** 2
        assert float(told) == pytest.approx(bytes_held / 1e9, abs=0.005)


def test_folder_head(heads: dict[str, dict]):
    head = heads["folder"]
    assert tuple(head["suffixes"]) == tracks.SUFFIXES
    assert head["layout"] == {"labels": tracks.LABELS, "mask": folder.MASK}


def test_folder_example_is_what_is_read(cards: dict[str, str], tmp_path: Path):
    files, printed = _blocks(cards["folder"], "text")
    for name in files.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == tracks.LABELS:
            path.write_text(*_blocks(cards["folder"], "csv"))
        else:
            Image.new("L" if name.endswith(folder.MASK) else "RGB", (80, 64), "white").save(path)
    assert str(load_dataset("folder", path=tmp_path / "things", size=64)) == printed.strip()
