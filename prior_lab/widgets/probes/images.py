"""The test images as the probe explorer shows them: objects with names, labels and thumbnails."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Self

import numpy as np
import torch
import xarray as xr
from jaxtyping import Int64, UInt8
from PIL import Image

from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.widgets.pictures import readable

SIDES = (32, 64)  # pixels of a thumbnail; multiples of the 16 that JPEG encodes as one, so that neighbours do not bleed
SUGGESTIONS = 3
MOST = 2500  # objects that are shown: more take minutes to compare and are a pile on a map


@dataclass(frozen=True, eq=False)
class ProbedImages:
    """The images that are shown of those that probes were tested on: all, or those of evenly spread objects.

    Attributes
    ----------
    dataset : the images that are shown, several frames of each object.
    taxonomies : label levels that were probed, coarse to fine.
    label_names : of every level.
    probed_labels : of every probed image, by its number among `label_names`; -1 where there is none.
    shown : which of the probed images are shown.
    probed : objects whose images were probed.
    """

    dataset: ImageDataset
    taxonomies: tuple[str, ...]
    label_names: tuple[tuple[str, ...], ...]
    probed_labels: Int64[np.ndarray, "probed taxonomy"]
    shown: Int64[np.ndarray, "image"]
    probed: int

    @classmethod
    def of(cls, source: object, arm: xr.DataTree) -> Self:
        """The images that an arm's probes were tested on, of at most `MOST` objects.

        Raises
        ------
        InputError : if this is no data set, or another one.
        """
        if not isinstance(source, ImageDataset):
            kind = type(source).__name__
            raise InputError(
                f"Probes are compared with labels, so give a data set of prior_lab.load_dataset; got {kind}."
            )
        taxonomies = tuple(str(taxonomy) for taxonomy in arm["taxonomy"].to_numpy())
        missing = [taxonomy for taxonomy in taxonomies if taxonomy not in source.taxonomies]
        if missing:
            raise InputError(f"The study tells the labels of level {missing[0]} apart, which these images do not have.")
        if len(source) != arm.sizes["image"]:
            raise InputError(f"The study was measured on {arm.sizes['image']:,} images, and these are {len(source):,}.")
        numbers, owners = source.objects.unique(return_inverse=True)
        if {source.object_names[number] for number in numbers.tolist()} != set(map(str, arm["object"].to_numpy())):
            raise InputError("These images show other objects than those that the study was measured on.")
        columns = [source.taxonomies.index(taxonomy) for taxonomy in taxonomies]
        names, labels = tuple(source.label_names[column] for column in columns), source.labels[:, columns].numpy()
        every = -(-len(numbers) // MOST)
        shown = np.flatnonzero(owners.numpy() % every == 0)
        return cls(source.select(torch.from_numpy(shown)), taxonomies, names, labels, shown, len(numbers))

    @cached_property
    def labels(self) -> Int64[np.ndarray, "image taxonomy"]:
        """Of every image that is shown; see `probed_labels`."""
        return self.probed_labels[self.shown]

    @cached_property
    def owners(self) -> Int64[np.ndarray, "image"]:
        """The object of every image: objects are numbered from 0 without gaps."""
        return np.unique(self.dataset.objects.numpy(), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Where images come from, such as the artists of `emoji`; nothing where they all come from one place."""
        name = self.dataset.source_taxonomy()
        return () if name is None else self.dataset.label_names[self.dataset.taxonomies.index(name)]

    @cached_property
    def source_of(self) -> Int64[np.ndarray, "image"]:
        """The source of every image, by its number among `sources`; 0 where there are none."""
        name = self.dataset.source_taxonomy()
        if name is None:
            return np.zeros(len(self.dataset), np.int64)
        return self.dataset.labels[:, self.dataset.taxonomies.index(name)].numpy()

    @cached_property
    def firsts(self) -> Int64[np.ndarray, "object"]:
        """The first frame of every object; its labels are the object's."""
        return np.unique(self.owners, return_index=True)[1].astype(np.int64)

    @cached_property
    def full_names(self) -> tuple[str, ...]:
        """The objects' names in the data set."""
        return tuple(self.dataset.object_names[number] for number in self.dataset.objects.numpy()[self.firsts])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The objects' names in words, in full where several would read the same."""
        words = [readable(name) for name in self.full_names]
        times = Counter(words)
        return tuple(word if times[word] == 1 else name for word, name in zip(words, self.full_names, strict=True))

    def other_source(self, thing: int) -> str:
        """The first source other than that of an object's first image; "" where there is none."""
        own = self.source_of[self.firsts[thing]]
        return next((name for number, name in enumerate(self.sources) if number != own), "")

    def find(self, name: str) -> int:
        """The object of a name, in words or in full.

        Raises
        ------
        InputError : if there is none, with names that are spelt alike.
        """
        for known in (self.names, self.full_names):
            if name in known:
                return known.index(name)
        alike = get_close_matches(str(name), self.names, SUGGESTIONS, cutoff=0.0)
        raise InputError(f"There is no object {name!r} in these images; spelt most alike are {', '.join(alike)}.")

    def label(self, thing: int, taxonomy: str) -> str:
        """An object's label, or "" where it has none."""
        column = self.taxonomies.index(taxonomy)
        number = int(self.labels[self.firsts[thing], column])
        return self.label_names[column][number] if number >= 0 else ""

    def frames(self, thing: int) -> Int64[np.ndarray, "frame"]:
        """The images of an object."""
        return np.flatnonzero(self.owners == thing)

    @property
    def side(self) -> int:
        """Side of a thumbnail [pixel]."""
        small, large = SIDES
        return small if max(self.dataset.images.shape[2:]) <= small else large

    @property
    def columns(self) -> int:
        """Thumbnails in a line of the sheet."""
        return int(np.ceil(np.sqrt(len(self.dataset))))

    def sheet(self) -> bytes:
        """All images as thumbnails on one JPEG, line by line."""
        pictures = self.dataset.images.permute(0, 2, 3, 1).numpy()
        columns, lines, side = self.columns, -(-len(pictures) // self.columns), self.side
        tiles = np.zeros((lines * columns, side, side, 3), np.uint8)
        tiles[: len(pictures)] = [_thumbnail(picture, side) for picture in pictures]
        rows = tiles.reshape(lines, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
        sheet = Image.fromarray(rows.reshape(lines * side, columns * side, 3))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=90)
        return buffer.getvalue()


def _thumbnail(picture: UInt8[np.ndarray, "h w channel"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    if picture.shape == (side, side, 3):
        return picture
    image = Image.fromarray(picture if picture.shape[2] == 3 else picture[..., 0])
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def parents(labels: Int64[np.ndarray, "image taxonomy"], counts: Sequence[int]) -> list[Int64[np.ndarray, "_"]]:
    """The coarsest label of every label of every level, as images show them together; -1 for one that none shows."""
    found = []
    for column, count in enumerate(counts):
        above = np.full(count, -1)
        known = labels[:, column] >= 0
        above[labels[known, column]] = labels[known, 0]
        found.append(above)
    return found
