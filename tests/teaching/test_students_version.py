"""The student's version of every lesson runs to its first exercise, and ends there with a sentence."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from prior_lab.teaching.student import make_course, tags

COURSE = Path(__file__).parents[2] / "notebooks" / "course"
LESSONS = sorted(path.name for path in COURSE.glob("*.ipynb"))


def _cells(name: str) -> list[dict]:
    return json.loads((COURSE / name).read_text())["cells"]


@pytest.mark.whole
@pytest.mark.parametrize("name", LESSONS)
def test_a_student_is_stopped_at_the_first_empty_exercise_by_a_sentence(name: str, tmp_path: Path) -> None:
    make_course(COURSE, tmp_path)
    lesson = nbformat.read(tmp_path / name, as_version=4)
    with pytest.raises(CellExecutionError):
        NotebookClient(lesson, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    ended = next(cell for cell in lesson.cells if cell.get("outputs") and cell.outputs[-1].output_type == "error")
    assert ended is next(cell for cell in lesson.cells if "check" in tags(cell))
    assert ended.outputs[-1].traceback == ["Not yet. Fill in the cell above first, in place of the dots."]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_says_what_it_is_for_and_has_three_to_five_exercises(name: str) -> None:
    cells = _cells(name)
    first = "".join("".join(cell["source"]) for cell in cells[:2])
    for wanted in ("You will be able to", "**Time**", "**Before**", "**Next**"):
        assert wanted in first
    kinds = [kind for cell in cells for kind in ("exercise", "solution", "check") if kind in tags(cell)]
    assert kinds[::3] == ["exercise"] * (len(kinds) // 3)
    assert kinds[1::3] == ["solution"] * (len(kinds) // 3)
    assert kinds[2::3] == ["check"] * (len(kinds) // 3)
    assert 3 <= len(kinds) // 3 <= 5


@pytest.mark.parametrize("name", LESSONS)
def test_running_all_shows_no_answer(name: str) -> None:
    """Solutions are folded, and neither they nor exercises print anything."""
    for cell in _cells(name):
        if "solution" in tags(cell):
            assert cell["metadata"]["jupyter"]["source_hidden"]
            assert not cell["outputs"]
        if "check" in tags(cell):
            assert "".join(cell["outputs"][0]["text"]).startswith("Right. ")
