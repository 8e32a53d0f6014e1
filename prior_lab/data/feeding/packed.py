"""Data larger than memory: any data set in a folder of NumPy files whose images are read when they are used.

``pack`` writes ``packed.json``, which says what is there, and one file ``COLUMN-SPLIT.npy`` a split for each column:
images, objects and labels, and masks and prompts where they are known. ``load_packed`` maps them into memory: a page of
a file is read when an image on it is first used, and the system forgets it when it needs room.
See ``data_cards/packed.md``.
"""

import json
import mmap
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from prior_lab.checks import Within, check_fields, parse_json
from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError
from prior_lab.files import part_beside, replacing

DESCRIPTION = "any of these packed for reading from disk, when it is larger than memory: path=FOLDER of data pack"
CONTENTS = "packed.json"
FORMAT = 1
PIECE = 64 * 2**20  # how much of the images `pack` wants at once [byte]
EXPECTED = "expected a folder that `python -m prior_lab data pack` wrote"
# Copy-on-write without a reservation: without the flag Linux refuses to map a file that is larger than memory.
PRIVATE = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
_MAPPED: WeakValueDictionary[int, mmap.mmap] = WeakValueDictionary()  # by where the tensor of a file begins


@dataclass(frozen=True)
class Contents:
    """What ``packed.json`` says.

    Attributes
    ----------
    name : the data set that was packed.
    height, width : of the images [pixel].
    columns : which of images, objects, labels, masks and prompts there are.
    splits : how many images each split has.
    """

    format: int
    name: str
    height: Annotated[int, Within(1, 2**16)]
    width: Annotated[int, Within(1, 2**16)]
    columns: tuple[str, ...]
    splits: dict[str, int]
    object_names: tuple[str, ...]
    taxonomies: tuple[str, ...]
    label_names: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        check_fields(self)
        missing = [name for name in ("images", "objects", "labels") if name not in self.columns]
        if missing or not set(self.columns) <= {"images", "objects", "labels", "masks", "prompts"}:
            raise InputError(f"columns are {', '.join(self.columns)}; expected images, objects, labels, masks, prompts")
        if not self.splits or min(self.splits.values()) < 1:
            raise InputError("splits must have one image or more each")
        if len(self.label_names) != len(self.taxonomies):
            raise InputError(f"{len(self.label_names)} of {len(self.taxonomies)} taxonomies have names of labels")

    @classmethod
    def of(cls, piece: ImageDataset, splits: Mapping[str, int]) -> Self:
        """What there is to say of a data set."""
        *_, height, width = piece.images.shape
        return cls(
            format=FORMAT,
            name=piece.name,
            height=height,
            width=width,
            columns=tuple(_columns(piece)),
            splits=dict(splits),
            object_names=piece.object_names,
            taxonomies=piece.taxonomies,
            label_names=piece.label_names,
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What the file in a folder says.

        Raises
        ------
        InputError : if there is no such folder or file, or it is not what `pack` writes.
        """
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; {EXPECTED}")
        path = folder / CONTENTS
        try:
            stored = parse_json(path.read_text(encoding="utf-8"), str(path))
            found = stored["format"]
            if found == FORMAT:
                stored["label_names"] = map(tuple, stored["label_names"])
                lists = ("columns", "object_names", "taxonomies", "label_names")
                contents = cls(**stored | {name: tuple(stored[name]) for name in lists})
                for column, split in product(contents.columns, contents.splits):
                    contents.column(column, split)
                return contents
        except InputError as error:
            raise InputError(f"{path} cannot be read as the contents of packed data ({error}); {EXPECTED}") from error
        except FileNotFoundError as error:
            raise InputError(f"{folder} has no {CONTENTS}; {EXPECTED}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read as the contents of packed data; {EXPECTED}") from error
        raise InputError(f"{path} is of format {found}; this version of prior_lab reads format {FORMAT}")

    def column(self, name: str, split: str) -> tuple[type[np.generic], tuple[int, ...]]:
        """Type and shape of a column of a split."""
        rows: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "images": (np.uint8, (3, self.height, self.width)),
            "objects": (np.int64, ()),
            "labels": (np.int64, (len(self.taxonomies),)),
            "masks": (np.bool_, (self.height, self.width)),
            "prompts": (np.float32, (5,)),
        }
        dtype, row = rows[name]
        return dtype, (self.splits[split], *row)


def load_packed(path: Path, split: str = "train", *, size: int | None = None) -> ImageDataset:
    """One split, mapped into memory: nothing is read before it is used, and what is written to it stays in memory.

    Parameters
    ----------
    path : the folder that `pack` wrote.
    split : one of those that were packed.
    size : side of the images [pixel], only to make sure that they were packed so.

    Returns
    -------
    dataset : equal to what was packed, under its own name.

    Raises
    ------
    InputError : if there is no such folder or split, a file is missing, damaged or of another size than `packed.json`
        says, and if another size is wanted.
    """
    contents = Contents.read(path)
    if split not in contents.splits:
        raise InputError(f"{path} has no split {split!r}; packed are {', '.join(contents.splits)}")
    if size is not None and (contents.height, contents.width) != (size, size):
        raise InputError(
            f"{path} was packed at {contents.width}x{contents.height} pixels and cannot be read at {size}x{size}; "
            f"pack it with --size {size}"
        )
    columns = {name: _map(path / _file_name(name, split), *contents.column(name, split)) for name in contents.columns}
    _require_numbers(path, contents, columns)
    return ImageDataset(
        name=contents.name,
        split=split,
        images=columns["images"],
        objects=columns["objects"],
        object_names=contents.object_names,
        masks=columns.get("masks"),
        prompts=columns.get("prompts"),
        taxonomies=contents.taxonomies,
        labels=columns["labels"],
        label_names=contents.label_names,
    )


def _require_numbers(path: Path, contents: Contents, columns: Mapping[str, Tensor]) -> None:
    """Objects and labels have names, and prompts are numbers."""
    if int(columns["objects"].min()) < 0 or int(columns["objects"].max()) >= len(contents.object_names):
        raise InputError(f"{path} has objects beyond the {len(contents.object_names)} names in {CONTENTS}; pack anew")
    for level, names in enumerate(contents.label_names):
        labels = columns["labels"][:, level]
        if int(labels.min()) < -1 or int(labels.max()) >= len(names):
            taxonomy = contents.taxonomies[level]
            raise InputError(f"{path} has labels beyond the {len(names)} names of {taxonomy}; pack the data set anew")
    if "prompts" in columns and not columns["prompts"].isfinite().all():
        raise InputError(f"{path} has prompts that are not finite numbers; pack the data set anew")


def fetch(images: Shaped[Tensor, "image ..."], indices: Int64[Tensor, "chosen"]) -> Shaped[Tensor, "chosen ..."]:
    """Some images of a tensor; if it is mapped, all of them are asked of the disk before the first is waited for.

    `images[indices]` waits for one page after another, and the system reads far around each; for random images of
    64 x 64 pixels on one disk this was two to three times as fast, and a tenth was read.
    """
    mapped = _mapping(images)
    if mapped is not None and images.is_contiguous() and hasattr(mmap, "MADV_WILLNEED"):
        row = images[0].numel() * images.element_size()
        first = images.data_ptr() - np.ndarray((), np.uint8, mapped).ctypes.data
        for index in indices.tolist():
            start = first + index % len(images) * row
            page = start // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, page, start + row - page)
    return images[indices]


def is_mapped(images: Shaped[Tensor, "image ..."]) -> bool:
    """Whether images are read from disk when they are used."""
    return _mapping(images) is not None


def _mapping(images: Tensor) -> mmap.mmap | None:
    return _MAPPED.get(images.untyped_storage().data_ptr())


def pack(pieces: Callable[[str], Iterable[ImageDataset]], splits: Sequence[str], out: Path) -> Contents:
    """Write a data set into a folder, which appears whole or not at all.

    Parameters
    ----------
    pieces : gives a split piece by piece; one piece is in memory at a time.
    splits : which splits to write.
    out : the new folder.

    Returns
    -------
    contents : what was written.

    Raises
    ------
    InputError : if `out` is there already or cannot be written, no split is named or one twice, images differ in size,
        and if the data set changed meanwhile.
    """
    if not splits or len(set(splits)) < len(splits):
        raise InputError(
            f"the splits {', '.join(splits) or '(none)'} cannot be packed; expected at least one, and each once"
        )
    try:
        with _appearing(out) as folder:
            written = [_write_split(folder, split, pieces(split)) for split in splits]
            contents = _joined(written)
            with replacing(folder / CONTENTS) as path:
                path.write_text(json.dumps(asdict(contents)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"the data could not be packed into {out}: {error}") from error
    return contents


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to write to; it becomes `out` when the block ends without an exception, and is removed otherwise."""
    if out.exists():
        raise InputError(f"{out} is there already; remove it, or name another folder")
    building = part_beside(out)
    building.mkdir(parents=True)
    try:
        yield building
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_split(folder: Path, split: str, pieces: Iterable[ImageDataset]) -> Contents:
    contents: Contents | None = None
    count = 0
    with ExitStack() as files:
        appends: dict[str, Callable[[np.ndarray], None]] = {}
        for piece in pieces:
            count += len(piece)
            contents = _joined([*([contents] if contents else []), Contents.of(piece, {split: count})])
            for name, tensor in _columns(piece).items():
                if name not in appends:
                    dtype, (_, *row) = contents.column(name, split)
                    appends[name] = files.enter_context(_growing(folder / _file_name(name, split), dtype, row))
                appends[name](tensor.numpy())
    if contents is None:
        raise InputError(f"the split {split!r} has no images to pack")
    return contents


def _joined(parts: Sequence[Contents]) -> Contents:
    """The contents of all parts, which may differ in their splits only."""
    first, *others = parts
    splits = dict(first.splits)
    for other in others:
        if (first.height, first.width) != (other.height, other.width):
            raise InputError(
                f"{first.name} has images of different sizes, {first.width}x{first.height} and "
                f"{other.width}x{other.height}; pass size= to resize and crop them all"
            )
        splits |= other.splits
        if replace(other, splits=first.splits) != first:
            raise InputError(f"{first.name} changed while it was packed; pack it when its files are at rest")
    return replace(first, splits=splits)


def _columns(data: ImageDataset) -> dict[str, Tensor]:
    columns = {name: getattr(data, name) for name in ("images", "objects", "labels", "masks", "prompts")}
    return {name: tensor for name, tensor in columns.items() if tensor is not None}


def _file_name(column: str, split: str) -> str:
    return f"{column}-{split}.npy"


@contextmanager
def _growing(path: Path, dtype: type[np.generic], row: Sequence[int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Appends rows to a NumPy file; its head has room for any number of rows, and is written again at the end."""
    count = 0
    with replacing(path) as temporary, temporary.open("wb") as file:

        def write_head() -> None:
            head: dict[str, Any] = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count, *row)}
            np.lib.format.write_array_header_1_0(file, head)

        def append(rows: np.ndarray) -> None:
            nonlocal count
            file.write(np.ascontiguousarray(rows, dtype=dtype).data.cast("B") if rows.size else b"")
            count += len(rows)

        write_head()
        yield append
        file.seek(0)
        write_head()


def _map(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> Tensor:
    """A NumPy file as a tensor whose pages are read when they are used, and copied when they are written to."""
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("unknown version")
            found = np.lib.format.read_array_header_1_0(file)
            start, end = file.tell(), file.seek(0, os.SEEK_END)
            mapped = mmap.mmap(file.fileno(), 0, flags=PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; pack the data set anew") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable NumPy file: {error}; pack the data set anew") from error
    if found != (shape, False, np.dtype(dtype)) or end - start != prod(shape) * np.dtype(dtype).itemsize:
        raise InputError(
            f"{path} holds {end - start:,} bytes, by its head {found[2]} of shape {found[0]}; "
            f"expected {np.dtype(dtype)} of shape {shape}, as {CONTENTS} says; pack the data set anew"
        )
    tensor = torch.from_numpy(np.ndarray(shape, dtype, mapped, offset=start))
    _MAPPED[tensor.data_ptr()] = mapped
    return tensor
