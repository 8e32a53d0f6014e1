"""Pairs of views of one object, drawn and augmented in batches on the device.

A pair is two different frames of one object's track (section 2.4 of the paper). What is done to a view is a setting
each. FLIP's noise moves, turns and scales the prompt, so the encoder looks at a slightly other place; the paper keeps
that and says nothing of colours. Colour jitter is SimCLR's (Chen et al. 2020), as are the mirror and the greying.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from prior_lab.checks import NotNegative, Share, check_fields
from prior_lab.data.dataset import ImageDataset
from prior_lab.data.feeding.batches import Batches
from prior_lab.data.feeding.epochs import stream
from prior_lab.errors import InputError
from prior_lab.processes import own_rows, process_count

LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """What is done to a view before it is encoded."""

    shift: NotNegative = 0.1
    """Standard deviation of the noise on the prompt's middle [the prompt's own standard deviations]."""
    turn: NotNegative = 20.0
    """Largest angle by which the prompt is turned [degree]."""
    scale: NotNegative = 0.1
    """Standard deviation of the relative noise on the prompt's two standard deviations."""
    flip: Share = 0.5
    """Chance of mirroring a view left to right."""
    colour: Share = 0.0
    """Strength of the jitter of brightness, contrast and saturation: factors lie in 1 - colour..1 + colour."""
    hue: NotNegative = 0.0
    """Largest turn of the hue [full circles]."""
    grey: Share = 0.0
    """Chance of taking the colours out."""

    def __post_init__(self) -> None:
        check_fields(self, "augmentation")

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], generator: Generator
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        """Augmented images in [0, 1] and their prompts; of several processes that train together, each has its own."""
        pixels = self._colours(images.float() / 255, generator)
        return self._mirrored(pixels, self._moved(prompts, generator), generator)

    def _moved(self, prompts: Float[Tensor, "batch 5"], generator: Generator) -> Float[Tensor, "batch 5"]:
        """Prompts with noise in the object's own frame."""
        batch, device = len(prompts), prompts.device
        middle, spread, angle = prompts[:, :2], prompts[:, 2:4], prompts[:, 4:]
        noise = own_rows(torch.randn(batch * process_count(), 4, generator=generator, device=device))
        along, across = (self.shift * spread * noise[:, :2]).split(1, dim=1)
        cos, sin = angle.cos(), angle.sin()
        middle = middle + torch.cat([cos * along - sin * across, sin * along + cos * across], dim=1)
        spread = spread * (1 + self.scale * noise[:, 2:]).clamp(0.5, 1.5)
        turned = _uniform(batch, generator)[:, None] * 2 - 1
        return torch.cat([middle, spread, angle + turned * math.radians(self.turn)], dim=1)

    def _mirrored(
        self, images: Float[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], generator: Generator
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        mirrored = _uniform(len(images), generator) < self.flip
        x, y, first, second, angle = prompts.unbind(dim=1)
        reflected = torch.stack([images.shape[3] - x, y, first, second, -angle], dim=1)
        return (
            torch.where(mirrored[:, None, None, None], images.flip(-1), images),
            torch.where(mirrored[:, None], reflected, prompts),
        )

    def _colours(self, images: Float[Tensor, "batch 3 height width"], generator: Generator) -> Tensor:
        """Brightness, contrast, saturation and hue as one affine map of the colours of each image, then greying.

        Contrast turns about the image's mean grey, saturation about each pixel's grey; hue is a turn of the plane of
        colours that leaves grey alone (in YIQ). Values are clipped once, at the end.
        """
        batch, device = len(images), images.device
        brightness, contrast, saturation = ((1 + self.colour * (2 * _uniform(batch, generator) - 1)) for _ in range(3))
        turn = 2 * math.pi * self.hue * (2 * _uniform(batch, generator) - 1)
        greyed = _uniform(batch, generator) < self.grey
        saturation = torch.where(greyed, 0.0, saturation)
        luma = torch.tensor(LUMA, device=device)
        mix = (brightness * contrast)[:, None, None] * _hue_and_saturation(turn, saturation)
        mean = torch.einsum("bchw,c->b", images, luma) / images[0, 0].numel()
        lift = (brightness * (1 - contrast) * mean)[:, None, None]
        changed = torch.baddbmm(lift, mix, images.flatten(2))
        return changed.clamp_(0.0, 1.0).view_as(images)


class PairSampler:
    """Draws pairs of frames: every object at most once in a batch, two different frames of each.

    Which frames a step sees depends on the seed and the step alone. Where several processes train together, each draws
    its part of the batch.

    Parameters
    ----------
    data : the training split.
    pairs : objects in a batch of all processes, B of eq. 9.

    Raises
    ------
    InputError : if an object has a single frame, or there are fewer objects than pairs.
    """

    def __init__(
        self, data: ImageDataset, pairs: int, augmentation: Augmentation, device: torch.device, *, seed: int
    ) -> None:
        self._frames = track_table(data)
        if len(self._frames) < pairs:
            raise InputError(
                f"A batch of {pairs} pairs needs as many objects; {data.name} has {len(self._frames)} in the split "
                f"{data.split}. Choose batch_size {len(self._frames)} or less."
            )
        self._lengths = (self._frames >= 0).sum(dim=1)
        self._images = Batches(data.images, self._choose, device)
        self._prompts = data.prompts_or_centred()
        self._pairs, self._augmentation, self._seed = pairs, augmentation, seed
        self._device = device

    def draw(
        self, step: int, generator: Generator
    ) -> tuple[Float[Tensor, "view 3 height width"], Float[Tensor, "view 5"]]:
        """Images and prompts of augmented views, two for each object; views 2i and 2i + 1 show the same."""
        prompts = self._prompts[self._choose(step)].to(self._device)
        return self._augmentation(self._images.get(step), prompts, generator)

    def _choose(self, step: int) -> Int64[Tensor, "view"]:
        """The frames that a step sees."""
        generator = stream(self._seed, step)
        objects = own_rows(torch.randperm(len(self._frames), generator=generator)[: self._pairs])
        lengths = self._lengths[objects]
        uniform = own_rows(torch.rand(self._pairs, 2, generator=generator)).T
        first = (uniform[0] * lengths).long().clamp_max(lengths - 1)
        apart = 1 + (uniform[1] * (lengths - 1)).long().clamp_max(lengths - 2)
        frames = torch.stack([first, (first + apart) % lengths], dim=1)
        return self._frames[objects[:, None], frames].flatten()


def track_table(data: ImageDataset) -> Int64[Tensor, "object frame"]:
    """Positions of every object's frames, object by object; -1 behind the last frame of a shorter track.

    Raises
    ------
    InputError : if an object has a single frame.
    """
    order = data.objects.argsort(stable=True)
    objects, lengths = data.objects[order].unique_consecutive(return_counts=True)
    if not len(objects) or int(lengths.min()) < 2:
        single = [data.object_names[index] for index in objects[lengths < 2].tolist()]
        found = f"{len(single)} of {len(objects)} have one, {single[0]!r} first" if single else "there are no objects"
        raise InputError(f"Contrastive pairs need two frames or more of every object of {data.name}; {found}.")
    table = torch.full((len(objects), int(lengths.max())), -1)
    rows = torch.arange(len(objects)).repeat_interleave(lengths)
    columns = torch.arange(len(order)) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    table[rows, columns] = order
    return table


def _uniform(batch: int, generator: Generator) -> Float[Tensor, "batch"]:
    """Numbers in 0..1 for this process's part of a batch."""
    return own_rows(torch.rand(batch * process_count(), generator=generator, device=generator.device))


def _hue_and_saturation(turn: Float[Tensor, "batch"], saturation: Float[Tensor, "batch"]) -> Float[Tensor, "batch 3 3"]:
    """Maps of RGB that keep the luma, scale the distance from grey and turn the plane of colours."""
    to_yiq = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], device=turn.device)
    cos, sin, zero = saturation * turn.cos(), saturation * turn.sin(), torch.zeros_like(turn)
    plane = [torch.stack(row, dim=1) for row in ((zero + 1, zero, zero), (zero, cos, -sin), (zero, sin, cos))]
    return torch.linalg.inv(to_yiq) @ torch.stack(plane, dim=1) @ to_yiq
