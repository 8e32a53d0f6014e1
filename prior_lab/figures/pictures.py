"""Reconstructions as one picture that a stored notebook shows everywhere."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from prior_lab.figures.style import INK, colour_of


def reconstruction_strip(
    truth: UInt8[np.ndarray, "image 3 h w"],
    reconstructions: Mapping[str, UInt8[np.ndarray, "budget image 3 h w"]],
    budgets: Sequence[int],
    *,
    tile: int = 72,
) -> Image.Image:
    """Ground truth and every arm's reconstruction at every budget: the form of the paper's figure 5, as one picture.

    Parameters
    ----------
    truth : the images.
    reconstructions : by arm label.
    budgets : the budgets of the first axis of each array.
    tile : side of one picture [px].
    """
    gap, gutter, head, side = 4, 18, 26, 92
    block = len(reconstructions) * (tile + gap) + gutter
    columns = side + gutter + (len(budgets) + 1) * (tile + gap)
    sheet = Image.new("RGB", (columns, head + len(truth) * block - gutter), "white")
    draw, x0 = ImageDraw.Draw(sheet), side + tile + gutter + gap
    font, bold = ImageFont.load_default(13), ImageFont.load_default(14)
    words = [f"{budgets[0]} token{'s' * (budgets[0] > 1)}", *map(str, budgets[1:])]
    draw.text((side + tile // 2, head // 2), "truth", fill=INK, font=font, anchor="mm")
    for column, text in enumerate(words):
        draw.text((x0 + column * (tile + gap) + tile // 2, head // 2), text, fill=INK, font=font, anchor="mm")
    for i, picture in enumerate(truth):
        top = head + i * block
        sheet.paste(_tile(picture, tile), (side, top + (block - gutter - gap - tile) // 2))
        for row, (label, pictures) in enumerate(reconstructions.items()):
            y = top + row * (tile + gap)
            draw.text((side - 12, y + tile // 2), label, fill=colour_of(label, row), font=bold, anchor="rm")
            for column, reconstruction in enumerate(pictures[:, i]):
                sheet.paste(_tile(reconstruction, tile), (x0 + column * (tile + gap), y))
    return sheet


def _tile(picture: UInt8[np.ndarray, "3 h w"], side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    return image.resize((side, side), Image.Resampling.BICUBIC)
