"""Explorers on pages: each is the explorer's own offline export, in a frame that is loaded when it comes in sight.

A page asks for one by the code that makes it:

    ```{explorer}
    pl.explore(pl.load_study("household-reconstruction"), budget=31)
    ```

Of a notebook, the cell that shows an explorer is found, and of the cells before it what that cell depends on. Exports
are made once and kept in `_build/live`, in a folder for the package as it is, under a hash of that code.
"""

import ast
import hashlib
import html
import importlib
import pkgutil
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import prior_lab
from prior_lab import teaching, widgets  # noqa: F401 (the explorers, so that they are known)
from prior_lab.widgets.base import Explorer

HERE = Path(__file__).parents[1]
FOLDER = "explorers"  # on the site
PACKAGE = Path(prior_lab.__file__).parent
TALL = 760  # of a frame, until its page has told its height [px]
logger = logging.getLogger(__name__)


def needed(cells: list[str]) -> str:
    """The code of the last cell, and of the cells before it the statements that it depends on.

    A statement is depended on if it gives a name that is read later. What only changes a thing in place is left out
    before the last cell, so that a notebook's later whims do not show.
    """
    last = ast.parse(cells[-1]).body
    kept, wanted = list(last), _read(last) - _given(last[:-1])
    for cell in reversed(cells[:-1]):
        for statement in reversed(ast.parse(cell).body):
            if _given([statement]) & wanted:
                kept.insert(0, statement)
                wanted = wanted - _given([statement]) | _read([statement])
    return "\n".join(ast.unparse(statement) for statement in kept)


def _read(statements: list[ast.stmt]) -> set[str]:
    found = (node for statement in statements for node in ast.walk(statement))
    return {node.id for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _given(statements: list[ast.stmt]) -> set[str]:
    """The names that statements give, those inside functions and comprehensions not among them."""
    names: set[str] = set()
    for statement in statements:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                names |= {(one.asname or one.name).partition(".")[0] for one in imported}
            case _:
                stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
                names |= {node.id for node in stored if isinstance(node.ctx, ast.Store)}
    return names


def export(code: str) -> str:
    """The name of a file among the exports with the explorer that the last line of some code shows."""
    name = f"{hashlib.sha256(ast.unparse(ast.parse(code)).encode()).hexdigest()[:12]}.html"
    path = _kept() / FOLDER / name
    if not path.exists():
        logger.info("live: %s", code.strip().splitlines()[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        _run(code).to_html(path)
    return name


@cache
def exportable() -> set[str]:
    """Names of the classes whose things write themselves into one file."""
    for module in pkgutil.iter_modules(teaching.__path__):
        importlib.import_module(f"{teaching.__name__}.{module.name}")
    found, waiting = set(), [Explorer]
    while waiting:
        kind = waiting.pop()
        found.add(kind.__name__)
        waiting += kind.__subclasses__()
    return found


def _run(code: str) -> Any:
    """What the last line of some code gives."""
    *statements, shown = ast.parse(code).body
    assert isinstance(shown, ast.Expr), "the last line has to show the explorer"
    names: dict[str, Any] = {"pl": prior_lab, "prior_lab": prior_lab}
    exec(compile(ast.Module(statements, []), "<page>", "exec"), names)
    return eval(compile(ast.Expression(shown.value), "<page>", "eval"), names)


@cache
def _kept() -> Path:
    """Where exports of this package are kept: it depends on every script of it, and on what is bundled."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in {".py", ".js", ".css", ".html"} or path.name == "index.json":
            digest.update(path.read_bytes())
    return HERE / "_build" / "live" / digest.hexdigest()[:12]


def frame(name: str, depth: int, title: str, tall: int = TALL, kind: str = "") -> str:
    """The HTML that shows an export on a page so many folders below the site's root."""
    place = f"{'../' * depth}{FOLDER}/{name}"
    return (
        f'<iframe class="live-explorer {kind}" src="{place}" title="{html.escape(title)}" loading="lazy" '
        f'style="height: {tall}px"></iframe>'
    )


class ExplorerDirective(SphinxDirective):
    """An explorer, live, made by the code that is its content; `untitled` hides the heading of its page."""

    has_content = True
    option_spec = {  # noqa: RUF012
        "height": directives.nonnegative_int,
        "title": directives.unchanged,
        "untitled": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """The frame."""
        name = export("\n".join(self.content))
        title = self.options.get("title", "An explorer")
        depth = self.env.docname.count("/")
        kind = "untitled" if "untitled" in self.options else ""
        markup = frame(name, depth, title, self.options.get("height", TALL), kind)
        self.env.note_dependency(__file__)
        return [nodes.raw("", markup, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """The directive, and the exports beside the site's pages."""
    app.add_directive("explorer", ExplorerDirective)
    for older in set(_kept().parent.glob("*")) - {_kept()}:
        shutil.rmtree(older)
    (_kept() / FOLDER).mkdir(parents=True, exist_ok=True)
    app.config.html_extra_path = [*app.config.html_extra_path, str(_kept())]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
