"""What files are worth: their real sizes and qualities level by level, and what budgets that fit the image save."""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, UInt8
from torch import Tensor

from prior_lab.checks import entry_point
from prior_lab.codec import container
from prior_lab.codec.codec import Codec
from prior_lab.quality import quality


@entry_point
@torch.inference_mode()
def measure_files(codec: Codec, images: UInt8[Tensor, "image 3 height width"]) -> xr.Dataset:
    """Sizes and qualities of images' files, cut after each level.

    Returns
    -------
    Dataset with `bytes` (budget, image), the size of a file that ends with a level, container and all; `quality`
    (metric, budget, image); and `ideal_bits` (tables, level, image), what a perfect coder would spend with the static
    tables and, where the codec has it, with foresight. `container_bytes` (budget) is what of a file is no stream.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> images = pl.load_dataset("household", split="test").images[::160]
    >>> table = pl.codec.measure_files(pl.codec.codec_of(model), images)
    >>> dict(table.sizes)
    {'budget': 7, 'image': 13, 'metric': 4, 'tables': 2, 'level': 7}
    """
    code = codec.encode(images)
    budgets = list(codec.model.budgets)
    files = codec.pack(code)
    ends = np.array([one.ends for one in codec.unpack(files)]).T
    streams = np.array([_stream_sizes(file) for file in files]).T
    pictures = codec.model.decode_budgets(code)
    qualities = xr.concat([quality(images, one) for one in pictures], dim="budget", join="exact")
    tables = {"static": codec.without_foresight()} | ({} if codec.foresight is None else {"foresight": codec})
    bits = np.stack([one.ideal_bits(code).T for one in tables.values()])
    return xr.Dataset(
        {
            "bytes": (("budget", "image"), ends, {"units": "byte"}),
            "container_bytes": ("budget", (ends - streams)[:, 0], {"units": "byte"}),
            "quality": qualities.assign_coords(budget=budgets).transpose("metric", "budget", "image"),
            "ideal_bits": (("tables", "level", "image"), bits, {"units": "bit"}),
        },
        {"budget": budgets, "tables": list(tables)},
    )


def _stream_sizes(file: bytes) -> list[int]:
    chunks = container.split(file, 64).chunks
    return np.cumsum([len(chunk.stream) for chunk in chunks]).tolist()


def policy(
    files: xr.Dataset, budgets: Sequence[int], values: Float[np.ndarray, "budget image"]
) -> tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image"], float]:
    """What images have where each has a budget of its own, and with one budget for all at the same mean size.

    Between two budgets the fixed one is a mixture: each image has the larger one with the probability that makes the
    mean size equal.

    Parameters
    ----------
    files : of `measure_files`.
    budgets : of each image.
    values : what an image has at every budget: a quality, or whether a target is reached.

    Returns
    -------
    What each image has with its own budget, what it has with the fixed one, and the mean size [byte].
    """
    place = np.searchsorted(files.budget.values, list(budgets))
    images = np.arange(len(place))
    size, means = files["bytes"].values[place, images].mean(), files["bytes"].mean("image").values
    upper = int(np.clip(np.searchsorted(means, size), 1, len(means) - 1))
    share = float(np.clip((size - means[upper - 1]) / (means[upper] - means[upper - 1]), 0, 1))
    return values[place, images], (1 - share) * values[upper - 1] + share * values[upper], float(size)
