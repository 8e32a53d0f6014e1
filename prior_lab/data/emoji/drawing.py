"""From an SVG body to pixels: drawn by resvg with its alpha channel, then laid on the ground."""

import io
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from prior_lab.data.emoji.recipe import GROUND, SIZE
from prior_lab.data.emoji.sources import Package
from prior_lab.errors import InputError


def need_resvg() -> None:
    """Refuse to render without resvg.

    Raises
    ------
    InputError : if resvg-py is missing.
    """
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise InputError("rendering needs resvg-py: pip install 'prior_lab[render]'") from error


def svg_text(package: Package, name: str) -> str:
    """A whole SVG document of one drawing.

    Raises
    ------
    InputError : if the set turns the drawing in a way that is not known here.
    """
    turn: Mapping[str, object] = {}
    if name in package.aliases:
        turn = package.aliases[name]
        name = str(turn["parent"])
    icon = package.icons[name]
    default = dict(zip(("left", "top", "width", "height"), package.box, strict=True))
    left, top, width, height = (icon.get(side, value) for side, value in default.items())
    body = str(icon["body"])
    if turn.get("vFlip") or turn.get("rotate"):
        raise InputError(f"the drawing {name} is turned by {dict(turn)}; expected hFlip alone")
    if turn.get("hFlip"):
        body = f'<g transform="translate({2 * float(str(left)) + float(str(width)):g} 0) scale(-1 1)">{body}</g>'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}">{body}</svg>'
    )


def draw(svg: str) -> UInt8[np.ndarray, "height width 4"]:
    """Red, green, blue and alpha, not multiplied, of a drawing as large as the frame."""
    import resvg_py

    data = resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE)
    with Image.open(io.BytesIO(bytes(data))) as image:
        drawn = image.convert("RGBA")
    if drawn.size != (SIZE, SIZE):  # a box that is not square
        frame = Image.new("RGBA", (SIZE, SIZE))
        frame.paste(drawn, ((SIZE - drawn.width) // 2, (SIZE - drawn.height) // 2))
        drawn = frame
    return np.asarray(drawn)


def compose(drawn: UInt8[np.ndarray, "*drawing height width 4"]) -> UInt8[np.ndarray, "*drawing height width 3"]:
    """Drawings on the ground, mixed as display values and rounded to the nearest."""
    alpha = drawn[..., 3:].astype(np.uint32)
    mixed = drawn[..., :3] * alpha + np.array(GROUND, dtype=np.uint32) * (255 - alpha)
    return ((2 * mixed + 255) // 510).astype(np.uint8)


def mask(drawn: UInt8[np.ndarray, "*drawing height width 4"]) -> Bool[np.ndarray, "*drawing height width"]:
    """Where a drawing covers more than half of a pixel."""
    return drawn[..., 3] > 127
