"""Reader of ``mvimgnet2``: photographs of objects from all sides, in the layout in which MVImgNet 2.0 is published.

Nothing is downloaded: whoever has the data passes their folder. The layout is our reading of what the publishers say
about MVImgNet 2.0 (Han et al. 2024) and MVImgNet (Yu et al. 2023); the reader was tested on small made-up trees of it,
never on the data. see ``data_cards/mvimgnet2.md``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prior_lab.data.dataset import ImageDataset
from prior_lab.data.readers.tracks import (
    LABELS,
    Frame,
    Labels,
    first_few,
    images_in,
    read_frames,
    read_labels,
    split_names,
)
from prior_lab.errors import InputError

DESCRIPTION = "your copy of the photographs of objects of MVImgNet 2.0: path=FOLDER with CLASS/INSTANCE/images"
SPLITS = ("train", "validation", "test", "all")
SIZE = 64
FRAMES = 16
EXPECTED = "expected CLASS/INSTANCE/images/001.jpg and so on"


def load_mvimgnet2(
    path: Path,
    split: str = "train",
    *,
    size: int | None = None,
    frames: int | None = None,
    unreadable: Literal["raise", "skip"] = "raise",
) -> ImageDataset:
    """Read some frames of every object of a split; an object is an instance, named ``CLASS/INSTANCE``.

    Parameters
    ----------
    path : holds ``CLASS/INSTANCE/images``, and perhaps masks: ``CLASS/INSTANCE/masks/001.jpg`` or ``001.png`` as in
        MVImgNet 2.0, or ``masks/CLASS/INSTANCE/001.jpg.png`` as those of MVImgNet. ``labels.csv`` in it has the columns
        ``class,LEVEL1,LEVEL2,...``; without it, the only level ``class`` has the names of the folders.
    split : 70, 15 or 15 % of the instances of each class, chosen by SHA-256 of their names; or all.
    size : side of the square to which images are resized, and centre-cropped [pixel]; 64 by default.
    frames : at most so many of each object, evenly spread over its images; 16 by default.
    unreadable : "skip" warns of images that cannot be read, or whose mask is empty, instead of raising.

    Raises
    ------
    InputError : for a folder without such images, an unknown split or one that is empty here, a wrong size or number of
        frames, an unreadable image, wrong labels, and masks that are wrong or of some images only.
    """
    (whole,) = mvimgnet2_pieces(path, split, size=size, frames=frames, unreadable=unreadable, limit=None)
    return whole


def mvimgnet2_pieces(
    path: Path,
    split: str,
    *,
    size: int | None,
    frames: int | None,
    unreadable: Literal["raise", "skip"],
    limit: int | None,
) -> Iterator[ImageDataset]:
    """What `load_mvimgnet2` reads, piece after piece, the images of each no larger than a limit [byte]."""
    if split not in SPLITS:
        raise InputError(f"mvimgnet2 has no split {split!r}; there are {', '.join(SPLITS)}")
    frames = FRAMES if frames is None else frames
    path = Path(path)
    classes = _find_instances(path)
    names = tuple(name for instances in classes.values() for name in instances)
    chosen = {name for instances in classes.values() for name in split_names(instances, split)}
    if not chosen:
        raise InputError(f"{path} has too few instances for a split {split!r}: {len(names)} in {len(classes)} classes")
    labels = _read_labels(path, tuple(classes))
    found = [
        Frame(number, image, _find_mask(path, name, image))
        for number, name in enumerate(names)
        if name in chosen
        for image in _spread(images_in(path / name / "images"), frames)
    ]
    _check(path, split, found)
    size = SIZE if size is None else size
    table = labels.of([name.partition("/")[0] for name in names])
    for read in read_frames(path, found, size=size, convert="rgb", unreadable=unreadable, limit=limit):
        yield ImageDataset(
            name="mvimgnet2",
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


def _find_instances(path: Path) -> dict[str, list[str]]:
    """Names CLASS/INSTANCE by class, in alphabetical order; what has no folder of images is passed over."""
    if not path.is_dir():
        raise InputError(f"{path} is no folder; {EXPECTED}")
    classes: dict[str, list[str]] = {}
    for folder in sorted(child for child in path.iterdir() if child.is_dir()):
        for instance in sorted(folder.iterdir()):
            if (instance / "images").is_dir():
                classes.setdefault(folder.name, []).append(f"{folder.name}/{instance.name}")
    if not classes:
        raise InputError(f"{path} has no instances of MVImgNet 2.0; {EXPECTED}")
    return classes


def _read_labels(path: Path, classes: tuple[str, ...]) -> Labels:
    """Labels by class; the table may have classes that are not here, for it is of the whole data set."""
    if not (path / LABELS).exists():
        return Labels(("class",), (classes,), {name: (number,) for number, name in enumerate(classes)})
    labels = read_labels(path / LABELS, "class")
    if not labels.rows.keys() & set(classes):
        raise InputError(
            f"{path / LABELS} has none of the classes that are here ({first_few(classes)}) "
            f"but {first_few(tuple(labels.rows))}; expected names of folders"
        )
    return labels


def _spread(images: list[Path], count: int) -> list[Path]:
    """At most so many images, evenly spread."""
    count = min(count, len(images))
    return [images[index * len(images) // count] for index in range(count)]


def _find_mask(path: Path, name: str, image: Path) -> Path | None:
    beside = path / name / "masks"
    places = (beside / image.name, beside / f"{image.stem}.png", path / "masks" / name / f"{image.name}.png")
    return next((place for place in places if place.is_file()), None)


def _check(path: Path, split: str, frames: list[Frame]) -> None:
    """That there are frames, and masks of all of them or of none."""
    if not frames:
        raise InputError(f"{path} has no images in the split {split!r}; {EXPECTED}")
    without = [frame.image for frame in frames if frame.mask is None]
    if 0 < len(without) < len(frames):
        raise InputError(
            f"{path} has masks, but {len(without):,} of {len(frames):,} images have none, for example {without[0]}; "
            "expected masks of all images or of none"
        )
