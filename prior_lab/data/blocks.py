"""Smaller frames by averaging blocks of whole pixels."""

import numpy as np


def shrunk(frames: np.ndarray, size: int) -> np.ndarray:
    """Square frames, or masks of them, with blocks averaged; a mask is true where more than half of the block is.

    Parameters
    ----------
    size : side of the result [pixel], a divisor of the frames' side.
    """
    factor = frames.shape[-1] // size
    if factor == 1:
        return frames
    blocks = frames.reshape(*frames.shape[:-2], size, factor, size, factor)
    total = blocks.sum(axis=(-3, -1), dtype=np.uint32)
    if frames.dtype == np.bool_:
        return total * 2 > factor * factor
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)
