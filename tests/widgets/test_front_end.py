"""The front end as text: each part is defined once, and an explorer's module is the parts and its own drawing."""

import re
from pathlib import Path

import pytest

from prior_lab import widgets
from prior_lab.widgets.budgets.canvas import BudgetCanvas
from prior_lab.widgets.canvas import LOOKS, PARTS, SCRIPTS, Canvas
from prior_lab.widgets.information.canvas import InformationCanvas
from prior_lab.widgets.probes.canvas import ProbeCanvas
from prior_lab.widgets.stream.canvas import StreamCanvas

HERE = Path(widgets.__file__).parent
CANVASES = (BudgetCanvas, InformationCanvas, ProbeCanvas, StreamCanvas)
DEFINED = re.compile(r"^(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)


def defined(text: str) -> list[str]:
    return DEFINED.findall(text)


def test_the_shelf_is_what_lies_in_its_folder():
    assert sorted((*SCRIPTS, *LOOKS)) == sorted(path.name for path in PARTS.iterdir())


@pytest.mark.parametrize("canvas", CANVASES)
def test_no_name_is_defined_twice_in_a_module(canvas):
    names = defined(canvas._esm)
    assert len(names) == len(set(names))
    assert canvas._esm.rstrip().endswith("export default { render };")


def test_no_explorer_defines_a_part_of_its_own_once_more():
    shared = {name for part in SCRIPTS for name in defined((PARTS / part).read_text())}
    for path in HERE.glob("*/*.js"):
        if path.parent != PARTS:
            assert not shared & set(defined(path.read_text())), path.name


@pytest.mark.parametrize("canvas", CANVASES)
def test_every_explorer_has_the_frame_of_the_shelf(canvas):
    assert canvas._esm.count("new Frame(model, el,") == 1


@pytest.mark.parametrize("canvas", CANVASES[:3])
def test_every_explorer_of_budgets_has_the_slider_of_the_shelf(canvas):
    assert canvas._esm.count("new BudgetSlider({") == 1


def test_what_all_canvases_share_is_declared_once():
    shared = set(Canvas.class_own_traits(sync=True))
    assert {"title", "notice", "problem"} <= shared
    for canvas in CANVASES:
        assert not {"title", "notice", "problem"} & set(canvas.class_own_traits(sync=True))


def test_every_rule_of_the_style_sheets_is_used():
    scripts = "".join(path.read_text() for path in HERE.glob("*/*.js"))
    sheets = "".join(path.read_text() for path in HERE.glob("*/*.css"))
    unused = {name for name in re.findall(r"\.(pl-[\w-]+)", sheets) if name not in scripts}
    assert not unused
