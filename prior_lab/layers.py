"""Building blocks of the transformers.

Several networks of one shape run as one: parameters carry a leading `group` axis and activations are
[group, batch, token, width], so the decoders of PRIOR's levels and the 127 token heads of a masking ordering are each
one batched matrix product instead of a Python loop. A single network is a group of one. Given fewer groups than there
are parameters for, the leading ones are used.
"""

import math
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

HEAD_WIDTH = 32


class GroupedLinear(nn.Module):
    """`groups` separate biased linear maps, applied to as many groups of inputs in one batched product."""

    def __init__(self, groups: int, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(groups, width_in, width_out) / math.sqrt(width_in))
        self.bias = nn.Parameter(torch.zeros(groups, 1, width_out))

    def forward(self, x: Float[Tensor, "group *axes width_in"]) -> Float[Tensor, "group *axes width_out"]:
        """Every group through its own map."""
        weight, bias = _leading(self.weight, x.shape[0]), _leading(self.bias, x.shape[0])
        rows = x.flatten(1, -2)
        if torch.compiler.is_compiling():  # a sum of its own becomes part of the kernel after it
            product = torch.bmm(rows, weight)
            product = product + bias.to(product.dtype)
        else:
            product = torch.baddbmm(bias, rows, weight)
        return product.unflatten(1, x.shape[1:-1])


class GroupedNorm(nn.Module):
    """Layer normalisation with a scale and shift for each group."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(groups, 1, 1, width))
        self.bias = nn.Parameter(torch.zeros(groups, 1, 1, width))

    def forward(self, x: Float[Tensor, "group batch token width"]) -> Float[Tensor, "group batch token width"]:
        """Normalise over the width."""
        weight, bias = _leading(self.weight, x.shape[0]), _leading(self.bias, x.shape[0])
        return torch.addcmul(bias, F.layer_norm(x, x.shape[-1:]), weight)


def _leading(parameter: nn.Parameter, groups: int) -> Tensor:
    """The first groups of a parameter; the parameter itself where that is all (a slice would cost a copy backward)."""
    return parameter if len(parameter) == groups else parameter[:groups]


class Attention(nn.Module):
    """Multi-head attention, of `x` to itself or to a context, with heads 32 wide.

    Query and key maps start equal, so attention starts at keys that are like the query; with position codes that is at
    places close by, which saves the several hundred steps that finding this out takes otherwise.
    """

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.query = GroupedLinear(groups, width, width)
        self.key_value = GroupedLinear(groups, width, 2 * width)
        self.out = GroupedLinear(groups, width, width)
        with torch.no_grad():
            self.key_value.weight[..., :width] = self.query.weight

    def forward(
        self,
        x: Float[Tensor, "group batch token width"],
        context: Float[Tensor, "group batch key width"],
        present: Bool[Tensor, "group key"] | None = None,
    ) -> Float[Tensor, "group batch token width"]:
        """Read `context` from `x`; keys that are not `present` are left out."""
        query = _split_heads(self.query(x))
        key, value = (_split_heads(part) for part in self.key_value(context).chunk(2, dim=-1))
        mask = None if present is None else present.repeat_interleave(x.shape[1], dim=0)[:, None, None]
        read = attend(query, key, value, mask)
        return self.out(read.transpose(1, 2).flatten(-2).unflatten(0, x.shape[:2]))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention.

    On a CPU in bfloat16 the fused kernel's backward is five times as slow as the three plain operations (measured with
    torch 2.13, 64 tokens, AVX-512), so these stand in for it there.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = torch.matmul(query * HEAD_WIDTH**-0.5, key.transpose(-1, -2))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.matmul(torch.softmax(scores, dim=-1).to(value.dtype), value)


def _split_heads(x: Float[Tensor, "group batch token width"]) -> Float[Tensor, "stacked head token head_width"]:
    """Groups and batch stacked: the fused attention kernels read four axes."""
    return x.flatten(0, 1).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)


class MLP(nn.Module):
    """Two linear maps with a SiLU between, four times as wide inside."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.inner = GroupedLinear(groups, width, 4 * width)
        self.outer = GroupedLinear(groups, 4 * width, width)

    def forward(self, x: Float[Tensor, "group batch token width"]) -> Float[Tensor, "group batch token width"]:
        """Token by token."""
        return self.outer(F.silu(self.inner(x)))


class ProjectionHead(nn.Module):
    """What a contrastive objective compares: linear, norm, SiLU, linear, four times as wide inside (SimCLR's head)."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.inner = GroupedLinear(groups, width, 4 * width)
        self.norm = GroupedNorm(groups, 4 * width)
        self.outer = GroupedLinear(groups, 4 * width, width)

    def forward(self, x: Float[Tensor, "group batch token width"]) -> Float[Tensor, "group batch token width"]:
        """Token by token."""
        return self.outer(F.silu(self.norm(self.inner(x))))


class TransformerLayer(nn.Module):
    """A layer whose activations are many; see `recompute`."""


class Block(TransformerLayer):
    """Pre-norm transformer block: self-attention, then MLP."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.norm = GroupedNorm(groups, width)
        self.attention = Attention(groups, width)
        self.mlp_norm = GroupedNorm(groups, width)
        self.mlp = MLP(groups, width)

    def forward(self, x: Float[Tensor, "group batch token width"]) -> Float[Tensor, "group batch token width"]:
        """Residual stream in, residual stream out."""
        normed = self.norm(x)
        x = x + self.attention(normed, normed)
        return x + self.mlp(self.mlp_norm(x))


class ReadBlock(nn.Module):
    """Pre-norm block that reads a context: cross-attention, then a `Block` among the readers."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.norm = GroupedNorm(groups, width)
        self.context_norm = GroupedNorm(groups, width)
        self.attention = Attention(groups, width)
        self.block = Block(groups, width)

    def forward(
        self,
        x: Float[Tensor, "group batch token width"],
        context: Float[Tensor, "group batch key width"],
        present: Bool[Tensor, "group key"] | None = None,
    ) -> Float[Tensor, "group batch token width"]:
        """Residual stream in, residual stream out."""
        return self.block(x + self.attention(self.norm(x), self.context_norm(context), present))


def recompute(model: nn.Module) -> None:
    """Keep only what enters each transformer layer for the backward pass, and compute the rest a second time.

    Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): less memory, more time.
    """
    for module in model.modules():
        if isinstance(module, TransformerLayer):
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)


def position_code(centres: Float[Tensor, "token 2"], width: int) -> Float[Tensor, "token width"]:
    """Sines and cosines of points of the unit square, a quarter of the width for each of sin x, cos x, sin y, cos y.

    Frequencies run geometrically from 1/2 to 8 periods over the square. A start for learned position codes: places
    that lie close together get codes that are alike.
    """
    frequencies = torch.logspace(-1, 3, width // 4, base=2.0)
    angles = 2 * math.pi * centres[:, :, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def grid_centres(side: int) -> Float[Tensor, "token 2"]:
    """Centres (x, y) of the cells of a side x side grid over the unit square, row by row."""
    steps = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)
