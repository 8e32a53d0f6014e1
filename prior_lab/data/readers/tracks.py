"""What ``folder`` and ``mvimgnet2`` share: frames with masks, label levels from a table, and splits by object."""

import csv
import hashlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from prior_lab.data.prompts import mask_gaussians
from prior_lab.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SHARES = {"train": (0.0, 0.70), "validation": (0.70, 0.85), "test": (0.85, 1.0)}
LABELS = "labels.csv"
HALF = {"1": 0, "L": 127, "I;16": 32767}  # what a pixel of an object exceeds, by the mode of the mask
UNBOUNDED = ("I", "F")  # modes whose values have no range that would define white
PIXEL = 12**-0.5  # standard deviation of a pixel: that of a mask one pixel wide, whose own would be 0
SHOWN = 3  # names that a sentence lists


class UnreadableError(InputError):
    """A frame that is skipped on request: its image or its mask cannot be read, or the mask is empty."""


@dataclass(frozen=True)
class Frame:
    """An image file, the number of the object that it shows, and the file of the object's mask."""

    object: int
    image: Path
    mask: Path | None = None


@dataclass(frozen=True)
class Photographs:
    """Frames that were read; the fields are those of ``ImageDataset``."""

    objects: Int64[Tensor, "image"]
    images: UInt8[Tensor, "image 3 height width"]
    masks: Bool[Tensor, "image height width"] | None
    prompts: Float32[Tensor, "image 5"] | None


@dataclass(frozen=True)
class Labels:
    """Label levels with the labels of each, and one row per labelled name: indices of its labels, -1 for none."""

    taxonomies: tuple[str, ...]
    label_names: tuple[tuple[str, ...], ...]
    rows: dict[str, tuple[int, ...]]

    def of(self, names: Sequence[str]) -> Int64[Tensor, "name taxonomy"]:
        """Labels of some names; a name without a row has none at any level."""
        nothing = (-1,) * len(self.taxonomies)
        return torch.tensor([self.rows.get(name, nothing) for name in names], dtype=torch.int64)


def split_names(names: Sequence[str], split: str) -> list[str]:
    """Names in a split, in alphabetical order: 70, 15 or 15 % of them by their SHA-256, or all."""
    if split == "all":
        return sorted(names)
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    low, high = (round(share * len(order)) for share in SHARES[split])
    return sorted(order[low:high])


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder in the order of their names, without masks."""
    found = [child for child in folder.iterdir() if child.suffix.lower() in SUFFIXES]
    for child in found:
        if child.is_symlink() and not child.exists():
            raise InputError(f"{child} is a link to what is not there; mend it or remove it")
        require_plain(child.name, str(folder))
    images = [child for child in found if child.is_file()]
    return sorted(image for image in images if not image.name.lower().endswith(".mask.png"))


def require_plain(name: str, where: str) -> None:
    """Refuse a name that cannot be written in a table, a file of results or a page.

    Raises
    ------
    InputError : if it holds a line break or another control character, or is no UTF-8.
    """
    if not name.isprintable() or name.encode(errors="replace") != name.encode(errors="ignore"):
        raise InputError(f"{where} holds the name {name!r}; names are printable text in UTF-8")


def read_labels(table: Path, key: str) -> Labels:
    """Label levels from a table in CSV; none if there is no such file.

    Parameters
    ----------
    table : its header is ``KEY,LEVEL1,LEVEL2,...``, its cells are labels, and an empty cell is no label.
    key : header of the first column, which names what is labelled.

    Raises
    ------
    InputError : if the file cannot be read, and for a wrong header, a row of another length, a name that is missing or
        there twice, and a level without labels.
    """
    if table.is_symlink() and not table.exists():
        raise InputError(f"{table} is a link to what is not there; mend it or remove it")
    if not table.exists():
        return Labels((), (), {})
    (_, header), *lines = _read_table(table, key)
    levels = _levels(table, header, key)
    cells: dict[str, list[str]] = {}
    for number, row in lines:
        if len(row) != len(header):
            raise InputError(f"{table}, line {number}, has {len(row)} cells; expected {len(header)}, as in the header")
        if not row[0]:
            raise InputError(f"{table}, line {number}, has nothing in the column {key}; expected a name")
        for cell in row:
            require_plain(cell, f"{table}, line {number},")
        if row[0] in cells:
            raise InputError(f"{table}, line {number}, names {row[0]} once more; expected one row each")
        cells[row[0]] = row[1:]
    columns = [sorted({row[level] for row in cells.values()} - {""}) for level in range(len(levels))]
    for level, column in zip(levels, columns, strict=True):
        if not column:
            raise InputError(f"{table} has no label in the column {level}; fill it or leave it out")
    index = [{"": -1} | {label: number for number, label in enumerate(column)} for column in columns]
    rows = {name: tuple(index[level][label] for level, label in enumerate(row)) for name, row in cells.items()}
    return Labels(levels, tuple(map(tuple, columns)), rows)


def _read_table(table: Path, key: str) -> list[tuple[int, list[str]]]:
    """Rows with anything in them, the header first, each with the number of its line."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except UnicodeDecodeError as error:
        raise InputError(f"{table} is not in UTF-8; expected a table saved as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{table} is no readable table: {error}") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        raise InputError(f"{table} is empty; expected the header {key},LEVEL1,LEVEL2,...")
    return rows


