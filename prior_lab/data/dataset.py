"""``ImageDataset``: images in memory with what is known about them."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from PIL import Image
from torch import Tensor

from prior_lab.checks import described
from prior_lab.errors import InputError


def centred_prompt(height: int, width: int) -> Float32[Tensor, "5"]:
    """The prompt of an object that fills an image: its middle, and a quarter of each side; the longer axis first."""
    spread, angle = (width / 4, height / 4), 0.0
    if height > width:
        spread, angle = (height / 4, width / 4), torch.pi / 2
    return torch.tensor([width / 2, height / 2, *spread, angle])


@dataclass(frozen=True, repr=False, eq=False)
class ImageDataset:
    """Images of objects, several frames of each, with masks, prompts and labels where they are known.

    ``images`` are RGB display values; ``objects`` indexes ``object_names``; ``masks`` are true where the object covers
    more than half of a pixel; ``prompts`` are the masks' Gaussians: mean x and y, first and second standard deviation
    [pixel], rotation [radian]. Column ``t`` of ``labels`` indexes ``label_names[t]``, the labels of ``taxonomies[t]``,
    and is -1 where the object has no label at that level. Names are those of the whole data set, in every split.

    Examples
    --------
    >>> import prior_lab as pl
    >>> data = pl.load_dataset("household", split="test")
    >>> data
    household, split test: 2,080 images of 130 objects, 64 x 64 RGB, with masks and prompts
    label levels: coarse (7 labels), mid (24 labels), fine (58 labels), class (89 labels, 464 images without)
    >>> chairs = data.labels[:, data.taxonomies.index("fine")] == data.label_names[2].index("chairs")
    >>> len(data.select(chairs))
    96
    """

    name: str
    split: str
    images: UInt8[Tensor, "image channel height width"]
    objects: Int64[Tensor, "image"]
    object_names: tuple[str, ...]
    masks: Bool[Tensor, "image height width"] | None
    prompts: Float32[Tensor, "image 5"] | None
    taxonomies: tuple[str, ...]
    labels: Int64[Tensor, "image taxonomy"]
    label_names: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        _, channels, height, width = self.images.shape
        kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
        levels = [f"{level} ({self._describe_level(index)})" for index, level in enumerate(self.taxonomies)]
        extras = [word for word, there in (("masks", self.masks), ("prompts", self.prompts)) if there is not None]
        return "\n".join(
            [
                f"{self.name}, split {self.split}: {len(self):,} images of {len(self.objects.unique()):,} objects, "
                f"{width} x {height} {kind}" + (f", with {' and '.join(extras)}" if extras else ""),
                f"label levels: {', '.join(levels) if levels else 'none'}",
            ]
        )

    def _describe_level(self, level: int) -> str:
        masked = int((self.labels[:, level] < 0).sum())
        text = f"{len(self.label_names[level])} labels"
        return text if not masked else f"{text}, {masked:,} images without"

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        self.contact_sheet().save(buffer, "PNG")
        picture = base64.b64encode(buffer.getvalue()).decode()
        return f'<pre>{html.escape(repr(self))}</pre><img alt="contact sheet" src="data:image/png;base64,{picture}">'

    def object_taxonomies(self) -> tuple[str, ...]:
        """The taxonomies that label objects; others, such as the artists of `emoji`, vary within an object."""
        objects, places = self.objects.unique(return_inverse=True)
        rows = places[:, None].expand_as(self.labels)
        empty = self.labels.new_zeros(len(objects), self.labels.shape[1])
        low, high = (empty.scatter_reduce(0, rows, self.labels, how, include_self=False) for how in ("amin", "amax"))
        same = (low == high).all(dim=0).tolist()
        return tuple(name for name, alike in zip(self.taxonomies, same, strict=True) if alike)

    def source_taxonomy(self) -> str | None:
        """The taxonomy that says where an image comes from: the last that varies within an object; None without one."""
        constant = self.object_taxonomies()
        return next((name for name in reversed(self.taxonomies) if name not in constant), None)

    def with_taxonomies(self, names: Sequence[str]) -> "ImageDataset":
        """The same images with some of their labels.

        Raises
        ------
        InputError : if it has no such taxonomy.
        """
        for name in names:
            if name not in self.taxonomies:
                known = ", ".join(self.taxonomies) or "none"
                raise InputError(f"{self.name} has no labels {described(name)}; it has {known}")
        columns = [self.taxonomies.index(name) for name in names]
        label_names = tuple(self.label_names[column] for column in columns)
        return replace(self, taxonomies=tuple(names), labels=self.labels[:, columns], label_names=label_names)

    def select(self, indices: Sequence[int] | Tensor | slice) -> "ImageDataset":
        """The images at some positions, in that order.

        Raises
        ------
        InputError : if a position is outside.
        """
        chosen = torch.arange(len(self))[indices] if isinstance(indices, slice) else self._positions(indices)
        outside = chosen[(chosen < -len(self)) | (chosen >= len(self))]
        if len(outside):
            raise InputError(f"{self.name} has {len(self)} images; there is no image {int(outside[0])}")
        return replace(
            self,
            images=self.images[chosen],
            objects=self.objects[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            prompts=None if self.prompts is None else self.prompts[chosen],
            labels=self.labels[chosen],
        )

    def _positions(self, indices: Sequence[int] | Tensor) -> Int64[Tensor, "chosen"]:
        """Whole numbers, or where a mask of all images is true."""
        try:
            chosen = torch.as_tensor(indices)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"images are selected by {described(indices)}; expected positions or a mask") from error
        if chosen.dtype == torch.bool and chosen.shape == (len(self),):
            return chosen.nonzero()[:, 0]
        nothing = chosen.shape == (0,)  # an empty list is a tensor of floats
        whole = not (chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool)
        if chosen.ndim != 1 or not (whole or nothing):
            raise InputError(
                f"images are selected by {chosen.dtype} of shape {tuple(chosen.shape)}; expected positions, or a mask "
                f"of the {len(self)} images of {self.name}"
            )
        return chosen.to(torch.int64)

    def prompts_or_centred(self) -> Float32[Tensor, "image 5"]:
        """The prompts; without any, for every image a Gaussian in its middle, a quarter of each side wide."""
        if self.prompts is not None:
            return self.prompts
        height, width = self.images.shape[2:]
        return centred_prompt(height, width).expand(len(self), -1)

    def contact_sheet(self, *, columns: int = 16, rows: int = 4) -> Image.Image:
        """A picture of images spread evenly over the data set.

        Parameters
        ----------
        columns, rows : of the sheet; fewer rows where there are fewer images.
        """
        count = min(columns * rows, len(self))
        if count == 0:
            return Image.new("RGB", (1, 1))
        picked = self.images[[index * len(self) // count for index in range(count)]].numpy()
        if picked.shape[1] == 1:
            picked = picked.repeat(3, axis=1)
        missing = -count % columns
        cells = np.concatenate([picked, np.full((missing, *picked.shape[1:]), 255, dtype=np.uint8)])
        _, channels, height, width = cells.shape
        sheet = cells.reshape(-1, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
        return Image.fromarray(sheet.reshape(-1, columns * width, channels))
