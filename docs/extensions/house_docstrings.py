"""Docstrings of the house as numpydoc reads them: `name : meaning` is a name and its meaning, not a name and its type.

Types stand in signatures, so they are not repeated; numpydoc would print a meaning in their place.
"""

import re

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole as PythonName

NAMED = ("Parameters", "Attributes", "Raises", "Returns", "Yields")
ENTRY = re.compile(r"^(?P<name>[*\w][\w, .*`\[\]]*?) : (?P<meaning>.+)$")


def as_numpydoc(lines: list[str]) -> list[str]:
    """The same docstring, meanings of entries moved to lines of their own."""
    told: list[str] = []
    section = ""
    for place, line in enumerate(lines):
        if place + 1 < len(lines) and line in NAMED and set(lines[place + 1]) == {"-"}:
            section = line
        elif place + 1 < len(lines) and line and set(lines[place + 1]) == {"-"}:
            section = ""
        found = ENTRY.match(line) if section else None
        if found:
            told += [found["name"], f"    {found['meaning']}"]
        elif section in ("Returns", "Yields") and told and _goes_on(told[-1], line):
            told[-1] += f" {line}"
        else:
            told.append(line)
    return told


def _goes_on(before: str, line: str) -> bool:
    """Whether a line of prose goes on where the one before it ended: a result may be told in a sentence."""
    begun = bool(before) and not before.startswith((" ", "-", "Returns", "Yields"))
    return begun and bool(line) and line[0] not in " -"


def _process(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    lines[:] = as_numpydoc(lines)


def _shorter(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """The signature without the ranges of settings, which stand beside each setting."""
    return (signature and re.sub(r"Annotated\[([^,\[\]]+), [^\[\]]*\]", r"\1", signature)), result


def _single_backticks(
    role: str, rawtext: str, text: str, line: int, inliner: Inliner, *_: object, **__: object
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Code; and a link where it can only be a name: `Autoencoder`, `load_model`, but not `search` in a sentence."""
    if text.startswith("prior_lab.") or re.fullmatch(r"[A-Z]\w*(\.\w+)*|\w+_\w+|\w+(\.\w+)+", text):
        return PythonName()("py:obj", rawtext, text, line, inliner)
    return [nodes.literal(rawtext, text)], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Work before numpydoc does."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-signature", _shorter)
    app.add_role("house", _single_backticks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
