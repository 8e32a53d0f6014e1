"""Effective information of tokens: how much they carry of the images, in bits, and how certain that is (eq. 7 and 8).

    code = encode_images(model, images)
    measured = Information(code.posterior, images.objects)
    measured.total(range(3, 7))               # what tokens 4 to 7 carry: value, corrected value, standard error
    measured.select(chairs).total(range(7))   # of the images that show chairs, from the same codes

I(S) is the sum of b(u) over the retained tokens. Every kind's b(u) is a mean over images of what each image contributes
(`Posterior.pointwise`), and that contribution is also the image's influence on b(u), to first order. So one pass over
the codes gives all tokens, a subset is a sum over columns, and the spread of its rows is the standard error: over
objects, not frames, where the object of each image is known, for frames of one object are not independent.

The plug-in entropies of Categorical and EMA-VQ tokens fall short for few images. Beside the paper's value stands one
corrected to second order, which for an index is that of Miller and Madow (Miller 1955): (K - 1) / 2n nats for K states
seen in n images. It takes images for independent, so with several frames per object it corrects too little.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float64, Int64
from torch import Tensor

from prior_lab.checks import Count, entry_point
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.levels import Levels
from prior_lab.models import Autoencoder, ContrastiveModel, OrderedModel
from prior_lab.orderings import Code
from prior_lab.tokens import Posterior

Unit = Literal["bit", "nat"]
SILENT = 0.01  # nats: a token below it carries next to nothing
COLLAPSED = 0.1  # share of its states or channels below which a token wastes them


@dataclass(frozen=True)
class Estimate:
    """An information, in the unit it was asked for.

    Attributes
    ----------
    value : the plug-in value, as the paper defines it.
    corrected : with its bias corrected; the same for Gaussian tokens.
    standard_error : over objects where they are known, else over images.
    unit : "bit" or "nat".
    """

    value: float
    corrected: float
    standard_error: float
    unit: Unit

    def __str__(self) -> str:
        """For people: value, standard error, unit."""
        return f"{self.value:.2f} ± {self.standard_error:.2f} {self.unit}"


class Information:
    """What the tokens of some images carry; cheap to ask and to narrow down.

    Parameters
    ----------
    posterior : of all images.
    objects : the object that each image shows; without it every image is taken for an object of its own.
    """

    def __init__(self, posterior: Posterior, objects: Int64[Tensor, "image"] | None = None) -> None:
        count = len(posterior.prefix(1).values())
        if count < 2:
            raise InputError(f"Information needs at least two images; there are {count}.")
        if objects is not None and len(objects) != count:
            raise InputError(f"There are {len(objects)} object labels for {count} images.")
        self._posterior, self._objects, self._count = posterior, objects, count
        with torch.inference_mode():
            pointwise = posterior.pointwise().double().clamp_min(0.0)  # rounding alone makes it negative
            self._mean, self._bias = pointwise.mean(dim=0), posterior.bias().double()
            self._deviations = _by_object(pointwise - self._mean, objects)  # they add up over tokens

    def __len__(self) -> int:
        """Number of images."""
        return self._count

    @property
    def token_count(self) -> int:
        """Number of tokens."""
        return len(self._mean)

    def select(self, images: Int64[Tensor, "selected"]) -> Self:
        """The same for some of the images."""
        return type(self)(self._posterior.select(images), None if self._objects is None else self._objects[images])

    def tokens(self, unit: Unit = "bit") -> xr.Dataset:
        """b(u) of every token.

        Returns
        -------
        Dataset (token) with `information`, `corrected` and `standard_error`, in `unit`.
        """
        scale, error = _scale(unit), self._standard_error(self._deviations)
        columns = {"information": self._mean, "corrected": self._mean + self._bias, "standard_error": error}
        attrs = {"units": unit}
        variables = {name: ("token", (scale * column).cpu().numpy(), attrs) for name, column in columns.items()}
        return xr.Dataset(variables, coords={"token": ("token", np.arange(self.token_count), {"units": "1"})})

    def total(self, tokens: Sequence[int] | slice | None = None, unit: Unit = "bit") -> Estimate:
        """I(S) of some tokens, numbered from 0; of all, if not given.

        Raises
        ------
        InputError : if there is no such token.
        """
        chosen, scale = _token_numbers(tokens, self.token_count), _scale(unit)
        value, bias = self._mean[chosen].sum().item(), self._bias[chosen].sum().item()
        error = self._standard_error(self._deviations[:, chosen].sum(dim=1)).item()
        return Estimate(scale * value, scale * (value + bias), scale * error, unit)

    def _standard_error(self, deviations: Float64[Tensor, "object *column"]) -> Float64[Tensor, "*column"]:
        """Of a mean over images, from the sums of its deviations over the images of each object."""
        count = len(deviations)
        if count < 2:
            return torch.full_like(deviations[0], math.nan)
        return (deviations.square().sum(dim=0) * count / (count - 1)).sqrt() / len(self)


@entry_point
def information(
    source: OrderedModel | Code,
    images: ImageDataset | Tensor | None = None,
    *,
    tokens: Sequence[int] | slice | None = None,
    budgets: Sequence[int] | None = None,
    unit: Unit = "bit",
) -> xr.Dataset:
    """Effective information of a model's tokens over images, or of codes.

    Parameters
    ----------
    source : a model, or the code of all images.
    images : what a model encodes; with a data set, standard errors are over its objects.
    tokens : numbers, from 0, of the tokens to look at, or a slice; all, if not given.
    budgets : prefixes whose sums to report; those of whole levels, if neither these nor tokens are given.
    unit : "bit" or "nat".

    Returns
    -------
    Dataset with `information`, `corrected` and `standard_error` (token) and, if there are budgets, the same of the sum
    over each prefix as `total`, `total_corrected` and `total_standard_error` (budget).

    Raises
    ------
    InputError : if images are missing or do not fit the model, or a token, budget or unit does not exist.

    Examples
    --------
    >>> import prior_lab as pl
    >>> data = pl.load_dataset("household", split="test").select(slice(0, 320, 8))
    >>> table = pl.information(pl.load_model("household/reconstruction/prior-ema-vq"), data)
    >>> [round(float(value)) for value in table["total"]]  # of 1, 3, 7, ... tokens [bit]
    [3, 11, 29, 67, 141, 296, 604]
    >>> table["total"].attrs["units"]
    'bit'
    """
    if isinstance(source, Code):
        code = source
        count = len(code.values) if images is None else len(images)
        if count != len(code.values):
            raise InputError(f"The code is of {len(code.values)} images, and {count} images are given with it.")
    elif images is None:
        raise InputError("A model alone has no codes; give images: information(model, images).")
    else:
        code = encode_images(source, images)
    measured = Information(code.posterior, images.objects if isinstance(images, ImageDataset) else None)
    chosen = _token_numbers(tokens, len(code))
    table = measured.tokens(unit).isel(token=chosen)
    if budgets is None and tokens is None:
        budgets = [budget for budget in Levels(16).budgets if budget <= len(code)]
    if budgets is None:
        return table
    if len(set(budgets)) < len(budgets):
        raise InputError("A budget is named twice; each counts once.")
    for budget in budgets:
        if not 1 <= budget <= len(code):
            raise InputError(f"A budget of {budget} tokens: this code has 1 to {len(code)}.")
    sums = [measured.total([token for token in chosen if token < budget], unit) for budget in budgets]
    totals = {
        "total": [estimate.value for estimate in sums],
        "total_corrected": [estimate.corrected for estimate in sums],
        "total_standard_error": [estimate.standard_error for estimate in sums],
    }
    columns = {name: ("budget", column, {"units": unit}) for name, column in totals.items()}
    return table.assign(columns).assign_coords(budget=("budget", list(budgets), {"units": "token"}))


@entry_point
@torch.inference_mode()
def encode_images(model: OrderedModel, images: ImageDataset | Tensor, batch_size: Count = 256) -> Code:
    """The codes of all images as one, encoded in batches as in evaluation; the model stays as it was.

    A contrastive model looks at the prompts of a data set, and at the middle of images that have none.

    Raises
    ------
    InputError : if there is no image, or the images do not fit the model.
    """
    pixels = images.images if isinstance(images, ImageDataset) else images
    if not len(pixels):
        raise InputError("There are no images to encode.")
    prompts = images.prompts if isinstance(images, ImageDataset) else None
    training = model.training
    model.eval()  # in training, EMA codebooks would follow these images
    try:
        starts = range(0, len(pixels), batch_size)
        parts = [_encode(model, pixels, prompts, slice(start, start + batch_size)) for start in starts]
    finally:
        model.train(training)
    posterior = type(parts[0].posterior).stack([part.posterior for part in parts])
    return replace(parts[0], values=torch.cat([part.values for part in parts]), posterior=posterior)


def _encode(model: OrderedModel, pixels: Tensor, prompts: Tensor | None, part: slice) -> Code:
    if isinstance(model, ContrastiveModel):
        return model.encode(pixels[part], None if prompts is None else prompts[part])
    assert isinstance(model, Autoencoder)
    return model.encode(pixels[part])


@torch.inference_mode()
def health(code: Code) -> xr.Dataset:
    """What each token is worth over the images of a code, to see a collapse.

    Returns
    -------
    Dataset (token) with `information` [nat], `states`, the effective number of distinct states (exp of the
    information, an index' perplexity), and `used`, the share of states or channels in use; and `level`, the token's.
    """
    worth = code.information.double().cpu()
    level = [number.bit_length() - 1 for number in range(1, len(code) + 1)]
    return xr.Dataset(
        {
            "information": ("token", worth.numpy(), {"units": "nat"}),
            "states": ("token", worth.exp().numpy(), {"units": "1"}),
            "used": ("token", code.posterior.used().double().cpu().numpy(), {"units": "1"}),
        },
        coords={"token": np.arange(len(code)), "level": ("token", level)},
    )


def warnings(state: xr.Dataset) -> list[str]:
    """Sentences about the levels that have collapsed, from what `health` reports; none if all is well."""
    sentences = []
    for level, tokens in state.groupby("level"):
        first, last, count = int(tokens.token[0]) + 1, int(tokens.token[-1]) + 1, tokens.sizes["token"]
        name = f"level {level} (token {first})" if count == 1 else f"level {level} (tokens {first} to {last})"
        silent = int((tokens.information < SILENT).sum())
        if silent * 2 >= count:
            which = "the token carries" if count == 1 else f"{silent} of {count} tokens carry"
            sentences.append(f"{name}: {which} next to nothing of the images (below {SILENT} nat).")
        elif float(tokens.used.mean()) < COLLAPSED:
            share = 100 * float(tokens.used.mean())
            sentences.append(f"{name}: only {share:.0f} % of the states or channels are in use.")
    return sentences


def _token_numbers(tokens: Sequence[int] | slice | None, count: int) -> list[int]:
    if tokens is None or isinstance(tokens, slice):
        return list(range(count)[tokens or slice(None)])
    numbers = [int(token) for token in tokens]
    outside = [number for number in numbers if not 0 <= number < count]
    if outside:
        raise InputError(f"There is no token {outside[0]}; this code has the tokens 0 to {count - 1}.")
    if len(set(numbers)) < len(numbers):
        raise InputError("A token is named twice; each counts once.")
    return numbers


def _scale(unit: Unit) -> float:
    if unit not in get_args(Unit):
        raise InputError(f"Unknown unit {unit!r}; choose bit or nat.")
    return 1.0 if unit == "nat" else 1.0 / math.log(2)


def _by_object(
    rows: Float64[Tensor, "image column"], objects: Int64[Tensor, "image"] | None
) -> Float64[Tensor, "object column"]:
    """Sums over the images of every object; those of one may hang together."""
    if objects is None:
        return rows
    _, place = objects.to(rows.device).unique(return_inverse=True)
    return rows.new_zeros(int(place.max()) + 1, rows.shape[1]).index_add_(0, place, rows)
