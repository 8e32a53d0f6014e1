"""Image data sets: ``household`` is bundled; ``faces``, ``fashion``, ``ffhq`` and ``mvimgnet2`` are read from a copy.

``folder`` reads anyone's own images. ``load_dataset("household", split="test")`` gives an ``ImageDataset``; ``print``
tells what is in it.
"""

from pathlib import Path
from typing import Literal

from prior_lab.data import faces, fashion, ffhq, folder, household, mvimgnet2
from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

__all__ = ["ImageDataset", "list_datasets", "load_dataset"]

_DESCRIPTIONS = {
    "household": household.DESCRIPTION,
    "faces": faces.DESCRIPTION,
    "fashion": fashion.DESCRIPTION,
    "ffhq": ffhq.DESCRIPTION,
    "mvimgnet2": mvimgnet2.DESCRIPTION,
    "folder": folder.DESCRIPTION,
}


def list_datasets() -> tuple[str, ...]:
    """Name and one line about every data set that ``load_dataset`` knows."""
    return tuple(f"{name}: {description}" for name, description in _DESCRIPTIONS.items())


def load_dataset(
    name: str,
    split: str | None = None,
    *,
    path: Path | str | None = None,
    size: int | None = None,
    convert: Literal["rgb"] | None = None,
    unreadable: Literal["raise", "skip"] = "raise",
    frames: int | None = None,
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name : ``household``, ``faces``, ``fashion``, ``ffhq``, ``mvimgnet2`` or ``folder``.
    split : train, validation or test; ``ffhq``, ``mvimgnet2`` and ``folder`` have all as well. By default all of
        ``folder`` and train of the others.
    path : the folder with the images of ``ffhq``, ``mvimgnet2`` or ``folder``; for ``household``, another copy of the
        bundled file, and for ``faces`` and ``fashion`` of the installed pictures.
    size : side of the square images [pixel]. ``household`` has 64 and gives 32, 16 and 8 by averaging; ``faces`` and
        ``mvimgnet2`` have 64 and ``fashion`` 32, resized to any other; ``ffhq`` is resized, and ``folder`` is resized
        and centre-cropped, only if this is given.
    convert : "rgb" allows ``folder`` to convert grey, palette and translucent images.
    unreadable : "skip" allows ``folder`` and ``mvimgnet2`` to skip images that cannot be read, or whose mask is empty,
        with a warning.
    frames : at most so many images of each object of ``mvimgnet2``, evenly spread; 16 by default.

    Raises
    ------
    InputError : for an unknown data set or split, and for anything wrong with the files.
    """
    if name not in _DESCRIPTIONS:
        raise InputError(f"there is no data set {name!r}; available are {', '.join(_DESCRIPTIONS)}")
    if convert is not None and name != "folder":
        raise InputError(f"{name} is RGB; convert= is for the data set folder")
    if unreadable != "raise" and name not in ("folder", "mvimgnet2"):
        raise InputError(f"{name} is read whole; unreadable= is for the data sets folder and mvimgnet2")
    if frames is not None and name != "mvimgnet2":
        raise InputError(f"{name} is read with all its frames; frames= is for the data set mvimgnet2")
    where = None if path is None else Path(path)
    if name == "household":
        return household.load_household(split or "train", path=where, size=size)
    if name == "faces":
        return faces.load_faces(split or "train", path=where, size=size)
    if name == "fashion":
        return fashion.load_fashion(split or "train", path=where, size=size)
    if where is None:
        raise InputError(f"the data set {name} needs path=, the folder with the images")
    if name == "ffhq":
        return ffhq.load_ffhq(where, split or "train", size=size)
    if name == "mvimgnet2":
        return mvimgnet2.load_mvimgnet2(where, split or "train", size=size, frames=frames, unreadable=unreadable)
    return folder.load_folder(where, split or "all", size=size, convert=convert, unreadable=unreadable)
