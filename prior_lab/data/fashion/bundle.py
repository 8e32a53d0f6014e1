"""The file format of the bundled ``fashion``: a plain zip with the pixels and the published positions of some images.

Of every class the first 1,000 of the training images, the first 200 of the validation images and all of the test images
are in it. A split is two members: ``SPLIT.positions``, for every image its position in the published part (int32, the
low byte first), class by class and rising within a class, and ``SPLIT.xz``, the pixels in that order, column by column:
so that what is alike lies side by side, which xz makes most of (lossless WebP sheets are 6 % larger). ``LICENSE`` is
the publisher's.
"""

import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from jaxtyping import Int64, UInt8

from prior_lab.data import archive
from prior_lab.data.fashion.files import CLASSES, PARTS, SIDE, SPLITS, Published, read_published, share
from prior_lab.errors import InputError
from prior_lab.files import sha256, writing

CHOSEN = {"train": 1000, "validation": 200, "test": 1000}  # images of each class
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0, "nice_len": 273}]
LICENCE = """The MIT License (MIT) Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the “Software”), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED “AS IS”, WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""  # noqa: E501


@dataclass(frozen=True, eq=False)
class Chosen:
    """The images of a split that are bundled, in the order in which they were published.

    Attributes
    ----------
    positions : in the published part.
    """

    images: UInt8[np.ndarray, "image 28 28"]
    labels: Int64[np.ndarray, "image"]
    positions: Int64[np.ndarray, "image"]


def build_fashion(source: Path, out: Path) -> str:
    """Write the bundle from the published files.

    Parameters
    ----------
    source : folder with the four files, /usr/share/datasets/fashion-mnist on Debian.
    out : the file to write; it appears only when it is complete.

    Returns
    -------
    sha256 : of the written file. Whether it is that of the bundled file is printed.

    Raises
    ------
    InputError : if a file is missing, truncated or altered, or a class has too few images.
    """
    parts = {part: read_published(source, part) for part in dict.fromkeys(PARTS.values())}
    with writing(out) as path:
        write_bundle(path, {split: choose(parts[PARTS[split]], split) for split in SPLITS})
    digest = sha256(out)
    print(archive.rebuilt_verdict(out, digest, bundle_path(), "another version of liblzma"))
    return digest


def choose(part: Published, split: str) -> Chosen:
    """The first images of every class within a split of a published part.

    Raises
    ------
    InputError : if there are too few.
    """
    within = share(split, len(part.labels))
    of_class = [
        np.flatnonzero(part.labels[within] == label)[: CHOSEN[split]] + within.start for label in range(CLASSES)
    ]
    short = next((label for label, found in enumerate(of_class) if len(found) < CHOSEN[split]), None)
    if short is not None:
        raise InputError(
            f"the published images have {len(of_class[short])} of label {short} for the split {split}; expected "
            f"{CHOSEN[split]} or more"
        )
    positions = np.sort(np.concatenate(of_class))
    return Chosen(part.images[positions], part.labels[positions].astype(np.int64), positions)


def write_bundle(path: Path, splits: Mapping[str, Chosen]) -> None:
    """Write the file; its bytes depend on the arguments and on the version of liblzma only."""
    with ZipFile(path, "w") as file:
        archive.add_member(file, "LICENSE", LICENCE.encode(), ZIP_STORED)
        for split, chosen in splits.items():
            order = np.argsort(chosen.labels, kind="stable")
            columns = np.ascontiguousarray(chosen.images[order].transpose(0, 2, 1))
            positions = chosen.positions[order].astype("<i4").tobytes()
            archive.add_member(file, f"{split}.positions", positions, ZIP_STORED)
            pixels = lzma.compress(columns.tobytes(), filters=FILTERS)
            archive.add_member(file, f"{split}.xz", pixels, ZIP_STORED)


def bundle_path() -> Path:
    """Where the bundled file lies."""
    return Path(str(files("prior_lab"))) / "bundled" / "fashion.zip"


def recorded_sha256() -> str:
    """SHA-256 of the bundled file, from the record that lies beside it."""
    return archive.recorded_sha256(bundle_path())


class FashionBundle:
    """The bundled file, or another that must equal it.

    Raises
    ------
    InputError : if the file is missing, truncated or altered.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._archive = archive.open_archive(path or bundle_path(), recorded_sha256(), "fashion")

    def positions(self, split: str) -> Int64[np.ndarray, "image"]:
        """Of the images of a split in their published part, rising."""
        return np.sort(self._stored_positions(split))

    def read(self, split: str) -> Chosen:
        """The images of a split."""
        stored = self._stored_positions(split)
        columns = np.frombuffer(lzma.decompress(self._archive.read(f"{split}.xz")), np.uint8)
        order = np.argsort(stored)
        images = columns.reshape(-1, SIDE, SIDE)[order].transpose(0, 2, 1)
        return Chosen(images, np.arange(CLASSES).repeat(CHOSEN[split])[order], stored[order])

    def _stored_positions(self, split: str) -> Int64[np.ndarray, "image"]:
        return np.frombuffer(self._archive.read(f"{split}.positions"), "<i4").astype(np.int64)
