"""Several processes that train one model: joint batches and sums with gradients, and each one's share of a draw.

A run does not depend on how many processes share it: every process has an equal part of each batch, consecutive in
order of rank, draws what one process would draw for the whole batch, and keeps its own rows.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def process_count() -> int:
    """How many processes train together; 1 without `torch.distributed`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """The number of this one among them."""
    return dist.get_rank() if process_count() > 1 else 0


def own_rows(joint: Tensor) -> Tensor:
    """The rows of this process, of what was drawn for the whole batch."""
    return joint.chunk(process_count())[process_rank()]


def joined(x: Tensor, dim: int = 0) -> Tensor:
    """The parts of all processes, one after the other; gradients of every process go back to whose part it is."""
    return _Gather.apply(x, dim) if process_count() > 1 else x


def summed(x: Tensor) -> Tensor:
    """The sum over all processes, with gradients of every process."""
    return _Sum.apply(x) if process_count() > 1 else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(process_count())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts, dim)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _total(gradient).chunk(process_count(), ctx.dim)[process_rank()], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _total(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _total(gradient)


def _total(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
