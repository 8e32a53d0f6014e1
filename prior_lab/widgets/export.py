"""One HTML file that works without a kernel and without a network."""

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prior_lab.files import require_writable, writing
from prior_lab.widgets.canvas import Canvas

PAGE = Path(__file__).parent / "page.html"


def export_html(path: str | Path, title: str, canvas: Canvas, more: Callable[[], Mapping[str, Any]]) -> Path:
    """Write a canvas as it stands to one file.

    Parameters
    ----------
    more : gives what the page needs beyond the traits of the canvas; called once it is known that the file can be
        written.

    Raises
    ------
    InputError : if the file cannot be written; an older file of that name then stays whole.
    """
    require_writable(path)
    own = (
        name for kind in type(canvas).__mro__ if issubclass(kind, Canvas) for name in kind.class_own_traits(sync=True)
    )
    extra = more()
    state = {name: getattr(canvas, name) for name in own if not name.startswith("_")}
    state |= {**extra, "title": title, "problem": "", "notice": ""}
    parts = {
        "title": html.escape(title),
        "css": str(canvas._css),
        "esm": base64.b64encode(str(canvas._esm).encode("utf-8")).decode(),
        "state": to_json(state),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], PAGE.read_text("utf-8"))
    with writing(path) as temporary:
        temporary.write_text(page, "utf-8", "replace")  # a name may hold half a character
    return Path(path)


def to_json(value: object) -> str:
    """JSON that no name in it can break out of its script element; bytes become {"base64": ...}."""
    text = json.dumps(value, separators=(",", ":"), default=_bytes)
    return text.replace("<", "\\u003c")


def _bytes(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}
