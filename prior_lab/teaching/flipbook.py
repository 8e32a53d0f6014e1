"""A figure that moves: a picture for every stop of one slider or two, all made beforehand.

    book = FlipBook("A rate", [Slider("rate", ("0", "1", "2"), "bit")], draw)
    book                # as the last line of a cell: shows itself
    book.places = (2,)  # the third stop of the slider

The browser turns the pages by itself, so it needs no kernel, and `to_html` writes it into one file.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import traitlets

from prior_lab import figures
from prior_lab.checks import whole_number
from prior_lab.errors import InputError
from prior_lab.widgets.base import Explorer
from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Slider:
    """A slider of a flip-book.

    Attributes
    ----------
    name : what it moves.
    stops : its stops in words, each another.
    unit : written behind the stop.
    """

    name: str
    stops: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True)
class Page:
    """What one place of all sliders shows.

    Attributes
    ----------
    figure : the picture.
    caption : a sentence below it.
    """

    figure: go.Figure
    caption: str


class FlipBookCanvas(Canvas):
    """Traits only; the script draws, and sets what was chosen."""

    _esm = script(HERE, "flipbook.js")
    _css = looks(HERE, "flipbook.css")

    sliders = traitlets.List(traitlets.Dict()).tag(sync=True)
    places = traitlets.List(traitlets.Int()).tag(sync=True)
    pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)  # SVG; the last slider changes first
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)


@dataclass
class Places:
    """Where the sliders stand, counted from 0; refuses what is no stop."""

    sliders: tuple[Slider, ...]
    places: tuple[int, ...]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "places":
            value = tuple(whole_number("the place of a slider", place) for place in value)
            counts = [len(slider.stops) for slider in self.sliders]
            if len(value) != len(counts) or not all(0 <= at < n for at, n in zip(value, counts, strict=True)):
                raise InputError(f"The sliders cannot stand at {value}; they have {counts} stops, counted from 0.")
        object.__setattr__(self, name, value)

    @property
    def page(self) -> int:
        """The number of the page."""
        page = 0
        for slider, place in zip(self.sliders, self.places, strict=True):
            page = page * len(slider.stops) + place
        return page


class FlipBook(Explorer):
    """Pictures that sliders turn over.

    Parameters
    ----------
    title : of an exported page.
    sliders : one or two.
    draw : the page for a place of every slider, counted from 0.
    start : where the sliders stand at first.
    """

    settings = ("places",)
    state: Places
    canvas: FlipBookCanvas

    def __init__(
        self, title: str, sliders: Sequence[Slider], draw: Callable[..., Page], start: Sequence[int] | None = None
    ) -> None:
        self._title = title
        self.state = Places(tuple(sliders), tuple(start or [0] * len(sliders)))
        pages = [draw(*at) for at in itertools.product(*(range(len(slider.stops)) for slider in sliders))]
        super().__init__(
            FlipBookCanvas(
                sliders=[{"name": one.name, "stops": list(one.stops), "unit": one.unit} for one in sliders],
                places=list(self.state.places),
                pictures=[figures.to_svg(page.figure) for page in pages],
                captions=[page.caption for page in pages],
            )
        )

    @property
    def places(self) -> tuple[int, ...]:
        """Where the sliders stand, counted from 0; set it to move them."""
        return self.state.places

    @places.setter
    def places(self, places: Sequence[int]) -> None:
        self.state.places = tuple(places)
        self.canvas.places = list(self.state.places)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return self._title

    def summary(self) -> str:
        """Where the sliders stand, and the sentence below the picture."""
        stands = zip(self.state.sliders, self.places, strict=True)
        where = ", ".join(f"{slider.name} {slider.stops[place]} {slider.unit}".strip() for slider, place in stands)
        return f"{where}: {self.canvas.captions[self.state.page]}"

    def picture(self) -> dict[str, str]:
        """The picture on top."""
        return {"image/svg+xml": self.canvas.pictures[self.state.page]}

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        return f"FlipBook({self.title}; {', '.join(slider.name for slider in self.state.sliders)})"

    def _change(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    def _answer(self, request: Mapping[str, Any]) -> None:
        """Nothing is asked: the browser has all."""

    def _prepare(self) -> None:
        """Nothing is left to be done."""
