"""`features`: what a vision model says of images, as an `OrderedEmbedder` takes it."""

from typing import Annotated, Any, Literal, get_args

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from prior_lab.checks import Count, Within, described, entry_point
from prior_lab.data import ImageDataset
from prior_lab.embedding.efficientnet import efficientnet_lite0
from prior_lab.errors import InputError

EncoderName = Literal["efficientnet-lite0"]
Side = Annotated[int, Within(8, 4096)]


@entry_point
@torch.inference_mode()
def features(
    encoder: str | nn.Module,
    images: ImageDataset | Tensor,
    *,
    size: Side | None = 128,
    batch_size: Count = 64,
) -> Float32[Tensor, "image *place feature"]:
    """What a vision model says of images.

    Parameters
    ----------
    encoder : `efficientnet-lite0` (ImageNet weights from the package that the extra `features` installs), or any module
        that reads images [image, 3, height, width] in [0, 1]: a `timm` model behind its normalisation, or one of
        `transformers`, whose `last_hidden_state` is taken. The module stays as it was.
    images : RGB, uint8 or float in [0, 1], or a data set.
    size : side that images are resized to (bicubic) [pixel]; as they are, if None. EfficientNet-Lite0 was trained at
        224; on the validation split of `emoji` (64 pixels) its features find a drawing's concept among another artist's
        in 36 % of the cases at 64, 47 % at 96, 52 % at 128, 57 % at 160 and 59 % at 224, where they take some twenty
        times as long as at 64.
    batch_size : images at once.

    Returns
    -------
    On the CPU: [image, feature], or [image, place, feature] of modules that give one vector for each place.

    Raises
    ------
    InputError : if there is no such encoder, its weights are not installed, or images or what a module gives cannot be
        used.

    Examples
    --------
    >>> import torch
    >>> import prior_lab as pl
    >>> images = pl.load_dataset("emoji", split="test").images[:4]
    >>> mean_colours = torch.nn.Sequential(torch.nn.AvgPool2d(64), torch.nn.Flatten())  # any module
    >>> pl.features(mean_colours, images, size=None).shape
    torch.Size([4, 3])
    """
    pixels = _checked(images.images if isinstance(images, ImageDataset) else images)
    model = _encoder(encoder)
    before = model.training
    model.eval()
    try:
        told = [_told(model, _prepared(part, size)) for part in pixels.split(batch_size)]
    finally:
        model.train(before)
    return torch.cat(told)


def _encoder(encoder: str | nn.Module) -> nn.Module:
    if isinstance(encoder, nn.Module):
        return encoder
    if encoder not in get_args(EncoderName):
        names = ", ".join(get_args(EncoderName))
        raise InputError(f"There is no encoder {described(encoder)}; choose {names}, or give a torch module.")
    return efficientnet_lite0()


def _checked(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3 or not images.numel():
        raise InputError(f"images have the shape {tuple(images.shape)}; [image, 3, height, width] was expected.")
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise InputError(f"images are {images.dtype}; uint8, or float in [0, 1], was expected.")
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):
        raise InputError(f"Float images must lie in [0, 1]; these run from {low:.3g} to {high:.3g}.")
    return images


def _prepared(images: Tensor, size: int | None) -> Float32[Tensor, "image 3 height width"]:
    scaled = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if size is not None and scaled.shape[2:] != (size, size):
        scaled = F.interpolate(scaled, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    return scaled.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU


def _told(model: nn.Module, images: Float32[Tensor, "image 3 height width"]) -> Float32[Tensor, "image *place feature"]:
    """The module's answer as vectors."""
    device = next((parameter.device for parameter in model.parameters()), images.device)
    told: Any = model(images.to(device))
    told = getattr(told, "last_hidden_state", told)
    if not isinstance(told, Tensor) or told.ndim not in (2, 3, 4) or len(told) != len(images):
        shape = tuple(told.shape) if isinstance(told, Tensor) else type(told).__name__
        raise InputError(f"The encoder gives {shape} for {len(images)} images; [image, feature] was expected.")
    if told.ndim == 4:  # [image, feature, height, width]
        told = told.flatten(2).transpose(1, 2)
    return told.float().cpu()
