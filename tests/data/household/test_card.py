import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from prior_lab.data import ImageDataset
from prior_lab.data.household.bundle import FRAMES, SIZE, bundle_path, recorded_sha256
from prior_lab.data.household.reader import open_bundle
from prior_lab.data.household.taxonomy import LEVELS, read_table


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """The whole card."""
    return (root / "data_cards" / "household.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def head(text: str) -> dict:
    """The card's machine-readable head."""
    return yaml.safe_load(text.split("---\n")[1])


def test_head_names_the_bundled_file(head: dict, root: Path):
    data = (root / head["file"]).read_bytes()
    assert bundle_path().read_bytes() == data
    assert hashlib.sha256(data).hexdigest() == head["sha256"] == recorded_sha256()
    assert len(data) == head["bytes"] < 16e6


def test_head_counts_objects_and_images(head: dict, household: dict[str, ImageDataset]):
    assert head["name"] == "household"
    assert list(head["splits"]) == list(household)
    for split, counts in head["splits"].items():
        data = household[split]
        assert counts == {"objects": len(data.objects.unique()), "images": len(data)}
    expected = {"width": SIZE, "height": SIZE, "channels": 3, "dtype": "uint8", "frames_per_object": FRAMES}
    assert head["image"] == expected


def test_head_tells_the_labels_and_their_majority(head: dict, household: dict[str, ImageDataset]):
    train, test = household["train"], household["test"]
    assert tuple(head["taxonomies"]) == LEVELS
    for level, told in enumerate(head["taxonomies"].values()):
        labels = train.labels[:, level]
        majority = int(torch.bincount(labels[labels >= 0]).argmax())
        seen = test.labels[:, level][test.labels[:, level] >= 0]
        objects = sum(int((data.labels[::FRAMES, level] >= 0).sum()) for data in household.values())
        assert told["labels"] == len(train.label_names[level])
        assert told["objects"] == objects
        assert told["majority"] == train.label_names[level][majority]
        assert told["majority_accuracy_test"] == pytest.approx((seen == majority).float().mean().item(), abs=5e-5)


def test_head_counts_licences(head: dict):
    assert head["licence"]["models"] == Counter(row.licence for row in open_bundle().manifest())


def test_tables_tell_the_same_as_the_data(text: str, head: dict, household: dict[str, ImageDataset]):
    names = household["train"].label_names
    expected = {
        (level, name): tuple(int((data.labels[::FRAMES, depth] == index).sum()) for data in household.values())
        for depth, level in enumerate(LEVELS)
        for index, name in enumerate(names[depth])
    }
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert {(level, name): tuple(map(int, counts)) for level, name, *counts in rows} == expected
    for level, told in head["taxonomies"].items():
        assert f"| {level} | {told['labels']} | {100 * told['majority_accuracy_test']:.1f} % |" in text


def test_near_duplicates_are_counted(text: str):
    sizes = [size for size in Counter(entry.group for entry in read_table()).values() if size > 1]
    assert f"{len(sizes)} groups with {sum(sizes)} objects" in " ".join(text.split())


def test_nearest_neighbour_baseline(text: str, household: dict[str, ImageDataset]):
    train, test = household["train"], household["test"]
    pixels = [torch.nn.functional.avg_pool2d(data.images.float(), 2).flatten(1) for data in (train, test)]
    nearest = torch.cat([torch.cdist(part, pixels[0]).argmin(dim=1) for part in pixels[1].split(520)])
    for level, name in enumerate(LEVELS):
        seen = test.labels[:, level] >= 0
        hits = (train.labels[nearest, level] == test.labels[:, level])[seen].float().mean().item()
        told = re.search(rf"^\| {name} \| \d+ \| [\d.]+ % \| ([\d.]+) % \|$", text, flags=re.MULTILINE)
        assert float(told[1]) == pytest.approx(100 * hits, abs=0.15)


def test_contact_sheet_shows_every_object_and_is_small(root: Path, text: str):
    path = root / "data_cards" / "household.png"
    assert "(household.png)" in text
    assert path.stat().st_size < 700_000
    with Image.open(path) as sheet:
        assert (sheet.width // 32) * (sheet.height // 32) == 820


@pytest.mark.parametrize(
    "heading",
    ["Summary", "Motivation", "An instance", "Creation", "Splits", "Biases and limits", "Permitted uses", "Citation"],
)
def test_card_has_what_a_reader_needs(text: str, heading: str):
    assert f"\n## {heading}\n" in text
