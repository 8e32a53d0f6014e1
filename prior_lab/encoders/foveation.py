"""Foveal patches: what FLIP (Traub & Butz 2025, arXiv 2502.02763) reads of an image around an object.

The object is given by a prompt, its 2-D Gaussian. Patches of several sides, all at the image's own resolution, are
drawn off the pixel grid around it, from the Gaussian widened by sqrt 2, and read by bilinear interpolation. A fixed
number of patches is filled greedily from the largest side down: of each side as many as cover the Gaussian's ellipse
`density` times, and the rest of the smallest.

FLIP draws centres at random and rejects those that overlap too much, object by object in C. Here the centres of one
side are a low-discrepancy sequence (Roberts' R2, the golden ratio's generalisation to two dimensions), carried to the
Gaussian by its quantiles: they keep apart by themselves, so all objects of a batch are drawn at once on the device,
nothing is rejected, and every object has the same number of patches. In training each object and side shifts the
sequence by a random amount; without a generator the sequence is always the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from prior_lab.processes import own_rows, process_count

WIDENING = math.sqrt(2)
REACH = 5.0  # offsets are clipped to this many standard deviations
R2 = (0.7548776662466927, 0.5698402909980532)  # 1 / g and 1 / g^2 with g^3 = g + 1


@dataclass(eq=False)
class Patches:
    """The patches of a batch of images; not frozen, for Fabric rebuilds what a model is called with.

    Attributes
    ----------
    pixels : for each side, the patches of that side, of all images together.
    places : for each side, where its patches belong among the tokens of the batch, numbered image after image.
    offsets : of every patch's centre from the object's, in the object's own frame: along its two axes, in standard
        deviations.
    """

    pixels: tuple[Float[Tensor, "_ 3 _ _"], ...]
    places: tuple[Int64[Tensor, "_"], ...]
    offsets: Float[Tensor, "batch token 2"]


@torch.no_grad()
def foveate(
    images: Float[Tensor, "batch 3 height width"],
    prompts: Float[Tensor, "batch 5"],
    *,
    sides: Sequence[int],
    count: int,
    density: float,
    generator: Generator | None = None,
) -> Patches:
    """The patches of a batch.

    Parameters
    ----------
    prompts : mean x and y, first and second standard deviation [pixel], rotation [radian].
    sides : of the patches [pixel], ascending.
    count : patches of an image.
    density : how often the patches of one side cover the Gaussian's ellipse.
    generator : shifts the sequence of centres, in the same state in every process that trains with it; without one the
        sequence is always the same.
    """
    mean, spread, angle = prompts[:, None, :2], prompts[:, None, 2:4].clamp_min(0.5), prompts[:, None, 4]
    area = 2 * math.pi * (WIDENING * spread).prod(dim=-1)
    counts = _share_out(area, sides, count, density)
    side_index, rank = _slots(counts, count)
    points = _sequence(rank, side_index, len(sides), generator)
    side = torch.tensor(sides, device=images.device)[side_index]
    centres = mean + _rotate(_gaussian(points) * spread * WIDENING, angle)
    size = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    centres = torch.minimum(torch.maximum(centres, side[..., None] / 2), size - side[..., None] / 2)
    offsets = (_rotate(centres - mean, -angle) / spread).clamp(-REACH, REACH)
    pixels, places = [], []
    for index, length in enumerate(sides):
        image, slot = (side_index == index).nonzero(as_tuple=True)
        pixels.append(_read(images, image, centres[image, slot] - length / 2, length))
        places.append(image * count + slot)
    return Patches(tuple(pixels), tuple(places), offsets)


def _share_out(
    area: Float[Tensor, "batch 1"], sides: Sequence[int], count: int, density: float
) -> Int64[Tensor, "batch side"]:
    """How many patches of each side an object gets."""
    left = torch.full_like(area[:, 0], count, dtype=torch.int64)
    shares = []
    for side in sorted(sides, reverse=True)[:-1]:
        wanted = (density * area[:, 0] / side**2).long()
        shares.append(torch.minimum(left, wanted))
        left = left - shares[-1]
    return torch.stack([left, *reversed(shares)], dim=1)


def _slots(
    counts: Int64[Tensor, "batch side"], count: int
) -> tuple[Int64[Tensor, "batch token"], Int64[Tensor, "batch token"]]:
    """For every token, which side its patch has, and the how-manieth of that side it is."""
    ends = counts.cumsum(dim=1)
    slots = torch.arange(count, device=counts.device)
    side_index = (slots[None, :, None] >= ends[:, None, :]).sum(dim=-1)
    return side_index, slots - (ends - counts).gather(1, side_index)


def _sequence(
    rank: Int64[Tensor, "batch token"],
    side_index: Int64[Tensor, "batch token"],
    sides: int,
    generator: Generator | None,
) -> Float[Tensor, "batch token 2"]:
    """Points of the unit square, those of one side and object well apart."""
    step = torch.tensor(R2, dtype=torch.float64, device=rank.device)
    points = (rank + 1)[..., None] * step
    if generator is None:
        return (points + 0.5).frac().float()
    shape = (len(rank) * process_count(), sides, 2)
    shifts = own_rows(torch.rand(shape, generator=generator, device=generator.device)).to(rank.device)
    return (points + shifts.gather(1, side_index[..., None].expand(-1, -1, 2))).frac().float()


def _gaussian(points: Float[Tensor, "batch token 2"]) -> Float[Tensor, "batch token 2"]:
    """Points of the unit square as points of the standard Gaussian: area goes to probability."""
    radius = (-2 * torch.log1p(-points[..., 0].clamp_max(0.9999))).sqrt()
    angle = 2 * math.pi * points[..., 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)


def _rotate(vectors: Float[Tensor, "batch token 2"], angle: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch token 2"]:
    cos, sin = angle.cos(), angle.sin()
    x, y = vectors.unbind(dim=-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)


def _read(
    images: Float[Tensor, "batch 3 height width"],
    image: Int64[Tensor, "patch"],
    corner: Float[Tensor, "patch 2"],
    side: int,
) -> Float[Tensor, "patch 3 side side"]:
    """Squares whose upper left corner lies off the pixel grid; beyond the border the border's pixels go on.

    The fraction by which a square is off the grid is the same for all its pixels, so bilinear interpolation is a blend
    of the four windows of whole pixels around it.
    """
    height, width = images.shape[2:]
    whole = corner.floor()
    right, down = (corner - whole).to(images.dtype).unbind(dim=1)
    steps = torch.arange(side + 1, device=images.device)
    columns = (whole[:, :1].long() + steps).clamp(0, width - 1)
    rows = (whole[:, 1:].long() + steps).clamp(0, height - 1)
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3)
    flat = (image[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    window = pixels[flat]
    window = torch.lerp(window[:, :-1], window[:, 1:], down[:, None, None, None])
    window = torch.lerp(window[:, :, :-1], window[:, :, 1:], right[:, None, None, None])
    return window.permute(0, 3, 1, 2)