def _levels(table: Path, header: list[str], key: str) -> tuple[str, ...]:
    expected = f"expected the header {key},LEVEL1,LEVEL2,..."
    first, *levels = header
    if first != key:
        raise InputError(f"{table} has no first column {key} but {first!r}; {expected}")
    if not levels:
        raise InputError(f"{table} has no label level; {expected}")
    if "" in levels or len(set(levels)) < len(levels):
        raise InputError(f"{table} has the levels {', '.join(map(repr, levels))}; expected a name of its own for each")
    return tuple(levels)


def first_few(names: Sequence[str]) -> str:
    """The first few of some names, for a sentence."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def read_frames(
    path: Path,
    frames: Sequence[Frame],
    *,
    size: int | None,
    convert: Literal["rgb"] | None,
    unreadable: Literal["raise", "skip"],
    limit: int | None,
) -> Iterator[Photographs]:
    """Read frames, and masks where they have them, piece by piece; threads fill the arrays of a piece.

    Parameters
    ----------
    path : the folder that they are from, for sentences.
    frames : either all of them have masks or none.
    size : side of the square to which frames and masks are resized and centre-cropped [pixel]; the camera's EXIF
        orientation is applied. Without it they are taken as they are and must all have the same size.
    convert : "rgb" turns grey, palette and translucent images into RGB, translucent ones over white.
    unreadable : "skip" warns of frames that cannot be read, or whose mask is empty, instead of raising.
    limit : how much a piece's images take [byte], at least one image; without it there is one piece.

    Raises
    ------
    InputError : for an unreadable frame, images of different sizes, of another mode than RGB or too large for memory,
        a mask of another kind or size than its frame, and if nothing is left.
    """
    width, height = (size, size) if size is not None else _common_size(path, frames, unreadable)
    count = piece_length(len(frames), width * height, limit)
    errors: list[UnreadableError] = []
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(frames), count):
            arrays = _reserve(path, min(count, len(frames) - start), width, height, masked=frames[0].mask is not None)
            skipped = _fill(arrays, frames[start : start + count], threads, size, convert, unreadable)
            if len(skipped) < len(arrays[0]):
                yield _photographs(arrays, frames[start : start + count], skipped)
            errors += skipped.values()
    if errors:
        _tell_skipped(path, errors, len(frames))


def piece_length(count: int, pixels: int, limit: int | None) -> int:
    """How many of some RGB images to read at once, so that they take no more than a limit [byte]."""
    return count if limit is None else max(1, min(count, limit // (3 * pixels)))


def _fill(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray],
    frames: Sequence[Frame],
    threads: ThreadPoolExecutor,
    size: int | None,
    convert: str | None,
    unreadable: str,
) -> dict[int, UnreadableError]:
    """Read a piece into images, masks and prompts; what was wrong with those that are skipped, by position."""
    images, masks, prompts = arrays

    def fill(index: int) -> UnreadableError | None:
        try:
            image, mask = _read(frames[index], size, convert)
        except UnreadableError as error:
            if unreadable == "raise":
                raise
            return error
        images[index] = image.transpose(2, 0, 1)
        if mask is not None:
            masks[index], prompts[index] = mask, mask_gaussians(mask[None])[0]
            prompts[index, 2:4] = np.maximum(prompts[index, 2:4], PIXEL)
        return None

    errors = threads.map(fill, range(len(frames)))
    return {index: error for index, error in enumerate(errors) if error is not None}


def _photographs(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray], frames: Sequence[Frame], skipped: Collection[int]
) -> Photographs:
    """A piece without what was skipped; no copy if that is nothing."""
    images, masks, prompts = arrays
    kept = [index for index in range(len(frames)) if index not in skipped] if skipped else slice(None)
    return Photographs(
        objects=torch.tensor([frame.object for frame in frames])[kept],
        images=torch.from_numpy(images)[kept],
        masks=torch.from_numpy(masks)[kept] if len(masks) else None,
        prompts=torch.from_numpy(prompts)[kept] if len(masks) else None,
    )


def _common_size(path: Path, frames: Sequence[Frame], unreadable: str) -> tuple[int, int]:
    """Width and height of all images, from the heads of their files."""
    sizes: Counter[tuple[int, int]] = Counter()
    for frame in frames:
        try:
            with _named(frame.image), Image.open(frame.image) as image:
                sizes[image.size] += 1
        except UnreadableError:
            if unreadable == "raise":
                raise
    if len(sizes) > 1:
        found = ", ".join(f"{width}x{height} ({count})" for (width, height), count in sizes.most_common(5))
        raise InputError(f"{path} has images of different sizes: {found}; pass size= to resize and crop them all")
    return next(iter(sizes), (1, 1))


def _reserve(
    path: Path, count: int, width: int, height: int, *, masked: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays for images, masks and prompts; the latter two are empty without masks."""
    masks = count if masked else 0
    try:
        return (
            np.empty((count, 3, height, width), dtype=np.uint8),
            np.empty((masks, height, width), dtype=np.bool_),
            np.empty((masks, 5), dtype=np.float32),
        )
    except MemoryError as error:
        amount = f"{count * 3 * width * height / 1e9:,.0f} GB"
        raise InputError(
            f"{path} has {count:,} images, which need {amount} of memory at {width}x{height}; pass a smaller size="
        ) from error


