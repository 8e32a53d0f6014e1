"""Slide through budgets: ground truth, reconstructions and quality curves, linked."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from IPython.display import Image

from prior_lab import figures, zoo
from prior_lab.checks import whole_number
from prior_lab.errors import InputError
from prior_lab.widgets.budgets.canvas import BudgetCanvas
from prior_lab.widgets.budgets.gallery import Gallery, Page, Reconstructor
from prior_lab.widgets.budgets.state import BudgetState
from prior_lab.widgets.budgets.summary import summary_text
from prior_lab.widgets.canvas import palette
from prior_lab.widgets.paged import PagedExplorer
from prior_lab.widgets.pictures import Pictures, Selection
from prior_lab.widgets.sources import by_name, study_images, study_name

Opener = Callable[[], tuple[Gallery, xr.Dataset | None]]
DASHES = ("7 4", "2 3", "7 3 2 3")  # of the lines of yardsticks
STORED = 2  # images of the picture in a stored notebook


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
    InputError : if the source, the images, the count, the budget, the metric or the group do not fit.

    Examples
    --------
    As the last line of a cell it shows itself; here are its words and numbers:

    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-gaussian")
    >>> data = pl.load_dataset("household", split="test").select(slice(0, 64, 16))
    >>> explorer = pl.explore(model, data, budget=15)
    >>> explorer
    BudgetExplorer(own images; PRIOR; budget 15 of 127)
    >>> print(explorer.summary())
    own images: budget 15 of 127 tokens (step 4 of 7)
    <BLANKLINE>
    4 images shown: cosmetics pot, bed with texture, butter, oak table
               SSIM       L1    PSNR
      PRIOR   0.7...   0.03...   2...
    """
    if whole_number("count", count) < 1:
        raise InputError(f"count is {count}; show at least one image.")
    if isinstance(source, xr.DataTree):
        collection, name = _study_collection(source, images), study_name(source)
    else:
        models = by_name(source, Reconstructor)  # type: ignore[type-abstract]
        if images is None:
            raise InputError("A model alone has no images; give a data set or uint8 images: explore(model, images).")
        gallery = Gallery(models, Pictures.of(images))
        collection, name = {"": lambda: (gallery, None)}, "own images"
    return BudgetExplorer(collection, name=name, budget=budget, metric=metric, count=int(count), group=group)


def _study_collection(study: xr.DataTree, images: object) -> dict[str, Opener]:
    """How to open each group of a study's arms: models are loaded when they are first looked at."""
    groups = figures.study_groups(study)
    pictures = Pictures.of(study_images(study, images))

    def open_group(group: str, nodes: Mapping[str, xr.DataTree]) -> tuple[Gallery, xr.Dataset]:
        arms = {label: zoo.load_autoencoder(model) for label, model in zoo.named_models(nodes).items()}
        return Gallery(arms, pictures), figures.curve_table(study, group)

    return {group: partial(open_group, group, nodes) for group, nodes in groups.items()}


