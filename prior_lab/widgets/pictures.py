"""Which images there are to look at, and which of them are on screen."""

import re
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from prior_lab.checks import described, whole_number
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.figures import require

EVERYTHING = "all"
FEWEST = 2  # images of a label that is worth choosing


@dataclass(frozen=True)
class Pictures:
    """Images with a caption each, and the labels one may choose them by.

    Attributes
    ----------
    images : one per object.
    captions : one per image.
    members : images of every choice, by "taxonomy: label"; the first choice is all of them, and labels of fewer than
        two are left out.
    """

    images: UInt8[Tensor, "image 3 h w"]
    captions: tuple[str, ...]
    members: dict[str, np.ndarray]

    @classmethod
    def of(cls, source: Any) -> Self:
        """Pictures of a data set, or of plain images [n, 3, h, w] or [n, h, w, 3] in uint8.

        Raises
        ------
        InputError : if it is neither.
        """
        return cls._of_dataset(source) if isinstance(source, ImageDataset) else cls._of_array(source)

    @classmethod
    def _of_dataset(cls, dataset: ImageDataset) -> Self:
        """The first frame of every object."""
        objects = np.asarray(dataset.objects)
        _, firsts = np.unique(objects, return_index=True)
        firsts.sort()
        members = {EVERYTHING: np.arange(len(firsts))}
        labels = np.asarray(dataset.labels)[firsts]
        for column, (taxonomy, names) in enumerate(zip(dataset.taxonomies, dataset.label_names, strict=True)):
            for value, name in enumerate(names):
                found = np.flatnonzero(labels[:, column] == value)
                if len(found) >= FEWEST:
                    members[f"{taxonomy}: {name}"] = found
        captions = tuple(readable(dataset.object_names[objects[first]]) for first in firsts)
        return cls(dataset.images[torch.from_numpy(firsts)], captions, members)

    @classmethod
    def _of_array(cls, images: object) -> Self:
        array = np.asarray(images)
        shape = array.shape
        if array.dtype != np.uint8:
            raise InputError(f"The images are of type {array.dtype}; give uint8 values from 0 to 255.")
        if array.ndim != 4 or 3 not in (shape[1], shape[3]) or not len(array):
            raise InputError(f"The images have shape {shape}; give [n, 3, height, width] or [n, height, width, 3].")
        array = array if shape[1] == 3 else array.transpose(0, 3, 1, 2)
        captions = tuple(f"image {position}" for position in range(len(array)))
        return cls(torch.from_numpy(np.ascontiguousarray(array)), captions, {EVERYTHING: np.arange(len(array))})

    def choices(self) -> list[dict[str, object]]:
        """What the drop-down offers."""
        return choice_rows(self.members)


def choice_rows(members: Mapping[str, Sized]) -> list[dict[str, object]]:
    """What a drop-down of labels offers, of the images of every "taxonomy: label" and of all."""
    rows: list[dict[str, object]] = []
    for key, found in members.items():
        group, _, label = ("", "", "all images") if key == EVERYTHING else key.partition(": ")
        rows.append({"value": key, "group": group, "label": label, "count": len(found)})
    return rows


def readable(name: str) -> str:
    """An object's name without its folder, in words: "Contributors/oakTable_2" becomes "oak table 2"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|[_-]+", " ", name.rpartition("/")[2])
    return " ".join(words.split()).lower()


@dataclass
class Selection:
    """A page of images: plain state, no widget.

    Attributes
    ----------
    pictures : to choose from.
    count : images on a page.
    choice : the label chosen among.
    shuffles : how often the order was shuffled; the order is a function of it.
    """

    pictures: Pictures
    count: int = 6
    choice: str = EVERYTHING
    shuffles: int = 0
    start: int = 0
    fixed: tuple[int, ...] | None = None

    @property
    def order(self) -> np.ndarray:
        """All images of the choice, in the order they are paged through."""
        return np.random.default_rng(self.shuffles).permutation(self.pictures.members[self.choice])

    @property
    def indices(self) -> tuple[int, ...]:
        """The images on screen."""
        if self.fixed is not None:
            return self.fixed
        return self._page(self.start)

    def indices_after(self, pages: int) -> tuple[int, ...]:
        """The images that would be on screen after some pages more, or less."""
        return self._page(self._start_after(pages))

    @property
    def columns(self) -> int:
        """Places for images side by side: as many on the last page as on the others, and fewer where there are few."""
        if self.fixed is not None:
            return len(self.fixed)
        return min(self.count, len(self.pictures.members[self.choice]))

    @property
    def position(self) -> str:
        """Where this page is, in words."""
        total = len(self.pictures.members[self.choice])
        if self.fixed is not None:
            return f"{len(self.fixed)} chosen"
        return f"{self.start + 1} to {self.start + len(self.indices)} of {total}"

    def turn(self, pages: int) -> None:
        """Go some pages on, or back; after the last page comes the first."""
        self.start, self.fixed = self._start_after(pages), None

    def _start_after(self, pages: int) -> int:
        total = -(-len(self.pictures.members[self.choice]) // self.count)
        return (self.start // self.count + pages) % total * self.count

    def _page(self, start: int) -> tuple[int, ...]:
        return tuple(int(index) for index in self.order[start : start + self.count])

    def choose(self, choice: str) -> None:
        """Show images of one label, "taxonomy: label", or "all"."""
        choice = require(choice, self.pictures.members, "label", "data set")
        self.choice, self.start, self.fixed = choice, 0, None

    def shuffle(self) -> None:
        """Another order, the same at every run."""
        self.shuffles, self.start, self.fixed = self.shuffles + 1, 0, None

    def fix(self, indices: object) -> None:
        """Show just these images.

        Raises
        ------
        InputError : if these are no numbers of images.
        """
        if isinstance(indices, str) or not isinstance(indices, Iterable):
            raise InputError(f"images is {described(indices)}; a sequence of numbers of images was expected.")
        numbers = tuple(whole_number("the number of an image", index) for index in indices)
        total = len(self.pictures.captions)
        wrong = [index for index in numbers if not 0 <= index < total]
        if wrong or not numbers:
            raise InputError(f"There are no images {wrong[:9]}; give numbers from 0 to {total - 1}.")
        self.fixed = numbers
