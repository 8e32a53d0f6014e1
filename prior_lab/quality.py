"""How near a reconstruction is to its image: L1, L2, PSNR, SSIM and MS-SSIM, per image and at every budget.

All are taken on images in [0, 1], over all pixels and channels. The names are the paper's (its table 5): L1 is the
mean absolute error, L2 the mean squared error. SSIM (Wang et al. 2004) uses a Gaussian window of 11 pixels with sigma
1.5; MS-SSIM (Wang, Simoncelli & Bovik 2003) its standard five scales, the smallest of which must still hold the window:
it is left out below `MS_SSIM_SIDE` pixels a side.

Examples
--------
What an even grey is worth as a picture of noise:

>>> import torch
>>> import prior_lab as pl
>>> noise = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
>>> worth = pl.quality.quality(noise, torch.full_like(noise, 0.5)).mean("image")
>>> {str(name): round(float(value), 2) for name, value in zip(worth.metric.values, worth.values)}
{'L1': 0.25, 'L2': 0.08, 'PSNR': 10.82, 'SSIM': 0.01}
"""

from functools import partial

import torch
import xarray as xr
from jaxtyping import Float, UInt8
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from prior_lab.checks import Count, entry_point
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder

UNITS = {"L1": "1", "L2": "1", "PSNR": "dB", "SSIM": "1", "MS-SSIM": "1"}
MS_SSIM_SIDE = 176
PSNR_LIMIT = 100.0

_ssim = partial(structural_similarity_index_measure, sigma=1.5, data_range=1.0, reduction="none")
_ms_ssim = partial(
    multiscale_structural_similarity_index_measure, sigma=1.5, kernel_size=11, data_range=1.0, reduction="none"
)


@entry_point
def quality(
    images: UInt8[Tensor, "image 3 height width"] | Float[Tensor, "image 3 height width"],
    reconstructions: UInt8[Tensor, "image 3 height width"] | Float[Tensor, "image 3 height width"],
) -> xr.DataArray:
    """Every metric of every image.

    Parameters
    ----------
    images, reconstructions : uint8, or float in [0, 1]; alike in shape.

    Returns
    -------
    DataArray (metric, image), float32; the coordinate `unit` has each metric's unit. PSNR [dB] ends at 100 dB, which
    is far beyond what 8 bits resolve: identical images get that instead of infinity.

    Raises
    ------
    InputError : if a tensor is no batch of RGB images of such a type and range, or the two differ in shape.
    """
    truth, estimate = _as_float(images, "images"), _as_float(reconstructions, "reconstructions")
    if truth.shape != estimate.shape:
        raise InputError(
            f"The reconstructions have shape {tuple(estimate.shape)}, the images {tuple(truth.shape)}; "
            "they must be alike."
        )
    with torch.inference_mode():
        values = _measure(truth.to(estimate.device), estimate)
    return xr.DataArray(values.cpu().numpy(), dims=("metric", "image"), coords=_metric_coords(values), name="quality")


@entry_point
def quality_by_budget(
    model: Autoencoder,
    images: UInt8[Tensor, "image 3 height width"] | Float[Tensor, "image 3 height width"],
    *,
    batch_size: Count = 64,
) -> xr.DataArray:
    """Every metric of every image at every budget of a model, batch by batch on the model's device.

    Parameters
    ----------
    images : uint8, or float in [0, 1].
    batch_size : images encoded at once; their reconstructions at all budgets are held together.

    Returns
    -------
    DataArray (metric, budget, image), float32, as `quality` gives it.

    Raises
    ------
    InputError : if there are no images, or they are not what `quality` or the model takes.
    """
    _as_float(images[:1], "images")
    parts = []
    with torch.inference_mode():
        for batch in images.split(batch_size):
            truth = _as_float(batch, "images")
            reconstructions = model.decode_budgets(model.encode(batch))
            truth = truth.to(reconstructions.device).expand_as(reconstructions)
            values = _measure(truth.flatten(0, 1), reconstructions.flatten(0, 1).float())
            parts.append(values.unflatten(1, reconstructions.shape[:2]).cpu())
    values = torch.cat(parts, dim=2)
    coords = {**_metric_coords(values), "budget": list(model.budgets)}
    return xr.DataArray(values.numpy(), dims=("metric", "budget", "image"), coords=coords, name="quality")


def _as_float(images: Tensor, noun: str) -> Tensor:
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or not images.numel():
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"The {noun} must be a tensor [image, 3, height, width]; got {got}.")
    if min(images.shape[2:]) < 11:
        raise InputError(f"The {noun} are {images.shape[2]} x {images.shape[3]} pixels; SSIM needs 11 or more a side.")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise InputError(f"The {noun} must be uint8, or float in [0, 1]; got {images.dtype}.")
    low, high = images.min().item(), images.max().item()
    if not (low >= 0.0 and high <= 1.0):
        raise InputError(f"Float {noun} must lie in [0, 1]; these run from {low:.3g} to {high:.3g}.")
    return images.float()


def _measure(
    truth: Float[Tensor, "image 3 height width"], estimate: Float[Tensor, "image 3 height width"]
) -> Float[Tensor, "metric image"]:
    error = (truth - estimate).flatten(1)
    absolute, squared = error.abs().mean(1), error.square().mean(1)
    psnr = -10 * squared.clamp_min(10 ** (-PSNR_LIMIT / 10)).log10()
    rows = [absolute, squared, psnr, _ssim(estimate, truth)]
    if min(truth.shape[2:]) >= MS_SSIM_SIDE:
        rows.append(_ms_ssim(estimate, truth))
    return torch.stack([row.reshape(-1) for row in rows])


def _metric_coords(values: Float[Tensor, "metric *rest"]) -> dict[str, object]:
    metrics = list(UNITS)[: len(values)]
    return {"metric": metrics, "unit": ("metric", [UNITS[metric] for metric in metrics])}
