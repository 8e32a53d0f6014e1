"""The file format of ``household``: a plain zip that holds, for every object, one lossless WebP of its 16 frames.

Members: ``manifest.csv`` (one row an object), ``images/NNNN.webp``, ``masks.bin`` (bit-packed, xz) and
``prompts.npy``. In a WebP the frames lie side by side and every value is a code: a third of the display value, or 86
where the pixel is nothing but backdrop (the backdrop is the same in every frame and is not stored).
"""

import csv
import io
import lzma
from dataclasses import astuple, dataclass, fields
from importlib.resources import files
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from prior_lab.data import archive

SIZE = 64
FRAMES = 16
STEP = 3
BACKDROP_CODE = 86
BACKDROP_TOP = (181, 201, 224)
BACKDROP_BOTTOM = (140, 163, 191)


@dataclass(frozen=True)
class ManifestRow:
    """What is recorded about one object; labels are '' where the object has none at that level."""

    object: str
    name: str
    creator: str
    licence: str
    catalogue: str
    model: str
    category: str
    group: str
    split: str
    coarse: str
    mid: str
    fine: str
    class_: str


def backdrop(size: int = SIZE) -> UInt8[np.ndarray, "height 3"]:
    """Display values of the backdrop in every row of a frame: a vertical gradient, computed in integers."""
    row = 2 * np.arange(size)[:, None] + 1
    top, bottom = np.array(BACKDROP_TOP), np.array(BACKDROP_BOTTOM)
    return ((top * (2 * size - row) + bottom * row + size) // (2 * size)).astype(np.uint8)


def encode_images(images: UInt8[np.ndarray, "frame height width 3"]) -> bytes:
    """One lossless WebP with the frames side by side.

    Raises
    ------
    ValueError : if a pixel is neither backdrop nor made of multiples of 3.
    """
    is_backdrop = (images == backdrop()[None, :, None]).all(axis=-1, keepdims=True)
    if (images % STEP != 0)[np.broadcast_to(~is_backdrop, images.shape)].any():
        raise ValueError("a pixel is neither backdrop nor a multiple of the step")
    codes = np.where(is_backdrop, BACKDROP_CODE, images // STEP).astype(np.uint8)
    wide = codes.transpose(1, 0, 2, 3).reshape(SIZE, len(images) * SIZE, 3)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "WEBP", lossless=True, quality=75, method=6, exact=True)
    return buffer.getvalue()


def decode_images(data: bytes, out: UInt8[np.ndarray, "frame 3 height width"]) -> None:
    """Undo ``encode_images``, channels first, into ``out``."""
    behind = backdrop()
    with Image.open(io.BytesIO(data)) as image:
        planes = image.split()
    for channel, plane in enumerate(planes):
        codes = np.asarray(plane)
        values = codes * np.uint8(STEP)
        np.copyto(values, behind[:, channel, None], where=codes == BACKDROP_CODE)
        out[:, channel] = values.reshape(SIZE, -1, SIZE).transpose(1, 0, 2)


def write_bundle(
    path: Path, rows: list[ManifestRow], images: list[bytes], masks: np.ndarray, prompts: np.ndarray
) -> None:
    """Write the file; its bytes depend on the arguments and on the versions of zlib, liblzma and libwebp only."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(field.name.rstrip("_") for field in fields(ManifestRow))
    writer.writerows(astuple(row) for row in rows)
    array = io.BytesIO()
    np.save(array, prompts)
    with ZipFile(path, "w") as file:
        archive.add_member(file, "manifest.csv", table.getvalue().encode(), ZIP_DEFLATED)
        archive.add_member(file, "prompts.npy", array.getvalue(), ZIP_DEFLATED)
        packed = lzma.compress(np.packbits(masks).tobytes(), check=lzma.CHECK_NONE, preset=9)
        archive.add_member(file, "masks.bin", packed, ZIP_STORED)
        for number, data in enumerate(images):
            archive.add_member(file, f"images/{number:04d}.webp", data, ZIP_STORED)


def bundle_path() -> Path:
    """Where the bundled file lies."""
    return Path(str(files("prior_lab"))) / "bundled" / "household.zip"


def recorded_sha256() -> str:
    """SHA-256 of the bundled file, from the record that lies beside it."""
    return archive.recorded_sha256(bundle_path())


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
        self._archive = archive.open_archive(path, sha256, "household")

    def manifest(self) -> tuple[ManifestRow, ...]:
        """One row an object, in the order of the file."""
        table = csv.reader(self._archive.read("manifest.csv").decode().splitlines())
        next(table)
        return tuple(ManifestRow(*row) for row in table)

    def webp(self, number: int) -> bytes:
        """The frames of one object as they are stored."""
        return self._archive.read(f"images/{number:04d}.webp")

    def images(self, objects: list[int]) -> UInt8[np.ndarray, "image 3 height width"]:
        """The frames of some objects, one object after the other."""
        out = np.empty((len(objects), FRAMES, 3, SIZE, SIZE), dtype=np.uint8)
        for place, number in enumerate(objects):
            decode_images(self.webp(number), out[place])
        return out.reshape(-1, 3, SIZE, SIZE)

    def masks(self, objects: list[int]) -> Bool[np.ndarray, "image height width"]:
        """Where the object covers more than half of a pixel."""
        packed = np.frombuffer(lzma.decompress(self._archive.read("masks.bin")), dtype=np.uint8)
        chosen = packed.reshape(-1, FRAMES * SIZE * SIZE // 8)[objects]
        return np.unpackbits(chosen).reshape(-1, SIZE, SIZE).view(np.bool_)

    def prompts(self, objects: list[int]) -> Float32[np.ndarray, "image 5"]:
        """The masks' Gaussians."""
        return np.load(io.BytesIO(self._archive.read("prompts.npy"))).reshape(-1, FRAMES, 5)[objects].reshape(-1, 5)
