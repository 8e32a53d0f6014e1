"""Reader of ``folder``: anyone's own images, ``folder/IMAGE`` or tracks ``folder/OBJECT/FRAME``."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

DESCRIPTION = "your own PNG, JPEG or WebP images: path=FOLDER with FOLDER/IMAGE or FOLDER/OBJECT/FRAME"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SPLITS = ("all", "train", "validation", "test")
SHARES = {"train": (0.0, 0.70), "validation": (0.70, 0.85), "test": (0.85, 1.0)}


def load_folder(
    path: Path, split: str = "all", *, size: int | None = None, convert: Literal["rgb"] | None = None
) -> ImageDataset:
    """Read the images of a folder; files of other kinds are passed over.

    Parameters
    ----------
    path : either holds images, each of an object of its own, or one folder per object with its frames.
    split : all objects, or 70, 15 or 15 % of them, chosen by SHA-256 of their names.
    size : side of the square to which every image is resized and centre-cropped [pixel]; the camera's EXIF orientation
        is applied. Without it images are taken as they are and must all have the same size.
    convert : "rgb" turns grey, palette and translucent images into RGB, translucent ones over white.

    Raises
    ------
    InputError : for a missing or empty folder, a file that is no image, images of different sizes or of another mode
        than RGB, and an unknown split.
    """
    if split not in SPLITS:
        raise InputError(f"folder has no split {split!r}; there are {', '.join(SPLITS)}")
    if convert not in (None, "rgb"):
        raise InputError(f"convert={convert!r} is unknown; the only conversion is convert='rgb'")
    if size is not None and size < 1:
        raise InputError(f"size={size} is no image size; expected a positive number of pixels")
    tracks = _find_tracks(Path(path))
    names = tuple(sorted(tracks))
    chosen = _split(names, split)
    paths = [frame for name in chosen for frame in tracks[name]]
    images = [_read(frame, size, convert) for frame in paths]
    sizes = Counter(image.shape[:2] for image in images)
    if len(sizes) > 1:
        found = ", ".join(f"{width}x{height} ({count})" for (height, width), count in sizes.most_common(5))
        raise InputError(f"{path} has images of different sizes: {found}; pass size= to resize and crop them all")
    objects = [names.index(name) for name in chosen for _ in tracks[name]]
    return ImageDataset(
        name="folder",
        split=split,
        images=torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()),
        objects=torch.tensor(objects),
        object_names=names,
        masks=None,
        prompts=None,
        taxonomies=(),
        labels=torch.zeros(len(images), 0, dtype=torch.int64),
        label_names=(),
    )


def _find_tracks(path: Path) -> dict[str, list[Path]]:
    """Frames of every object, in order of their file names."""
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected FOLDER/IMAGE or FOLDER/OBJECT/FRAME")
    flat = _images_in(path)
    nested = {child.name: _images_in(child) for child in sorted(path.iterdir()) if child.is_dir()}
    nested = {name: frames for name, frames in nested.items() if frames}
    if flat and nested:
        raise InputError(
            f"{path} has both images ({flat[0].name}, ...) and folders with images ({next(iter(nested))}, ...); "
            "expected FOLDER/IMAGE or FOLDER/OBJECT/FRAME"
        )
    if not flat and not nested:
        raise InputError(f"{path} has no images; expected {', '.join(SUFFIXES)} in it or in folders one level below")
    return nested or {image.name: [image] for image in flat}


def _images_in(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.suffix.lower() in SUFFIXES and child.is_file())


def _split(names: tuple[str, ...], split: str) -> list[str]:
    if split == "all":
        return list(names)
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    low, high = (round(share * len(order)) for share in SHARES[split])
    if low == high:
        raise InputError(f"{len(names)} objects are too few for a split {split!r}; take split='all' or add images")
    return sorted(order[low:high])


def _read(path: Path, size: int | None, convert: str | None) -> np.ndarray:
    try:
        with Image.open(path) as opened:
            image = opened if size is None else ImageOps.exif_transpose(opened)
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no readable image: {error}") from error
    if image.mode != "RGB":
        if convert is None:
            raise InputError(f"{path} is not RGB but {_kind(image)}; pass convert='rgb' to convert such images")
        image = _to_rgb(image)
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


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
