"""The probe explorer in the browser: curves, map, neighbours and confusions, all budgets held there."""

from pathlib import Path

import traitlets

from prior_lab.widgets.canvas import Canvas, looks, script

HERE = Path(__file__).parent

# Paul Tol's "bright" scheme and three colours more: told apart with any common colour-vision deficiency, and other than
# those of the orderings.
LABEL_COLOURS = (
    "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999", "#EE7733", "#44AA99", "#8D6E4B",
)  # fmt: skip


def label_palette(count: int) -> list[str]:
    """A colour for each of some labels: chosen ones for up to ten, else all hues in equal steps."""
    if count <= len(LABEL_COLOURS):
        return list(LABEL_COLOURS[:count])
    return [f"oklch({0.58 + 0.12 * (label % 2):.2f} 0.15 {360 * label / count:.0f})" for label in range(count)]


class ProbeCanvas(Canvas):
    """Traits only; the scripts draw, set what was chosen, and ask for another `group` or `arm`."""

    _esm = script(HERE, "map.js", "panels.js", "probes.js")
    _css = looks(HERE, "probes.css")

    scene = traitlets.Dict().tag(sync=True)  # groups, budgets, label levels, objects, colours: what never changes
    curves = traitlets.Dict().tag(sync=True)  # accuracies and baselines of every group
    owners = traitlets.Bytes().tag(sync=True)  # int32: the object of every image
    sheet = traitlets.Bytes().tag(sync=True)  # JPEG with a thumbnail of every image

    group = traitlets.Unicode().tag(sync=True)
    arm = traitlets.Unicode().tag(sync=True)
    taxonomy = traitlets.Unicode().tag(sync=True)
    budget = traitlets.Int().tag(sync=True)
    selected = traitlets.Int().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    paper = traitlets.Bool().tag(sync=True)
    source = traitlets.Unicode().tag(sync=True)

    answers = traitlets.Dict().tag(sync=True)  # the arm that `predicted` is of, and its confusions
    predicted = traitlets.Bytes().tag(sync=True)  # int16 [taxonomy, budget, image]
    map = traitlets.Dict().tag(sync=True)  # the arm that the places are of, or why it has none
    places = traitlets.Bytes().tag(sync=True)  # float32 [budget, objects and then images, 2]
    neighbours = traitlets.Bytes().tag(sync=True)  # int32 [budget, object, neighbour]
    found = traitlets.Bytes().tag(sync=True)  # int32 [budget, source, object, rank]: images, or -1
