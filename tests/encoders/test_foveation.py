import math

import pytest
import torch
from torch import Generator, Tensor

from prior_lab.encoders.foveation import foveate

SIDES, COUNT = (2, 4, 8), 40


def prompts(*rows: tuple[float, float, float, float, float]) -> Tensor:
    return torch.tensor(rows)


def ramp(height: int = 64, width: int = 96) -> Tensor:
    """Red is x and green is y of a pixel's centre [pixel]: reading it tells where one has read."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)])[None]


def test_every_object_gets_the_same_number_of_patches_largest_first() -> None:
    large, small = (48.0, 32.0, 12.0, 6.0, 0.4), (48.0, 32.0, 3.0, 2.0, 0.0)
    patches = foveate(ramp().expand(2, -1, -1, -1), prompts(large, small), sides=SIDES, count=COUNT, density=1.0)
    counts = [[int((places // COUNT == image).sum()) for places in patches.places] for image in range(2)]
    area = 2 * math.pi * 2 * 12 * 6
    assert counts[0] == [0, COUNT - int(area / 64), int(area / 64)]
    assert counts[1] == [COUNT - int(24 * math.pi / 16) - int(24 * math.pi / 64), 4, 1]
    assert sorted(torch.cat(patches.places).tolist()) == list(range(2 * COUNT))


def test_pixels_are_those_around_the_centre_between_the_grid_points(generator: Generator) -> None:
    """Bilinear reading of a linear ramp is exact, so a patch's mean is its centre."""
    prompt = prompts((48.0, 32.0, 6.0, 3.0, 0.7))
    patches = foveate(ramp(), prompt, sides=SIDES, count=COUNT, density=1.0, generator=generator)
    cos, sin = math.cos(0.7), math.sin(0.7)
    along = patches.offsets[0] * torch.tensor([6.0, 3.0])
    centres = torch.stack([48 + cos * along[:, 0] - sin * along[:, 1], 32 + sin * along[:, 0] + cos * along[:, 1]], 1)
    for pixels, places in zip(patches.pixels, patches.places, strict=True):
        torch.testing.assert_close(pixels[:, :2].mean(dim=(2, 3)), centres[places], atol=2e-3, rtol=0)
        if len(pixels):
            steps = pixels[:, 0, :, 1:] - pixels[:, 0, :, :-1]
            torch.testing.assert_close(steps, torch.ones_like(steps), atol=1e-3, rtol=0)


def test_centres_follow_the_gaussian_widened_by_the_root_of_two(generator: Generator) -> None:
    """Mean and spread of 20,000 offsets, clear of clipping by the border; the tail beyond 4.3 sigma is cut."""
    prompt = prompts((500.0, 500.0, 20.0, 10.0, 0.0)).expand(50, -1)
    images = torch.zeros(50, 3, 1000, 1000)
    patches = foveate(images, prompt, sides=(1,), count=400, density=1.0, generator=generator)
    offsets = patches.offsets.flatten(0, 1)
    torch.testing.assert_close(offsets.mean(dim=0), torch.zeros(2), atol=0.02, rtol=0)
    torch.testing.assert_close(offsets.std(dim=0), torch.full((2,), math.sqrt(2)), atol=0.03, rtol=0)


def test_centres_keep_apart_better_than_random_ones(generator: Generator) -> None:
    prompt = prompts((500.0, 500.0, 20.0, 20.0, 0.0)).expand(20, -1)
    images = torch.zeros(20, 3, 1000, 1000)
    ours = foveate(images, prompt, sides=(1,), count=64, density=1.0, generator=generator).offsets
    random = math.sqrt(2) * torch.randn(20, 64, 2, generator=generator)

    def nearest(points: Tensor) -> float:
        gaps = torch.cdist(points, points) + torch.eye(64) * 1e9
        return gaps.min(dim=-1).values.mean().item()

    assert nearest(ours) > 1.4 * nearest(random)


def test_without_a_generator_patches_lie_the_same_every_time_and_for_every_neighbour(generator: Generator) -> None:
    images = torch.rand(3, 3, 64, 64, generator=generator)
    several = prompts((32.0, 32.0, 9.0, 5.0, 0.3), (30.0, 28.0, 4.0, 4.0, 0.0), (20.0, 40.0, 12.0, 6.0, 1.2))
    together = foveate(images, several, sides=SIDES, count=COUNT, density=1.0)
    alone = foveate(images[1:2], several[1:2], sides=SIDES, count=COUNT, density=1.0)
    torch.testing.assert_close(together.offsets[1], alone.offsets[0])
    drawn = foveate(images, several, sides=SIDES, count=COUNT, density=1.0, generator=generator)
    assert not torch.allclose(drawn.offsets, together.offsets)


def test_patches_stay_within_the_image(generator: Generator) -> None:
    corner = prompts((2.0, 1.0, 30.0, 30.0, 0.0))
    patches = foveate(ramp(), corner, sides=SIDES, count=COUNT, density=0.2, generator=generator)
    for pixels, side in zip(patches.pixels, SIDES, strict=True):
        means = pixels[:, :2].mean(dim=(2, 3))
        assert ((means >= side / 2 - 1e-3) & (means <= torch.tensor([96.0, 64.0]) - side / 2 + 1e-3)).all()


@pytest.mark.parametrize("turn", [0.5, 1.5])
def test_offsets_are_told_in_the_objects_own_frame(turn: float) -> None:
    """Turning the object turns the patches with it: the offsets stay."""
    images = torch.zeros(1, 3, 400, 400)
    first = foveate(images, prompts((200.0, 200.0, 9.0, 5.0, 0.0)), sides=(1,), count=COUNT, density=1.0)
    turned = foveate(images, prompts((200.0, 200.0, 9.0, 5.0, turn)), sides=(1,), count=COUNT, density=1.0)
    torch.testing.assert_close(first.offsets, turned.offsets, atol=1e-4, rtol=0)
