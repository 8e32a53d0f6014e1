"""Small stand-ins with the interfaces of the real study, models and data set, so that widgets are tested in a second.

Pictures are shaded, textured solids; a model's reconstruction is the picture blurred more at lower budgets.
"""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import interpolate

from prior_lab.data import ImageDataset
from prior_lab.widgets.budgets.gallery import Gallery
from prior_lab.widgets.pictures import Pictures

BUDGETS = (1, 3, 7, 15, 31, 63, 127)
METRICS = ("L1", "L2", "PSNR", "SSIM")
BLURS = {
    "PRIOR": (7.0, 5.0, 3.4, 2.2, 1.4, 0.9, 0.6),
    "MBOP-ITD": (14.0, 6.0, 3.2, 1.9, 1.6, 1.5, 1.5),
    "MBOP-TD": (6.0, 4.2, 3.0, 2.3, 2.0, 1.9, 1.9),
}
ZOO = {
    "prior-gaussian": "PRIOR",
    "itd-gaussian": "MBOP-ITD",
    "td-gaussian": "MBOP-TD",
}
KINDS = ("Armchair", "Bookshelf", "Ceiling lamp", "Double bed", "Oak cupboard with doors", "Potted plant")


@dataclass(frozen=True)
class BlurCode:
    """A code that is its picture."""

    images: Tensor


class BlurModel:
    """An autoencoder's interface, without an autoencoder."""

    budgets = BUDGETS

    def __init__(self, ordering: str) -> None:
        self.blurs = BLURS[ordering]

    def encode(self, images: Tensor) -> BlurCode:
        """The picture in [0, 1]."""
        return BlurCode(images.float() / 255)

    def decode_budgets(self, code: BlurCode) -> Tensor:
        """Blurred by budget."""
        return torch.stack([blurred(code.images, blur) for blur in self.blurs])


def blurred(images: Tensor, width: float) -> Tensor:
    """Made smaller and large again; `width` in pixels."""
    side = max(2, round(images.shape[-1] / (1 + width)))
    small = interpolate(images, side, mode="bilinear", antialias=True)
    return interpolate(small, images.shape[-1], mode="bicubic").clamp(0, 1)


def solid(seed: int, size: int = 64) -> np.ndarray:
    """One textured, shaded solid on a pale ground, [3, size, size] in uint8."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    power, wide, high = generator.uniform(1.6, 9), *generator.uniform(0.45, 0.8, 2)
    u, v = x / wide, y / high
    inside = np.abs(u) ** power + np.abs(v) ** power < 1
    light = 0.45 + 0.5 * np.clip(1 - np.hypot(u + 0.5, v + 0.6) / 1.8, 0, 1)
    waves = np.sin(generator.uniform(6, 22) * u + generator.uniform(-9, 9) * v) > generator.uniform(-0.2, 0.8)
    colour, second = generator.uniform(0.15, 0.95, (2, 3, 1, 1))
    surface = np.where(waves, colour, second) * light
    ground = 0.93 - 0.12 * np.exp(-(((y - high - 0.05) / 0.12) ** 2) - (x / wide) ** 2)
    return (np.clip(np.where(inside, surface, ground), 0, 1) * 255).astype(np.uint8)


def dataset(objects: int = 20, frames: int = 2) -> ImageDataset:
    """Labelled tracks with two taxonomies; the last object has no class."""
    kinds = np.arange(objects) % len(KINDS)
    labels = np.stack([kinds % 2, np.where(np.arange(objects) < objects - 1, kinds, -1)], 1)
    return ImageDataset(
        name="specimen",
        split="test",
        images=torch.from_numpy(np.stack([solid(i) for i in range(objects) for _ in range(frames)])),
        objects=torch.arange(objects).repeat_interleave(frames),
        object_names=tuple(f"Maker/{KINDS[kind]}{i // len(KINDS) + 1}" for i, kind in enumerate(kinds)),
        masks=None,
        prompts=None,
        taxonomies=("coarse", "class"),
        labels=torch.from_numpy(labels).repeat_interleave(frames, 0),
        label_names=(("seating and lying", "other"), KINDS),
    )


def models() -> dict[str, BlurModel]:
    """The three arms by ordering."""
    return {ordering: BlurModel(ordering) for ordering in ZOO.values()}


def study() -> xr.DataTree:
    """Curves measured on the stand-ins, with a bootstrap-like interval and an invented information."""
    pictures = Pictures.of(dataset())
    scores = Gallery(models(), pictures).page(tuple(range(len(pictures.captions)))).scores
    half = 1.96 * scores.std("image") / np.sqrt(scores.sizes["image"])
    tree = xr.DataTree(name="specimen")
    tree.attrs = {"name": "specimen", "dataset": "specimen", "task": "reconstruction", "schema_version": 2}
    for name, ordering in reversed(ZOO.items()):  # not in display order, on purpose
        quality = scores.mean("image").sel(ordering=ordering, drop=True).expand_dims(seed=[0])
        width = half.sel(ordering=ordering, drop=True).expand_dims(seed=[0])
        interval = xr.concat([quality - width, quality + width], xr.Variable("bound", ["low", "high"]))
        told = xr.DataArray(6.0 / np.arange(1, 128)[None] ** 0.6, {"seed": [0]}, ("seed", "token"))
        curves = {"quality": quality, "quality_interval": interval.transpose(..., "bound"), "information": told}
        arm = xr.Dataset(curves)
        arm = arm.assign_coords(unit=("metric", ["1", "1", "dB", "1"]))
        arm.attrs = {"ordering": ordering, "token_kind": "gaussian", "model": f"specimen/reconstruction/{name}"}
        tree[name] = xr.DataTree(arm)
    return tree
