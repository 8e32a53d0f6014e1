"""Reader of ``ffhq``: photographs of faces in the layouts in which Karras, Laine and Aila (2019) published them.

Nothing is downloaded: whoever has the images passes their folder. ``data_cards/ffhq.md`` tells whose they are.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from prior_lab.data.dataset import ImageDataset
from prior_lab.data.readers.tracks import piece_length
from prior_lab.errors import InputError

DESCRIPTION = "your copy of the 70,000 photographs of Flickr-Faces-HQ: path=FOLDER with its images or thumbnails"
LAYOUTS = ("images1024x1024", "thumbnails128x128")
SPLITS = {
    "train": range(60_000),
    "validation": range(60_000, 65_000),
    "test": range(65_000, 70_000),
    "all": range(70_000),
}
THOUSAND = 1000  # images in a folder


def load_ffhq(path: Path, split: str = "train", *, size: int | None = None) -> ImageDataset:
    """Read the images of one split; files of other names are passed over, and missing images are allowed.

    Parameters
    ----------
    path : ``images1024x1024`` or ``thumbnails128x128``, the folder around one of them, or any folder that holds
        ``00000/00000.png`` or ``00000.png`` and so on.
    split : train, validation or test, by number: the published 60,000 for training, and the two halves of the published
        10,000 for validation; or all.
    size : side to which the square images are resized [pixel]; by default they are taken as they are and must all have
        the same size.

    Raises
    ------
    InputError : for a folder without such images, an unknown split, one that is empty here, an unreadable image, and
        one that is not square, not RGB or of another size.
    """
    (whole,) = ffhq_pieces(path, split, size=size, limit=None)
    return whole


def ffhq_pieces(path: Path, split: str, *, size: int | None, limit: int | None) -> Iterator[ImageDataset]:
    """What `load_ffhq` reads, piece after piece, the images of each no larger than a limit [byte]."""
    if split not in SPLITS:
        raise InputError(f"ffhq has no split {split!r}; there are {', '.join(SPLITS)}")
    found = _find(Path(path))
    numbers = sorted(found)
    chosen = [(position, found[number]) for position, number in enumerate(numbers) if number in SPLITS[split]]
    if not chosen:
        wanted = SPLITS[split]
        raise InputError(
            f"{path} has no image of the split {split!r}, numbers {wanted[0]:05d} to {wanted[-1]:05d}; "
            f"it has {len(numbers):,}, from {numbers[0]:05d} to {numbers[-1]:05d}"
        )
    names, first = tuple(f"{number:05d}" for number in numbers), chosen[0][1]
    side = size or len(_read(first, None))
    count = piece_length(len(chosen), side**2, limit)
    for piece in (chosen[start : start + count] for start in range(0, len(chosen), count)):
        yield ImageDataset(
            name="ffhq",
            split=split,
            images=torch.from_numpy(_read_all([image for _, image in piece], size, side, first)),
            objects=torch.tensor([position for position, _ in piece]),
            object_names=names,
            masks=None,
            prompts=None,
            taxonomies=(),
            labels=torch.zeros(len(piece), 0, dtype=torch.int64),
            label_names=(),
        )


def _find(path: Path) -> dict[int, Path]:
    """Images by number, in whichever layout they are."""
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected FFHQ's folder {' or '.join(LAYOUTS)}")
    inside = [path / name for name in LAYOUTS if (path / name).is_dir()]
    if len(inside) > 1:
        raise InputError(f"{path} has both {' and '.join(LAYOUTS)}; pass path= of the one that you want")
    top = inside[0] if inside else path
    flat = _numbered(top, range(70 * THOUSAND))
    nested: dict[int, Path] = {}
    for start in range(0, 70 * THOUSAND, THOUSAND):
        nested |= _numbered(top / f"{start:05d}", range(start, start + THOUSAND))
    if flat and nested:
        raise InputError(f"{top} has images both in itself and in folders of a thousand; expected one of the two")
    if not flat and not nested:
        raise InputError(f"{top} has no images of FFHQ; expected 00000/00000.png or 00000.png and so on in it")
    return flat or nested


def _numbered(folder: Path, numbers: range) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    images = [child for child in folder.iterdir() if re.fullmatch(r"[0-9]{5}\.png", child.name)]
    return {int(image.stem): image for image in images if int(image.stem) in numbers}


def _read_all(paths: Sequence[Path], size: int | None, side: int, first: Path) -> np.ndarray:
    """Images [image, channel, height, width] of one array, which threads fill."""
    try:
        pixels = np.empty((len(paths), 3, side, side), dtype=np.uint8)
    except MemoryError as error:
        amount = f"{len(paths) * 3 * side**2 / 1e9:,.0f} GB"
        raise InputError(f"{len(paths):,} images of {side}x{side} need {amount} of memory; pass size=") from error

    def fill(index: int) -> None:
        image = _read(paths[index], size)
        if len(image) != side:
            raise InputError(
                f"{paths[index]} is {len(image)}x{len(image)}, but {first.name} is {side}x{side}; "
                "pass size= to resize them all"
            )
        pixels[index] = image.transpose(2, 0, 1)

    with ThreadPoolExecutor() as threads:
        for _ in threads.map(fill, range(len(paths))):
            pass
    return pixels


def _read(path: Path, size: int | None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no readable image: {error}") from error
    if image.mode != "RGB":
        raise InputError(f"{path} is not RGB but of mode {image.mode}; the images of FFHQ are RGB")
    if image.width != image.height:
        raise InputError(f"{path} is {image.width}x{image.height}; expected squares, so not FFHQ's in-the-wild-images")
    return np.asarray(image if size is None else image.resize((size, size), Image.Resampling.LANCZOS))
