"""The wavelet-space transformer: images to features of N tokens, and token states back to images.

An image is taken through a discrete wavelet transform; all coefficients of one place of the coarsest band (every band,
every colour) make one transformer token, so attention runs over a small grid of places that see all scales. The
encoder ends in N query tokens that read the grid; the decoder is a grid of queries that reads the token state and
emits coefficients. The paper (section 2.5) names a "wavelet-space vision transformer" and its size, nothing more:
wavelet, depth and readout are our choice.

PRIOR has one decoder per level. A level's decoder works on a grid of at least as many places as the level has tokens
and no fewer than 4 x 4, so coarse levels pay for 16 places instead of 64; decoders on one grid run as one batched
network (`layers.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pywt
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from prior_lab.layers import Block, GroupedLinear, GroupedNorm, ReadBlock, grid_centres, position_code
from prior_lab.levels import Levels

WAVELET = "bior4.4"
COLOURS = 3
PIXELS = "band batch colour (y i) (x j)"
PLACES = "batch (y x) (band colour i j)"


class WaveletGrid(nn.Module):
    """Images to and from a grid of tokens that hold their wavelet coefficients, scaled to about unit size.

    The transform is the CDF 9/7 wavelet of JPEG 2000 with periodic borders, `log2(patch)` levels deep; it is inverted
    exactly. Coefficients are divided by the standard deviation that natural images have in their band (which doubles
    from a level to the next coarser one), so that all bands reach the network, and leave it, at a like size.

    Bands are moved by transposing whole blocks. One permutation of all coefficients by index is shorter to write, but
    its gradient is a scattered sum: it took a tenth of PRIOR's compiled step on two CPU cores.

    Parameters
    ----------
    size : side of the square image [pixel], a multiple of `patch`.
    patch : pixels per grid step, a power of two.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int, patch: int) -> None:
        super().__init__()
        self.size, self.side, self.depth = size, size // patch, patch.bit_length() - 1
        self.token_width = COLOURS * patch * patch
        for step in range(self.depth):
            analysis, synthesis = _wavelet_matrices(size >> step)
            self.register_buffer(f"analysis_{step}", analysis, persistent=False)
            self.register_buffer(f"synthesis_{step}", synthesis, persistent=False)
        mean, scale = self._statistics()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch place token_width"]:
        """Scaled coefficients of images in [0, 1], place by place: the coarsest band, then finer and finer ones."""
        coarse, tokens = images, []
        for step in range(self.depth):
            matrix = self.get_buffer(f"analysis_{step}")
            coarse, bands = _split(matrix @ coarse @ matrix.T)
            tokens.append(rearrange(bands, f"{PIXELS} -> {PLACES}", y=self.side, x=self.side))
        tokens.append(rearrange(coarse[None], f"{PIXELS} -> {PLACES}", y=self.side, x=self.side))
        return (torch.cat(tokens[::-1], dim=-1) - self.mean) / self.scale

    def inverse(self, tokens: Float[Tensor, "batch place token_width"]) -> Float[Tensor, "batch 3 size size"]:
        """Images of scaled coefficients; values may leave [0, 1]."""
        widths = [COLOURS, *(3 * COLOURS * 4**step for step in range(self.depth))]
        coarse, *finer = (tokens * self.scale + self.mean).split(widths, dim=-1)
        images = rearrange(coarse, f"{PLACES} -> {PIXELS}", band=1, colour=COLOURS, y=self.side, i=1)[0]
        for step, part in enumerate(finer):
            bands = rearrange(part, f"{PLACES} -> {PIXELS}", band=3, colour=COLOURS, y=self.side, i=2**step)
            matrix = self.get_buffer(f"synthesis_{self.depth - 1 - step}")
            images = matrix @ _join(images, bands) @ matrix.T
        return images

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and scale of every coefficient of a place, from the 1/f spectrum of natural images."""
        gain = 2.0**self.depth
        mean, scale = [0.5 * gain] * COLOURS, [0.25 * gain] * COLOURS
        for step in reversed(range(self.depth)):
            count = 3 * COLOURS * 4 ** (self.depth - 1 - step)
            mean += [0.0] * count
            scale += [0.06 * 2.0 ** (step + 1)] * count
        return torch.tensor(mean), torch.tensor(scale)


def _wavelet_matrices(size: int) -> tuple[Float[Tensor, "size size"], Float[Tensor, "size size"]]:
    """One level of the 1-D transform, low band above high band, and its inverse.

    Both are bands of a few diagonals. What the inversion leaves outside (1e-17 and less, denormals among it) is set to
    zero: multiplying with denormals made a whole training step of PRIOR three times as slow on one CPU.
    """
    identity = np.eye(size)
    analysis = np.concatenate(pywt.dwt(identity, WAVELET, mode="periodization", axis=0))
    synthesis = np.linalg.inv(analysis)
    synthesis[np.abs(synthesis) < 1e-9] = 0.0
    return torch.from_numpy(analysis).float(), torch.from_numpy(synthesis).float()


def _split(block: Float[Tensor, "batch 3 size size"]) -> tuple[Tensor, Float[Tensor, "3 batch 3 half half"]]:
    """The low band in both directions, and the three others."""
    half = block.shape[-1] // 2
    low, high = slice(0, half), slice(half, None)
    return block[..., low, low], torch.stack([block[..., y, x] for y, x in ((low, high), (high, low), (high, high))])


def _join(coarse: Float[Tensor, "batch 3 half half"], bands: Float[Tensor, "3 batch 3 half half"]) -> Tensor:
    """The inverse of `_split`."""
    rows = torch.cat([coarse, bands[0]], dim=-1), torch.cat([bands[1], bands[2]], dim=-1)
    return torch.cat(rows, dim=-2)


@dataclass(frozen=True)
class Shape:
    """Shape of an encoder or of decoders.

    Attributes
    ----------
    size : side of the square image [pixel].
    patch : pixels per place of the (finest) grid.
    width : of the transformer.
    channels : of a token.
    depth : transformer blocks.
    """

    size: int
    patch: int
    width: int
    channels: int
    depth: int


class ReadoutHead(nn.Module):
    """Query states to features: norm, linear, SiLU, linear, then normalised over the channels."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = GroupedNorm(1, width)
        self.inner = GroupedLinear(1, width, width)
        self.outer = GroupedLinear(1, width, channels)

    def forward(self, x: Float[Tensor, "1 batch token width"]) -> Float[Tensor, "batch token channel"]:
        """Token by token."""
        features = self.outer(functional.silu(self.inner(self.norm(x))))[0]
        return functional.layer_norm(features, features.shape[-1:])


