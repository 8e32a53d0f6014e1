"""All images, by label: those whose tokens are measured, and the few of them that are shown."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.widgets.pictures import EVERYTHING, Pictures, choice_rows, readable

FEWEST = 2  # images of a group: information is what tells images apart


@dataclass(frozen=True, eq=False)
class Groups:
    """Images with the object that each shows, and the labels one may choose them by.

    Attributes
    ----------
    images : every frame of every object.
    objects : the object of every image; where objects are not known, every image is one of its own.
    captions : one per image.
    members : images of every choice, by "taxonomy: label"; the first choice is all of them, and labels of a single
        image are left out.
    are_objects_known : whether images were told to show objects.
    """

    images: UInt8[Tensor, "image 3 h w"]
    objects: Int64[Tensor, "image"]
    captions: tuple[str, ...]
    members: dict[str, Int64[Tensor, "_"]]
    are_objects_known: bool

    @classmethod
    def of(cls, source: object) -> Self:
        """The images of a data set, or plain images [n, 3, h, w] or [n, h, w, 3] in uint8.

        Raises
        ------
        InputError : if it is neither, or has fewer than two images.
        """
        groups = cls._of_dataset(source) if isinstance(source, ImageDataset) else cls._of_array(source)
        if len(groups.images) < FEWEST:
            raise InputError(f"Information needs at least two images; there are {len(groups.images)}.")
        return groups

    @classmethod
    def _of_dataset(cls, dataset: ImageDataset) -> Self:
        members = {EVERYTHING: torch.arange(len(dataset))}
        for column, (taxonomy, names) in enumerate(zip(dataset.taxonomies, dataset.label_names, strict=True)):
            for value, name in enumerate(names):
                found = (dataset.labels[:, column] == value).nonzero()[:, 0]
                if len(found) >= FEWEST:
                    members[f"{taxonomy}: {name}"] = found
        captions = tuple(readable(dataset.object_names[shown]) for shown in dataset.objects.tolist())
        return cls(dataset.images, dataset.objects, captions, members, are_objects_known=True)

    @classmethod
    def _of_array(cls, images: object) -> Self:
        pictures = Pictures.of(images)
        everything = torch.arange(len(pictures.images))
        members = {EVERYTHING: everything}
        return cls(pictures.images, everything, pictures.captions, members, are_objects_known=False)

    def choices(self) -> list[dict[str, object]]:
        """What the drop-down offers."""
        return choice_rows(self.members)

    def object_count(self, choice: str) -> int:
        """Number of objects of a choice."""
        return len(self.objects[self.members[choice]].unique())

    def describe(self, choice: str) -> str:
        """Number of images and objects, in words."""
        words = f"{len(self.members[choice]):,} images"
        if self.are_objects_known:
            count = self.object_count(choice)
            words += f" of {count:,} object{'s' * (count > 1)}"
        return words

    def examples(self, choice: str, count: int) -> tuple[int, ...]:
        """Some images of a choice, spread over its objects: first frames, and later ones where objects are few."""
        members = self.members[choice].numpy()
        _, which = np.unique(self.objects.numpy()[members], return_inverse=True)
        frame = np.array([np.count_nonzero(which[:place] == shown) for place, shown in enumerate(which)])
        firsts = members[frame == 0]
        if len(firsts) >= count:
            return tuple(int(firsts[place * len(firsts) // count]) for place in range(count))
        return tuple(int(image) for image in members[np.argsort(frame, kind="stable")][:count])
