"""Reader of ``folder``: anyone's own images, ``folder/IMAGE`` or tracks ``folder/OBJECT/FRAME``.

Beside them there may be label levels, ``folder/labels.csv``, and masks, ``FRAME.mask.png``; ``data_cards/folder.md``
shows an example.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prior_lab.data.dataset import ImageDataset
from prior_lab.data.readers.tracks import (
    LABELS,
    SUFFIXES,
    Frame,
    Labels,
    first_few,
    images_in,
    read_frames,
    read_labels,
    require_plain,
    split_names,
)
from prior_lab.errors import InputError

DESCRIPTION = "your own PNG, JPEG or WebP images: path=FOLDER with FOLDER/IMAGE or FOLDER/OBJECT/FRAME"
SPLITS = ("all", "train", "validation", "test")
MASK = ".mask.png"  # what the name of a mask has instead of the image's suffix


def load_folder(
    path: Path,
    split: str = "all",
    *,
    size: int | None = None,
    convert: Literal["rgb"] | None = None,
    unreadable: Literal["raise", "skip"] = "raise",
) -> ImageDataset:
    """Read the images of a folder with their labels and masks; files of other kinds are passed over.

    Parameters
    ----------
    path : either holds images, each of an object of its own, or one folder per object with its frames. ``labels.csv``
        in it has the columns ``object,LEVEL1,LEVEL2,...``; a mask lies beside its image, ``1.mask.png`` of ``1.jpg``.
    split : all objects, or 70, 15 or 15 % of them, chosen by SHA-256 of their names.
    size : side of the square to which every image is resized and centre-cropped [pixel]; the camera's EXIF orientation
        is applied. Without it images are taken as they are and must all have the same size.
    convert : "rgb" turns grey, palette and translucent images into RGB, translucent ones over white.
    unreadable : "skip" warns of images that cannot be read, or whose mask is empty, instead of raising.

    Raises
    ------
    InputError : for a missing or empty folder, a file that is no image, images of different sizes or of another mode
        than RGB, an unknown split, wrong labels, and masks that are wrong or of some images only.
    """
    (whole,) = folder_pieces(path, split, size=size, convert=convert, unreadable=unreadable, limit=None)
    return whole


def folder_pieces(
    path: Path,
    split: str,
    *,
    size: int | None,
    convert: Literal["rgb"] | None,
    unreadable: Literal["raise", "skip"],
    limit: int | None,
) -> Iterator[ImageDataset]:
    """What `load_folder` reads, piece after piece, the images of each no larger than a limit [byte]."""
    if split not in SPLITS:
        raise InputError(f"folder has no split {split!r}; there are {', '.join(SPLITS)}")
    path = Path(path)
    tracks = _find_tracks(path)
    names = tuple(sorted(tracks))
    chosen = set(split_names(names, split))
    if not chosen:
        raise InputError(f"{len(names)} objects are too few for a split {split!r}; take split='all' or add images")
    labels = _read_labels(path, names)
    masks = _find_masks(path, [image for track in tracks.values() for image in track])
    frames = [
        Frame(number, image, masks.get(image))
        for number, name in enumerate(names)
        if name in chosen
        for image in tracks[name]
    ]
    table = labels.of(names)
    for read in read_frames(path, frames, size=size, convert=convert, unreadable=unreadable, limit=limit):
        yield ImageDataset(
            name="folder",
            split=split,
            images=read.images,
            objects=read.objects,
            object_names=names,
            masks=read.masks,
            prompts=read.prompts,
            taxonomies=labels.taxonomies,
            labels=table[read.objects],
            label_names=labels.label_names,
        )


def _find_tracks(path: Path) -> dict[str, list[Path]]:
    """Frames of every object, in order of their file names."""
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected FOLDER/IMAGE or FOLDER/OBJECT/FRAME")
    flat = images_in(path)
    nested = {child.name: images_in(child) for child in sorted(path.iterdir()) if child.is_dir()}
    nested = {name: frames for name, frames in nested.items() if frames}
    for name in nested:
        require_plain(name, str(path))
    if flat and nested:
        raise InputError(
            f"{path} has both images ({flat[0].name}, ...) and folders with images ({next(iter(nested))}, ...); "
            "expected FOLDER/IMAGE or FOLDER/OBJECT/FRAME"
        )
    if not flat and not nested:
        raise InputError(f"{path} has no images; expected {', '.join(SUFFIXES)} in it or in folders one level below")
    return nested or {image.name: [image] for image in flat}


def _read_labels(path: Path, names: tuple[str, ...]) -> Labels:
    labels = read_labels(path / LABELS, "object")
    unknown = sorted(labels.rows.keys() - set(names))
    if unknown:
        raise InputError(
            f"{path / LABELS} has {len(unknown)} unknown objects ({first_few(unknown)}); "
            f"expected names of the {len(names)} objects there are ({first_few(names)})"
        )
    return labels


def _find_masks(path: Path, images: list[Path]) -> dict[Path, Path]:
    """Masks by image: of every image, or none if there is no mask at all."""
    there = {mask for folder in {image.parent for image in images} for mask in folder.glob(f"*{MASK}")}
    if not there:
        return {}
    masks = {image: image.with_name(image.stem + MASK) for image in images}
    without = [image for image, mask in masks.items() if mask not in there]
    if without:
        raise InputError(
            f"{path} has masks, but {len(without)} of {len(images)} images have none; expected "
            f"{masks[without[0]].name} beside {without[0]}, or no masks at all"
        )
    return masks