def _tell_skipped(path: Path, errors: Sequence[UnreadableError], count: int) -> None:
    if len(errors) == count:
        raise InputError(f"{path} has no readable image among {count:,}, the first: {errors[0]}")
    skipped = f"{len(errors):,} of {count:,} images of {path} were skipped, the first: {errors[0]}"
    warnings.warn(skipped, stacklevel=6)  # at the line that called load_dataset


def _read(frame: Frame, size: int | None, convert: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    image = _open(frame.image, size)
    if image.mode != "RGB":
        if convert is None:
            raise InputError(f"{frame.image} is not RGB but {_kind(image)}; pass convert='rgb' to convert such images")
        if image.mode in UNBOUNDED:
            raise InputError(f"{frame.image} is {_kind(image)}, of no known range; expected 8 or 16 bits a channel")
        image = _to_rgb(image)
    mask = None if frame.mask is None else _read_mask(frame.mask, image.size, size)
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image), mask


def _read_mask(path: Path, image_size: tuple[int, int], size: int | None) -> np.ndarray:
    """Where the object covers more than half of a pixel."""
    image = _open(path, size)
    if image.mode not in HALF:
        raise InputError(f"the mask {path} is {_kind(image)}; expected greyscale or black and white")
    if image.size != image_size:
        own, other = (f"{width}x{height}" for width, height in (image.size, image_size))
        raise InputError(f"{path} is a mask of another size than its image, {own} instead of {other}")
    mask = np.asarray(image) > HALF[image.mode]
    if size is not None:
        covered = ImageOps.fit(Image.fromarray(mask.astype(np.float32)), (size, size), Image.Resampling.BOX)
        mask = np.asarray(covered) > 0.5
    if not mask.any():
        height, width = mask.shape
        raise UnreadableError(f"the mask {path} is empty: at {width}x{height} nothing of it is above half")
    return mask


def _open(path: Path, size: int | None) -> Image.Image:
    with _named(path), Image.open(path) as opened:
        image = opened if size is None else ImageOps.exif_transpose(opened)
        image.load()
    return image


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever an image file is not readable for is reported with its name."""
    try:
        yield
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError(f"{path} is no readable image: {error}") from error


def _kind(image: Image.Image) -> str:
    kinds = {"L": "greyscale", "1": "black and white", "LA": "greyscale with alpha", "RGBA": "RGB with alpha (RGBA)"}
    return kinds.get(image.mode, f"of mode {image.mode}")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    translucent = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, translucent).convert("RGB")
