"""Readers of Fashion-MNIST, small grey pictures of clothes, shoes and bags: ``fashion`` and ``fashion-full``.

The pictures are those of Xiao, Rasul and Vollgraf (2017), arXiv 1708.07747. ``fashion`` is a part of them that is
bundled: the same 22,000 images on every machine, whatever is installed. ``fashion-full`` is all 70,000, where Debian's
package ``dataset-fashion-mnist`` puts them or in any folder with the four published files. Their test splits are the
same 10,000 images. ``data_cards/fashion.md`` tells more.
"""

import csv
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image

from prior_lab.data.dataset import ImageDataset
from prior_lab.data.fashion.bundle import FashionBundle
from prior_lab.data.fashion.files import PARTS, SIDE, SPLITS, read_labels, read_published, share
from prior_lab.errors import InputError

DESCRIPTION = "22,000 grey pictures of clothes, shoes and bags, two label levels (a part of Fashion-MNIST); bundled"
DESCRIPTION_FULL = "all 70,000 of them, from Debian's dataset-fashion-mnist or a copy of the published files"
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
LEVELS = ("kind", "class")
SIZE = 32


def load_fashion(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read one split of the bundle, the grey value as red, green and blue.

    Parameters
    ----------
    split : train (10,000 images), validation (2,000) or test (10,000, all that are published as such); equally many of
        every class.
    path : another copy of the bundled file, whose SHA-256 must be the recorded one.
    size : side of the images [pixel]: 32 by default, a margin of two pixels of background around the published 28, or
        any other, to which the published images are resized.

    Raises
    ------
    InputError : for an unknown split or size, and if the file is missing, truncated or altered.
    """
    _require(split, "fashion")
    bundle = FashionBundle(path)
    chosen = bundle.read(split)
    names = {one: _names(one, bundle.positions(one)) for one in SPLITS}
    first = sum(len(names[one]) for one in SPLITS[: SPLITS.index(split)])
    objects = torch.arange(first, first + len(chosen.labels))
    every = tuple(name for one in SPLITS for name in names[one])
    return _dataset("fashion", split, chosen.images, chosen.labels, objects, every, size)


def load_fashion_full(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read one split of the published files, the grey value as red, green and blue.

    Parameters
    ----------
    split : train and validation are the first five sixths and the last sixth of the published training images, in
        their order; test is published as such.
    path : a folder with the four published files, gzipped or not; that of Debian's package by default.
    size : as in `load_fashion`.

    Raises
    ------
    InputError : for an unknown split or size, and if a file is missing, truncated or altered.
    """
    _require(split, "fashion-full")
    folder = _installed() if path is None else path
    counts = {part: len(read_labels(folder, part)) for part in dict.fromkeys(PARTS.values())}
    part = read_published(folder, PARTS[split])
    kept = share(split, len(part.labels))
    if kept.start == kept.stop:
        raise InputError(
            f"{folder} has too few images for a split {split!r}: {len(part.labels)} published as {PARTS[split]}"
        )
    first = counts["train"] if split == "test" else 0
    objects = torch.arange(first + kept.start, first + kept.stop)
    names = _names("train", range(counts["train"])) + _names("test", range(counts["t10k"]))
    return _dataset("fashion-full", split, part.images[kept], part.labels[kept], objects, names, size)


def class_names() -> tuple[str, ...]:
    """The classes in the published order."""
    return tuple(name for name, _ in _taxonomy())


def kind_names() -> tuple[str, ...]:
    """The kinds, in the order of their first classes."""
    return tuple(dict.fromkeys(kind for _, kind in _taxonomy()))


def _taxonomy() -> list[tuple[str, str]]:
    """Class and kind of every label, from the table in `taxonomy.csv`."""
    text = (files("prior_lab") / "data" / "fashion" / "taxonomy.csv").read_text(encoding="utf-8")
    return [(row["class"], row["kind"]) for row in csv.DictReader(text.splitlines())]


def _dataset(
    name: str,
    split: str,
    images: UInt8[np.ndarray, "image 28 28"],
    labels: Int64[np.ndarray, "image"] | UInt8[np.ndarray, "image"],
    objects: Int64[torch.Tensor, "image"],
    names: tuple[str, ...],
    size: int | None,
) -> ImageDataset:
    kinds = kind_names()
    kind_of = np.array([kinds.index(kind) for _, kind in _taxonomy()])
    classes = labels.astype(np.int64)
    return ImageDataset(
        name=name,
        split=split,
        images=torch.from_numpy(_sized(images, SIZE if size is None else size))[:, None].repeat(1, 3, 1, 1),
        objects=objects,
        object_names=names,
        masks=None,
        prompts=None,
        taxonomies=LEVELS,
        labels=torch.from_numpy(np.stack([kind_of[classes], classes], axis=1)),
        label_names=(kinds, class_names()),
    )


def _names(split: str, positions: Sequence[int] | np.ndarray) -> tuple[str, ...]:
    """The published part and position of images."""
    part = "test" if split == "test" else "train"
    return tuple(f"{part}/{position:05d}" for position in positions)


def _require(split: str, name: str) -> None:
    if split not in SPLITS:
        raise InputError(f"{name} has no split {split!r}; there are {', '.join(SPLITS)}")


def _installed() -> Path:
    if not INSTALLED.is_dir():
        raise InputError(
            f"the data set fashion-full is read from Debian's package {PACKAGE}; apt-get install {PACKAGE}, or pass "
            "path=, a folder with the four files of Fashion-MNIST; fashion is a part of it that is bundled"
        )
    return INSTALLED


def _sized(images: UInt8[np.ndarray, "image 28 28"], size: int) -> UInt8[np.ndarray, "image height width"]:
    if size == SIZE:
        margin = (SIZE - SIDE) // 2
        return np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    resized = np.empty((len(images), size, size), dtype=np.uint8)
    for index, image in enumerate(images):
        resized[index] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS))
    return resized
