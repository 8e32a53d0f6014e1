"""Slide through budgets: ground truth, reconstructions and quality curves, linked.

>>> explorer = prior_lab.explore(prior_lab.load_study("household-reconstruction"))
>>> explorer                      # as the last line of a cell: shows itself
>>> explorer.budget = 31          # moves the slider
>>> print(explorer.summary())     # the numbers on screen
"""

from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import Any

import ipywidgets
import xarray as xr
from IPython.display import Image

from prior_lab import figures, zoo
from prior_lab.errors import InputError
from prior_lab.orderings import LABELS
from prior_lab.widgets.canvas import ExplorerCanvas, error_palette
from prior_lab.widgets.curves import CurveFigure
from prior_lab.widgets.export import export_html
from prior_lab.widgets.gallery import Gallery, Page, Reconstructor
from prior_lab.widgets.pictures import Pictures, Selection
from prior_lab.widgets.reporting import reported
from prior_lab.widgets.state import ExplorerState
from prior_lab.widgets.summary import summary_text

Opener = Callable[[], tuple[Gallery, xr.Dataset | None]]


def explore(
    source: xr.DataTree | Reconstructor | Mapping[str, Reconstructor],
    images: object = None,
    *,
    budget: int | None = None,
    metric: str = "SSIM",
    count: int = 6,
    group: str | None = None,
) -> "BudgetExplorer":
    """Slide through the budgets of a study's models, or of one's own.

    Parameters
    ----------
    source : a study of `prior_lab.load_study`, whose arms without a model have curves but no pictures; or a model; or
        several models by name.
    images : what to reconstruct: a data set of `prior_lab.load_dataset`, or uint8 images [n, 3, height, width] or
        [n, height, width, 3]. A study brings its own test images.
    budget : where the slider starts; the middle one, if not given.
    metric : the curve shown first.
    count : images on a page.
    group : the arms of a study that are shown first, one of `figures.study_groups(study)`: a token kind, such as
        "Gaussian" or "EMA-VQ". The explorer switches between them.

    Returns
    -------
    An object that shows itself as the last line of a cell.

    Raises
    ------
    InputError : if the images, the budget, the metric or the group do not fit.
    """
    if isinstance(source, xr.DataTree):
        collection, name = _study_collection(source, images), str(source.attrs["name"])
    else:
        if images is None:
            raise InputError("A model alone has no images; give a data set or uint8 images: explore(model, images).")
        gallery = Gallery(_named(source), Pictures.of(images))
        collection, name = {"": lambda: (gallery, None)}, "own images"
    return BudgetExplorer(collection, name=name, budget=budget, metric=metric, count=count, group=group)


def _study_collection(study: xr.DataTree, images: object) -> dict[str, Opener]:
    """How to open each group of a study's arms: models are loaded when they are first looked at."""
    import prior_lab

    source = prior_lab.load_dataset(study.attrs["dataset"], split="test") if images is None else images
    pictures = Pictures.of(source)

    def open_group(group: str, nodes: Mapping[str, xr.DataTree]) -> tuple[Gallery, xr.Dataset]:
        arms = {label: zoo.load_autoencoder(model) for label, model in zoo.named_models(nodes).items()}
        return Gallery(arms, pictures), figures.curve_table(study, group)

    return {group: partial(open_group, group, nodes) for group, nodes in figures.study_groups(study).items()}


def _named(models: object) -> dict[str, Reconstructor]:
    if isinstance(models, Mapping):
        if not models:
            raise InputError("There is no model to explore; give at least one.")
        return {str(name): model for name, model in models.items()}
    if not isinstance(models, Reconstructor):
        kind = type(models).__name__
        raise InputError(f"A {kind} cannot be explored; give a study, a model, or a dictionary of models by name.")
    ordering = str(getattr(getattr(models, "config", None), "ordering", ""))
    return {LABELS.get(ordering, "Model"): models}


