import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

import prior_lab
from prior_lab import InputError
from prior_lab.data import ImageDataset, list_datasets, load_dataset
from prior_lab.data.household.bundle import FRAMES, SIZE, backdrop, bundle_path
from prior_lab.data.household.reader import open_bundle
from prior_lab.data.household.taxonomy import LEVELS, SPLITS, read_table

OBJECTS = 820


@pytest.fixture(scope="module")
def sample(household: dict[str, ImageDataset]) -> list[ImageDataset]:
    """Every third frame, so that over the objects every place of a track is looked at."""
    return [data.select(slice(None, None, 3)) for data in household.values()]


def _distance_to_backdrop(data: ImageDataset) -> torch.Tensor:
    """Largest difference of the three channels to the backdrop, [image height width]."""
    behind = torch.from_numpy(backdrop().astype(np.int16)).T[None, :, :, None]
    return (data.images.to(torch.int16) - behind).abs().amax(dim=1)


def test_every_model_has_sixteen_frames_in_exactly_one_split(household):
    objects = torch.cat([data.objects for data in household.values()])
    assert torch.bincount(objects).tolist() == [FRAMES] * OBJECTS
    for data in household.values():
        assert data.images.shape[1:] == (3, SIZE, SIZE)
        assert data.images.dtype == torch.uint8
        assert len(data) == len(data.images) == len(data.objects) == len(data.labels)


def test_splits_hold_about_the_shares_they_should(household):
    shares = [len(household[split]) / (OBJECTS * FRAMES) for split in SPLITS]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.06)


def test_near_duplicates_are_never_divided_between_splits():
    splits = {row.object: row.split for row in open_bundle().manifest()}
    groups: dict[str, set[str]] = {}
    for entry in read_table():
        groups.setdefault(entry.group, set()).add(splits[entry.object])
    assert {group for group, members in groups.items() if len(members) > 1} == set()


def test_equal_pictures_are_never_in_two_splits(household):
    seen: dict[bytes, str] = {}
    for split, data in household.items():
        for image in data.images:
            assert seen.setdefault(image.numpy().tobytes(), split) == split


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_kept_labels_have_enough_objects(household, level: int):
    counts = {
        split: Counter(data.labels[::FRAMES, level][data.labels[::FRAMES, level] >= 0].tolist())
        for split, data in household.items()
    }
    names = household["train"].label_names[level]
    for label in range(len(names)):
        per_split = [counts[split][label] for split in SPLITS]
        assert sum(per_split) >= 4, names[label]
        assert all(count >= least for count, least in zip(per_split, (2, 1, 1), strict=True)), names[label]


def test_all_frames_of_an_object_have_its_labels(household):
    for data in household.values():
        frames = data.labels.view(-1, FRAMES, len(LEVELS))
        assert (frames == frames[:, :1]).all()


def test_taxonomy_is_a_tree():
    for depth in range(1, len(LEVELS)):
        parents: dict[str, set[tuple[str, ...]]] = {}
        for entry in read_table():
            if entry.labels[depth]:
                parents.setdefault(entry.labels[depth], set()).add(entry.labels[:depth])
        assert {label: found for label, found in parents.items() if len(found) != 1} == {}
        assert all(all(path) for found in parents.values() for path in found)


def test_every_object_has_a_coarse_label(household):
    assert all((data.labels[:, 0] >= 0).all() for data in household.values())


def test_label_names_are_the_same_in_every_split(household):
    assert len({data.label_names for data in household.values()}) == 1
    assert len({data.object_names for data in household.values()}) == 1
    assert household["test"].taxonomies == LEVELS


def test_no_frame_is_empty_or_overflows(household):
    for data in household.values():
        share = data.masks.float().mean(dim=(1, 2))
        assert share.min() > 0.005
        assert share.max() < 0.85
        touches = data.masks[:, [0, -1]].any(dim=-1).any(dim=-1) | data.masks[:, :, [0, -1]].any(dim=-1).any(dim=-1)
        assert touches.float().mean() < 0.01


