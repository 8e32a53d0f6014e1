"""MathJax from the site itself: the one script and its fonts, out of the package `sphinx-mathjax-offline`."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

SCRIPT = "tex-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def _source() -> Path:
    """Where the package keeps MathJax; its name is no identifier, so it cannot be imported by a statement."""
    found = find_spec("sphinx-mathjax-offline")
    if found is None or found.origin is None:
        raise RuntimeError("MathJax is missing: pip install sphinx-mathjax-offline (it is in the extra 'docs').")
    return Path(found.origin).parent / "static" / "mathjax"


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    source, target = _source(), Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / SCRIPT, target / SCRIPT)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Point Sphinx's MathJax extension at the copy."""
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
