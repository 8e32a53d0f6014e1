import colorsys
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from prior_lab.data import ImageDataset, load_dataset
from prior_lab.data.feeding.augmentation import Augmentation, PairSampler, track_table
from prior_lab.errors import InputError

STILL = Augmentation(shift=0.0, turn=0.0, scale=0.0, flip=0.0, colour=0.0, hue=0.0, grey=0.0)
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


@pytest.mark.parametrize(("setting", "value"), [("flip", 1.5), ("grey", -0.1), ("shift", -1.0), ("hue", -0.2)])
def test_strengths_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"augmentation {setting} is {value}"):
        replace(STILL, **{setting: value})
