"""Image textures as one flat array of box-filtered pyramids, in linear light, ready for a compiled sampler."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from PIL import Image

LARGEST = 512


@dataclass(frozen=True)
class TextureAtlas:
    """Pyramids of all textures of a mesh.

    ``texels`` are red, green, blue (linear light, multiplied by alpha) and alpha, all in [0, 1]; ``start``, ``width``
    and ``height`` give the place and size [texel] of every level of every texture, 0 wide where a pyramid has ended;
    ``translucent`` is whether a texture has any alpha below 1.
    """

    texels: Float32[np.ndarray, "texel 4"]
    start: Int64[np.ndarray, "texture level"]
    width: Int64[np.ndarray, "texture level"]
    height: Int64[np.ndarray, "texture level"]
    translucent: Int64[np.ndarray, "texture"]


def build_atlas(images: list[bytes]) -> TextureAtlas:
    """Decode image files and build their pyramids; sides become powers of two, at most 512 texels."""
    pyramids = [_pyramid(_decoded(data)) for data in images]
    levels = max((len(pyramid) for pyramid in pyramids), default=1)
    sizes = np.zeros((3, len(pyramids), levels), dtype=np.int64)
    used = 0
    for texture, pyramid in enumerate(pyramids):
        for level, texels in enumerate(pyramid):
            sizes[:, texture, level] = used, texels.shape[1], texels.shape[0]
            used += texels.shape[0] * texels.shape[1]
    flat = [texels.reshape(-1, 4) for pyramid in pyramids for texels in pyramid]
    texels = np.concatenate(flat) if flat else np.zeros((1, 4), dtype=np.float32)
    translucent = np.array([int(pyramid[0][..., 3].min() < 1) for pyramid in pyramids], dtype=np.int64)
    return TextureAtlas(texels, sizes[0], sizes[1], sizes[2], translucent)


def _decoded(data: bytes) -> Float32[np.ndarray, "height width 4"]:
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGBA")
    width, height = image.size
    side = _power_of_two(width), _power_of_two(height)
    if side != image.size:
        image = image.resize(side, Image.Resampling.BOX)
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    values[..., :3] *= values[..., :3] * values[..., 3:]
    return values


def _power_of_two(length: int) -> int:
    return min(LARGEST, 1 << (length.bit_length() - 1))


def _pyramid(texels: np.ndarray) -> list[np.ndarray]:
    levels = [texels]
    while max(levels[-1].shape[:2]) > 1:
        last = levels[-1]
        if last.shape[0] > 1:
            last = (last[0::2] + last[1::2]) * np.float32(0.5)
        if last.shape[1] > 1:
            last = (last[:, 0::2] + last[:, 1::2]) * np.float32(0.5)
        levels.append(last)
    return levels
