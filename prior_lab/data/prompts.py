"""The 2-D Gaussian of an object's mask, the prompt that says where in the frame to look."""

import numpy as np
from jaxtyping import Bool, Float32


def mask_gaussians(masks: Bool[np.ndarray, "image height width"]) -> Float32[np.ndarray, "image 5"]:
    """Moments of every mask as columns x, y, first and second standard deviation, rotation.

    Returns
    -------
    prompts : mean x and y [pixel], from the upper left corner of the frame, y downwards, a pixel's own centre at +0.5;
        standard deviations along the principal axes [pixel], the longer first; rotation of the first axis [radian],
        from +x towards +y, in (-pi/2, pi/2]. Rounded to multiples of 1/4096.

    Raises
    ------
    ValueError : if a mask is empty.
    """
    height, width = masks.shape[1:]
    ones = masks.astype(np.float64)  # exact for small masks, and large ones do not overflow
    x, y = 2.0 * np.arange(width) + 1, 2.0 * np.arange(height) + 1
    columns, rows = ones.sum(axis=1), ones.sum(axis=2)
    count = columns.sum(axis=1)
    if (count == 0).any():
        raise ValueError("a mask is empty")
    sum_x, sum_y = (columns * x).sum(axis=1), (rows * y).sum(axis=1)
    sum_xy = ((ones * x).sum(axis=2) * y).sum(axis=1)
    spread_x = count * (columns * x * x).sum(axis=1) - sum_x**2
    spread_y = count * (rows * y * y).sum(axis=1) - sum_y**2
    spread_xy = count * sum_xy - sum_x * sum_y
    scale = 4.0 * count**2
    middle = (spread_x + spread_y) / 2
    radius = np.sqrt(((spread_x - spread_y) / 2) ** 2 + spread_xy**2)
    angle = 0.5 * np.arctan2(2 * spread_xy, spread_x - spread_y)
    long, short = np.sqrt((middle + radius) / scale), np.sqrt(np.maximum(middle - radius, 0) / scale)
    prompts = np.stack([sum_x / (2 * count), sum_y / (2 * count), long, short, angle], axis=1)
    return (np.round(prompts * 4096) / 4096).astype(np.float32)
