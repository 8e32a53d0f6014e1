import colorsys
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from prior_lab.data import ImageDataset, load_dataset, pack_dataset
from prior_lab.data.feeding.augmentation import Augmentation, PairSampler, paired_views, track_table
from prior_lab.errors import InputError

STILL = Augmentation(shift=0.0, turn=0.0, scale=0.0, flip=0.0, colour=0.0, hue=0.0, grey=0.0)
EVERYTHING = Augmentation(
    colour=0.2, brightness=0.4, contrast=0.3, hue=0.1, grey=0.2, crop=0.6, blur=1.0, occlusion=0.3
)  # fmt: skip
CPU = torch.device("cpu")


def dataset(lengths: Sequence[int], size: int = 16) -> ImageDataset:
    """Grey images whose value tells the object (tens) and the frame (ones); frames of the objects are shuffled."""
    pairs = [(thing, frame) for thing, length in enumerate(lengths) for frame in range(length)]
    order = np.random.default_rng(0).permutation(len(pairs))
    objects = torch.tensor([pairs[place][0] for place in order])
    values = torch.tensor([10 * pairs[place][0] + pairs[place][1] for place in order], dtype=torch.uint8)
    return ImageDataset(
        name="numbers",
        split="train",
        images=values[:, None, None, None].expand(-1, 3, size, size).contiguous(),
        objects=objects,
        object_names=tuple(f"thing-{number}" for number in range(len(lengths))),
        masks=None,
        prompts=None,
        taxonomies=(),
        labels=torch.zeros(len(pairs), 0, dtype=torch.int64),
        label_names=(),
    )


