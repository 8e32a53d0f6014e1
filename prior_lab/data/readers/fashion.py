"""Reader of ``fashion``: Fashion-MNIST, 70,000 small grey pictures of clothes, shoes and bags.

The pictures are those of Xiao, Rasul and Vollgraf (2017), arXiv 1708.07747, where Debian's package
``dataset-fashion-mnist`` puts them or in any folder with the four published files; ``data_cards/fashion.md`` tells
more.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

DESCRIPTION = "70,000 grey pictures of clothes, shoes and bags (Fashion-MNIST), from Debian's dataset-fashion-mnist"
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
SPLITS = ("train", "validation", "test")
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
SIZE = 32
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801  # of IDX: unsigned bytes in three and in one dimension
HELD_OUT = 6  # the last sixth of the published training images is for validation


def load_fashion(split: str = "train", *, path: Path | None = None, size: int | None = None) -> ImageDataset:
    """Read the images of one split, the grey value as red, green and blue.

    Parameters
    ----------
    split : train and validation are the first five sixths and the last sixth of the published training images, in
        their order; test is published as such.
    path : a folder with the four published files, gzipped or not; that of Debian's package by default.
    size : side of the images [pixel]: 32 by default, a margin of two pixels of background around the published 28, or
        any other, to which the published images are resized.

    Raises
    ------
    InputError : for an unknown split or size, and if a file is missing, truncated or altered.
    """
    if split not in SPLITS:
        raise InputError(f"fashion has no split {split!r}; there are {', '.join(SPLITS)}")
    size = SIZE if size is None else size
    if size < 1:
        raise InputError(f"size={size} is no image size; expected a positive number of pixels")
    folder = _installed() if path is None else path
    train, test = (_read(folder, f"{part}-labels-idx1-ubyte", LABELS_MAGIC) for part in ("train", "t10k"))
    part, published = ("t10k", test) if split == "test" else ("train", train)
    images = _read(folder, f"{part}-images-idx3-ubyte", IMAGES_MAGIC)
    _check(folder, part, images, published)
    kept = _share(split, len(published))
    if kept.start == kept.stop:
        raise InputError(f"{folder} has too few images for a split {split!r}: {len(published)} published as {part}")
    first = len(train) if split == "test" else 0
    return ImageDataset(
        name="fashion",
        split=split,
        images=torch.from_numpy(_sized(images[kept], size))[:, None].repeat(1, 3, 1, 1),
        objects=torch.arange(first + kept.start, first + kept.stop),
        object_names=tuple(f"train/{n:05d}" for n in range(len(train)))
        + tuple(f"test/{n:05d}" for n in range(len(test))),
        masks=None,
        prompts=None,
        taxonomies=("class",),
        labels=torch.from_numpy(published[kept].astype(np.int64))[:, None],
        label_names=(CLASSES,),
    )


def _installed() -> Path:
    if not INSTALLED.is_dir():
        raise InputError(
            f"the data set fashion is read from Debian's package {PACKAGE}; apt-get install {PACKAGE}, "
            "or pass path=, a folder with the four files of Fashion-MNIST"
        )
    return INSTALLED


def _share(split: str, count: int) -> slice:
    """Positions of a split within its published part."""
    border = count - count // HELD_OUT
    return {"train": slice(0, border), "validation": slice(border, count), "test": slice(0, count)}[split]


def _read(folder: Path, name: str, magic: int) -> np.ndarray:
    """An array of unsigned bytes in the format IDX, gzipped or not; it tells its own shape."""
    path = next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
    if path is None:
        raise InputError(f"{folder} has neither {name}.gz nor {name}; expected the four files of Fashion-MNIST")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    dimensions = magic & 0xFF
    start = 4 * (1 + dimensions)
    if len(data) < start or int.from_bytes(data[:4]) != magic:
        raise InputError(f"{path} is no such file of Fashion-MNIST; expected it to begin with 0x{magic:08x}")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise InputError(f"{path} has {len(data) - start:,} bytes of data; expected {' x '.join(map(str, shape))}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _check(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    """That images and labels fit each other, and Fashion-MNIST."""
    if images.shape[1:] != (SIDE, SIDE):
        _, height, width = images.shape
        raise InputError(f"{folder} has images {part} of {width}x{height}; those of Fashion-MNIST are {SIDE}x{SIDE}")
    if len(images) != len(labels):
        raise InputError(f"{folder} has {len(images):,} images {part} but {len(labels):,} labels; expected one each")
    if labels.max(initial=0) >= len(CLASSES):
        raise InputError(f"{folder} has a label {labels.max()} in {part}; those of Fashion-MNIST are 0 to 9")


def _sized(images: np.ndarray, size: int) -> np.ndarray:
    if size == SIZE:
        margin = (SIZE - SIDE) // 2
        return np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    resized = np.empty((len(images), size, size), dtype=np.uint8)
    for index, image in enumerate(images):
        resized[index] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS))
    return resized
