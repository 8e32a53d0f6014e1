"""A picture cut short in several ways side by side: a slider that chooses among cuts drawn beforehand, and tables."""

import base64
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import plotly.graph_objects as go
import torch
import traitlets
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from prior_lab.figures import INK, house_template, require
from prior_lab.widgets.base import Explorer
from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent
WIDTH = 660  # of a figure, in the narrowest window [px]
PALETTE = {
    "pixels": "#D55E00", "cosines": "#009E73", "PCA": "#CC79A7", "random": "#7F7F7F", "PRIOR": "#0072B2",
}  # fmt: skip
MARKERS = {
    "pixels": "square", "cosines": "diamond", "PCA": "triangle-up", "random": "triangle-down", "PRIOR": "circle",
}  # fmt: skip


def levels_off(
    pictures: Float[Tensor, "*batch 3 64 64"], images: UInt8[Tensor, "image 3 64 64"]
) -> Float[Tensor, "*batch"]:
    """How far pixels are off: the root of the mean squared difference, in levels of 0 to 255."""
    return 255 * (pictures - images.float() / 255).square().mean(dim=(-3, -2, -1)).sqrt()


@dataclass(frozen=True, eq=False)
class Cuts:
    """Pictures cut short in several ways at several places, drawn beforehand.

    Attributes
    ----------
    heading : what is compared.
    noun : what is counted, in the singular.
    stops : how many of them.
    ways : names, in order.
    captions : of the images.
    truth : the images.
    pictures : what is left of them.
    off : how far the pixels are off, as `levels_off` has it.
    """

    heading: str
    noun: str
    stops: tuple[int, ...]
    ways: tuple[str, ...]
    captions: tuple[str, ...]
    truth: UInt8[Tensor, "image 3 64 64"]
    pictures: UInt8[Tensor, "way stop image 3 64 64"]
    off: Float[Tensor, "way stop image"]

    @classmethod
    def drawn(
        cls,
        ways: Mapping[str, Callable[[int], Float[Tensor, "image 3 64 64"]]],
        images: UInt8[Tensor, "image 3 64 64"],
        captions: Sequence[str],
        stops: Sequence[int],
        *,
        heading: str,
        noun: str = "number",
    ) -> Self:
        """Draw all cuts; a way is given as what it shows of the images at a stop."""
        floats = torch.stack([torch.stack([draw(stop) for stop in stops]) for draw in ways.values()])
        pictures = (floats * 255).round().to(torch.uint8)
        off = levels_off(floats, images)
        return cls(heading, noun, tuple(stops), tuple(ways), tuple(captions), images, pictures, off)

    def packed(self) -> bytes:
        """Deflated RGB: every image, then its cuts, way by way and stop by stop."""
        layers = torch.cat([self.truth[None], self.pictures.flatten(0, 1)]).permute(0, 1, 3, 4, 2)
        return zlib.compress(layers.contiguous().numpy().tobytes(), 6)

    def strip(self, image: int = 0, stops: Sequence[int] | None = None, tile: int = 76) -> Image.Image:
        """One image: a row for each way, a column for each stop, with a transparent ground."""
        chosen = list(stops or self.stops)
        rows = {
            name: [self.pictures[way, self.stops.index(stop), image] for stop in chosen]
            for way, name in enumerate(self.ways)
        }
        return picture_table(rows, [f"{stop:,}" for stop in chosen], tile=tile)


class CutCanvas(Canvas):
    """Traits only; `cut_slider.js` draws, and sets `stop` and `image` without waiting for the kernel."""

    _esm = script(HERE, "cut_slider.js")
    _css = looks(HERE, "cut_slider.css")

    heading = traitlets.Unicode().tag(sync=True)
    noun = traitlets.Unicode().tag(sync=True)
    stops = traitlets.List(traitlets.Int()).tag(sync=True)
    arms = traitlets.List(traitlets.Dict()).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    side = traitlets.Int().tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)
    off = traitlets.List(traitlets.List()).tag(sync=True)  # by image, way and stop

    stop = traitlets.Int().tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)


@dataclass
class CutState:
    """Where the slider stands and which image is shown, as a plain object.

    Attributes
    ----------
    cuts : all that there is to see.
    stop : one of its stops.
    image : one of its captions.
    """

    cuts: Cuts
    stop: int
    image: str

    def __setattr__(self, name: str, value: object) -> None:
        if name == "stop":
            value = require(value, self.cuts.stops, "stop", "slider")
        if name == "image":
            value = require(value, self.cuts.captions, "picture", "slider")
        object.__setattr__(self, name, value)


