"""Pairs of views of one object, drawn and augmented in batches on the device.

A pair is two different frames of one object's track (section 2.4 of the paper), or two views of one frame. What is done
to a view is a setting each. FLIP's noise moves, turns and scales the prompt, so the encoder looks at a slightly other
place; the paper keeps that and says nothing of colours. Colour jitter is SimCLR's (Chen et al. 2020), as are the
mirror, the greying, the blur and the crop, which here is one of the prompt: FLIP then draws its patches from a part of
the object, more of them small ones. Occlusion is the erasing of Zhong et al. (2020).

A setting of 0 draws no chance, so that runs from before there was the setting are the same today.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from prior_lab.checks import NotNegative, Share, Within, check_fields
from prior_lab.data.dataset import ImageDataset
from prior_lab.data.feeding.batches import Batches
from prior_lab.data.feeding.epochs import stream
from prior_lab.errors import InputError
from prior_lab.processes import own_rows, process_count, process_rank

LUMA = (0.299, 0.587, 0.114)
CROP_ASPECT, OCCLUSION_ASPECT = 4 / 3, 2.0  # width to height at most, and at least the inverse
BOX = 2.0  # half a side of what a crop stays in [the prompt's standard deviations]; an image's where there is no prompt
BLURRED = 0.5  # chance that a view is blurred at all
SHARPEST = 0.1  # standard deviation of the weakest blur [pixel]
PIECE = 512  # images that are augmented at once where all of a data set are

Pairing = Literal["auto", "frames", "views"]


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
    brightness: Share = 0.0
    """Strength of the jitter of brightness, if it is to be stronger than `colour`."""
    contrast: Share = 0.0
    """Strength of the jitter of contrast, if it is to be stronger than `colour`."""
    hue: NotNegative = 0.0
    """Largest turn of the hue [full circles]."""
    grey: Share = 0.0
    """Chance of taking the colours out."""
    crop: Share = 0.0
    """Share of the prompt's area that a crop takes away at most; the rest lies anywhere in it."""
    blur: Annotated[float, Within(0, 64)] = 0.0
    """Standard deviation of the strongest Gaussian blur [pixel], at least 0.1; half of the views are blurred."""
    occlusion: Share = 0.0
    """Share of the image's area that a rectangle in its mean colour hides at most; it lies anywhere."""

    def __post_init__(self) -> None:
        check_fields(self, "augmentation")

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], generator: Generator
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        """Augmented images in [0, 1] and their prompts; of several processes that train together, each has its own."""
        return self._views(images, prompts, _Chance(generator, process_count(), process_rank()))

    def alone(
        self, images: UInt8[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], generator: Generator
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        """The same for images that this process alone has."""
        return self._views(images, prompts, _Chance(generator))

    def _views(
        self, images: UInt8[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], chance: "_Chance"
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        pixels = self._colours(images.float() / 255, chance)
        if self.blur:
            pixels = self._blurred(pixels, chance)
        if self.occlusion:
            pixels = self._occluded(pixels, chance)
        if self.crop:
            prompts = self._cropped(prompts, chance)
        return self._mirrored(pixels, self._moved(prompts, chance), chance)

    def _moved(self, prompts: Float[Tensor, "batch 5"], chance: "_Chance") -> Float[Tensor, "batch 5"]:
        """Prompts with noise in the object's own frame."""
        middle, spread, angle = prompts[:, :2], prompts[:, 2:4], prompts[:, 4:]
        noise = chance.normal(len(prompts), 4)
        middle = middle + _rotated(self.shift * spread * noise[:, :2], angle)
        spread = spread * (1 + self.scale * noise[:, 2:]).clamp(0.5, 1.5)
        turned = chance.uniform(len(prompts))[:, None] * 2 - 1
        return torch.cat([middle, spread, angle + turned * math.radians(self.turn)], dim=1)

    def _cropped(self, prompts: Float[Tensor, "batch 5"], chance: "_Chance") -> Float[Tensor, "batch 5"]:
        """Prompts of a part of the object: smaller, of another aspect, and elsewhere in the box of the whole."""
        middle, spread, angle = prompts[:, :2], prompts[:, 2:4], prompts[:, 4:]
        kept = 1 - self.crop * chance.uniform(len(prompts))
        aspect = CROP_ASPECT ** (2 * chance.uniform(len(prompts)) - 1)
        sides = torch.stack([kept * aspect, kept / aspect], dim=1).sqrt().clamp_max(1.0)
        place = torch.stack([2 * chance.uniform(len(prompts)) - 1 for _ in range(2)], dim=1)
        middle = middle + _rotated(BOX * spread * (1 - sides) * place, angle)
        return torch.cat([middle, spread * sides, angle], dim=1)

    def _mirrored(
        self, images: Float[Tensor, "batch 3 height width"], prompts: Float[Tensor, "batch 5"], chance: "_Chance"
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
        mirrored = chance.uniform(len(images)) < self.flip
        x, y, first, second, angle = prompts.unbind(dim=1)
        reflected = torch.stack([images.shape[3] - x, y, first, second, -angle], dim=1)
        return (
            torch.where(mirrored[:, None, None, None], images.flip(-1), images),
            torch.where(mirrored[:, None], reflected, prompts),
        )

    def _blurred(self, images: Float[Tensor, "batch 3 height width"], chance: "_Chance") -> Tensor:
        """Some of the images through a Gaussian, each through its own."""
        strongest = max(self.blur, SHARPEST)
        spared = chance.uniform(len(images)) >= BLURRED
        spread = SHARPEST + (strongest - SHARPEST) * chance.uniform(len(images))
        reach = math.ceil(3 * strongest)
        steps = torch.arange(-reach, reach + 1, device=images.device)
        weights = torch.exp(-steps.square() / (2 * spread[:, None].square()))
        weights = torch.where(spared[:, None], (steps == 0).float(), weights / weights.sum(dim=1, keepdim=True))
        return _convolved(_convolved(images, weights, dim=2), weights, dim=3)

    def _occluded(self, images: Float[Tensor, "batch 3 height width"], chance: "_Chance") -> Tensor:
        """Images with a rectangle in their mean colour."""
        hidden = self.occlusion * chance.uniform(len(images))
        aspect = OCCLUSION_ASPECT ** (2 * chance.uniform(len(images)) - 1)
        rows = _stretch(images.shape[2], (hidden / aspect).sqrt(), chance.uniform(len(images)))
        columns = _stretch(images.shape[3], (hidden * aspect).sqrt(), chance.uniform(len(images)))
        covered = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(covered, images.mean(dim=(2, 3), keepdim=True), images)

    def _colours(self, images: Float[Tensor, "batch 3 height width"], chance: "_Chance") -> Tensor:
        """Brightness, contrast, saturation and hue as one affine map of the colours of each image, then greying.

        Contrast turns about the image's mean grey, saturation about each pixel's grey; hue is a turn of the plane of
        colours that leaves grey alone (in YIQ). Values are clipped once, at the end.
        """
        batch, device = len(images), images.device
        strengths = (max(self.colour, self.brightness), max(self.colour, self.contrast), self.colour)
        brightness, contrast, saturation = (1 + strength * (2 * chance.uniform(batch) - 1) for strength in strengths)
        turn = 2 * math.pi * self.hue * (2 * chance.uniform(batch) - 1)
        greyed = chance.uniform(batch) < self.grey
        saturation = torch.where(greyed, 0.0, saturation)
        luma = torch.tensor(LUMA, device=device)
        mix = (brightness * contrast)[:, None, None] * _hue_and_saturation(turn, saturation)
        mean = torch.einsum("bchw,c->b", images, luma) / images[0, 0].numel()
        lift = (brightness * (1 - contrast) * mean)[:, None, None]
        changed = torch.baddbmm(lift, mix, images.flatten(2))
        return changed.clamp_(0.0, 1.0).view_as(images)


class PairSampler:
    """Draws pairs of views: every object at most once in a batch.

    Which frames a step sees depends on the seed and the step alone. Where several processes train together, each draws
    its part of the batch.

    Parameters
    ----------
    data : the training split.
    pairs : objects in a batch of all processes, B of eq. 9.
    pairing : of what a pair is: two different frames of an object (frames), one frame twice (views), or two frames
        where there are as many and one twice where there is a single one (auto).

    Raises
    ------
    InputError : if there are fewer objects than pairs, or an object has a single frame and `pairing` is frames.
    """

    def __init__(
        self,
        data: ImageDataset,
        pairs: int,
        augmentation: Augmentation,
        device: torch.device,
        *,
        seed: int,
        pairing: Pairing = "frames",
    ) -> None:
        self._frames = track_table(data, shortest=2 if pairing == "frames" else 1)
        self._pairing = pairing
        if len(self._frames) < pairs:
            raise InputError(
                f"A batch of {pairs} pairs needs as many objects; {data.name} has {len(self._frames)} in the split "
                f"{data.split}. Choose batch_size {len(self._frames)} or less."
            )
        self._lengths = (self._frames >= 0).sum(dim=1)
        self._images = Batches(data.images, self.choose, device)
        self._prompts = data.prompts_or_centred()
        self._pairs, self._augmentation, self._seed = pairs, augmentation, seed
        self._device = device

    def draw(
        self, step: int, generator: Generator
    ) -> tuple[Float[Tensor, "view 3 height width"], Float[Tensor, "view 5"]]:
        """Images and prompts of augmented views, two for each object; views 2i and 2i + 1 show the same."""
        prompts = self._prompts[self.choose(step)].to(self._device)
        return self._augmentation(self._images.get(step), prompts, generator)

    def choose(self, step: int) -> Int64[Tensor, "view"]:
        """The frames that a step sees."""
        generator = stream(self._seed, step)
        objects = own_rows(torch.randperm(len(self._frames), generator=generator)[: self._pairs])
        lengths = self._lengths[objects]
        uniform = own_rows(torch.rand(self._pairs, 2, generator=generator)).T
        first = (uniform[0] * lengths).long().clamp_max(lengths - 1)
        apart = 1 + (uniform[1] * (lengths - 1)).long().clamp_max(lengths - 2)  # 0 in a track of a single frame
        if self._pairing == "views":
            apart = torch.zeros_like(first)
        frames = torch.stack([first, (first + apart) % lengths], dim=1)
        return self._frames[objects[:, None], frames].flatten()


def paired_views(data: ImageDataset, augmentation: Augmentation, *, seed: int = 0) -> ImageDataset:
    """Two augmented views of every image as the two frames of an object: the same whenever it is asked for.

    Masks are left out, for they show what the views do not.
    """
    generator, prompts = stream(seed, len(data)), data.prompts_or_centred()
    images = torch.empty(len(data), 2, *data.images.shape[1:], dtype=torch.uint8)
    moved = torch.empty(len(data), 2, 5)
    for chosen in torch.arange(len(data)).split(PIECE):
        for view in range(2):
            pixels, moved[chosen, view] = augmentation.alone(data.images[chosen], prompts[chosen], generator)
            images[chosen, view] = (255 * pixels).round().to(torch.uint8)
    return replace(
        data,
        images=images.flatten(0, 1),
        objects=torch.arange(len(data)).repeat_interleave(2),
        object_names=tuple(data.object_names[index] for index in data.objects.tolist()),
        masks=None,
        prompts=moved.flatten(0, 1),
        labels=data.labels.repeat_interleave(2, dim=0),
    )


def track_table(data: ImageDataset, *, shortest: int = 2) -> Int64[Tensor, "object frame"]:
    """Positions of every object's frames, object by object; -1 behind the last frame of a shorter track.

    Parameters
    ----------
    shortest : how many frames every object needs: one or two.

    Raises
    ------
    InputError : if an object has fewer, or there are no objects.
    """
    order = data.objects.argsort(stable=True)
    objects, lengths = data.objects[order].unique_consecutive(return_counts=True)
    if not len(objects):
        raise InputError(
            f"Contrastive pairs need objects; there are no objects in the split {data.split} of {data.name}."
        )
    if int(lengths.min()) < shortest:
        single = [data.object_names[index] for index in objects[lengths < shortest].tolist()]
        raise InputError(
            f"Contrastive pairs need two frames or more of every object of {data.name}; {len(single)} of "
            f"{len(objects)} have one, {single[0]!r} first. With pairs=views a pair is two views of one frame."
        )
    table = torch.full((len(objects), int(lengths.max())), -1)
    rows = torch.arange(len(objects)).repeat_interleave(lengths)
    columns = torch.arange(len(order)) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    table[rows, columns] = order
    return table


@dataclass(frozen=True)
class _Chance:
    """What is drawn for the views of this process: its rows of what one process would draw for all.

    Attributes
    ----------
    generator : in the same state in every process.
    processes, rank : how many share the draw, and which of them this is.
    """

    generator: Generator
    processes: int = 1
    rank: int = 0

    def uniform(self, batch: int) -> Float[Tensor, "batch"]:
        """Numbers in 0..1."""
        return self._own(torch.rand(batch * self.processes, generator=self.generator, device=self.generator.device))

    def normal(self, batch: int, columns: int) -> Float[Tensor, "batch column"]:
        """Numbers of the standard Gaussian."""
        shape = (batch * self.processes, columns)
        return self._own(torch.randn(shape, generator=self.generator, device=self.generator.device))

    def _own(self, joint: Tensor) -> Tensor:
        return joint.chunk(self.processes)[self.rank]


def _rotated(vectors: Float[Tensor, "batch 2"], angle: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 2"]:
    """Vectors along the axes of prompts as vectors of the image."""
    cos, sin = angle.cos(), angle.sin()
    along, across = vectors.split(1, dim=1)
    return torch.cat([cos * along - sin * across, sin * along + cos * across], dim=1)


def _convolved(
    images: Float[Tensor, "batch 3 height width"], weights: Float[Tensor, "batch tap"], dim: int
) -> Float[Tensor, "batch 3 height width"]:
    """Rows (3) or columns (2) of every image with its weights; the border's pixels go on beyond the border."""
    reach = weights.shape[1] // 2
    padding = (0, 0, reach, reach) if dim == 2 else (reach, reach, 0, 0)
    windows = functional.pad(images, padding, mode="replicate").unfold(dim, weights.shape[1], 1)
    return torch.einsum("bchwk,bk->bchw", windows, weights)


def _stretch(side: int, share: Float[Tensor, "batch"], place: Float[Tensor, "batch"]) -> Bool[Tensor, "batch side"]:
    """Which pixels of a side lie in a stretch that covers a share of it and lies at a place in 0..1 of what is left."""
    length = side * share.clamp_max(1.0)
    start = (side - length) * place
    middles = torch.arange(side, device=share.device) + 0.5
    return (middles >= start[:, None]) & (middles < (start + length)[:, None])


def _hue_and_saturation(turn: Float[Tensor, "batch"], saturation: Float[Tensor, "batch"]) -> Float[Tensor, "batch 3 3"]:
    """Maps of RGB that keep the luma, scale the distance from grey and turn the plane of colours."""
    to_yiq = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], device=turn.device)
    cos, sin, zero = saturation * turn.cos(), saturation * turn.sin(), torch.zeros_like(turn)
    plane = [torch.stack(row, dim=1) for row in ((zero + 1, zero, zero), (zero, cos, -sin), (zero, sin, cos))]
    return torch.linalg.inv(to_yiq) @ torch.stack(plane, dim=1) @ to_yiq
