"""Notebooks, data cards and the changelog, gathered into the site's sources before they are read.

Notebooks come with the outputs that they store. Three things are changed on the way: an explorer's still picture gives
way to the explorer itself, plotly's JSON to the picture beside it (a page has no plotly), and folded code stays folded.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import live
from sphinx.application import Sphinx

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
STILL = re.compile(
    r"\*The (?:widget needs a running kernel|sliders need no kernel|slider needs a running notebook)[^*]*\*"
)
ALIVE = "*Here the explorer is live. Whatever it would have to compute (other images, other arms) takes a notebook.*"
DRAWN_LATER = "*While a cell below is at work, this one draws what it does; see for yourself in a notebook.*"
HEAD = re.compile(r"^---\n(.*?)\n---\n", re.DOTALL)


def gather(app: Sphinx) -> None:
    """Bring everything up to date; what has not changed is not touched, so that it is not read again."""
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        place = path.relative_to(ROOT)
        if not any(part.startswith(".") for part in place.parts):
            _write(HERE / place, json.dumps(page_of(path, depth=len(place.parts) - 1), indent=1))
    for path in sorted((ROOT / "data_cards").iterdir()):
        target = HERE / "data" / "cards" / path.name
        if path.suffix == ".md":
            _write(target, card_of(path.read_text("utf-8")))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def page_of(path: Path, depth: int) -> dict[str, Any]:
    """A notebook as a page that lies so many folders below the site's root."""
    notebook = json.loads(path.read_text("utf-8"))
    code: list[str] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = _tidy(text)
            continue
        code.append(text)
        if cell["metadata"].get("jupyter", {}).get("source_hidden"):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                output["data"] = _alive(code, output["data"], depth)
            output.get("data", {}).pop(PLOTLY, None)
    return notebook


def _alive(code: list[str], data: dict[str, Any], depth: int) -> dict[str, Any]:
    """An explorer's output with the explorer in it; any other widget keeps its still picture, if it has one."""
    kind = "".join(data.get("text/plain", "")).partition("(")[0]
    if kind in live.exportable():
        return {"text/html": live.frame(live.export(live.needed(code)), depth, kind)}
    still = {name: value for name, value in data.items() if name.startswith("image/")}
    return still or {"text/markdown": DRAWN_LATER}


def _tidy(text: str) -> str:
    """Words that are true on a page; and bars of formulas in tables, which MyST would take for the ends of cells."""
    text = STILL.sub(ALIVE, text)
    lines = [re.sub(r"\$[^$]+\$", _bars, line) if line.startswith("|") else line for line in text.split("\n")]
    return "\n".join(lines)


def _bars(formula: re.Match[str]) -> str:
    return formula[0].replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def card_of(text: str) -> str:
    """A data card with its machine-readable head shown, folded, below its title."""
    text = text.replace("```csv\n", "```text\n")
    head = HEAD.match(text)
    if head is None:
        return text
    title, _, rest = text[head.end() :].lstrip().partition("\n")
    folded = f":::{{dropdown}} The head of the card, for programs\n```yaml\n{head[1]}\n```\n:::\n"
    return f"{title}\n\n{folded}{rest}"


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Gather before Sphinx looks for sources."""
    app.connect("builder-inited", gather)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