class BudgetExplorer:
    """Images at every budget over their quality curves; made by `explore`.

    Attributes
    ----------
    state : budget, view and metric, as a plain object.
    gallery : the models of the group that is shown.
    selection : the images on screen, as a plain object.
    canvas : the widget with controls and images.
    figure : the curves.
    widget : both, one above the other.
    """

    def __init__(
        self,
        collection: Mapping[str, Opener],
        *,
        name: str,
        budget: int | None,
        metric: str,
        count: int,
        group: str | None = None,
    ) -> None:
        if count < 1:
            raise InputError(f"count is {count}; show at least one image.")
        self.name, self._collection = name, dict(collection)
        self._lock = RLock()  # the browser's messages may be handled in a thread of their own
        self._open(next(iter(collection)) if group is None else group)
        self.selection = Selection(self.gallery.pictures, count)
        self.page: Page = self.gallery.page(self.selection.indices)
        rank = dict(zip(figures.METRICS, range(len(figures.METRICS)), strict=True))
        metrics = tuple(sorted(map(str, self.table.metric.values), key=lambda name: rank.get(name, len(rank))))
        budgets = self.gallery.budgets
        start = budgets[len(budgets) // 2] if budget is None else budget
        self.state = ExplorerState(budgets, metrics, start, metric)
        self.widget = ipywidgets.VBox().add_class("prior-lab")
        self._assemble()

    def _open(self, group: str) -> None:
        """Make a group the one that is shown."""
        figures.require(group, self._collection, "group of arms")
        gallery, table = self._collection[group]()
        if table is not None and tuple(table.budget.values) != gallery.budgets:
            known = table.budget.values.tolist()
            raise InputError(f"The study has the budgets {known}, its models have {list(gallery.budgets)}.")
        self._collection[group] = lambda: (gallery, table)
        self._group, self.gallery, self._study_table = group, gallery, table

    def _assemble(self) -> None:
        """The widgets of the group that is shown, in place of those before."""
        self.canvas = self._make_canvas()
        self.figure = CurveFigure(figures.quality_curves(self.table, self.metric, budget=self.budget))
        self.canvas.observe(self._budget_moved, "budget")
        self.canvas.observe(self._view_changed, "view")
        self.canvas.observe(self._metric_changed, "metric")
        self.canvas.on_msg(self._asked)
        before, self.widget.children = self.widget.children, (self.canvas, self.figure)
        for widget in before:
            widget.close()

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def budget(self) -> int:
        """Tokens in the prefix that is shown; set it to move the slider."""
        return self.state.budget

    @budget.setter
    def budget(self, budget: int) -> None:
        self.state.budget = budget
        self.canvas.budget = budget

    @property
    def view(self) -> str:
        """What the tiles show: "image", "added" or "error"."""
        return self.state.view

    @view.setter
    def view(self, view: str) -> None:
        self.state.view = view
        self.canvas.view = view

    @property
    def metric(self) -> str:
        """The metric of the curves."""
        return self.state.metric

    @metric.setter
    def metric(self, metric: str) -> None:
        self.state.metric = metric
        self.canvas.metric = metric

    @property
    def group(self) -> str:
        """The arms that are shown, one of `figures.study_groups`; set it to look at another token kind."""
        return self._group

    @group.setter
    def group(self, group: str) -> None:
        with self._lock:
            self._open(group)
            self.page = self.gallery.page(self.selection.indices)
            self._assemble()

    @property
    def images(self) -> tuple[int, ...]:
        """Numbers of the images on screen; set it to look at particular ones."""
        return self.selection.indices

    @images.setter
    def images(self, indices: tuple[int, ...]) -> None:
        self.selection.fix(tuple(indices))
        self._show_page()

    def choose(self, label: str) -> None:
        """Show images of one label, written "taxonomy: label"; "all" for all."""
        self.selection.choose(label)
        self._show_page()

    @property
    def table(self) -> xr.Dataset:
        """The curves: the study's, or the mean over the shown images where there is no study."""
        return self.page.curve_table() if self._study_table is None else self._study_table

    def summary(self) -> str:
        """The numbers on screen, as a table of text."""
        name = f"{self.name}, {self.group}" if len(self._collection) > 1 else self.name
        return summary_text(name, self.page, self.table, self.budget)

    def strip(self, count: int = 3, *, tile: int = 72) -> Image:
        """The first `count` images on screen at every budget, as one picture that needs no kernel.

        The picture itself, to save or to cut, comes from `figures.reconstruction_strip`.
        """
        arms = dict(zip(self.gallery.arms, self.page.reconstructions[:, :, :count], strict=True))
        sheet = figures.reconstruction_strip(self.page.truth[:count], arms, self.gallery.budgets, tile=tile)
        with BytesIO() as png:
            sheet.save(png, "png")
            return Image(png.getvalue(), format="png")

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this explorer without a kernel and without a network.

        Raises
        ------
        InputError : if the file cannot be written; an older file of that name then stays whole.
        """
        return export_html(path, title=f"Token budgets: {self.name}", canvas=self.canvas, table=self.table)

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        arms = ", ".join(self.gallery.arms)
        kind = f"{self.group}: " if len(self._collection) > 1 else ""
        return f"BudgetExplorer({self.name}; {kind}{arms}; budget {self.budget} of {self.state.budgets[-1]})"

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        return {**self.widget._repr_mimebundle_(**options), "text/plain": repr(self)}

    # ------------------------------------------------------------ keeping browser and state in step

    def _make_canvas(self) -> ExplorerCanvas:
        arms = [{"label": label, "colour": figures.colour_of(label, i)} for i, label in enumerate(self.gallery.arms)]
        metrics = [
            {"name": name, "decimals": style.decimals, "better": style.better}
            for name, style in ((name, figures.metric_style(name)) for name in self.state.metrics)
        ]
        own = self._study_table is None
        return ExplorerCanvas(
            budgets=list(self.gallery.budgets),
            arms=arms,
            metrics=metrics,
            size=list(self.page.truth.shape[-2:]),
            palette=error_palette(),
            choices=self.gallery.pictures.choices(),
            groups=list(self._collection),
            group=self.group,
            heading="Quality of the images shown" if own else "Quality over the whole test set",
            budget=self.budget,
            view=self.view,
            metric=self.metric,
            **self._page_traits(),
        )

    def _show_page(self) -> None:
        """Bring the selected images to the screen, in one message."""
        with self._lock:
            self.page = self.gallery.page(self.selection.indices)
            with self.canvas.hold_sync():
                for name, value in self._page_traits().items():
                    setattr(self.canvas, name, value)
            if self._study_table is None:
                self._show_curves()

    def _page_traits(self) -> dict[str, Any]:
        """What of the canvas belongs to the images on screen."""
        metrics = [str(metric) for metric in self.page.scores.metric.values]
        page = {
            "captions": list(self.page.captions),
            "scores": {metric: self.page.scores.sel(metric=metric).values.round(6).tolist() for metric in metrics},
            "choice": self.selection.choice,
            "position": self.selection.position,
            "columns": max(self.selection.count, len(self.page.captions)),
        }
        return {"page": page, "pixels": self.page.packed(), "curves": self._curve_values()}

    def _curve_values(self) -> dict[str, list[dict[str, Any]]]:
        """What the legend of the curves tells, by metric, of every arm that has a curve."""
        table = self.table
        parts = {"value": table.quality} | {bound: table.interval.sel(bound=bound) for bound in ("low", "high")}
        known = {name: part for name, part in parts.items() if part.notnull().all()}
        arms = [(str(label), figures.colour_of(str(label), i)) for i, label in enumerate(table.ordering.values)]
        return {
            metric: [
                {"label": label, "colour": colour}
                | {
                    name: part.sel(metric=metric, ordering=label).values.round(6).tolist()
                    for name, part in known.items()
                }
                for label, colour in arms
            ]
            for metric in self.state.metrics
        }

    def _show_curves(self) -> None:
        with self.figure.batch_update():
            figures.show_metric(self.figure, self.table, self.metric)
            figures.move_cursor(self.figure, self.table, self.metric, self.budget)

    @reported
    def _budget_moved(self, change: Mapping[str, Any]) -> None:
        self.state.budget = change["new"]
        with self.figure.batch_update():
            figures.move_cursor(self.figure, self.table, self.metric, self.budget)

    @reported
    def _view_changed(self, change: Mapping[str, Any]) -> None:
        self.state.view = change["new"]

    @reported
    def _metric_changed(self, change: Mapping[str, Any]) -> None:
        self.state.metric = change["new"]
        self._show_curves()

    @reported
    def _asked(self, _: object, request: Mapping[str, str], __: object) -> None:
        """Other images, asked for in the browser."""
        match request:
            case {"action": "group", "label": group}:
                self.group = group
                return
            case {"action": "choose", "label": label}:
                self.selection.choose(label)
            case {"action": "next"}:
                self.selection.turn(1)
            case {"action": "previous"}:
                self.selection.turn(-1)
            case {"action": "shuffle"}:
                self.selection.shuffle()
        self._show_page()
        self.canvas.send({"answered": True})
