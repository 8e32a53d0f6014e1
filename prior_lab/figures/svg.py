"""A figure as SVG that needs neither plotly's script nor a browser to be made: what stored notebooks show.

It draws what figures here are made of: lines, markers, filled bands and bars on linear, logarithmic or named axes, side
by side or in a grid, with titles, legend, annotations and straight shapes. The ground is transparent and the ink a grey
that is read on white and on black alike, because the picture cannot know which it will stand on.
"""

import base64
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from plotly.io.base_renderers import MimetypeRenderer

from prior_lab.errors import InputError
from prior_lab.figures.style import COLOURS, FONT, INK

WIDTH, HEIGHT = 760, 360  # where the layout leaves it to the window [px]
DASHES = {"dash": "6 4", "dot": "1.5 3", "dashdot": "6 3 1.5 3", "longdash": "10 4", "longdashdot": "9 3 2 3"}
MARKERS = {
    "circle": "M-{r},0a{r},{r} 0 1,0 {d},0a{r},{r} 0 1,0 -{d},0z",
    "square": "M-{r},-{r}h{d}v{d}h-{d}z",
    "diamond": "M0,-{w}L{w},0L0,{w}L-{w},0z",
    "triangle-up": "M0,-{w}L{w},{r}L-{w},{r}z",
    "triangle-down": "M0,{w}L{w},-{r}L-{w},-{r}z",
    "x": "M-{r},-{r}L{r},{r}M-{r},{r}L{r},-{r}",
}
LETTER = 0.56  # mean width of a letter [em]


def to_svg(figure: go.Figure) -> str:
    """The figure as one SVG element.

    Raises
    ------
    InputError : if it holds anything but lines, markers, bands and bars.
    """
    others = sorted({trace.type for trace in figure.data} - {"scatter", "bar"})
    if others:
        raise InputError(f"A figure with traces of type {others[0]} cannot be drawn as SVG here.")
    return _Drawing(figure).svg()


def store_pictures() -> None:
    """From now on, in this process, a figure at the end of a cell is stored as plotly's JSON and as SVG.

    JupyterLab draws the former, live; code hosts and nbconvert show the latter.
    """
    plotly.io.renderers["prior_lab"] = _SvgRenderer()
    plotly.io.renderers.default = "plotly_mimetype+prior_lab"


class _SvgRenderer(MimetypeRenderer):  # type: ignore[misc]
    def to_mimebundle(self, figure: dict[str, Any]) -> dict[str, str]:
        """The picture; nothing, where the figure cannot be drawn."""
        try:
            return {"image/svg+xml": to_svg(go.Figure(figure))}
        except InputError:
            return {}


