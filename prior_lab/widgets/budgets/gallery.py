"""Pages of reconstructions: every arm, every budget, with their quality, computed once per choice of images."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, UInt8
from torch import Tensor

from prior_lab.errors import InputError
from prior_lab.quality import quality
from prior_lab.widgets.pictures import Pictures


@runtime_checkable
class Reconstructor(Protocol):
    """What is used of a model: `prior_lab.load_model` gives one."""

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets there are."""

    def encode(self, images: Tensor) -> Any:
        """The full code of the images."""

    def decode_budgets(self, code: Any) -> Tensor:
        """The images at every budget, in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Page:
    """The images on screen.

    Attributes
    ----------
    indices, captions : which they are.
    truth : as they are in the data set.
    reconstructions : by arm and budget, rounded to 8 bits for display.
    scores : quality (ordering, metric, budget, image), measured before rounding.
    """

    indices: tuple[int, ...]
    captions: tuple[str, ...]
    truth: UInt8[np.ndarray, "image 3 h w"]
    reconstructions: UInt8[np.ndarray, "arm budget image 3 h w"]
    scores: xr.DataArray

    def packed(self) -> bytes:
        """All pictures as the browser reads them: deflated RGB, layers truth, then arm by arm the budgets in order."""
        layers = np.concatenate([self.truth[None], self.reconstructions.reshape(-1, *self.truth.shape)])
        return zlib.compress(layers.transpose(0, 1, 3, 4, 2).tobytes(), 1)

    def curve_table(self) -> xr.Dataset:
        """The mean over the images as curves without intervals, as `figures.curve_table` gives them for a study."""
        mean = self.scores.mean("image")
        interval = xr.full_like(mean, np.nan).expand_dims(bound=["low", "high"], axis=-1)
        return xr.Dataset({"quality": mean, "interval": interval})


class Gallery:
    """Reconstructions by several models of the same pictures.

    Parameters
    ----------
    arms : models by label, in display order; all with the same budgets.
    pictures : what they reconstruct.

    Raises
    ------
    InputError : if the models' budgets differ.
    """

    def __init__(self, arms: Mapping[str, Reconstructor], pictures: Pictures) -> None:
        self.arms, self.pictures = dict(arms), pictures
        budgets = {tuple(model.budgets) for model in self.arms.values()}
        if len(budgets) != 1:
            found = " and ".join(str(list(found)) for found in sorted(budgets))
            raise InputError(f"The models have different budgets, {found}; compare models with the same.")
        self.budgets: tuple[int, ...] = budgets.pop()
        self.page = lru_cache(maxsize=32)(self._page)

    def _page(self, indices: tuple[int, ...]) -> Page:
        truth = self.pictures.images[list(indices)]
        with torch.inference_mode():
            decoded = torch.stack([model.decode_budgets(model.encode(truth)).cpu() for model in self.arms.values()])
        return Page(
            indices,
            tuple(self.pictures.captions[index] for index in indices),
            truth.numpy(),
            (decoded * 255).round().to(torch.uint8).numpy(),
            self._scores(truth, decoded.float()),
        )

    def _scores(
        self, truth: UInt8[Tensor, "image 3 h w"], decoded: Float[Tensor, "arm budget image 3 h w"]
    ) -> xr.DataArray:
        target = (truth.float() / 255).expand_as(decoded)
        flat = quality(target.flatten(0, 2), decoded.flatten(0, 2))
        coords = {"ordering": list(self.arms), "metric": flat.metric.values, "budget": list(self.budgets)}
        values = flat.values.reshape(-1, *decoded.shape[:3]).swapaxes(0, 1)
        return xr.DataArray(values, coords, ("ordering", "metric", "budget", "image"), name="quality")
