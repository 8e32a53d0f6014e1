"""What every explorer's widget in the browser has in common, and how its one module is put together.

A widget is one script and one style sheet. They are joined here, once, when its class is made: the shared parts first,
in `parts/`, then what the explorer draws itself. Each file is plain JavaScript without imports; what one defines, the
ones after it use, and the last one exports `render`.
"""

from pathlib import Path

import anywidget
import traitlets
from plotly.colors import sample_colorscale, unlabel_rgb

PARTS = Path(__file__).parent / "parts"
SCRIPTS = ("elements.js", "frame.js", "controls.js", "tiles.js", "curves.js")
LOOKS = ("theme.css", "controls.css", "tiles.css", "curves.css")


def script(folder: Path, *names: str) -> str:
    """The module of an explorer: the shared parts, and then its own files."""
    return _joined([*(PARTS / name for name in SCRIPTS), *(folder / name for name in names)])


def looks(folder: Path, *names: str) -> str:
    """The style sheet of an explorer: the shared parts', and then its own files."""
    return _joined([*(PARTS / name for name in LOOKS), *(folder / name for name in names)])


def _joined(paths: list[Path]) -> str:
    return "\n".join(path.read_text("utf-8") for path in paths)


def palette(colourscale: str, count: int) -> list[list[int]]:
    """Some colours of one of plotly's scales, from its beginning to its end, as [red, green, blue]."""
    colours = sample_colorscale(colourscale, [step / (count - 1) for step in range(count)])
    return [[round(part) for part in unlabel_rgb(colour)] for colour in colours]


class Canvas(anywidget.AnyWidget):
    """Traits only: scripts draw them, and set what was chosen.

    Attributes
    ----------
    title : of an exported page, which has no kernel; empty in a notebook.
    notice : what the kernel is working on.
    problem : what went wrong, in a sentence.
    """

    title = traitlets.Unicode().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
