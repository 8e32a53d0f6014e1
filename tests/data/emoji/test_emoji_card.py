import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from prior_lab.data import ImageDataset
from prior_lab.data.emoji.bundle import Drawing, bundle_path, by_concept, recorded_sha256
from prior_lab.data.emoji.reader import open_bundle
from prior_lab.data.emoji.recipe import ARTISTS, DROPPED, GROUND, HELD_OUT, LEVELS, SIZE, SPLITS


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """The whole card."""
    return (root / "data_cards" / "emoji.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def head(text: str) -> dict:
    """The card's machine-readable head."""
    return yaml.safe_load(text.split("---\n")[1])


@pytest.fixture(scope="module")
def drawings() -> tuple[Drawing, ...]:
    """The manifest."""
    return open_bundle().drawings()


@pytest.fixture(scope="module")
def pixels(emoji: dict[str, ImageDataset]) -> dict[str, torch.Tensor]:
    """Train and test at 32 x 32 pixels."""
    return {
        split: torch.nn.functional.avg_pool2d(emoji[split].images.float(), 2).flatten(1) for split in ("train", "test")
    }


@pytest.fixture(scope="module")
def unseen(emoji: dict[str, ImageDataset]) -> torch.Tensor:
    """Which test drawings are by artists that training never shows."""
    names = emoji["test"].label_names[LEVELS.index("artist")]
    return torch.isin(emoji["test"].labels[:, -1], torch.tensor([names.index(artist) for artist in HELD_OUT]))


def test_head_names_the_bundled_file(head: dict, root: Path):
    data = (root / head["file"]).read_bytes()
    assert bundle_path().read_bytes() == data
    assert hashlib.sha256(data).hexdigest() == head["sha256"] == recorded_sha256()
    assert len(data) == head["bytes"] < 16e6


def test_head_counts_concepts_and_images(head: dict, emoji: dict[str, ImageDataset]):
    assert head["name"] == "emoji"
    for split, data in emoji.items():
        assert head["splits"][split] == {"concepts": len(data.objects.unique()), "images": len(data)}
    expected = {"width": SIZE, "height": SIZE, "channels": 3, "dtype": "uint8", "ground": list(GROUND)}
    assert head["image"] == expected


def test_head_tells_the_artists(head: dict, drawings: tuple[Drawing, ...]):
    assert head["held_out"] == list(HELD_OUT)
    counts = Counter((drawing.artist, drawing.split) for drawing in drawings)
    licences = {drawing.artist: drawing.licence for drawing in drawings}
    for artist in ARTISTS:
        told = head["artists"][artist.name]
        assert (told["package"], told["version"]) == (f"@iconify-json/{artist.package}", artist.version)
        assert told["licence"] == licences[artist.name]
        assert [told[split] for split in SPLITS] == [counts[artist.name, split] for split in SPLITS]
    assert head["licence"] == Counter(drawing.licence for drawing in drawings)


def test_head_counts_near_duplicates(head: dict, text: str, drawings: tuple[Drawing, ...]):
    sizes = [size for size in Counter(members[0].family for members in by_concept(drawings)).values() if size > 1]
    pairs = len(open_bundle().near_duplicates())
    assert head["near_duplicates"] == {"families": len(sizes), "concepts": sum(sizes), "pairs": pairs}
    assert f"{len(sizes)} families with {sum(sizes)} concepts" in " ".join(text.split())
    assert f"{len(DROPPED)} are left out" in " ".join(text.split())


def test_head_tells_the_labels_and_their_majority(head: dict, emoji: dict[str, ImageDataset]):
    train, test = emoji["train"], emoji["test"]
    assert tuple(head["taxonomies"]) == LEVELS
    for level, told in enumerate(head["taxonomies"].values()):
        labels = train.labels[:, level]
        majority = int(torch.bincount(labels[labels >= 0]).argmax())
        seen = test.labels[:, level][test.labels[:, level] >= 0]
        assert told["labels"] == len(train.label_names[level])
        assert told["concepts"] == sum(
            len(data.objects[data.labels[:, level] >= 0].unique()) for data in emoji.values()
        )
        assert told["majority"] == train.label_names[level][majority]
        assert told["majority_accuracy_test"] == pytest.approx((seen == majority).float().mean().item(), abs=5e-5)


def test_tables_tell_the_same_as_the_data(text: str, emoji: dict[str, ImageDataset]):
    expected = {
        (LEVELS[level], name): tuple(
            len(data.objects[data.labels[:, level] == index].unique()) for data in emoji.values()
        )
        for level in (0, 1)
        for index, name in enumerate(emoji["train"].label_names[level])
    }
    rows = re.findall(r"^\| (group|subgroup) \| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert {(level, name): tuple(map(int, counts)) for level, name, *counts in rows} == expected


def test_nearest_neighbour_baseline(
    text: str, head: dict, emoji: dict[str, ImageDataset], pixels: dict[str, torch.Tensor], unseen: torch.Tensor
):
    train, test = emoji["train"], emoji["test"]
    nearest = torch.cat([torch.cdist(part, pixels["train"]).argmin(dim=1) for part in pixels["test"].split(500)])
    for level, name in enumerate(("group", "subgroup")):
        known = test.labels[:, level] >= 0
        hits = (train.labels[nearest, level] == test.labels[:, level]).float()
        measured = [100 * hits[known & part].mean().item() for part in (unseen | ~unseen, ~unseen, unseen)]
        majority = 100 * head["taxonomies"][name]["majority_accuracy_test"]
        told = re.search(rf"^\| {name} \| \d+ \| (.+) % \| (.+) % \| (.+) % \| (.+) % \|$", text, flags=re.MULTILINE)
        assert list(map(float, told.groups())) == pytest.approx([majority, *measured], abs=0.15)


def test_pixels_find_the_concept_among_other_artists_as_told(
    text: str, emoji: dict[str, ImageDataset], pixels: dict[str, torch.Tensor], unseen: torch.Tensor
):
    test = emoji["test"]
    distance = torch.cdist(pixels["test"], pixels["test"])
    distance[test.labels[:, None, -1] == test.labels[None, :, -1]] = torch.inf
    hits = test.objects[distance.topk(5, largest=False).indices] == test.objects[:, None]
    for most in (1, 5):
        found = hits[:, :most].any(dim=1).float()
        measured = [100 * found[part].mean().item() for part in (unseen | ~unseen, ~unseen, unseen)]
        told = re.search(rf"^\| recall at {most} \| (.+) % \| (.+) % \| (.+) % \|$", text, flags=re.MULTILINE)
        assert list(map(float, told.groups())) == pytest.approx(measured, abs=0.15)


def test_contact_sheet_shows_every_concept_and_is_small(root: Path, text: str, drawings: tuple[Drawing, ...]):
    path = root / "data_cards" / "emoji.png"
    assert "(emoji.png)" in text
    assert path.stat().st_size < 700_000
    with Image.open(path) as sheet:
        assert (sheet.width // 32) * (sheet.height // 32) == len(by_concept(drawings))


@pytest.mark.parametrize(
    "heading",
    ["Summary", "Motivation", "An instance", "Creation", "Splits", "Biases and limits", "Permitted uses", "Citation"],
)
def test_card_has_what_a_reader_needs(text: str, heading: str):
    assert f"\n## {heading}\n" in text
