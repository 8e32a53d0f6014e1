"""What pictures are worth without a learnt code: the mean colour, fewer pixels, PCA, and still-image codecs.

The first three spend as many numbers as a prefix of a code has: a budget of k tokens with C channels has k C. Codecs
spend bytes of real files, as Pillow writes them, over a range of their quality settings.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from prior_lab.quality import quality

YARDSTICKS = ("mean colour", "fewer pixels", "PCA")
PCA_IMAGES = 3000  # of the training split at most, evenly spread
CODEC_IMAGES = 256  # test images at most, evenly spread
GREY = 128


@dataclass(frozen=True)
class Codec:
    """A still-image codec.

    Attributes
    ----------
    settings : of its quality, from small files to large ones.
    options : what Pillow is told for a setting.
    """

    name: str
    file_format: str
    settings: tuple[int, ...]
    options: Callable[[int], dict[str, object]]


CODECS = (
    Codec("WebP", "WEBP", (0, 5, 10, 20, 35, 50, 65, 80, 90), lambda at: {"quality": at, "method": 6}),
    Codec("JPEG", "JPEG", (1, 5, 10, 20, 35, 50, 65, 80, 90), lambda at: {"quality": at, "optimize": True}),
    Codec(
        "JPEG 2000", "JPEG2000", (75, 60, 48, 38, 30, 24, 18, 13, 9),
        lambda at: {"quality_mode": "rates", "quality_layers": [at], "irreversible": True, "no_jp2": True},
    ),
    Codec("JPEG XL", "JXL", (1, 5, 10, 20, 35, 50, 65, 80, 90), lambda at: {"quality": at, "effort": 7}),
)  # fmt: skip


def measure_yardsticks(
    train: UInt8[Tensor, "image 3 height width"],
    test: UInt8[Tensor, "tested 3 height width"],
    budgets: Sequence[int],
    channels: int,
) -> xr.DataArray:
    """The quality of test images drawn from as many numbers as prefixes of a code have.

    Returns
    -------
    DataArray (yardstick, metric, budget, image).
    """
    numbers = [budget * channels for budget in budgets]
    drawn = {"mean colour": _mean_colour, "fewer pixels": _fewer_pixels, "PCA": _principal_parts(train)}
    found = []
    for name, draw in drawn.items():
        by_budget = [quality(test, picture) for picture in draw(test.float() / 255, numbers)]
        joined = xr.concat(by_budget, dim=xr.DataArray(list(budgets), dims="budget", name="budget"), join="exact")
        found.append(joined.assign_coords(yardstick=name))
    return xr.concat(found, dim="yardstick", join="exact").transpose("yardstick", "metric", "budget", "image")


def _mean_colour(images: Float[Tensor, "image 3 height width"], numbers: Sequence[int]) -> Iterator[Tensor]:
    flat = images.mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()
    return (flat for _ in numbers)


def _fewer_pixels(images: Float[Tensor, "image 3 height width"], numbers: Sequence[int]) -> Iterator[Tensor]:
    """As many square pixels as the numbers allow, enlarged smoothly."""
    for count in numbers:
        side = min(int((count / 3) ** 0.5), images.shape[-1])
        small = functional.interpolate(images, size=(side, side), mode="area")
        large = functional.interpolate(small, size=tuple(images.shape[2:]), mode="bicubic", align_corners=False)
        yield large.clamp(0, 1)


def _principal_parts(
    train: UInt8[Tensor, "image 3 height width"],
) -> Callable[[Float[Tensor, "tested 3 height width"], Sequence[int]], Iterator[Tensor]]:
    """The principal directions of training images, from the smaller of the two matrices of products."""
    chosen = train[torch.linspace(0, len(train) - 1, min(len(train), PCA_IMAGES)).long()].flatten(1).float() / 255
    mean = chosen.mean(dim=0)
    chosen -= mean
    values, vectors = torch.linalg.eigh(chosen @ chosen.T)
    sound = values > 1e-5 * values[-1]
    directions = ((chosen.T @ vectors[:, sound]) / values[sound].sqrt()).flip(1)

    def draw(images: Float[Tensor, "tested 3 height width"], numbers: Sequence[int]) -> Iterator[Tensor]:
        told = (images.flatten(1) - mean) @ directions
        for count in numbers:
            yield (told[:, :count] @ directions[:, :count].T + mean).clamp(0, 1).view_as(images)

    return draw


def measure_codecs(images: UInt8[Tensor, "image 3 height width"]) -> xr.Dataset:
    """Real files of images, evenly spread over those given, by every codec that Pillow has here.

    JPEG XL needs pillow-jxl-plugin (extra `codecs`); a codec that is not there is left out.

    Returns
    -------
    Dataset with `codec_quality` (codec, setting, metric), `codec_bits` (codec, setting), the mean size of a file, and
    `codec_header_bits` (codec), the smallest file of one grey, which is nearly all container.
    """
    some = images[torch.linspace(0, len(images) - 1, min(len(images), CODEC_IMAGES)).long()]
    grey = torch.full_like(some[:1], GREY)
    there = [codec for codec in CODECS if is_there(codec)]
    qualities, bits, headers = [], [], []
    for codec in there:
        files = [files_of(codec, some, setting) for setting in codec.settings]
        bits.append([8 * float(np.mean([len(file) for file in one])) for one in files])
        headers.append(8 * min(len(files_of(codec, grey, setting)[0]) for setting in codec.settings))
        qualities.append([quality(some, opened(one)).mean("image") for one in files])
    joined = xr.concat([xr.concat(one, dim="setting", join="exact") for one in qualities], dim="codec", join="exact")
    return xr.Dataset(
        {
            "codec_quality": joined.transpose("codec", "setting", "metric"),
            "codec_bits": (("codec", "setting"), bits),
            "codec_header_bits": ("codec", headers),
        },
        {"codec": [codec.name for codec in there], "setting": range(len(CODECS[0].settings))},
    )


def is_there(codec: Codec) -> bool:
    """Whether Pillow has it here."""
    if codec.file_format == "JXL":
        try:
            import pillow_jxl  # noqa: F401 (tells Pillow of the format)
        except ModuleNotFoundError:
            return False
    Image.init()
    return codec.file_format in Image.SAVE


def files_of(codec: Codec, images: UInt8[Tensor, "image 3 height width"], setting: int) -> list[bytes]:
    """A file of each image at a setting of a codec."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, codec.file_format, **codec.options(setting))
        files.append(file.getvalue())
    return files


def opened(files: Sequence[bytes]) -> UInt8[Tensor, "image 3 height width"]:
    """The pictures of files that Pillow reads."""
    pictures = [np.array(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
