"""What probes read and how they are scored: features with labels and objects, and means over objects."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from prior_lab.checks import check_fields
from prior_lab.errors import InputError
from prior_lab.results import bootstrap_interval

LARGEST = 1e15  # of features: their squares, summed over images, stay within float32


@dataclass(frozen=True, eq=False)
class Samples:
    """Features of images, ordered such that every budget reads a prefix of their columns.

    Attributes
    ----------
    features : of every image, on the device where the work is to be done.
    labels : index of the image's label in each taxonomy; -1 where it has none.
    objects : index of the object that the image shows, the same in all splits.

    Raises
    ------
    InputError : if there are no images, or the tensors do not fit each other or hold what cannot be used.
    """

    features: Float32[Tensor, "sample feature"]
    labels: Int64[Tensor, "sample taxonomy"]
    objects: Int64[Tensor, "sample"]

    def __post_init__(self) -> None:
        check_fields(self)
        kinds = {"features": (2, torch.float32), "labels": (2, torch.int64), "objects": (1, torch.int64)}
        for name, (dimensions, dtype) in kinds.items():
            tensor = getattr(self, name)
            if tensor.ndim != dimensions or tensor.dtype != dtype:
                raise InputError(
                    f"The {name} have shape {tuple(tensor.shape)} and are {tensor.dtype}; "
                    f"expected {dimensions} dimensions of {dtype}."
                )
        if not len(self.features) == len(self.labels) == len(self.objects):
            raise InputError(
                f"There are features of {len(self.features)} images, labels of {len(self.labels)} and objects of "
                f"{len(self.objects)}; all must be of the same images."
            )
        if not self.features.numel():
            raise InputError(f"Features of shape {tuple(self.features.shape)} hold nothing to probe.")
        if not torch.stack(self.features.aminmax()).isfinite().all():
            raise InputError("The features hold NaN or infinite numbers; probes need finite ones.")
        if self.features.abs().max() > LARGEST:
            raise InputError(f"The features reach {self.features.abs().max():.1e}; probes take up to {LARGEST:.0e}.")
        if self.labels.numel() and int(self.labels.min()) < -1:
            raise InputError(f"A label is {int(self.labels.min())}; labels are 0 and above, or -1 for none.")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.features)


def check_splits(splits: Mapping[str, Samples], taxonomies: Sequence[str]) -> None:
    """Refuse splits that do not go together, or have a taxonomy without any label.

    Raises
    ------
    InputError : naming which split, and what it has.
    """
    if not taxonomies or len(set(taxonomies)) < len(taxonomies):
        raise InputError(f"The taxonomies are {list(taxonomies)}; expected one or more different names.")
    columns = next(iter(splits.values())).features.shape[1]
    for split, samples in splits.items():
        if samples.features.shape[1] != columns:
            raise InputError(f"The {split} features have {samples.features.shape[1]} columns, others {columns}.")
        if samples.labels.shape[1] != len(taxonomies):
            raise InputError(
                f"The {split} labels have {samples.labels.shape[1]} columns for the {len(taxonomies)} taxonomies "
                f"{', '.join(taxonomies)}."
            )
        for taxonomy, there in zip(taxonomies, (samples.labels >= 0).any(dim=0).tolist(), strict=True):
            if not there:
                raise InputError(f"No image of the {split} split has a label in the taxonomy {taxonomy}.")


def nested_widths(widths: Mapping[int, int], samples: Samples) -> dict[int, int]:
    """Budgets and how many leading columns each reads, in order.

    Raises
    ------
    InputError : if a larger budget does not read more columns, or there are not as many.
    """
    ordered = dict(sorted(widths.items()))
    columns = list(ordered.values())
    if not columns or min(ordered) < 1 or columns[0] < 1 or columns[-1] > samples.features.shape[1]:
        raise InputError(
            f"The widths are {ordered}; expected budgets of 1 token or more that read 1 to "
            f"{samples.features.shape[1]} columns, as many as the features have."
        )
    if any(one >= other for one, other in pairwise(columns)):
        raise InputError(f"The widths are {ordered}; every budget must read more columns than the one before it.")
    return ordered


def accuracy_table(
    predicted: Int64[Tensor, "budget taxonomy image"],
    samples: Samples,
    budgets: Sequence[int],
    taxonomies: Sequence[str],
) -> xr.Dataset:
    """What predictions are worth.

    Returns
    -------
    Dataset with `accuracy`, `interval` and `correct_by_object` as `summary` gives them, and `predicted` (budget,
    taxonomy, image), -1 for images without a label.
    """
    scores = correct(predicted, samples.labels)
    table = summary(scores, samples.objects, budgets, taxonomies, mean="accuracy", by_object="correct_by_object")
    known = np.where(np.isnan(scores), -1, predicted.cpu().numpy())
    return table.assign(predicted=(("budget", "taxonomy", "image"), known, {"units": "1"}))


def summary(
    scores: Float64[np.ndarray, "budget taxonomy image"],
    objects: Int64[Tensor, "image"],
    budgets: Sequence[int],
    taxonomies: Sequence[str],
    *,
    mean: str,
    by_object: str,
) -> xr.Dataset:
    """Means of scores over objects.

    Parameters
    ----------
    scores : NaN for images that do not count.
    objects : the object that each image shows.
    mean, by_object : names of variables.

    Returns
    -------
    Dataset with the mean over objects of the mean over their images (budget, taxonomy), `interval` (budget, taxonomy,
    bound), its 95 % percentile bootstrap over the objects that count, and each object's own mean (budget, taxonomy,
    object), NaN for those that do not.
    """
    coords = {"budget": list(budgets), "taxonomy": list(taxonomies), "object": objects.unique().cpu().numpy()}
    means = xr.DataArray(object_means(scores, objects), coords, dims=("budget", "taxonomy", "object"))
    table = xr.Dataset({mean: means.mean("object"), "interval": bootstrap_interval(means), by_object: means})
    for name in table.variables:
        table[name].attrs["units"] = "token" if name == "budget" else "1"
    return table


def object_means(
    scores: Float64[np.ndarray, "*axes image"], objects: Int64[Tensor, "image"]
) -> Float64[np.ndarray, "*axes object"]:
    """Mean over the images of each object that count, in the order of the objects' indices; NaN where none does."""
    places = objects.unique(return_inverse=True)[1].cpu().numpy()
    member = np.eye(places.max() + 1)[places]
    with np.errstate(invalid="ignore"):
        return (np.nan_to_num(scores) @ member) / (~np.isnan(scores) @ member)


def correct(
    predicted: Int64[Tensor, "*axes taxonomy image"], labels: Int64[Tensor, "image taxonomy"]
) -> Float64[np.ndarray, "*axes taxonomy image"]:
    """1 where a prediction is right, 0 where it is wrong, NaN where there is no label."""
    right = (predicted == labels.T).double()
    return right.masked_fill(labels.T < 0, math.nan).cpu().numpy()
