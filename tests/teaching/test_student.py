"""The student's version has no solutions; what is wrong with folders and notebooks is told in a sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prior_lab.errors import InputError
from prior_lab.teaching.exercises import NotYet, number, require_answer
from prior_lab.teaching.student import make_course, tags


def _code(source: str, *names: str) -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": "seen"}]
    metadata = {"tags": [*names]}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": outputs, "execution_count": 1}


def _text(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    lesson = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {},
        "cells": [
            _text("# Lesson"), _text("Long talk"), _code("import math"), _text("How much?"),
            _code("a = ...", "exercise"), _code("a = 2", "solution"), _code("check(a)", "check"),
        ],
    }  # fmt: skip
    home = tmp_path / "course"
    home.mkdir()
    (home / "01.ipynb").write_text(json.dumps(lesson))
    return home


def _sources(path: Path) -> list[str]:
    return [cell["source"] for cell in json.loads(path.read_text())["cells"]]


def test_the_students_version_has_neither_solutions_nor_outputs(course: Path, tmp_path: Path) -> None:
    (written,) = make_course(course, tmp_path / "student")
    assert _sources(written) == ["# Lesson", "Long talk", "import math", "How much?", "a = ...", "check(a)"]
    assert "seen" not in written.read_text()


def test_solutions_stand_with_their_questions_apart(course: Path, tmp_path: Path) -> None:
    make_course(course, tmp_path / "student")
    solutions = _sources(tmp_path / "student" / "solutions" / "01.ipynb")
    assert solutions == ["# Lesson", "How much?", "a = ...", "a = 2", "check(a)"]


def test_writing_it_again_leaves_what_else_is_there(course: Path, tmp_path: Path) -> None:
    make_course(course, tmp_path / "student")
    (tmp_path / "student" / "notes.txt").write_text("mine")
    make_course(course, tmp_path / "student")
    assert (tmp_path / "student" / "notes.txt").read_text() == "mine"


def test_wrong_folders_and_notebooks_are_told_in_a_sentence(course: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take the place of the lecturer's"):
        make_course(course, course / ".." / "course")
    with pytest.raises(InputError, match="no notebooks in"):
        make_course(tmp_path / "absent", tmp_path / "student")
    (course / "02.ipynb").write_text('{"cells": 3}')
    with pytest.raises(InputError, match="02.ipynb' is not a notebook"):
        make_course(course, tmp_path / "student")
    assert not (tmp_path / "student").exists()
    (course / "02.ipynb").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_course(course, tmp_path / "file" / "student")


def test_from_the_command_line(course: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "prior_lab.teaching.student"]
    done = subprocess.run([*command, course, tmp_path / "out"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "out" / "01.ipynb")]
    wrong = subprocess.run([*command, course], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Two folders are needed: that of the lecturer's notebooks")


def test_an_exercise_that_was_left_is_told() -> None:
    with pytest.raises(NotYet, match="Fill in the cell above"):
        require_answer(1, ...)
    with pytest.raises(NotYet, match="The rate should be a number, and is str"):
        number("many", "The rate")
    assert number("3.5", "The rate") == 3.5


def test_a_notebook_shows_the_sentence_alone() -> None:
    assert NotYet("Look again.")._render_traceback_() == ["Not yet. Look again."]


def test_tags_are_optional() -> None:
    assert tags(_text("x")) == set()
