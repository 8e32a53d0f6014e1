"""Image data sets: ``household``, ``emoji`` and ``fashion`` are bundled; the others are read from a copy.

``folder`` reads anyone's own images. ``load_dataset("household", split="test")`` gives an ``ImageDataset``; ``print``
tells what is in it. What is larger than memory is packed once by ``pack_dataset`` and read as ``packed``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from prior_lab.checks import Count, Within, described, entry_point
from prior_lab.data import emoji, fashion, household
from prior_lab.data.dataset import ImageDataset
from prior_lab.data.feeding import packed
from prior_lab.data.readers import faces, ffhq, folder, mvimgnet2
from prior_lab.errors import InputError
from prior_lab.files import as_path

__all__ = ["ImageDataset", "list_datasets", "load_dataset", "pack_dataset"]

Side = Annotated[int, Within(1, 16_384)]
_DESCRIPTIONS = {
    "household": household.DESCRIPTION,
    "emoji": emoji.DESCRIPTION,
    "faces": faces.DESCRIPTION,
    "fashion": fashion.DESCRIPTION,
    "fashion-full": fashion.DESCRIPTION_FULL,
    "ffhq": ffhq.DESCRIPTION,
    "mvimgnet2": mvimgnet2.DESCRIPTION,
    "folder": folder.DESCRIPTION,
    "packed": packed.DESCRIPTION,
}


def list_datasets() -> tuple[str, ...]:
    """Name and one line about every data set that ``load_dataset`` knows.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.list_datasets()[0]
    'household: ...'
    """
    return tuple(f"{name}: {description}" for name, description in _DESCRIPTIONS.items())


@entry_point
def load_dataset(
    name: str,
    split: str | None = None,
    *,
    path: Path | str | None = None,
    size: Side | None = None,
    convert: Literal["rgb"] | None = None,
    unreadable: Literal["raise", "skip"] = "raise",
    frames: Count | None = None,
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name : ``household``, ``emoji``, ``fashion``, ``fashion-full``, ``faces``, ``ffhq``, ``mvimgnet2``, ``folder`` or
        ``packed``.
    split : train, validation or test; ``ffhq``, ``mvimgnet2`` and ``folder`` have all as well, ``packed`` those that
        were packed. By default all of ``folder`` and train of the others.
    path : the folder with the images of ``ffhq``, ``mvimgnet2`` or ``folder``, or that `pack_dataset` wrote; for
        ``household``, ``emoji`` and ``fashion``, another copy of the bundled file, and for ``faces`` and
        ``fashion-full`` of the installed pictures.
    size : side of the square images [pixel]. ``household`` and ``emoji`` have 64 and give 32, 16 and 8 by averaging;
        ``faces`` and ``mvimgnet2`` have 64 and both ``fashion`` 32, resized to any other; ``ffhq`` is resized, and
        ``folder`` is resized and centre-cropped, only if this is given; ``packed`` has the size that it was packed at.
    convert : "rgb" allows ``folder`` to convert grey, palette and translucent images.
    unreadable : "skip" allows ``folder`` and ``mvimgnet2`` to skip images that cannot be read, or whose mask is empty,
        with a warning.
    frames : at most so many images of each object of ``mvimgnet2``, evenly spread; 16 by default.

    Raises
    ------
    InputError : for an unknown data set or split, and for anything wrong with the files.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.load_dataset("household", split="test", size=32).images.shape
    torch.Size([2080, 3, 32, 32])
    >>> pl.load_dataset("my-images")
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: there is no data set 'my-images'; available are household, emoji, faces, fashion, ...
    """
    where = _checked_path(name, path, convert=convert, unreadable=unreadable, frames=frames)
    if split is None:
        split = "all" if name == "folder" else "train"
    if name == "household":
        return household.load_household(split, path=where, size=size)
    if name == "emoji":
        return emoji.load_emoji(split, path=where, size=size)
    if name == "faces":
        return faces.load_faces(split, path=where, size=size)
    if name == "fashion":
        return fashion.load_fashion(split, path=where, size=size)
    if name == "fashion-full":
        return fashion.load_fashion_full(split, path=where, size=size)
    assert where is not None
    if name == "ffhq":
        return ffhq.load_ffhq(where, split, size=size)
    if name == "mvimgnet2":
        return mvimgnet2.load_mvimgnet2(where, split, size=size, frames=frames, unreadable=unreadable)
    if name == "packed":
        return packed.load_packed(where, split, size=size)
    return folder.load_folder(where, split, size=size, convert=convert, unreadable=unreadable)


@entry_point
def pack_dataset(
    name: str,
    out: Path | str,
    *,
    splits: Sequence[str] = ("train", "validation", "test"),
    path: Path | str | None = None,
    size: Side | None = None,
    convert: Literal["rgb"] | None = None,
    unreadable: Literal["raise", "skip"] = "raise",
    frames: Count | None = None,
) -> packed.Contents:
    """Write a data set into a folder that ``load_dataset("packed", path=out)`` reads from disk as images are used.

    ``ffhq``, ``mvimgnet2`` and ``folder`` are never in memory as a whole.

    Parameters
    ----------
    out : the folder, which must not be there; it appears when it is whole.
    splits : which splits to write.
    path, size, convert, unreadable, frames : as `load_dataset` takes them; `size` is the size that is stored.

    Returns
    -------
    contents : what was written.

    Raises
    ------
    InputError : for whatever `load_dataset` refuses, and if `out` is there already or cannot be written.
    """
    where = _checked_path(name, path, convert=convert, unreadable=unreadable, frames=frames)
    limit = packed.PIECE

    def pieces(split: str) -> Iterable[ImageDataset]:
        if where is not None and name == "ffhq":
            return ffhq.ffhq_pieces(where, split, size=size, limit=limit)
        if where is not None and name == "mvimgnet2":
            return mvimgnet2.mvimgnet2_pieces(
                where, split, size=size, frames=frames, unreadable=unreadable, limit=limit
            )
        if where is not None and name == "folder":
            return folder.folder_pieces(where, split, size=size, convert=convert, unreadable=unreadable, limit=limit)
        return [load_dataset(name, split, path=where, size=size)]

    return packed.pack(pieces, splits, as_path(out, "the new folder"))


def _checked_path(
    name: str, path: Path | str | None, *, convert: str | None, unreadable: str, frames: int | None
) -> Path | None:
    """Where to read a data set, if it is one that reads what it is asked for; a path for all that need one."""
    if name not in _DESCRIPTIONS:
        raise InputError(f"there is no data set {described(name)}; available are {', '.join(_DESCRIPTIONS)}")
    if convert is not None and name != "folder":
        raise InputError(f"{name} is RGB; convert= is for the data set folder")
    if unreadable != "raise" and name not in ("folder", "mvimgnet2"):
        raise InputError(f"{name} is read whole; unreadable= is for the data sets folder and mvimgnet2")
    if frames is not None and name != "mvimgnet2":
        raise InputError(f"{name} is read with all its frames; frames= is for the data set mvimgnet2")
    if path is None and name in ("ffhq", "mvimgnet2", "folder", "packed"):
        raise InputError(f"the data set {name} needs path=, the folder with the images")
    return None if path is None else as_path(path, f"the data set {name}")