def drawn(sampler: PairSampler, step: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Object and frame of the two views of every pair."""
    images, _ = sampler.draw(step, generator)
    values = (images[:, 0, 0, 0] * 255).round().long().view(-1, 2).T
    return values // 10, values % 10


def test_pairs_are_two_frames_of_one_object_and_objects_differ(generator: Generator) -> None:
    sampler = PairSampler(dataset([2, 3, 7, 5, 2]), 4, STILL, CPU, seed=0)
    seen = set()
    for step in range(300):
        objects, frames = drawn(sampler, step, generator)
        assert torch.equal(objects[0], objects[1])
        assert len(objects[0].unique()) == 4
        assert (frames[0] != frames[1]).all()
        seen |= set(zip(objects[0].tolist(), frames[0].tolist(), frames[1].tolist(), strict=True))
    assert len(seen) == sum(length * (length - 1) for length in (2, 3, 7, 5, 2))


def test_a_track_with_a_single_frame_is_named() -> None:
    with pytest.raises(InputError, match=r"two frames or more of every object of numbers; 2 of 4 have one, 'thing-1'"):
        PairSampler(dataset([2, 1, 3, 1]), 2, STILL, CPU, seed=0)


def test_an_object_with_a_single_frame_is_a_pair_of_it_with_itself(generator: Generator) -> None:
    sampler = PairSampler(dataset([1, 3, 1, 2]), 4, STILL, CPU, seed=0, pairing="auto")
    for step in range(50):
        objects, frames = drawn(sampler, step, generator)
        assert torch.equal(objects[0], objects[1])
        several = (objects[0] == 1) | (objects[0] == 3)
        assert torch.equal(frames[0] != frames[1], several)


def test_on_request_every_pair_is_one_frame_twice(generator: Generator) -> None:
    sampler = PairSampler(dataset([1, 3, 2]), 3, STILL, CPU, seed=0, pairing="views")
    seen = set()
    for step in range(100):
        objects, frames = drawn(sampler, step, generator)
        assert torch.equal(frames[0], frames[1])
        seen |= set(zip(objects[0].tolist(), frames[0].tolist(), strict=True))
    assert len(seen) == 6


def test_the_two_views_of_a_frame_differ_and_depend_on_the_seed_and_the_step_alone() -> None:
    def views(step: int, seed: int = 0) -> Tensor:
        data = load_dataset("fashion", "validation").select(slice(0, 40))
        sampler = PairSampler(data, 8, EVERYTHING, CPU, seed=seed, pairing="auto")
        return sampler.draw(step, Generator().manual_seed(step))[0]

    assert torch.equal(views(3), views(3))
    assert not torch.equal(views(3), views(4))
    assert not torch.equal(views(3), views(3, seed=1))
    assert (views(3)[0::2] - views(3)[1::2]).abs().mean() > 0.05


def test_packed_images_make_the_same_pairs_of_views(tmp_path: Path) -> None:
    pack_dataset("fashion", tmp_path / "packed", splits=("validation",))
    views = []
    for data in (
        load_dataset("fashion", "validation"),
        load_dataset("packed", "validation", path=tmp_path / "packed"),
    ):
        sampler = PairSampler(data, 8, EVERYTHING, CPU, seed=0, pairing="auto")
        views.append([sampler.draw(step, Generator().manual_seed(step)) for step in range(2)])
    for one, other in zip(*views, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_each_of_several_processes_has_its_rows_of_the_joint_views(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_dataset("household", "test").select(slice(0, 48))
    prompts = data.prompts_or_centred()
    whole = EVERYTHING(data.images, prompts, Generator().manual_seed(0))
    monkeypatch.setattr("prior_lab.data.feeding.augmentation.process_count", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr("prior_lab.data.feeding.augmentation.process_rank", lambda rank=rank: rank)
        own = slice(16 * rank, 16 * (rank + 1))
        part = EVERYTHING(data.images[own], prompts[own], Generator().manual_seed(0))
        for mine, joint in zip(part, whole, strict=True):
            torch.testing.assert_close(mine, joint[own])


def test_views_for_validation_are_the_same_whenever_and_wherever_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = load_dataset("fashion", "validation").select(slice(0, 30))
    pairs = paired_views(data, EVERYTHING)
    monkeypatch.setattr("prior_lab.data.feeding.augmentation.process_count", lambda: 2)
    again = paired_views(data, EVERYTHING)
    assert torch.equal(pairs.images, again.images)
    assert pairs.objects.tolist() == [number // 2 for number in range(60)]
    assert torch.equal(pairs.labels, data.labels.repeat_interleave(2, dim=0))
    assert pairs.object_names[3] == data.object_names[data.objects[3]]
    assert track_table(pairs).tolist() == [[2 * number, 2 * number + 1] for number in range(30)]
    unchanged = paired_views(data, STILL)
    assert torch.equal(unchanged.images[0::2], data.images)
    assert torch.equal(unchanged.images[1::2], data.images)


def test_more_pairs_than_objects_are_refused() -> None:
    sentence = r"A batch of 3 pairs .* numbers has 2 in the split train. Choose batch_size 2"
    with pytest.raises(InputError, match=sentence):
        PairSampler(dataset([2, 2]), 3, STILL, CPU, seed=0)


def test_the_table_of_tracks_lists_every_frame_once() -> None:
    data = dataset([2, 4, 3])
    table = track_table(data)
    assert table.shape == (3, 4)
    assert sorted(table[table >= 0].tolist()) == list(range(9))
    for thing, row in enumerate(table):
        assert (data.objects[row[row >= 0]] == thing).all()


def test_without_any_strength_nothing_changes(generator: Generator) -> None:
    data = load_dataset("household", "test").select(slice(0, 32))
    prompts = data.prompts_or_centred()
    images, moved = STILL(data.images, prompts, generator)
    torch.testing.assert_close(images, data.images / 255, atol=2e-6, rtol=0)
    torch.testing.assert_close(moved, prompts)


def test_a_crop_is_a_smaller_prompt_within_the_box_of_the_whole(generator: Generator) -> None:
    prompts = torch.tensor([32.0, 30.0, 12.0, 6.0, 0.0]).expand(20_000, -1)
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8).expand(20_000, -1, -1, -1)
    _, cropped = replace(STILL, crop=0.75)(images, prompts, generator)
    share = (cropped[:, 2] * cropped[:, 3]) / 72
    assert share.min().item() == pytest.approx(0.25, abs=0.005)
    assert share.max().item() == pytest.approx(1.0, abs=0.005)
    assert share.mean().item() == pytest.approx(0.62, abs=0.02)
    for axis, (middle, spread) in enumerate(((32, 12), (30, 6))):
        edge = (cropped[:, axis] - middle).abs() + 2 * cropped[:, 2 + axis]
        assert edge.max().item() <= 2 * spread + 1e-4
        assert edge.max().item() == pytest.approx(2 * spread, abs=0.01)
    assert torch.equal(cropped[:, 4], prompts[:, 4])


def test_a_crop_of_a_turned_prompt_moves_along_its_axes(generator: Generator) -> None:
    prompts = torch.tensor([32.0, 32.0, 10.0, 0.01, 0.5]).expand(500, -1)
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8).expand(500, -1, -1, -1)
    _, cropped = replace(STILL, crop=0.75)(images, prompts, generator)
    x, y = (cropped[:, :2] - 32).unbind(dim=1)
    torch.testing.assert_close(y, math.tan(0.5) * x, atol=0.05, rtol=0)
    assert x.abs().max() > 3


def test_brightness_and_contrast_are_settings_each(generator: Generator) -> None:
    images = torch.full((400, 3, 8, 8), 60, dtype=torch.uint8)
    images[:, :, :, 4:] = 140
    prompts = torch.ones(400, 5)
    lit, _ = replace(STILL, brightness=0.5)(images, prompts, generator)
    ratio = lit[:, 0, 0, 7] / lit[:, 0, 0, 0]
    torch.testing.assert_close(ratio, torch.full((400,), 140 / 60), atol=1e-3, rtol=0)
    assert 0.5 <= lit[:, 0, 0, 0].min() * 255 / 60 < 0.52 < 1.48 < lit[:, 0, 0, 0].max() * 255 / 60 <= 1.5
    spread, _ = replace(STILL, contrast=0.5)(images, prompts, generator)
    torch.testing.assert_close(spread.mean(dim=(1, 2, 3)), torch.full((400,), 100 / 255), atol=1e-3, rtol=0)
    distance = spread[:, 0, 0, 7] - spread[:, 0, 0, 0]
    assert 0.5 <= distance.min() * 255 / 80 < 0.52 < 1.48 < distance.max() * 255 / 80 <= 1.51


def test_half_of_the_views_are_blurred_by_a_gaussian_of_their_own(generator: Generator) -> None:
    images = torch.zeros(400, 3, 21, 21, dtype=torch.uint8)
    images[:, :, 10, 10] = 255
    views, _ = replace(STILL, blur=2.0)(images, torch.ones(400, 5), generator)
    torch.testing.assert_close(views.sum(dim=(2, 3)), torch.ones(400, 3), atol=1e-4, rtol=0)
    sharp = views[:, 0, 10, 10] == 1
    assert 0.4 < sharp.float().mean() < 0.62  # a Gaussian of 0.1 pixels leaves no trace either
    places = torch.arange(21) - 10.0
    spread = (views[:, 0].sum(dim=1) * places**2).sum(dim=1).sqrt()
    assert 1.9 < spread.max() < 2.01
    torch.testing.assert_close(spread, (views[:, 0].sum(dim=2) * places**2).sum(dim=1).sqrt(), atol=1e-3, rtol=1e-3)


def test_an_occlusion_is_a_rectangle_in_the_mean_colour(generator: Generator) -> None:
    images = torch.randint(0, 255, (500, 3, 32, 32), dtype=torch.uint8, generator=generator)
    views, _ = replace(STILL, occlusion=0.4)(images, torch.ones(500, 5), generator)
    hidden = (views - images / 255).abs().amax(dim=1) > 1e-5
    shares = hidden.float().mean(dim=(1, 2))
    assert 0.36 < shares.max() < 0.43
    assert 0.17 < shares.mean() < 0.23
    covered = hidden[shares.argmax()]
    rows, columns = covered.any(dim=1), covered.any(dim=0)
    assert covered[rows][:, columns].float().mean() > 0.97  # but for pixels that had the mean colour
    inside = views[shares.argmax(), :, covered]
    torch.testing.assert_close(inside[:, 0], images[shares.argmax()].float().mean(dim=(1, 2)) / 255)


def test_settings_of_nothing_draw_no_chance() -> None:
    """Runs from before there were crop, blur and occlusion see what they saw."""
    data = load_dataset("household", "test").select(slice(0, 4))
    after = []
    for augmentation in (Augmentation(colour=0.2), Augmentation(colour=0.2, brightness=0.4, contrast=0.1)):
        generator = Generator().manual_seed(0)
        augmentation(data.images, data.prompts_or_centred(), generator)
        after.append(generator.get_state())
    assert torch.equal(*after)
    generator = Generator().manual_seed(0)
    replace(EVERYTHING, crop=0.0, blur=0.0)(data.images, data.prompts_or_centred(), generator)
    assert not torch.equal(generator.get_state(), after[0])


def test_mirroring_takes_the_prompt_along(generator: Generator) -> None:
    data = load_dataset("household", "test").select(slice(0, 32))
    prompts = data.prompts_or_centred()
    images, moved = replace(STILL, flip=1.0)(data.images, prompts, generator)
    torch.testing.assert_close(images, data.images.flip(-1) / 255, atol=2e-6, rtol=0)
    torch.testing.assert_close(moved[:, 0], 64 - prompts[:, 0])
    torch.testing.assert_close(moved[:, 4], -prompts[:, 4])
    torch.testing.assert_close(moved[:, 1:4], prompts[:, 1:4])


def test_the_prompt_moves_by_what_the_settings_say(generator: Generator) -> None:
    prompts = torch.tensor([32.0, 32.0, 12.0, 6.0, 0.5]).expand(20_000, -1)
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8).expand(20_000, -1, -1, -1)
    _, moved = replace(STILL, shift=0.1, turn=20.0, scale=0.1)(images, prompts, generator)
    x, y = (moved[:, :2] - 32).unbind(dim=1)
    along, across = math.cos(0.5) * x + math.sin(0.5) * y, -math.sin(0.5) * x + math.cos(0.5) * y
    assert along.std().item() == pytest.approx(1.2, rel=0.03)
    assert across.std().item() == pytest.approx(0.6, rel=0.03)
    assert (moved[:, 4] - 0.5).abs().max().item() == pytest.approx(math.radians(20), rel=0.01)
    torch.testing.assert_close(moved[:, 2:4].std(dim=0), torch.tensor([1.2, 0.6]), rtol=0.03, atol=0)


def test_greyed_views_have_no_colour_and_keep_their_luma(generator: Generator) -> None:
    images = torch.randint(60, 190, (6, 3, 8, 8), dtype=torch.uint8, generator=generator)
    prompts = torch.ones(6, 5)
    greyed, _ = replace(STILL, grey=1.0)(images, prompts, generator)
    torch.testing.assert_close(greyed[:, 0], greyed[:, 1], atol=1e-3, rtol=0)
    torch.testing.assert_close(greyed[:, 0], greyed[:, 2], atol=1e-3, rtol=0)
    luma = torch.einsum("bchw,c->bhw", images / 255, torch.tensor([0.299, 0.587, 0.114]))
    torch.testing.assert_close(greyed[:, 1], luma, atol=1e-3, rtol=0)


def test_colours_change_but_stay_colours(generator: Generator) -> None:
    images = load_dataset("household", "test").images[:64]
    prompts = torch.ones(64, 5)
    changed, _ = replace(STILL, colour=0.4, hue=0.05)(images, prompts, generator)
    assert ((changed >= 0) & (changed <= 1)).all()
    assert (changed - images / 255).abs().mean() > 0.02


def test_the_hue_turns_by_no_more_than_it_says(generator: Generator) -> None:
    red = torch.tensor([150, 90, 90], dtype=torch.uint8)[None, :, None, None].expand(500, -1, 4, 4)
    changed, _ = replace(STILL, hue=0.1)(red, torch.ones(500, 5), generator)
    hues = [colorsys.rgb_to_hls(*pixel)[0] for pixel in changed[:, :, 0, 0].tolist()]
    turns = [(hue + 0.5) % 1 - 0.5 for hue in hues]
    assert 0.06 < max(turns) < 0.15
    assert -0.15 < min(turns) < -0.06


@pytest.mark.parametrize(("setting", "value"), [("flip", 1.5), ("grey", -0.1), ("shift", -1.0), ("crop", 1.1)])
def test_strengths_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"augmentation {setting} is {value}"):
        replace(STILL, **{setting: value})
