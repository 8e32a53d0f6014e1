"""Every notebook of the repository gives again what it stores, and stores what can be compared."""

from pathlib import Path

import nbformat
import pytest

HOME = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted([*HOME.glob("*.ipynb"), *HOME.glob("course/*.ipynb")])
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


@pytest.mark.slow
@each_notebook
def test_a_notebook_gives_again_what_it_stores(path, run_nbval):
    done = run_nbval(path)
    assert done.returncode == 0, done.stdout + done.stderr


@each_notebook
def test_a_notebook_is_stored_clean(path):
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata, "widget state is megabytes that nothing reads"
    assert path.stat().st_size < 1.5e6
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
