"""The four files in which Fashion-MNIST is published: images and labels of a training and a test part, as IDX."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from prior_lab.errors import InputError

SIDE = 28
CLASSES = 10
SPLITS = ("train", "validation", "test")
PARTS = {"train": "train", "validation": "train", "test": "t10k"}  # which published part a split is of
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801  # of IDX: unsigned bytes in three and in one dimension
HELD_OUT = 6  # the last sixth of the published training images is for validation


@dataclass(frozen=True, eq=False)
class Published:
    """One published part."""

    images: UInt8[np.ndarray, "image 28 28"]
    labels: UInt8[np.ndarray, "image"]


def read_published(folder: Path, part: str) -> Published:
    """Images and labels of the part train or t10k.

    Raises
    ------
    InputError : if a file is missing, truncated, altered, or not of Fashion-MNIST.
    """
    labels = read_labels(folder, part)
    images = _read(folder, f"{part}-images-idx3-ubyte", IMAGES_MAGIC)
    if images.shape[1:] != (SIDE, SIDE):
        _, height, width = images.shape
        raise InputError(f"{folder} has images {part} of {width}x{height}; those of Fashion-MNIST are {SIDE}x{SIDE}")
    if len(images) != len(labels):
        raise InputError(f"{folder} has {len(images):,} images {part} but {len(labels):,} labels; expected one each")
    return Published(images, labels)


def read_labels(folder: Path, part: str) -> UInt8[np.ndarray, "image"]:
    """The labels of the part train or t10k.

    Raises
    ------
    InputError : as `read_published`.
    """
    labels = _read(folder, f"{part}-labels-idx1-ubyte", LABELS_MAGIC)
    if labels.max(initial=0) >= CLASSES:
        raise InputError(f"{folder} has a label {labels.max()} in {part}; those of Fashion-MNIST are 0 to 9")
    return labels


def share(split: str, count: int) -> slice:
    """Positions of a split within its published part of `count` images."""
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
