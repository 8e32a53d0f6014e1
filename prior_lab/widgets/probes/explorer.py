"""Slide through budgets: accuracies of probes, the map of their features, neighbours and confusions, linked."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from prior_lab import figures
from prior_lab.errors import InputError
from prior_lab.widgets.base import Explorer
from prior_lab.widgets.probes import summary
from prior_lab.widgets.probes.arms import ProbedArm
from prior_lab.widgets.probes.canvas import ProbeCanvas
from prior_lab.widgets.probes.images import ProbedImages
from prior_lab.widgets.probes.state import ProbeState, View
from prior_lab.widgets.sources import study_images, study_name
from prior_lab.widgets.words import wrapped

KEPT = 9  # arms whose embedding is kept: that of 2,000 images takes 120 kB


def explore_probes(
    study: xr.DataTree,
    images: object = None,
    *,
    taxonomy: str | None = None,
    budget: int | None = None,
    arm: str | None = None,
    group: str | None = None,
) -> "ProbeExplorer":
    """Slide the budget and see what linear probes, neighbours and a map of the features make of it.

    Images are encoded when an arm's map is first looked at: some seconds for each arm. The map and the neighbours are
    of at most 2,500 objects, evenly spread; accuracies and confusions are of all that were tested.

    Parameters
    ----------
    study : a contrastive study of `prior_lab.load_study`.
    images : the data set that it was measured on; the test split of the study's own, if not given.
    taxonomy : the label level shown first; the coarsest, if not given.
    budget : tokens in the prefix; the middle one of the study's, if not given.
    arm : the ordering whose model is shown first, such as "PRIOR"; the first one, if not given.
    group : a token kind, one of `figures.study_groups(study, "accuracy")`; the first one, if not given.

    Returns
    -------
    An object that shows itself as the last line of a cell.

    Raises
    ------
    InputError : if the study is of another task, or the images, the label level, the budget, the arm or the group do
        not fit.

    Examples
    --------
    >>> import prior_lab as pl
    >>> pl.explore_probes(pl.load_study("household-contrastive"), taxonomy="coarse", budget=7)
    ProbeExplorer(household-contrastive; Gaussian; PRIOR, level coarse, 7 of 127 tokens, bed with texture)
    """
    if not isinstance(study, xr.DataTree):
        raise InputError(
            f"A {type(study).__name__} cannot be explored; give a contrastive study of prior_lab.load_study."
        )
    task = study.attrs.get("task")
    if task != "contrastive":
        raise InputError(
            f"The study {study_name(study)!r} is of the task {task}; explore_probes shows contrastive studies."
        )
    groups = figures.study_groups(study, "accuracy")
    group = figures.require(next(iter(groups)) if group is None else group, groups, "group of arms")
    nodes = groups[group]
    arm = figures.require(next(iter(nodes)) if arm is None else arm, nodes, "model", "group")
    probed = ProbedImages.of(study_images(study, images), nodes[arm])
    budgets = tuple(int(value) for value in nodes[arm]["budget"].to_numpy())
    state = ProbeState(
        groups={label: tuple(arms) for label, arms in groups.items()},
        taxonomies=probed.taxonomies,
        budgets=budgets,
        objects=len(probed.names),
        group=group,
        arm=arm,
        taxonomy=probed.taxonomies[0] if taxonomy is None else taxonomy,
        budget=budgets[len(budgets) // 2] if budget is None else budget,
        sources=probed.sources,
        source=probed.other_source(0),
    )
    return ProbeExplorer(study, probed, state)


class ProbeExplorer(Explorer):
    """Accuracies, a map, neighbours and confusions at a budget; made by `explore_probes`.

    Attributes
    ----------
    study : what is shown.
    images : that probes were tested on.
    state : arm, label level, budget and object, as a plain object.

    Examples
    --------
    What an attribute is set to, the widget shows; `table` has the numbers of its curves:

    >>> import prior_lab as pl
    >>> explorer = pl.explore_probes(pl.load_study("household-contrastive"))
    >>> explorer.taxonomy, explorer.budget = "class", 127
    >>> explorer.select("armchair 3")
    >>> explorer.selected
    'armchair 3'
    >>> accuracy = explorer.table["accuracy"].sel(taxonomy="class", budget=127)
    >>> {str(name): round(float(value), 2) for name, value in zip(accuracy.ordering.values, accuracy.values)}
    {'PRIOR': 0.19, 'MBOP-ITD': 0.2, 'MBOP-TD': 0.15}
    """

    settings = ("group", "arm", "taxonomy", "budget", "selected", "view", "paper", "source")
    state: ProbeState
    canvas: ProbeCanvas

    def __init__(self, study: xr.DataTree, images: ProbedImages, state: ProbeState) -> None:
        self.study, self.images, self.state = study, images, state
        self._nodes = figures.study_groups(study, "accuracy")
        self._open = lru_cache(maxsize=KEPT)(lambda name: ProbedArm(study.children[name], images))
        self._is_shown = False  # whether a browser draws; until then, nothing is encoded for it
        super().__init__(self._make_canvas())
        self._show_answers()

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def budget(self) -> int:
        """Tokens in the prefix; set it to move the slider."""
        return self.state.budget

    @budget.setter
    def budget(self, budget: int) -> None:
        self._set("budget", budget)

    @property
    def taxonomy(self) -> str:
        """Label level; set it to look at another."""
        return self.state.taxonomy

    @taxonomy.setter
    def taxonomy(self, taxonomy: str) -> None:
        self._set("taxonomy", taxonomy)

    @property
    def view(self) -> View:
        """What the map is made of: "objects", "pictures" of them, or "frames"."""
        return self.state.view

    @view.setter
    def view(self, view: View) -> None:
        self._set("view", view)

    @property
    def paper(self) -> bool:
        """Whether the paper's numbers, of other data, stand beside the study's."""
        return self.state.paper

    @paper.setter
    def paper(self, is_shown: bool) -> None:
        self._set("paper", is_shown)

    @property
    def arm(self) -> str:
        """Ordering of the arm whose map, neighbours and confusions are shown; set it to look at another."""
        return self.state.arm

    @arm.setter
    def arm(self, ordering: str) -> None:
        self.canvas.arm = figures.require(ordering, self.state.groups[self.group], "model", "group")

    @property
    def group(self) -> str:
        """The token kind whose arms are shown, one of `figures.study_groups`; set it to look at another."""
        return self.state.group

    @group.setter
    def group(self, group: str) -> None:
        arm = self.state.arm_in(group)
        with self.canvas.hold_sync(), self.canvas.hold_trait_notifications():
            self.canvas.group, self.canvas.arm = group, arm

    @property
    def selected(self) -> str:
        """The object whose neighbours are shown."""
        return self.images.names[self.state.selected]

    def select(self, name: str) -> None:
        """Show the neighbours of an object, by its name in words or in full.

        Raises
        ------
        InputError : if there is no such object.
        """
        self.canvas.selected = self.images.find(name)

    @property
    def source(self) -> str:
        """Among whose images the selected object is sought, such as an artist of `emoji`; set it for another's."""
        return self.state.source

    @source.setter
    def source(self, source: str) -> None:
        self._set("source", source)

    @property
    def table(self) -> xr.Dataset:
        """Accuracies of the group's arms with their intervals, and the baselines, as `figures.accuracy_table` tells."""
        return figures.accuracy_table(self.study, self.group)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return f"Probes of {self.arm}: {study_name(self.study)}, {self.group}"

    def summary(self) -> str:
        """The numbers on screen, as text; neighbours need the model, which is loaded if that is still to be done."""
        state, arm = self.state, self._arm
        if arm.has_model:
            self._embedded()
        step = f"step {state.budgets.index(state.budget) + 1} of {len(state.budgets)}"
        lines = [
            f"{study_name(self.study)}: {state.group}, budget {state.budget} of {state.budgets[-1]} tokens ({step})"
        ]
        lines += ["", f"accuracy of linear probes, level {state.taxonomy} [%] (mean and 95 % interval)"]
        lines += summary.accuracy_text(self.study, state.group, state.taxonomy, state.budget, with_paper=state.paper)
        lines += [
            "",
            *wrapped(f"{arm.whose}: {summary.confusion_text(self.images, arm, state.taxonomy, state.budget)}"),
        ]
        lines += summary.object_text(self.images, arm, state.selected, state.taxonomy, state.budget)
        if state.source and arm.has_model:
            lines += summary.found_text(self.images, arm, state.selected, state.source, state.budget)
        return "\n".join(lines)

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        state = self.state
        chosen = f"{state.arm}, level {state.taxonomy}, {state.budget} of {state.budgets[-1]} tokens, {self.selected}"
        return f"ProbeExplorer({study_name(self.study)}; {state.group}; {chosen})"

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows where the live widget was: the accuracy curves; a map would take a model."""
        figure = figures.accuracy_curves(self.study, self.state.taxonomy, self.state.group)
        return {"image/svg+xml": figures.to_svg(figure)}

    # ------------------------------------------------------------ keeping browser and state in step

    @property
    def _arm(self) -> ProbedArm:
        return self._open(self._nodes[self.state.group][self.state.arm].name)  # groups share arms

    def _make_canvas(self) -> ProbeCanvas:
        state = self.state
        return ProbeCanvas(
            scene=summary.scene_for_browser(self.images, state.groups, state.budgets),
            curves={group: summary.curves_for_browser(self.study, group) for group in state.groups},
            owners=self.images.owners.astype("<i4").tobytes(),
            **{name: getattr(state, name) for name in self.settings},
        )

    def _embedded(self) -> ProbedArm:
        """The shown arm with its embedding, and a notice while it is made."""
        with self._lock:
            arm = self._arm
            if not arm.is_embedded:
                count = len(self.images.owners)
                with self._working(f"Encoding {count:,} images with {arm.label}: this takes some seconds, once."):
                    _ = arm.embedding
            return arm

    def _show_answers(self) -> None:
        """What the shown arm's probes predict, which takes no model."""
        arm, state = self._arm, self.state
        confusions = {
            level: [arm.confusion(level, budget).for_browser() for budget in state.budgets]
            for level in state.taxonomies
        }
        with self.canvas.hold_sync():
            self.canvas.predicted = arm.predicted.astype("<i2").tobytes()
            self.canvas.answers = {"of": [state.group, state.arm], "whose": arm.whose, "confusions": confusions}

    def _show_map(self) -> None:
        """Where the shown arm's model puts the images, in one message; or why there is no map."""
        of = [self.state.group, self.state.arm]
        if not self._arm.has_model:
            self.canvas.map = {"of": of, "missing": summary.no_model(self._arm)}
            return
        try:
            found = self._embedded().embedding
        except Exception:
            self.canvas.map = {"of": of, "missing": f"There is no map of {self.arm}: its model could not be read."}
            raise
        with self.canvas.hold_sync():
            self.canvas.places = np.concatenate([found.objects, found.images], axis=1).astype("<f4").tobytes()
            self.canvas.neighbours = found.neighbours.astype("<i4").tobytes()
            self.canvas.found = found.found.astype("<i4").tobytes()
            self.canvas.map = {"of": of, "missing": ""}

    def _prepare(self) -> None:
        with self._lock:
            self._is_shown = True
            self.canvas.sheet = self.canvas.sheet or self.images.sheet()
            self._show_map()

    def _exported(self) -> dict[str, Any]:
        """Thumbnails and the map of the shown arm, where it has a model."""
        self._prepare()
        return {}

    def _change(self, name: str, value: Any) -> None:
        """Something else was chosen, in the browser or by an attribute of this object."""
        if name not in ("group", "arm"):
            setattr(self.state, name, value)
            return
        chosen = (self.canvas.group, self.canvas.arm)
        if chosen == (self.state.group, self.state.arm):  # both have changed, and this is the second
            return
        group = figures.require(chosen[0], self.state.groups, "group of arms")
        arm = figures.require(chosen[1], self.state.groups[group], "model", "group")
        self.state.group, self.state.arm = group, arm
        self._show_answers()
        if self._is_shown:
            self._show_map()

    def _answer(self, request: Mapping[str, Any]) -> None:
        """The browser has drawn the frame and waits for pictures and map, or wants to see another arm."""
        match request:
            case {"action": "ready"}:
                self._prepare()
            case {"action": "group", "label": group}:
                self.group = group
            case {"action": "arm", "label": ordering}:
                self.arm = ordering