class CutSlider(Explorer):
    """All ways of cutting a picture short, side by side; made by `why_order.slide`.

    Attributes
    ----------
    cuts : what is shown.
    state : where the slider stands and which image is shown.
    """

    settings: ClassVar[tuple[str, ...]] = ("stop", "image")
    state: CutState

    def __init__(self, cuts: Cuts, stop: int | None = None) -> None:
        self.cuts = cuts
        self.state = CutState(cuts, cuts.stops[len(cuts.stops) // 2] if stop is None else stop, cuts.captions[0])
        arms = [{"label": name, "colour": PALETTE[name], "symbol": MARKERS[name]} for name in cuts.ways]
        off = [[[round(float(value), 2) for value in way] for way in image] for image in cuts.off.permute(2, 0, 1)]
        canvas = CutCanvas(
            heading=cuts.heading, noun=cuts.noun, stops=list(cuts.stops), arms=arms, captions=list(cuts.captions),
            side=cuts.truth.shape[-1], pixels=cuts.packed(), off=off, stop=self.state.stop, image=self.state.image,
        )  # fmt: skip
        super().__init__(canvas)

    @property
    def stop(self) -> int:
        """How many numbers are kept; set it to move the slider."""
        return self.state.stop

    @stop.setter
    def stop(self, stop: int) -> None:
        self._set("stop", stop)

    @property
    def image(self) -> str:
        """The caption of the image that is shown; set it to show another."""
        return self.state.image

    @image.setter
    def image(self, caption: str) -> None:
        self._set("image", caption)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return self.cuts.heading

    def summary(self) -> str:
        """The numbers on screen, as text."""
        place, image = self.cuts.stops.index(self.stop), self.cuts.captions.index(self.image)
        lines = [f"{self.image}, {self.stop:,} of {self.cuts.stops[-1]:,} {self.cuts.noun}s: levels off"]
        found = zip(self.cuts.ways, self.cuts.off[:, place, image].tolist(), strict=True)
        return "\n".join([*lines, *(f"  {name:<8} {value:5.1f}" for name, value in found)])

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        return f"CutSlider({self.image}, {self.stop:,} {self.cuts.noun}s; {', '.join(self.cuts.ways)})"

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows in its place: every second cut of the image."""
        stops = self.cuts.stops[::2] if len(self.cuts.stops) > 8 else self.cuts.stops
        file = io.BytesIO()
        self.cuts.strip(self.cuts.captions.index(self.image), stops).save(file, "PNG")
        return {"image/png": base64.b64encode(file.getvalue()).decode()}

    def _change(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    def _answer(self, request: Mapping[str, Any]) -> None:
        """Nothing is asked: the browser has all."""

    def _prepare(self) -> None:
        """Nothing is left to be done."""


def error_curves(off: Mapping[str, Sequence[float]], stops: Sequence[int], noun: str = "number") -> go.Figure:
    """How far pixels are off with the first few numbers, a curve for each way.

    Parameters
    ----------
    off : by way, a value for every stop.
    """
    layout = go.Layout(
        template=house_template(),
        width=WIDTH,
        xaxis={"type": "log", "title": f"{noun}s kept", "tickvals": list(stops), "ticktext": [f"{k:,}" for k in stops]},
        yaxis={"title": "levels off", "rangemode": "tozero"},
    )
    look = {name: {"color": PALETTE[name], "width": 2} for name in off}
    traces = [
        go.Scatter(
            x=list(stops), y=[round(float(value), 2) for value in values], name=name, mode="lines+markers",
            line=look[name], marker={"symbol": MARKERS[name], "size": 8},
        )
        for name, values in off.items()
    ]  # fmt: skip
    return go.Figure(traces, layout)


def picture_table(
    rows: Mapping[str, Sequence[Tensor]], columns: Sequence[str], *, tile: int = 76, smooth: bool = False
) -> Image.Image:
    """Pictures in rows and columns with names, on a transparent ground.

    Parameters
    ----------
    rows : by name, pictures [3, height, width], uint8 or floats in [0, 1].
    columns : headings.
    tile : side of a picture [px].
    smooth : enlarge smoothly instead of pixel by pixel.
    """
    gap, head = 4, 24 if any(columns) else 0
    font = ImageFont.load_default(13)
    names = max(round(font.getlength(name)) for name in rows)
    left = names + 12 if names else 0
    size = (left + len(columns) * (tile + gap) - gap, head + len(rows) * (tile + gap) - gap)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    for column, text in enumerate(columns):
        draw.text((left + column * (tile + gap) + tile // 2, head // 2), text, fill=INK, font=font, anchor="mm")
    for row, (name, pictures) in enumerate(rows.items()):
        top = head + row * (tile + gap)
        draw.text((names, top + tile // 2), name, fill=PALETTE.get(name, INK), font=font, anchor="rm")
        for column, one in enumerate(pictures):
            whole = one if one.dtype == torch.uint8 else (one.clamp(0, 1) * 255).round().to(torch.uint8)
            picture = Image.fromarray(np.ascontiguousarray(whole.permute(1, 2, 0).numpy()))
            how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
            sheet.paste(picture.resize((tile, tile), how), (left + column * (tile + gap), top))
    return sheet
