import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from prior_lab import InputError
from prior_lab.data import ImageDataset, list_datasets, load_dataset
from prior_lab.data.emoji.bundle import Drawing, bundle_path, by_concept
from prior_lab.data.emoji.drawing import compose
from prior_lab.data.emoji.duplicates import ALIKE, alike_pairs, perceptual_hashes
from prior_lab.data.emoji.reader import open_bundle
from prior_lab.data.emoji.recipe import ARTIST_NAMES, FEWEST_CONCEPTS, GROUND, HELD_OUT, LEVELS, SHARES, SIZE, SPLITS
from prior_lab.data.prompts import mask_gaussians


@pytest.fixture(scope="module")
def drawings() -> tuple[Drawing, ...]:
    """The manifest."""
    return open_bundle().drawings()


def _artists(data: ImageDataset) -> list[str]:
    level = data.taxonomies.index("artist")
    return [data.label_names[level][index] for index in data.labels[:, level].tolist()]


def test_it_is_listed():
    assert any(line.startswith("emoji: 1,363 emoji concepts") for line in list_datasets())


def test_every_concept_is_in_one_split(emoji: dict[str, ImageDataset]):
    seen = [set(data.objects.tolist()) for data in emoji.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == len(emoji["train"].object_names) >= 1200
    for data in emoji.values():
        assert data.images.shape[1:] == (3, SIZE, SIZE)
        assert data.images.dtype == torch.uint8
        assert data.masks.shape == (len(data), SIZE, SIZE)
        assert data.taxonomies == LEVELS


def test_splits_hold_about_the_shares_they_should(emoji: dict[str, ImageDataset]):
    counts = np.array([len(data.objects.unique()) for data in emoji.values()])
    assert (counts / counts.sum()).tolist() == pytest.approx(list(SHARES), abs=0.02)


def test_an_artist_draws_a_concept_once(drawings: tuple[Drawing, ...]):
    assert len({(drawing.codes, drawing.artist) for drawing in drawings}) == len(drawings)
    for members in by_concept(drawings):
        order = [ARTIST_NAMES.index(drawing.artist) for drawing in members]
        assert order == sorted(order)
        assert len({(drawing.concept, drawing.split, drawing.group, drawing.subgroup) for drawing in members}) == 1


def test_held_out_artists_are_in_test_only(emoji: dict[str, ImageDataset]):
    assert set(_artists(emoji["test"])) == set(ARTIST_NAMES)
    for split in ("train", "validation"):
        assert set(_artists(emoji[split])) == set(ARTIST_NAMES) - set(HELD_OUT)


def test_a_held_out_artists_author_has_no_other_set(drawings: tuple[Drawing, ...]):
    authors = {drawing.artist: drawing.author for drawing in drawings}
    for artist in HELD_OUT:
        assert Counter(authors.values())[authors[artist]] == 1


@pytest.mark.parametrize("split", SPLITS)
def test_every_concept_has_enough_drawings(emoji: dict[str, ImageDataset], split: str):
    frames = torch.bincount(emoji[split].objects)[emoji[split].objects.unique()]
    assert frames.min() >= (4 if split == "test" else 3)


def test_labels_are_those_of_the_manifest(emoji: dict[str, ImageDataset], drawings: tuple[Drawing, ...]):
    for split, data in emoji.items():
        rows = [drawing for drawing in drawings if drawing.split == split]
        assert [data.object_names[index] for index in data.objects] == [drawing.concept for drawing in rows]
        assert _artists(data) == [drawing.artist for drawing in rows]
        groups, subgroups = data.labels[:, 0].tolist(), data.labels[:, 1].tolist()
        assert [data.label_names[0][index] for index in groups] == [drawing.group for drawing in rows]
        told = [data.label_names[1][index] if index >= 0 else None for index in subgroups]
        assert told == [drawing.subgroup if drawing.subgroup in data.label_names[1] else None for drawing in rows]


def test_a_subgroup_is_kept_if_enough_concepts_have_it_and_then_every_split_has_it(emoji: dict[str, ImageDataset]):
    counts = {
        split: Counter(label for _, label in {*zip(data.objects.tolist(), data.labels[:, 1].tolist(), strict=True)})
        for split, data in emoji.items()
    }
    for label in range(len(emoji["train"].label_names[1])):
        assert sum(counts[split][label] for split in SPLITS) >= FEWEST_CONCEPTS
        assert all(counts[split][label] for split in SPLITS)


def test_no_concept_is_a_flag_a_letter_or_a_copy_in_another_skin_tone(drawings: tuple[Drawing, ...]):
    for drawing in drawings:
        assert drawing.group != "Flags"
        assert drawing.subgroup not in ("keycap", "alphanum")
        assert not any(0x1F3FB <= int(code, 16) <= 0x1F3FF for code in drawing.codes.split("-"))


def test_near_duplicates_are_listed_and_never_divided_between_splits(drawings: tuple[Drawing, ...]):
    bundle = open_bundle()
    images = bundle.images(range(len(by_concept(drawings)))).transpose(0, 2, 3, 1)
    pairs = alike_pairs(perceptual_hashes(images)).tolist()
    assert all(drawings[one].split == drawings[other].split for one, other, _ in pairs)
    assert all(drawings[one].family == drawings[other].family for one, other, _ in pairs)
    names = [(drawing.concept, drawing.artist) for drawing in drawings]
    found = {(*names[one], *names[other], bits) for one, other, bits in pairs}
    listed = {
        (row.concept, row.artist, row.other_concept, row.other_artist, row.bits) for row in bundle.near_duplicates()
    }
    assert found == listed
    assert max(bits for *_, bits in pairs) <= ALIKE


def test_families_are_in_one_split(drawings: tuple[Drawing, ...]):
    splits: dict[str, set[str]] = {}
    for drawing in drawings:
        splits.setdefault(drawing.family, set()).add(drawing.split)
    assert all(len(members) == 1 for members in splits.values())


def test_equal_pictures_are_never_in_two_splits(emoji: dict[str, ImageDataset]):
    seen: dict[bytes, str] = {}
    for split, data in emoji.items():
        for image in data.images:
            assert seen.setdefault(image.numpy().tobytes(), split) == split


def test_masks_tell_drawing_from_ground(emoji: dict[str, ImageDataset]):
    data = emoji["test"]
    assert data.masks.flatten(1).any(dim=1).all()
    ground = (data.images == torch.tensor(GROUND, dtype=torch.uint8)[:, None, None]).all(dim=1)
    assert (ground & data.masks).float().mean() < 1e-4
    outside = ~data.masks
    assert (ground & outside).sum() / outside.sum() > 0.9  # the rest is what drawings cover by less than half


def test_prompts_are_the_masks_gaussians(emoji: dict[str, ImageDataset]):
    data = emoji["validation"]
    np.testing.assert_array_equal(data.prompts.numpy(), mask_gaussians(data.masks.numpy()))


@pytest.mark.parametrize("size", [32, 8])
def test_smaller_images_are_block_averages(emoji: dict[str, ImageDataset], size: int):
    small, full = load_dataset("emoji", "validation", size=size), emoji["validation"]
    factor = SIZE // size
    averages = torch.nn.functional.avg_pool2d(full.images.double(), factor)
    assert small.images.shape[2:] == (size, size)
    assert (small.images - averages).abs().max() <= 0.5
    torch.testing.assert_close(small.prompts[:, :4] * factor, full.prompts[:, :4])
    assert torch.equal(small.prompts[:, 4], full.prompts[:, 4])


def test_authors_and_licences_are_told_for_every_drawing(drawings: tuple[Drawing, ...]):
    assert {drawing.licence for drawing in drawings} == {"Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT"}
    assert all(drawing.author and drawing.url.startswith("https://") and drawing.source for drawing in drawings)


def test_drawings_are_laid_on_the_ground():
    clear = np.zeros((1, 2, 2, 4), dtype=np.uint8)
    assert (compose(clear) == np.array(GROUND)).all()
    clear[..., 3] = 255
    assert (compose(clear) == 0).all()
    clear[..., 3] = 128  # half of the ground's 144 and 184, rounded to the nearest
    assert compose(clear)[0, 0, 0].tolist() == [72, 92, 72]


def test_loading_needs_no_renderer():
    code = "import sys, prior_lab; prior_lab.load_dataset('emoji', 'validation'); print('resvg_py' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"


def test_a_damaged_file_is_told(tmp_path: Path):
    data = bytearray(bundle_path().read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "emoji.zip"
    damaged.write_bytes(data)
    with pytest.raises(InputError, match="is truncated or altered"):
        load_dataset("emoji", "test", path=damaged)
    with pytest.raises(
        InputError, match=r"is missing; reinstall prior_lab, or run python -m prior_lab data build emoji"
    ):
        load_dataset("emoji", "test", path=tmp_path / "nothing.zip")


def test_artists_vary_within_a_concept_and_groups_do_not():
    data = load_dataset("emoji", "validation")
    assert data.object_taxonomies() == ("group", "subgroup")
    assert data.source_taxonomy() == "artist"
    of_objects = data.with_taxonomies(data.object_taxonomies())
    assert (of_objects.taxonomies, of_objects.source_taxonomy()) == (("group", "subgroup"), None)
    assert torch.equal(of_objects.labels, data.labels[:, :2])
    assert of_objects.label_names == data.label_names[:2]


def test_labels_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="emoji has no labels 'colour'; it has group, subgroup, artist"):
        load_dataset("emoji", "validation").with_taxonomies(["group", "colour"])