def test_objects_fill_the_frame(household):
    place = torch.arange(SIZE)
    for data in household.values():
        drawn = _distance_to_backdrop(data) > 0
        extents = [
            torch.where(line, place, -1).amax(dim=1) - torch.where(line, place, SIZE).amin(dim=1) + 1
            for line in (drawn.any(dim=1), drawn.any(dim=2))
        ]
        longer = torch.maximum(*extents)
        assert longer.min() > 0.75 * SIZE
        assert longer.max() <= SIZE


def test_objects_stand_out_from_the_backdrop(household):
    for data in household.values():
        distance = _distance_to_backdrop(data)
        contrast = (distance * data.masks).sum(dim=(1, 2)) / data.masks.sum(dim=(1, 2))
        assert contrast.min() > 12
        assert contrast.quantile(0.01) > 25


def test_rims_of_the_masks_stand_out(sample):
    for data in sample:
        inside = data.masks.float()[:, None]
        rim = data.masks & ~(-max_pool2d(-inside, 3, 1, 1))[:, 0].bool()
        distance = _distance_to_backdrop(data)
        contrast = (distance * rim).sum(dim=(1, 2)) / rim.sum(dim=(1, 2))
        assert contrast.min() > 9
        assert contrast.quantile(0.01) > 15


def test_pixels_far_from_the_object_are_backdrop(sample):
    for data in sample:
        near = max_pool2d(data.masks.float()[:, None], 9, 1, 4)[:, 0].bool()
        far = _distance_to_backdrop(data) * ~near
        assert (far > 0).float().mean() < 0.002


def test_nothing_is_black_on_black(household):
    for data in household.values():
        brightest = data.images.amax(dim=1)
        assert (brightest < 12).float().mean() < 1e-4
        is_dark = (brightest < 40) & data.masks
        values = data.images.to(torch.float32).mean(dim=1)
        for index in (is_dark.sum(dim=(1, 2)) > 0.7 * data.masks.sum(dim=(1, 2))).nonzero()[:, 0]:
            assert values[index][data.masks[index]].std() > 3


def test_nothing_is_speckled(household):
    shifts = [(row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1)]
    for data in household.values():
        bright = data.images.amax(dim=1)
        middle = bright[:, 1:-1, 1:-1].to(torch.int16)
        around = [bright[:, row : row + SIZE - 2, column : column + SIZE - 2] for row, column in shifts]
        highest, lowest = around[0].clone(), around[0].clone()
        for neighbour in around[1:]:
            torch.maximum(highest, neighbour, out=highest)
            torch.minimum(lowest, neighbour, out=lowest)
        lonely = (middle - highest > 60) | (lowest - middle > 60)
        counts = lonely.sum(dim=(1, 2)).float()
        assert counts.mean() < 0.2
        assert counts.max() < 16


def test_frames_of_a_track_differ(household):
    for data in household.values():
        tracks = data.images.view(-1, FRAMES, 3 * SIZE * SIZE)
        assert (tracks[:, 1:] != tracks[:, :-1]).any(dim=-1).all()


def test_prompts_are_the_moments_of_the_masks(household):
    data = household["test"]
    for index in range(0, len(data), 97):
        y, x = data.masks[index].nonzero().double().T + 0.5
        centred = torch.stack([x - x.mean(), y - y.mean()])
        spread, axes = torch.linalg.eigh(centred @ centred.T / len(x))
        mean_x, mean_y, first, second, rotation = data.prompts[index].double()
        assert [mean_x.item(), mean_y.item()] == pytest.approx([x.mean().item(), y.mean().item()], abs=1e-3)
        assert [first.item() ** 2, second.item() ** 2] == pytest.approx(spread.flip(0).clamp(min=0).tolist(), abs=2e-2)
        if first > 1.05 * second:
            along = torch.stack([torch.cos(rotation), torch.sin(rotation)])
            assert abs(float(along @ axes[:, 1])) == pytest.approx(1, abs=1e-3)