class BudgetExplorer(PagedExplorer):
    """Images at every budget beside their quality curves; made by `explore`.

    Attributes
    ----------
    state : budget, view and metric, as a plain object.
    gallery : the models of the group that is shown.
    selection : the images on screen, as a plain object.
    page : the same images with everything that is known of them.

    Examples
    --------
    What an attribute is set to, the widget shows:

    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/td-gaussian")
    >>> explorer = pl.explore(model, pl.load_dataset("household", split="test").select(range(2)))
    >>> explorer.budget, explorer.view, explorer.metric = 31, "added", "PSNR"
    >>> explorer
    BudgetExplorer(own images; MBOP-TD; budget 31 of 127)
    >>> explorer.budget = 32
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: ...
    """

    settings = ("budget", "view", "metric")
    state: BudgetState
    canvas: BudgetCanvas

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
        self.name, self._collection = name, dict(collection)
        self._open(next(iter(collection)) if group is None else group)
        self.selection = Selection(self.gallery.pictures, count)
        self.page: Page = self.gallery.page(self.selection.indices)
        rank = dict(zip(figures.METRICS, range(len(figures.METRICS)), strict=True))
        metrics = tuple(sorted(map(str, self.table.metric.values), key=lambda name: rank.get(name, len(rank))))
        budgets = self.gallery.budgets
        start = budgets[len(budgets) // 2] if budget is None else budget
        self.state = BudgetState(budgets, metrics, start, metric)
        super().__init__(self._make_canvas())

    def _open(self, group: str) -> None:
        """Make a group the one that is shown."""
        group = figures.require(group, self._collection, "group of arms")
        gallery, table = self._collection[group]()
        if table is not None and tuple(table.budget.values) != gallery.budgets:
            known = table.budget.values.tolist()
            raise InputError(f"The study has the budgets {known}, its models have {list(gallery.budgets)}.")
        self._collection[group] = lambda: (gallery, table)
        self._group, self.gallery, self._study_table = group, gallery, table

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def budget(self) -> int:
        """Tokens in the prefix that is shown; set it to move the slider."""
        return self.state.budget

    @budget.setter
    def budget(self, budget: int) -> None:
        self._set("budget", budget)

    @property
    def view(self) -> str:
        """What the tiles show: "image", "added" or "error"."""
        return self.state.view

    @view.setter
    def view(self, view: str) -> None:
        self._set("view", view)

    @property
    def metric(self) -> str:
        """The metric of the curves."""
        return self.state.metric

    @metric.setter
    def metric(self, metric: str) -> None:
        self._set("metric", metric)

    @property
    def group(self) -> str:
        """The arms that are shown, one of `figures.study_groups`; set it to look at another token kind."""
        return self._group

    @group.setter
    def group(self, group: str) -> None:
        with self._lock:
            self._open(group)
            self._show_page()

    @property
    def table(self) -> xr.Dataset:
        """The curves: the study's, or the mean over the shown images where there is no study."""
        return self.page.curve_table() if self._study_table is None else self._study_table

    @property
    def figure(self) -> go.Figure:
        """The curves on screen, with the cursor at the budget, as a figure to save or to change."""
        return figures.quality_curves(self.table, self.metric, budget=self.budget)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return f"Token budgets: {self._full_name}"

    @property
    def _full_name(self) -> str:
        return f"{self.name}, {self.group}" if self.group else self.name

    def summary(self) -> str:
        """The numbers on screen, as a table of text."""
        name = self._full_name if len(self._collection) > 1 else self.name
        return summary_text(name, self.page, self.table, self.budget)

    def strip(self, count: int = 3, *, tile: int = 72) -> Image:
        """The first `count` images on screen at every budget, as one picture that needs no kernel.

        The picture itself, to save or to cut, comes from `figures.reconstruction_strip`.
        """
        return Image(self._strip(count, tile), format="png")

    def _strip(self, count: int, tile: int) -> bytes:
        arms = dict(zip(self.gallery.arms, self.page.reconstructions[:, :, :count], strict=True))
        sheet = figures.reconstruction_strip(self.page.truth[:count], arms, self.gallery.budgets, tile=tile)
        with BytesIO() as png:
            sheet.save(png, "png")
            return png.getvalue()

    def _prepare(self) -> None:
        """The first page is there from the beginning."""

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows where the live widget was: some images at every budget."""
        return {"image/png": base64.b64encode(self._strip(STORED, 64)).decode()}

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        arms = ", ".join(self.gallery.arms)
        kind = f"{self.group}: " if len(self._collection) > 1 else ""
        return f"BudgetExplorer({self.name}; {kind}{arms}; budget {self.budget} of {self.state.budgets[-1]})"

    # ------------------------------------------------------------ keeping browser and state in step

    def _make_canvas(self) -> BudgetCanvas:
        metrics = [
            {"name": name, "decimals": style.decimals, "better": style.better, "unit": style.unit}
            for name, style in ((name, figures.metric_style(name)) for name in self.state.metrics)
        ]
        own = self._study_table is None
        return BudgetCanvas(
            budgets=list(self.gallery.budgets),
            metrics=metrics,
            size=list(self.page.truth.shape[-2:]),
            palette=palette("Magma", 256),
            choices=self.gallery.pictures.choices(),
            groups=list(self._collection),
            heading="Quality of the images shown" if own else "Quality over the test set",
            budget=self.budget,
            view=self.view,
            metric=self.metric,
            **self._page_traits(),
        )

    def _show_page(self) -> None:
        """Bring the selected images and the arms to the screen, in one message."""
        with self._lock:
            self.page = self.gallery.page(self.selection.indices)
            with self.canvas.hold_sync():
                for name, value in self._page_traits().items():
                    setattr(self.canvas, name, value)

    def _page_traits(self) -> dict[str, Any]:
        """What of the canvas belongs to the images and arms on screen."""
        scores = self.page.scores.transpose("metric", "ordering", "budget", "image")
        metrics = [str(metric) for metric in scores.metric.values]
        page = {
            "captions": list(self.page.captions),
            "scores": dict(zip(metrics, scores.values.round(6).tolist(), strict=True)),
            "choice": self.selection.choice,
            "position": self.selection.position,
            "columns": self.selection.columns,
        }
        arms = [{"label": label, "colour": figures.colour_of(label, i)} for i, label in enumerate(self.gallery.arms)]
        return {
            "group": self.group,
            "arms": arms,
            "curves": self._curve_values(),
            "pixels": self.page.packed(),
            "page": page,
        }

    def _curve_values(self) -> dict[str, list[dict[str, Any]]]:
        """The curves by metric: of every arm that has any, without an interval where there is none; of yardsticks."""
        table = self.table.transpose("metric", "ordering", "budget", "bound", ...).sel(metric=list(self.state.metrics))
        parts = {"value": table.quality.values}
        parts |= {bound: table.interval.sel(bound=bound).values for bound in ("low", "high")}
        looks = [
            {"label": str(label), "colour": figures.colour_of(str(label), i), "symbol": figures.symbol_of(str(label))}
            for i, label in enumerate(table.ordering.values)
        ]
        return {
            metric: [look | {name: _known(part[at, i]) for name, part in parts.items()} for i, look in enumerate(looks)]
            + _yardsticks(table, metric)
            for at, metric in enumerate(self.state.metrics)
        }

    def _change(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    def _answer(self, request: Mapping[str, Any]) -> None:
        """Other images, or another group of arms."""
        match request:
            case {"action": "prepare"}:  # while people look at this page, the next one is decoded
                self.gallery.page(self.selection.indices_after(1))
            case {"action": "group", "label": group}:
                self.group = group
            case _:
                self._turn(request)


def _yardsticks(table: xr.Dataset, metric: str) -> list[dict[str, Any]]:
    """What is reached without a learnt code, where the study has it."""
    if "worth" not in table:
        return []
    values = table.worth.sel(metric=metric).transpose("yardstick", "budget")
    return [
        {"label": str(name), "dash": dash, "value": one.values.tolist(), "low": None, "high": None}
        for name, one, dash in zip(values.yardstick.values, values, DASHES, strict=False)
    ]


def _known(values: np.ndarray) -> list[float | None] | None:
    """Seven digits of each, None where a number is missing; None where all are."""
    known = np.isfinite(values)
    return (
        [float(f"{value:.7g}") if one else None for value, one in zip(values, known, strict=True)]
        if known.any()
        else None
    )
