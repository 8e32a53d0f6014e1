"""The stream explorer in the browser: bytes, pictures and one file, byte by byte."""

from pathlib import Path

import traitlets

from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent


class StreamCanvas(Canvas):
    """Traits only; the scripts draw, set all but the last four, and ask for other arms or images."""

    _esm = script(HERE, "slider.js", "file.js", "sheet.js", "stream.js")
    _css = looks(HERE, "stream.css")

    arms = traitlets.List(traitlets.Unicode()).tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    rates = traitlets.List(traitlets.Int()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    palette = traitlets.List(traitlets.List()).tag(sync=True)  # of levels, from the first to the last
    raw = traitlets.Int().tag(sync=True)  # bytes of an image without a codec

    cut = traitlets.Int().tag(sync=True)
    rate = traitlets.Int().tag(sync=True)
    adaptive = traitlets.Bool().tag(sync=True)
    target = traitlets.Float().tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)  # deflated RGB, as `Page.packed` lays it out
    page = traitlets.Dict().tag(sync=True)  # what `pixels` are of
