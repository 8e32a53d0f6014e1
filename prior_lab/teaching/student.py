"""The student's version of the course, and its solutions apart: `python -m prior_lab.teaching.student FROM TO`.

A lesson's cells carry tags: `exercise` (to be filled in), `solution` (folded, for the lecturer) and `check`. The
student's version has no solutions and no outputs; `solutions/` has each lesson's exercises with their solutions.
"""

import json
import sys
from pathlib import Path
from typing import Any

from prior_lab.errors import InputError
from prior_lab.files import as_path, reason, replacing

Notebook = dict[str, Any]  # as nbformat 4 has it


def make_course(source: str | Path, target: str | Path) -> list[Path]:
    """Write the student's version of every notebook in a folder, and its solutions to `solutions/` beside them.

    Parameters
    ----------
    source : the folder with the lecturer's notebooks.
    target : where to; other files there are left alone.

    Returns
    -------
    list : the student's notebooks.

    Raises
    ------
    InputError : if there are no notebooks, one cannot be read, or nothing can be written; or source and target are one.
    """
    home, there = as_path(source, "the course"), as_path(target, "the student's version")
    if home.resolve() == there.resolve():
        raise InputError("The student's version would take the place of the lecturer's; choose another folder.")
    paths = sorted(home.glob("*.ipynb"))
    if not paths:
        raise InputError(f"There are no notebooks in {str(home)!r}.")
    lessons = {path.name: _read(path) for path in paths}
    for name, lesson in lessons.items():
        _write(_without_outputs(_student(lesson)), there / name)
        _write(_without_outputs(_solutions(lesson)), there / "solutions" / name)
    return [there / name for name in lessons]


def tags(cell: dict[str, Any]) -> set[str]:
    """The tags of a cell."""
    return set(cell.get("metadata", {}).get("tags", []))


def _student(lesson: Notebook) -> Notebook:
    return {**lesson, "cells": [cell for cell in lesson["cells"] if "solution" not in tags(cell)]}


def _solutions(lesson: Notebook) -> Notebook:
    """A lesson's title, and every exercise with its question, its solution and its check."""
    cells = lesson["cells"]
    wanted = {0} | {place for place, cell in enumerate(cells) if tags(cell) & {"exercise", "solution", "check"}}
    wanted |= {place - 1 for place in wanted if "exercise" in tags(cells[place])}  # the question stands before it
    return {**lesson, "cells": [cells[place] for place in sorted(wanted)]}


def _without_outputs(lesson: Notebook) -> Notebook:
    cells = [
        {**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell
        for cell in lesson["cells"]
    ]
    return {**lesson, "cells": cells}


def _read(path: Path) -> Notebook:
    try:
        lesson = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(cell, dict) and "cell_type" in cell for cell in lesson["cells"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(path)!r} is not a notebook that can be read.") from error
    return lesson


def _write(lesson: Notebook, path: Path) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(lesson, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written ({reason(error)}).") from error


if __name__ == "__main__":
    try:
        for written in make_course(*sys.argv[1:3]):
            print(written)
    except InputError as error:
        sys.exit(str(error))
    except TypeError:
        sys.exit("Two folders are needed: that of the lecturer's notebooks, and where to write the student's.")