class _Axis:
    """From values to places, and where the ticks are."""

    def __init__(self, spec: Any, values: Sequence[Any], ends: tuple[float, float]) -> None:
        self.spec, self.ends = spec, ends
        self.names = list(dict.fromkeys(map(str, values))) if any(isinstance(value, str) for value in values) else []
        self.is_log = spec.type == "log"
        low, high = self._range([] if self.names else [float(value) for value in values])
        backwards = spec.autorange == "reversed"
        self.low, self.high = (high, low) if backwards else (low, high)

    def _range(self, values: list[float]) -> tuple[float, float]:
        if self.names:
            return -0.5, len(self.names) - 0.5
        if self.spec.range:
            return float(self.spec.range[0]), float(self.spec.range[1])
        known = [math.log10(v) if self.is_log else v for v in values if math.isfinite(v) and (v > 0 or not self.is_log)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.spec.rangemode == "tozero" and not self.is_log:
            low = min(low, 0.0)
        margin = 0.05 * ((high - low) or 1.0)
        return low - (margin if low != 0 else 0), high + margin

    def place(self, value: Any) -> float:
        """Where a value lies [px]; not a number where an axis cannot show it."""
        if self.names:
            at = float(self.names.index(str(value)))
        else:
            number = float(value)
            at = (math.log10(number) if number > 0 else math.nan) if self.is_log else number
        start, stop = self.ends
        return start + (at - self.low) / (self.high - self.low) * (stop - start)

    def ticks(self) -> list[tuple[Any, str]]:
        """Values and their words."""
        if self.names:
            return [(name, name) for name in self.names]
        if self.spec.tickvals is not None:
            words = self.spec.ticktext if self.spec.ticktext is not None else map(str, self.spec.tickvals)
            return [(value, str(text)) for value, text in zip(self.spec.tickvals, words, strict=True)]
        low, high = sorted((self.low, self.high))
        if self.is_log:
            return [(10.0**power, f"{10.0**power:,g}") for power in range(math.ceil(low), math.floor(high) + 1)]
        power = 10.0 ** math.floor(math.log10((high - low) / 4))
        step = next(size * power for size in (1, 2, 5, 10) if (high - low) / (size * power) <= 6)
        digits = max(0, -math.floor(math.log10(step)))
        places = (step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
        return [(value, f"{value:.{digits}f}") for value in places]


class _Drawing:
    def __init__(self, figure: go.Figure) -> None:
        self.figure, self.layout = figure, figure.layout
        self.width = int(self.layout.width or WIDTH)
        self.height = int(self.layout.height or HEIGHT)
        self.parts: list[str] = []
        self.axes: dict[str, _Axis] = {}
        entries = [trace for trace in figure.data if trace.name and trace.showlegend is not False]
        self.entries = entries if self.layout.showlegend is not False and len(figure.data) > 1 else []
        self._legend_lines = self._arrange(self.entries)

    def svg(self) -> str:
        """All parts in one element."""
        self._frame()
        for trace in self.figure.data:
            (self._bars if trace.type == "bar" else self._scatter)(trace)
        self._shapes()
        self._annotations()
        self._legend()
        style = f'font-family="{escape(FONT, quote=True)}" font-size="12" fill="{INK}"'
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" style="max-width:100%;height:auto"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(self.parts)}</svg>'

    # ------------------------------------------------------------ the ground

    def _frame(self) -> None:
        """Axes with grid, ticks and titles, one pair for each panel."""
        is_above = not (self.layout.legend.y is not None and self.layout.legend.y < 0)
        room = 20 * len(self._legend_lines)
        title = 26 if self.layout.annotations and any(note.yref == "paper" for note in self.layout.annotations) else 8
        self.top = float(title) + (room if is_above else 0)
        self.bottom = float(self.height) - 48 - (0 if is_above else room)
        self.legend_top = 16.0 if is_above else self.bottom + 58
        self.left = 24.0 + max(36.0, max((LETTER * 12 * len(text) for text in self._names("y")), default=0))
        texts = any(trace.type == "bar" and trace.text is not None for trace in self.figure.data)
        self.right = self.width - max(60.0 if texts else 16.0, float(self.layout.margin.r or 0))
        for pair in dict.fromkeys((trace.xaxis or "x", trace.yaxis or "y") for trace in self.figure.data):
            self._panel(*pair)

    def _names(self, letter: str) -> list[str]:
        values = [getattr(trace, letter) for trace in self.figure.data]
        flat = [value for column in values if column is not None for value in _flat(column)]
        return [value for value in flat if isinstance(value, str)]

    def _panel(self, x: str, y: str) -> None:
        across, along = self._spec(x), self._spec(y)
        (x0, x1), (y0, y1) = across.domain or (0, 1), along.domain or (0, 1)
        wide, high = self.right - self.left, self.bottom - self.top
        ends_x = (self.left + x0 * wide, self.left + x1 * wide)
        ends_y = (self.bottom - y0 * high, self.bottom - y1 * high)
        shared_x, shared_y = str(across.matches or x), str(along.matches or y)
        own_x = self.axes[x] = _Axis(across, self._values("x", shared_x), ends_x)
        own_y = self.axes[y] = _Axis(along, self._values("y", shared_y), ends_y)
        for value, text in own_y.ticks():
            at = own_y.place(value)
            if min(ends_y) - 0.5 <= at <= max(ends_y) + 0.5:
                if not own_y.names:
                    self._line(ends_x[0], at, ends_x[1], at, opacity=0.22)
                if along.showticklabels is not False:
                    self._text(ends_x[0] - 7, at + 4, text, "end")
        for value, text in own_x.ticks():
            at = own_x.place(value)
            if min(ends_x) - 0.5 <= at <= max(ends_x) + 0.5:
                self._line(at, ends_y[0], at, ends_y[0] + 4, opacity=0.6)
                if across.showticklabels is not False:
                    self._text(at, ends_y[0] + 17, text, "middle")
        self._line(ends_x[0], ends_y[0], ends_x[1], ends_y[0], opacity=0.6)
        if across.title.text:
            self._text(sum(ends_x) / 2, ends_y[0] + 36, _plain(across.title.text), "middle")
        if along.title.text:
            middle = sum(ends_y) / 2
            turned = f'transform="rotate(-90 {13 + ends_x[0] - self.left:.1f} {middle:.1f})"'
            self._text(13 + ends_x[0] - self.left, middle, _plain(along.title.text), "middle", turned)

    def _spec(self, name: str) -> Any:
        return self.layout[f"{name[0]}axis{name[1:]}"]

    def _values(self, letter: str, name: str) -> list[Any]:
        """All values on an axis, and on those that follow its range."""
        found: list[Any] = []
        for trace in self.figure.data:
            own = str(getattr(trace, f"{letter}axis") or letter)
            if name in (own, str(self._spec(own).matches)) and getattr(trace, letter) is not None:
                found += _flat(getattr(trace, letter))
                if trace.type == "bar" and letter == ("x" if trace.orientation == "h" else "y"):
                    found += [] if self._spec(own).type == "log" else [0.0, *_ends(trace).tolist()]
        return found

    # ------------------------------------------------------------ traces

    def _scatter(self, trace: Any) -> None:
        if trace.x is None or trace.y is None:
            return
        across, along = self.axes[trace.xaxis or "x"], self.axes[trace.yaxis or "y"]
        places = [(across.place(x), along.place(y)) for x, y in zip(_flat(trace.x), _flat(trace.y), strict=True)]
        places = [(x, y) for x, y in places if math.isfinite(x) and math.isfinite(y)]
        mode = trace.mode or "lines+markers"
        if places and trace.fill == "toself":
            self.parts.append(f'<path d="{_path(places)}z" fill="{trace.fillcolor}"/>')
        elif places and "lines" in mode:
            line, dash = trace.line, DASHES.get(trace.line.dash, "")
            corners = _steps(places) if line.shape == "hvh" else places
            stroke = f'stroke="{self._colour(trace)}" stroke-width="{line.width or 2}"'
            stroke += f' stroke-dasharray="{dash}"' if dash else ""
            self.parts.append(f'<path d="{_path(corners)}" fill="none" {stroke}/>')
        if "markers" in mode:
            for number, place in enumerate(places):
                self._marker(trace, place, number)

    def _colour(self, trace: Any) -> str:
        """Of a line; one of the house's where the trace leaves it open."""
        spare = list(COLOURS.values())
        place = next(place for place, other in enumerate(self.figure.data) if other is trace)
        return str(trace.line.color or spare[place % len(spare)])

    def _marker(self, trace: Any, place: tuple[float, float], number: int) -> None:
        marker = trace.marker
        symbol = str(marker.symbol or "circle")
        colour = _nth(marker.line.color or marker.color or self._colour(trace), number)
        radius = float(marker.size or 6) / 2
        shape = MARKERS.get(symbol.removesuffix("-open"), MARKERS["circle"])
        shape = shape.format(r=round(radius, 2), d=round(2 * radius, 2), w=round(1.25 * radius, 2))
        hollow = symbol.endswith("-open") or "rgba(0,0,0,0)" in str(marker.color) or symbol == "x"
        inside = "none" if hollow else colour
        self.parts.append(
            f'<path transform="translate({place[0]:.1f} {place[1]:.1f})" d="{shape}" fill="{inside}" '
            f'stroke="{colour}" stroke-width="1.5"/>'
        )

    def _bars(self, trace: Any) -> None:
        across, along = self.axes[trace.xaxis or "x"], self.axes[trace.yaxis or "y"]
        flat = trace.orientation == "h"
        sizes, names = (_flat(trace.x), _flat(trace.y)) if flat else (_flat(trace.y), _flat(trace.x))
        ends, thick = _ends(trace), self._thickness(along if flat else across, names)
        for number, (size, name, end) in enumerate(zip(sizes, names, ends, strict=True)):
            colour = _nth(trace.marker.color, number)
            axis, middle = (across, along.place(name)) if flat else (along, across.place(name))
            start = 10.0 ** min(axis.low, axis.high) if axis.is_log else end - size
            first, last = sorted((axis.place(start), axis.place(end)))
            box = (
                (first, middle - thick / 2, last - first, thick)
                if flat
                else (middle - thick / 2, first, thick, last - first)
            )
            x, y, width, height = (f"{value:.1f}" for value in box)
            opacity = f' fill-opacity="{trace.marker.opacity}"' if trace.marker.opacity else ""
            self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{colour}"{opacity}/>')
            if trace.text is not None and flat:
                self._text(last + 4, middle + 4, str(_flat(trace.text)[number]), "start")

    def _thickness(self, axis: _Axis, names: list[Any]) -> float:
        count = len(axis.names) or max(1, len(names))
        return abs(axis.ends[1] - axis.ends[0]) / count * (1 - float(self.layout.bargap or 0.2))

    # ------------------------------------------------------------ what stands on it

    def _shapes(self) -> None:
        for shape in self.layout.shapes:
            x0, x1 = (self._at("x", shape.xref, value) for value in (shape.x0, shape.x1))
            y0, y1 = (self._at("y", shape.yref, value) for value in (shape.y0, shape.y1))
            self._line(x0, y0, x1, y1, opacity=0.8, dash=DASHES.get(shape.line.dash, ""))

    def _annotations(self) -> None:
        for note in self.layout.annotations:
            x, y = (self._at(letter, note[f"{letter}ref"], self._known(letter, note)) for letter in "xy")
            anchor = {"left": "start", "right": "end"}.get(note.xanchor, "middle")
            self._text(x, y + 4 if note.yanchor == "middle" else y - 5, _plain(note.text), anchor)

    def _known(self, letter: str, note: Any) -> Any:
        """The value that an annotation stands at: plotly writes its logarithm where the axis has one."""
        axis = self.axes.get(str(note[f"{letter}ref"]))
        return 10.0 ** float(note[letter]) if axis is not None and axis.is_log else note[letter]

    def _at(self, letter: str, reference: Any, value: Any) -> float:
        """A place on an axis, in one panel ("x domain") or in the whole plot ("paper")."""
        name, _, domain = str(reference or "paper").partition(" ")
        if name in self.axes and not domain:
            return self.axes[name].place(value)
        whole = (self.left, self.right) if letter == "x" else (self.bottom, self.top)
        start, stop = self.axes[name].ends if name in self.axes else whole
        return start + float(value) * (stop - start)

    def _arrange(self, entries: Sequence[Any]) -> list[list[Any]]:
        """Entries of the legend, in lines that fit."""
        lines: list[list[Any]] = []
        used = math.inf
        for entry in entries:
            width = 46 + LETTER * 12 * len(_plain(entry.name))
            if used + width > WIDTH - 60:
                lines.append([])
                used = 0
            lines[-1].append(entry)
            used += width
        return lines

    def _legend(self) -> None:
        for row, line in enumerate(self._legend_lines):
            x, y = self.left, self.legend_top + 20 * row - 4
            for trace in line:
                if trace.type == "bar":
                    look = f'fill="{_nth(trace.marker.color, 0)}" fill-opacity="{trace.marker.opacity or 1}"'
                    self.parts.append(f'<rect x="{x}" y="{y - 5}" width="22" height="10" {look}/>')
                else:
                    dash = DASHES.get(trace.line.dash, "")
                    if "lines" in (trace.mode or "lines"):
                        self._line(x, y, x + 24, y, colour=self._colour(trace), width=2.0, dash=dash)
                    if "markers" in (trace.mode or ""):
                        self._marker(trace, (x + 12, y), 0)
                self._text(x + 30, y + 4, _plain(trace.name), "start")
                x += 46 + LETTER * 12 * len(_plain(trace.name))

    def _line(
        self, x0: float, y0: float, x1: float, y1: float, *, opacity: float = 1.0, dash: str = "", colour: str = INK,
        width: float = 1.0,
    ) -> None:  # fmt: skip
        more = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{colour}" stroke-width="{width}" '
            f'stroke-opacity="{opacity}"{more}/>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str, more: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>')


def _flat(values: Any) -> list[Any]:
    """Values of an axis, as plotly writes them or packed; names of two levels become one."""
    if isinstance(values, Mapping):
        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    array = list(values)
    if array and isinstance(array[0], tuple | list | np.ndarray):
        return [", ".join(map(str, names)) for names in zip(*array, strict=True)]
    plain = [value.item() if isinstance(value, np.generic) else value for value in array]
    return [_plain(value) if isinstance(value, str) else value for value in plain]


def _ends(trace: Any) -> np.ndarray:
    """Where the bars of a trace end."""
    sizes = np.asarray(_flat(trace.x if trace.orientation == "h" else trace.y), float)
    return sizes if trace.base is None else sizes + np.asarray(_flat(trace.base), float)


def _nth(colour: Any, number: int) -> str:
    return str(colour if colour is None or isinstance(colour, str) else colour[number % len(colour)])


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _steps(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Steps in the middle between places."""
    corners = [places[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(places):
        corners += [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)]
    return [*corners, places[-1]]


def _plain(text: str) -> str:
    """Without plotly's marks."""
    return re.sub(r"<br\s*/?>", " ", re.sub(r"</?(?:b|i|sup|sub)>", "", text))
