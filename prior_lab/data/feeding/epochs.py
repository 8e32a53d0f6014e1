"""Which images a step of training sees: every image once an epoch, as a function of the seed and the step alone.

A run that is resumed in the middle of an epoch goes on with the images that it would have seen, and processes that
share the work divide the batch of one process among them.
"""

import hashlib
from functools import lru_cache

import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from prior_lab.errors import InputError


def epoch_order(count: int, seed: int, epoch: int) -> Int64[Tensor, "image"]:
    """The order in which an epoch sees all images: a random permutation.

    Parameters
    ----------
    count : number of images.
    epoch : counted from 0.

    Raises
    ------
    InputError : if there are no images, or `epoch` is negative.
    """
    if count < 1 or epoch < 0:
        raise InputError(f"epoch {epoch} of {count} images has no order; expected at least one image, epochs from 0")
    return _order(count, seed, epoch).clone()


def batch_indices(
    count: int, batch: int, seed: int, step: int, *, rank: int = 0, ranks: int = 1
) -> Int64[Tensor, "image"]:
    """Which images a step sees, or one process's part of them.

    Epoch follows epoch without a gap: a batch begins where the one before it ended, perhaps in the next epoch.

    Parameters
    ----------
    count : number of images.
    batch : number of images that all processes see together in a step; may be larger than `count`.
    step : counted from 0.
    rank, ranks : this process and the number of processes; their parts, one after the other, are the batch.

    Raises
    ------
    InputError : if there are no images, the batch does not divide by the processes, or a number is out of its range.
    """
    if count < 1 or step < 0:
        raise InputError(f"step {step} of {count} images has no batch; expected at least one image, steps from 0")
    if not 0 <= rank < ranks:
        raise InputError(f"there is no process {rank} of {ranks}; expected a number from 0 to one less than {ranks}")
    if batch < 1 or batch % ranks:
        raise InputError(f"a batch of {batch} images cannot be divided among {ranks} processes; expected a multiple")
    part = batch // ranks
    start = step * batch + rank * part
    parts = []
    for epoch in range(start // count, (start + part - 1) // count + 1):
        low, high = max(start - epoch * count, 0), min(start + part - epoch * count, count)
        parts.append(_order(count, seed, epoch)[low:high])
    return torch.cat(parts)


def stream(*numbers: int) -> Generator:
    """A random stream of its own for every combination of numbers, such as a seed and a step."""
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Int64[Tensor, "image"]:
    """The permutation, not to be written to; two are kept, for batches that span two epochs."""
    return torch.randperm(count, generator=stream(seed, epoch))