def test_print_tells_what_it_is(household):
    text = str(household["test"])
    assert text.startswith("household, split test: 2,080 images of 130 objects, 64 x 64 RGB")
    assert re.search(
        r"coarse \(7 labels\), mid \(\d+ labels\), fine \(\d+ labels\), class \(\d+ labels, 464 images", text
    )


def test_select_keeps_everything_in_step(household):
    data = household["validation"]
    chosen = data.select([5, 100, 3])
    assert len(chosen) == 3
    assert (chosen.images[1] == data.images[100]).all()
    assert chosen.objects.tolist() == data.objects[[5, 100, 3]].tolist()
    assert (chosen.masks[2] == data.masks[3]).all()
    assert (chosen.prompts[0] == data.prompts[5]).all()
    assert (chosen.labels == data.labels[[5, 100, 3]]).all()
    assert chosen.label_names == data.label_names
    assert len(data.select(slice(0, 10))) == 10
    assert len(data.select(data.objects == data.objects[0])) == FRAMES
    with pytest.raises(InputError, match="there is no image 99999"):
        data.select([99999])


def test_shows_itself_in_a_notebook(household):
    assert household["test"].contact_sheet(columns=8, rows=2).size == (8 * SIZE, 2 * SIZE)
    page = household["test"]._repr_html_()
    assert "130 objects" in page
    assert "data:image/png;base64," in page


def test_smaller_sizes_are_block_averages(household):
    whole, half = household["test"], load_dataset("household", "test", size=32)
    blocks = whole.images.float().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
    assert half.images.shape[1:] == (3, 32, 32)
    assert (half.images.float() - blocks).abs().max() <= 0.5
    assert torch.allclose(half.prompts[:, :4] * 2, whole.prompts[:, :4])
    assert torch.allclose(half.prompts[:, 4], whole.prompts[:, 4])


def test_loads_in_well_under_a_second():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        load_dataset("household", "test")
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0


def test_reading_needs_no_renderer():
    code = "import sys, prior_lab; prior_lab.load_dataset('household', 'test'); print('numba' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_unknown_names_are_told():
    known = "household, emoji, faces, fashion, fashion-full, ffhq"
    with pytest.raises(InputError, match=f"no data set 'houshold'; available are {known}"):
        load_dataset("houshold")
    with pytest.raises(InputError, match="no split 'dev'; there are train, validation, test"):
        load_dataset("household", "dev")
    with pytest.raises(InputError, match="cannot be read at 48 pixels; sizes are 64, 32, 16, 8"):
        load_dataset("household", size=48)
    with pytest.raises(InputError, match="household is RGB"):
        load_dataset("household", convert="rgb")


def test_default_split_is_train():
    assert load_dataset("household", size=8).split == "train"


def test_truncated_altered_and_missing_files_are_told(tmp_path: Path):
    data = bundle_path().read_bytes()
    short, altered = tmp_path / "short.zip", tmp_path / "altered.zip"
    short.write_bytes(data[: len(data) // 2])
    altered.write_bytes(data[:-5] + b"x" + data[-4:])
    for path in (short, altered):
        with pytest.raises(
            InputError, match=r"truncated or altered: its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"
        ):
            load_dataset("household", path=path)
    with pytest.raises(InputError, match="is missing"):
        load_dataset("household", path=tmp_path / "nowhere.zip")


def test_list_datasets_has_a_line_for_each():
    names = ["household", "emoji", "faces", "fashion", "fashion-full", "ffhq", "mvimgnet2", "folder", "packed"]
    assert [line.split(":")[0] for line in list_datasets()] == names
    assert prior_lab.list_datasets() == list_datasets()


def test_manifest_names_author_and_licence_of_every_model():
    rows = open_bundle().manifest()
    assert len({row.object for row in rows}) == OBJECTS
    assert all(row.name and row.creator and row.model for row in rows)
    assert Counter(row.licence for row in rows) == {"CC-BY-3.0": 532, "CC0-1.0": 173, "CC-BY-3.0-US": 115}
