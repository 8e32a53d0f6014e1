"""Image data sets: the bundled ``household`` and anyone's own ``folder``.

``load_dataset("household", split="test")`` gives an ``ImageDataset``; ``print`` tells what is in it.
"""

from pathlib import Path
from typing import Literal

from prior_lab.data import folder, household
from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

__all__ = ["ImageDataset", "list_datasets", "load_dataset"]

_DESCRIPTIONS = {"household": household.DESCRIPTION, "folder": folder.DESCRIPTION}


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
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name : ``household`` or ``folder``.
    split : train (default), validation or test of ``household``; all (default), train, validation or test of
        ``folder``.
    path : the folder with the images of ``folder``; for ``household``, another copy of the bundled file.
    size : side of the square images [pixel]. ``household`` has 64 and gives 32, 16 and 8 by averaging; ``folder`` is
        resized and centre-cropped only if this is given.
    convert : "rgb" allows ``folder`` to convert grey, palette and translucent images.

    Raises
    ------
    InputError : for an unknown data set or split, and for anything wrong with the files.
    """
    where = None if path is None else Path(path)
    if name == "household":
        if convert is not None:
            raise InputError("household is RGB; convert= is for the data set folder")
        return household.load_household(split or "train", path=where, size=size)
    if name == "folder":
        if where is None:
            raise InputError("the data set folder needs path=, the folder with the images")
        return folder.load_folder(where, split or "all", size=size, convert=convert)
    raise InputError(f"there is no data set {name!r}; available are {', '.join(_DESCRIPTIONS)}")
