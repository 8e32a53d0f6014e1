"""The file format of ``emoji``: a plain zip that holds, for every concept, one lossless WebP of its drawings.

Members: ``manifest.csv`` (one row a drawing), ``images/NNNN.webp`` (the drawings of one concept side by side, as they
are shown), ``masks.bin`` (bit-packed, xz), ``prompts.npy`` and ``near_duplicates.csv``.
"""

import csv
import io
import lzma
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from prior_lab.data import archive
from prior_lab.data.emoji.recipe import SIZE


@dataclass(frozen=True)
class Drawing:
    """What is told about one drawing.

    Attributes
    ----------
    concept : Unicode's name of what it shows.
    codes : its code points in hexadecimal, joined by hyphens.
    group, subgroup : Unicode's, also where the subgroup is too small to be a label.
    artist : one of ``recipe.ARTIST_NAMES``.
    package, version, source : where it comes from, and what it is called there.
    author, url, licence : whose it is, and under which licence (SPDX).
    split : train, validation or test.
    family : code points of the first concept of the family of near-duplicates; its own where there is none.
    """

    concept: str
    codes: str
    group: str
    subgroup: str
    artist: str
    package: str
    version: str
    source: str
    author: str
    url: str
    licence: str
    split: str
    family: str


@dataclass(frozen=True)
class NearDuplicate:
    """Two drawings whose perceptual hashes differ in so many of 255 bits."""

    concept: str
    artist: str
    other_concept: str
    other_artist: str
    bits: int


Row = TypeVar("Row", Drawing, NearDuplicate)


def bundle_path() -> Path:
    """Where the bundled file lies."""
    return Path(str(files("prior_lab"))) / "bundled" / "emoji.zip"


def recorded_sha256() -> str:
    """SHA-256 of the bundled file, from the record that lies beside it."""
    return archive.recorded_sha256(bundle_path())


def encode_images(images: UInt8[np.ndarray, "drawing height width 3"]) -> bytes:
    """One lossless WebP with the drawings side by side."""
    wide = images.transpose(1, 0, 2, 3).reshape(SIZE, len(images) * SIZE, 3)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "WEBP", lossless=True, quality=75, method=6, exact=True)
    return buffer.getvalue()


def decode_images(data: bytes) -> UInt8[np.ndarray, "drawing 3 height width"]:
    """Undo ``encode_images``, channels first."""
    with Image.open(io.BytesIO(data)) as image:
        wide = np.asarray(image)
    return wide.reshape(SIZE, -1, SIZE, 3).transpose(1, 3, 0, 2)


def by_concept(drawings: Iterable[Drawing]) -> list[list[Drawing]]:
    """Drawings of one concept, which follow each other, as one list each."""
    return [list(members) for _, members in groupby(drawings, key=lambda drawing: drawing.codes)]


def write_bundle(
    path: Path,
    drawings: Sequence[Drawing],
    images: Sequence[bytes],
    masks: Bool[np.ndarray, "drawing height width"],
    prompts: Float32[np.ndarray, "drawing 5"],
    near_duplicates: Sequence[NearDuplicate],
) -> None:
    """Write the file; its bytes depend on the arguments and on the versions of zlib, liblzma and libwebp only.

    Parameters
    ----------
    images : one lossless WebP a concept, in the order of the drawings.
    """
    array = io.BytesIO()
    np.save(array, prompts)
    with ZipFile(path, "w") as file:
        archive.add_member(file, "manifest.csv", _table(Drawing, drawings), ZIP_DEFLATED)
        archive.add_member(file, "near_duplicates.csv", _table(NearDuplicate, near_duplicates), ZIP_DEFLATED)
        archive.add_member(file, "prompts.npy", array.getvalue(), ZIP_DEFLATED)
        packed = lzma.compress(np.packbits(masks).tobytes(), check=lzma.CHECK_NONE, preset=9)
        archive.add_member(file, "masks.bin", packed, ZIP_STORED)
        for number, data in enumerate(images):
            archive.add_member(file, f"images/{number:04d}.webp", data, ZIP_STORED)


class Bundle:
    """An open bundle.

    Parameters
    ----------
    path : the file.
    sha256 : what its SHA-256 must be.

    Raises
    ------
    InputError : if the file is missing, truncated or altered.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self._archive = archive.open_archive(path, sha256, "emoji")

    def drawings(self) -> tuple[Drawing, ...]:
        """The manifest: one row a drawing, the drawings of a concept one after the other."""
        return tuple(Drawing(*row) for row in self._rows("manifest.csv"))

    def near_duplicates(self) -> tuple[NearDuplicate, ...]:
        """The pairs of drawings that look alike."""
        rows = self._rows("near_duplicates.csv")
        return tuple(NearDuplicate(row[0], row[1], row[2], row[3], int(row[4])) for row in rows)

    def webp(self, concept: int) -> bytes:
        """The drawings of one concept as they are stored."""
        return self._archive.read(f"images/{concept:04d}.webp")

    def images(self, concepts: Iterable[int]) -> UInt8[np.ndarray, "drawing 3 height width"]:
        """The drawings of some concepts, one concept after the other."""
        strips = [decode_images(self.webp(concept)) for concept in concepts]
        out = np.empty((sum(map(len, strips)), 3, SIZE, SIZE), dtype=np.uint8)
        return np.concatenate(strips, out=out)

    def masks(self) -> Bool[np.ndarray, "drawing height width"]:
        """Where every drawing covers more than half of a pixel."""
        packed = np.frombuffer(lzma.decompress(self._archive.read("masks.bin")), dtype=np.uint8)
        return np.unpackbits(packed).reshape(-1, SIZE, SIZE).view(np.bool_)

    def prompts(self) -> Float32[np.ndarray, "drawing 5"]:
        """The masks' Gaussians."""
        return np.asarray(np.load(io.BytesIO(self._archive.read("prompts.npy"))))

    def _rows(self, name: str) -> list[list[str]]:
        return list(csv.reader(self._archive.read(name).decode().splitlines()))[1:]


def _table(kind: type[Row], rows: Iterable[Row]) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(row) for row in rows)
    return table.getvalue().encode()
