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

    The truth stands at the left of all its arms. The ground is transparent, so that the picture suits any page.

    Parameters
    ----------
    truth : the images.
    reconstructions : by arm label.
    budgets : the budgets of the first axis of each array.
    tile : side of one picture [px].
    """
    gap, gutter, head = 4, 18, 26
    font, bold = ImageFont.load_default(13), ImageFont.load_default(14)
    rows = len(reconstructions)
    block = rows * (tile + gap) - gap
    side = tile if rows == 1 else min(block, 2 * tile)
    names = max(round(bold.getlength(label)) for label in reconstructions) + 26
    x0 = side + names
    size = (x0 + len(budgets) * (tile + gap) - gap, head + len(truth) * (block + gutter) - gutter)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    draw.text((side // 2, head // 2), "truth", fill=INK, font=font, anchor="mm")
    words = [f"{budgets[0]} token{'s' * (budgets[0] > 1)}", *map(str, budgets[1:])]
    for column, text in enumerate(words):
        draw.text((x0 + column * (tile + gap) + tile // 2, head // 2), text, fill=INK, font=font, anchor="mm")
    for i, picture in enumerate(truth):
        top = head + i * (block + gutter)
        sheet.paste(_tile(picture, side), (0, top + (block - side) // 2))
        for row, (label, pictures) in enumerate(reconstructions.items()):
            y = top + row * (tile + gap)
            draw.text((x0 - 12, y + tile // 2), label, fill=colour_of(label, row), font=bold, anchor="rm")
            for column, reconstruction in enumerate(pictures[:, i]):
                sheet.paste(_tile(reconstruction, tile), (x0 + column * (tile + gap), y))
    return sheet


def _tile(picture: UInt8[np.ndarray, "3 h w"], side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    return image.resize((side, side), Image.Resampling.BICUBIC)