class WaveletEncoder(nn.Module):
    """Images to the features of N tokens: wavelet grid, transformer blocks, N queries that read the grid.

    Parameters
    ----------
    heads : the runs of tokens that share a readout head: one for all (masking orderings) or one per level (PRIOR).
    """

    def __init__(
        self,
        levels: Levels,
        heads: Sequence[slice],
        shape: Shape,
    ) -> None:
        super().__init__()
        width = shape.width
        self.grid = WaveletGrid(shape.size, shape.patch)
        self.embed = GroupedLinear(1, self.grid.token_width, width)
        self.places = nn.Parameter(position_code(grid_centres(self.grid.side), width))
        self.blocks = nn.Sequential(*(Block(1, width) for _ in range(shape.depth)))
        centres = torch.cat([levels.centres(level) for level in range(levels.count)])
        self.queries = nn.Parameter(position_code(centres, width) + 0.2 * torch.randn(levels.tokens, width))
        self.read = ReadBlock(1, width)
        self.heads = nn.ModuleList(ReadoutHead(width, shape.channels) for _ in heads)
        self.head_slices = tuple(heads)

    def forward(self, images: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch token channel"]:
        """The y of eq. 4, level after level; images in [0, 1]."""
        grid = self.blocks(self.embed(self.grid(images)[None]) + self.places)
        states = self.read(self.queries.expand(1, images.shape[0], -1, -1), grid)
        parts = [head(states[:, :, tokens]) for head, tokens in zip(self.heads, self.head_slices, strict=True)]
        return torch.cat(parts, dim=1)


class WaveletDecoder(nn.Module):
    """A group of decoders on one grid: each turns its own token state into an image.

    Parameters
    ----------
    centres : for each decoder, the (x, y) centres of the tokens it reads, from which position codes start.
    shape : of each decoder.
    """

    def __init__(
        self,
        centres: Sequence[Float[Tensor, "_ 2"]],
        shape: Shape,
    ) -> None:
        super().__init__()
        groups, width = len(centres), shape.width
        self.longest = max(len(points) for points in centres)
        self.grid = WaveletGrid(shape.size, shape.patch)
        self.embed = GroupedLinear(groups, shape.channels, width)
        codes = [functional.pad(position_code(c, width), (0, 0, 0, self.longest - len(c))) for c in centres]
        self.positions = nn.Parameter(torch.stack(codes)[:, None])
        self.padded = any(len(points) < self.longest for points in centres)
        present = torch.stack([torch.arange(self.longest) < len(points) for points in centres])
        self.register_buffer("present", present, persistent=False)
        places = position_code(grid_centres(self.grid.side), width)
        self.places = nn.Parameter(places.repeat(groups, 1, 1, 1))
        self.reads = nn.ModuleList(ReadBlock(groups, width) for _ in range(shape.depth))
        self.norm = GroupedNorm(groups, width)
        self.out = GroupedLinear(groups, width, self.grid.token_width)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def forward(self, states: Sequence[Float[Tensor, "batch _ channel"]]) -> Float[Tensor, "group batch 3 size size"]:
        """Images of the leading decoders' states, in [0, 1] up to over- and undershoot."""
        groups, batch = len(states), states[0].shape[0]
        padded = [functional.pad(state, (0, 0, 0, self.longest - state.shape[1])) for state in states]
        context = self.embed(torch.stack(padded)) + self.positions[:groups]
        present = self.get_buffer("present")[:groups] if self.padded else None
        x = self.places[:groups].expand(-1, batch, -1, -1)
        for read in self.reads:
            x = read(x, context, present)
        tokens = self.out(self.norm(x))
        return self.grid.inverse(tokens.flatten(0, 1)).unflatten(0, (groups, batch))


class DecoderBank(nn.Module):
    """The decoders of an ordering's states, batched grid by grid.

    Parameters
    ----------
    centres : for each state, the (x, y) centres of its tokens, coarse to fine.
    shape : of each decoder, on the finest grid.
    coarsest_side : places along a side of the coarsest grid.
    """

    def __init__(
        self,
        centres: Sequence[Float[Tensor, "_ 2"]],
        shape: Shape,
        coarsest_side: int,
    ) -> None:
        super().__init__()
        self.coarsest_side = coarsest_side
        groups = [list(group) for _, group in groupby(centres, key=lambda points: self._patch(len(points), shape))]
        self.counts = [len(group) for group in groups]
        self.decoders = nn.ModuleList(
            WaveletDecoder(group, replace(shape, patch=self._patch(len(group[0]), shape))) for group in groups
        )

    def forward(self, states: Sequence[Float[Tensor, "batch _ channel"]]) -> list[Float[Tensor, "batch 3 size size"]]:
        """The image of each state, for the leading states or for all."""
        images: list[Tensor] = []
        for count, decoder in zip(self.counts, self.decoders, strict=True):
            group = states[len(images) : len(images) + count]
            images += decoder(group).unbind() if group else []
        return images

    def _patch(self, tokens: int, shape: Shape) -> int:
        """Pixels per place of the coarsest grid that has as many places as tokens."""
        side = self.coarsest_side
        while side * side < tokens:
            side *= 2
        return max(shape.size // side, shape.patch)
