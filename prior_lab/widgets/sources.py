"""What an explorer is opened with: a study, a model, or several models by name."""

from collections.abc import Mapping
from typing import TypeVar

import xarray as xr

from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.orderings import LABELS

Model = TypeVar("Model")


def by_name(models: object, kind: type[Model]) -> dict[str, Model]:
    """Models by the name that they are shown with; a single one has the name of its ordering.

    Parameters
    ----------
    kind : what a model has to be.

    Raises
    ------
    InputError : if there is none, or something else among them.
    """
    if isinstance(models, Mapping) and not models:
        raise InputError("There is no model to explore; give at least one.")
    if not isinstance(models, Mapping):
        ordering = str(getattr(getattr(models, "config", None), "ordering", ""))
        models = {LABELS.get(ordering, "Model"): models}
    found: dict[str, Model] = {}
    for name, model in models.items():
        if isinstance(model, type) or not isinstance(model, kind):
            wrong = type(model).__name__
            raise InputError(f"A {wrong} cannot be explored; give a study, a model, or a dictionary of models by name.")
        found[str(name)] = model
    return found


def study_name(study: xr.DataTree) -> str:
    """What a study is called."""
    return str(study.attrs.get("name", study.name))


def study_images(study: xr.DataTree, images: object) -> object:
    """The images that are given, or else the test images that the study was measured on.

    Raises
    ------
    InputError : if none are given and the study does not name its data set.
    """
    import prior_lab

    if images is not None:
        return images
    if "dataset" not in study.attrs:
        raise InputError(f"The study {study_name(study)!r} does not name its data set; give the images as well.")
    found: ImageDataset = prior_lab.load_dataset(study.attrs["dataset"], split="test")
    return found
