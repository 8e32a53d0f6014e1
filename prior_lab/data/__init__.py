"""Image data sets: the bundled ``household``, the photographs ``faces`` and ``ffhq``, and anyone's own ``folder``.

``load_dataset("household", split="test")`` gives an ``ImageDataset``; ``print`` tells what is in it.
"""

from pathlib import Path
from typing import Literal

from prior_lab.data import faces, ffhq, folder, household
from prior_lab.data.dataset import ImageDataset
from prior_lab.errors import InputError

__all__ = ["ImageDataset", "list_datasets", "load_dataset"]

_DESCRIPTIONS = {
    "household": household.DESCRIPTION,
    "faces": faces.DESCRIPTION,
    "ffhq": ffhq.DESCRIPTION,
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
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name : ``household``, ``faces``, ``ffhq`` or ``folder``.
    split : train, validation or test; ``ffhq`` and ``folder`` have all as well. By default all of ``folder`` and train
        of the others.
    path : the folder with the images of ``ffhq`` or ``folder``; for ``household``, another copy of the bundled file,
        and for ``faces`` of the photographs.
    size : side of the square images [pixel]. ``household`` has 64 and gives 32, 16 and 8 by averaging; ``faces`` has 64
        and is resized to any other; ``ffhq`` is resized, and ``folder`` is resized and centre-cropped, only if this is
        given.
    convert : "rgb" allows ``folder`` to convert grey, palette and translucent images.

    Raises
    ------
    InputError : for an unknown data set or split, and for anything wrong with the files.
    """
    if name not in _DESCRIPTIONS:
        raise InputError(f"there is no data set {name!r}; available are {', '.join(_DESCRIPTIONS)}")
    if convert is not None and name != "folder":
        raise InputError(f"{name} is RGB; convert= is for the data set folder")
    where = None if path is None else Path(path)
    if name == "household":
        return household.load_household(split or "train", path=where, size=size)
    if name == "faces":
        return faces.load_faces(split or "train", path=where, size=size)
    if where is None:
        raise InputError(f"the data set {name} needs path=, the folder with the images")
    if name == "ffhq":
        return ffhq.load_ffhq(where, split or "train", size=size)
    return folder.load_folder(where, split or "all", size=size, convert=convert)
