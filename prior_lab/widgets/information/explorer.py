"""Choose tokens: their information with its error, and what they decode to, over all images or one class of them."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import xarray as xr

from prior_lab import figures, zoo
from prior_lab.checks import described, whole_number
from prior_lab.data import ImageDataset
from prior_lab.effective_information import Estimate, Information, Unit
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.widgets.base import Explorer
from prior_lab.widgets.canvas import palette
from prior_lab.widgets.information import summary
from prior_lab.widgets.information.arms import Arm
from prior_lab.widgets.information.canvas import InformationCanvas
from prior_lab.widgets.information.groups import Groups
from prior_lab.widgets.information.state import InformationState, Subset
from prior_lab.widgets.pictures import EVERYTHING
from prior_lab.widgets.sources import by_name, study_images, study_name
from prior_lab.widgets.words import wrapped

Loader = Callable[[], Autoencoder]
EXAMPLES = 6  # pictures on screen
SHADES = 96  # of information, from little to much
KEPT = 4  # arms whose codes are kept: those of 2,000 images take 100 MB


def explore_information(
    source: xr.DataTree | Autoencoder | Mapping[str, Autoencoder],
    images: object = None,
    *,
    arm: str | None = None,
    unit: Unit = "bit",
) -> "InformationExplorer":
    """Choose tokens and see how much they tell, and what they decode to.

    Images are encoded when the explorer is first shown, or first asked for a number: some seconds for each model.

    Parameters
    ----------
    source : a study of `prior_lab.load_study`, whose models are loaded when they are looked at; or a model; or several
        models by name.
    images : what to measure: a data set of `prior_lab.load_dataset`, whose objects then give the standard errors, or
        uint8 images [n, 3, height, width] or [n, height, width, 3]. A study brings its own test images.
    arm : the model shown first, by its label, such as "PRIOR"; the first one, if not given.
    unit : "bit" or "nat".

    Returns
    -------
    An object that shows itself as the last line of a cell.

    Raises
    ------
    InputError : if the images, the arm or the unit do not fit.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> data = pl.load_dataset("household", split="test").select(slice(0, 160, 16))
    >>> pl.explore_information(model, data)
    InformationExplorer(household; PRIOR; PRIOR, all, tokens 1 to 15 of 127)
    """
    loaders: dict[str, Loader]
    if isinstance(source, xr.DataTree):
        loaders, name = _study_loaders(source), study_name(source)
        images = study_images(source, images)
    else:
        models = by_name(source, Autoencoder)
        if images is None:
            raise InputError("A model alone has no images; give them too: explore_information(model, images).")
        loaders = {label: partial(_given, model) for label, model in models.items()}
        name = images.name if isinstance(images, ImageDataset) else "own images"
    return InformationExplorer(loaders, Groups.of(images), name=name, arm=arm, unit=unit)


def _study_loaders(study: xr.DataTree) -> dict[str, Loader]:
    """How to load each model that a study names."""
    models = zoo.named_models(figures.study_arms(study))
    return {label: partial(zoo.load_autoencoder, model) for label, model in models.items()}


def _given(model: Autoencoder) -> Autoencoder:
    return model


class InformationExplorer(Explorer):
    """Tokens to choose from, over the information and the pictures of the chosen; made by `explore_information`.

    Attributes
    ----------
    state : arm, class of images, unit and selected tokens, as a plain object.
    groups : the images, by label.

    Examples
    --------
    Tokens 4 to 7, which are numbered from 0, and what they tell of ten images of ten objects:

    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> data = pl.load_dataset("household", split="test").select(slice(0, 160, 16))
    >>> explorer = pl.explore_information(model, data)
    >>> explorer.tokens = range(3, 7)
    >>> round(explorer.estimate.value, 1), explorer.estimate.unit
    (12.7, 'bit')
    """

    settings = ("arm", "choice", "unit", "tokens")
    state: InformationState
    canvas: InformationCanvas

    def __init__(
        self, loaders: Mapping[str, Loader], groups: Groups, *, name: str, arm: str | None, unit: Unit
    ) -> None:
        self.name, self.groups = name, groups
        self._arm = lru_cache(maxsize=KEPT)(lambda label: Arm(loaders[label], groups))
        self._examples = lru_cache(maxsize=None)(lambda choice: groups.examples(choice, EXAMPLES))
        self._is_asked = False  # whether anyone has asked for numbers yet; until then, nothing is encoded
        arms, start = tuple(loaders), next(iter(loaders)) if arm is None else arm
        start = figures.require(start, arms, "model", "explorer")
        budgets = self._arm(start).levels.budgets
        subset = self._fitted(start, range(budgets[len(budgets) // 2]))
        self.state = InformationState(arms, tuple(groups.members), start, subset, unit=unit)
        super().__init__(self._make_canvas())

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def arm(self) -> str:
        """Label of the model that is shown; set it to look at another."""
        return self.state.arm

    @arm.setter
    def arm(self, label: str) -> None:
        self.canvas.arm = figures.require(label, self.state.arms, "model", "explorer")

    @property
    def tokens(self) -> tuple[int, ...]:
        """The selected tokens, numbered from 0; set it to select others."""
        return self.state.tokens

    @tokens.setter
    def tokens(self, tokens: object) -> None:
        if isinstance(tokens, str) or not isinstance(tokens, Iterable):
            raise InputError(f"tokens is {described(tokens)}; a sequence of numbers of tokens was expected.")
        numbers = [whole_number("the number of a token", token) for token in tokens]
        count = self.state.subset.count
        outside = [number for number in numbers if not 0 <= number < count]
        if outside:
            raise InputError(f"There is no token {outside[0]}; this code has the tokens 0 to {count - 1}.")
        if len(set(numbers)) < len(numbers):
            raise InputError("A token is named twice; each counts once.")
        self.canvas.tokens = sorted(numbers)

    @property
    def budget(self) -> int | None:
        """The length of the selection, if it is a prefix that decoding can stop at; set it to select a prefix."""
        return self.state.subset.budget

    @budget.setter
    def budget(self, budget: int) -> None:
        length = whole_number("budget", budget)
        self.tokens = range(len(self._arm(self.arm).outline[:length]))

    @property
    def unit(self) -> Unit:
        """Of every number: "bit" or "nat"."""
        return self.state.unit

    @unit.setter
    def unit(self, unit: Unit) -> None:
        self._set("unit", unit)

    @property
    def choice(self) -> str:
        """The label of the images, "taxonomy: label", or "all"."""
        return self.state.choice

    def choose(self, label: str) -> None:
        """Measure over images of one label, written "taxonomy: label"; "all" for all."""
        self.canvas.choice = figures.require(label, self.state.choices, "label", "data set")

    @property
    def estimate(self) -> Estimate:
        """The information of the selected tokens over the chosen images."""
        return self._measured().total(self.tokens, self.unit)

    @property
    def table(self) -> xr.Dataset:
        """The information of every token over the chosen images, as `prior_lab.information` gives it."""
        return summary.with_levels(self._measured().tokens(self.unit))

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return f"Information of tokens: {self.name}, {self.arm}"

    def summary(self) -> str:
        """The numbers on screen, as text."""
        measured, arm = self._measured(), self._arm(self.arm)
        caution = [self._caution()] if self._caution() else []
        sentences = [f"{self.name}: {self.arm}, {self.choice} ({self.groups.describe(self.choice)})"]
        sentences += [*summary.selection_text(measured, self.state.subset, self.unit), *caution]
        lines = [line for sentence in sentences for line in wrapped(sentence)]
        lines += ["", *summary.level_text(measured, arm.levels, self.unit)]
        warnings = [line for sentence in arm.warnings for line in wrapped(sentence)]
        return "\n".join([*lines, *([""] if warnings else []), *warnings])

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        arms = ", ".join(self.state.arms)
        chosen = f"{self.arm}, {self.choice}, {self.state.subset.describe()} of {self.state.subset.count}"
        return f"InformationExplorer({self.name}; {arms}; {chosen})"

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows in its place: the information of every token, selected ones marked."""
        figure = figures.token_bars(self.table, self.tokens, self.state.subset.describe())
        return {"image/svg+xml": figures.to_svg(figure)}

    # ------------------------------------------------------------ numbers

    def _measured(self) -> Information:
        """What the shown arm's tokens tell of the chosen images; encodes them, if that is still to be done."""
        with self._lock:
            if not self._is_asked:
                self._is_asked = True
                self._show()
            return self._encoded().information(self.choice)

    def _encoded(self) -> Arm:
        """The shown arm with its codes, and a notice while they are made."""
        arm = self._arm(self.arm)
        if not arm.is_encoded:
            count = len(self.groups.images)
            with self._working(f"Encoding {count:,} images with {self.arm}: this takes some seconds, once."):
                _ = arm.code
        return arm

    def _caution(self) -> str:
        if self.groups.object_count(self.choice) > 1:
            return ""
        return "All of these images show one object, so the standard error is not known."

    def _fitted(self, arm: str, tokens: Iterable[int]) -> Subset:
        """Those of some tokens that an arm's code has."""
        outline = self._arm(arm).outline
        return Subset.of(tokens, len(outline), outline.prefixes)

    # ------------------------------------------------------------ keeping browser and state in step

    def _make_canvas(self) -> InformationCanvas:
        return InformationCanvas(
            arms=list(self.state.arms),
            choices=self.groups.choices(),
            size=list(self.groups.images.shape[-2:]),
            palette=palette("Viridis", SHADES),
            arm=self.arm,
            choice=self.choice,
            unit=self.unit,
            tokens=list(self.tokens),
            outline=self._outline(),
        )

    def _outline(self) -> dict[str, Any]:
        arm, subset = self._arm(self.arm), self.state.subset
        return {"count": subset.count, "budgets": list(arm.levels.budgets), "pyramid": arm.is_pyramid}

    def _switch(self, label: str) -> None:
        """Make another arm the one that is shown; one that cannot be loaded leaves everything as it was."""
        subset = self._fitted(label, self.tokens)
        self.state.arm, self.state.subset = label, subset
        with self.canvas.hold_sync():
            if not self._arm(label).is_encoded:
                self.canvas.cells, self.canvas.estimate = {}, {}
            self.canvas.outline, self.canvas.tokens = self._outline(), list(self.tokens)

    def _show(self) -> None:
        """Bring every number that the state asks for to the screen, in one message."""
        arm, choice, unit = self._encoded(), self.choice, self.unit
        cells = summary.cells_for_browser(arm.tokens(choice, unit), arm.tokens(EVERYTHING, unit))
        cells |= {"images": self.groups.describe(choice), "warnings": arm.warnings}
        with self.canvas.hold_sync():
            self.canvas.outline = self._outline()
            self.canvas.tokens = list(self.tokens)
            self.canvas.cells = cells | {"prefixes": self._prefixes()}
            self._show_sum()

    def _show_sum(self) -> None:
        self.canvas.estimate = self._estimates(self.state.subset)

    def _estimates(self, subset: Subset) -> dict[str, Any]:
        """The numbers of some tokens, and what their pictures depend on: the browser asks for those that it lacks."""
        measured = self._encoded().information(self.choice)
        numbers = summary.estimate_for_browser(measured, subset, self.unit, self._caution())
        return numbers | {"pictures": [self.arm, self.choice, subset.prefix]}

    def _prefixes(self) -> dict[str, dict[str, Any]]:
        """The numbers of every budget, so that the slider has them at once."""
        budgets = self._arm(self.arm).levels.budgets
        return {str(budget): self._estimates(self._fitted(self.arm, range(budget))) for budget in budgets}

    def _show_pictures(self) -> None:
        """What the longest prefix inside the selection decodes to.

        Decoding takes longer than telling a number, so the browser asks for it once it has painted the number.
        """
        images, prefix = self._examples(self.choice), self.state.subset.prefix
        layers = [self.groups.images[list(images)].permute(0, 2, 3, 1).numpy()]
        layers += [self._encoded().pictures(images, prefix)] if prefix else []
        captions = [self.groups.captions[image] for image in images]
        with self.canvas.hold_sync():
            self.canvas.pixels = zlib.compress(np.concatenate(layers).tobytes(), 1)
            self.canvas.page = {"of": [self.arm, self.choice, prefix], "prefix": prefix, "captions": captions}

    def _prepare(self) -> None:
        with self._lock:
            self._measured()
            self._show_pictures()

    def _exported(self) -> dict[str, Any]:
        """The pictures of every budget; the truth stands before them."""
        self._measured()
        images, arm = self._examples(self.choice), self._encoded()
        layers = [self.groups.images[list(images)].permute(0, 2, 3, 1).numpy()]
        layers += [arm.pictures(images, budget) for budget in arm.levels.budgets]
        captions = [self.groups.captions[image] for image in images]
        return {
            "cells": self.canvas.cells,
            "estimate": self.canvas.estimate,
            "decoded": zlib.compress(np.concatenate(layers).tobytes(), 9),
            "page": {"captions": captions},
            "pixels": b"",
        }

    def _change(self, name: str, value: Any) -> None:
        """Something else was chosen, in the browser or by an attribute of this object."""
        match name:
            case "arm":
                self._switch(figures.require(value, self.state.arms, "model", "explorer"))
            case "tokens":
                chosen = self._fitted(self.arm, value)
                if chosen != self.state.subset:
                    self.state.subset = chosen
                    if self._is_asked:
                        self._show_sum()
                return
            case _:
                setattr(self.state, name, value)
        if self._is_asked:
            self._show()

    def _answer(self, request: Mapping[str, Any]) -> None:
        """The browser has drawn the frame and waits for numbers, or for pictures, or wants something else shown."""
        match request:
            case {"action": "ready"}:
                self._measured()
            case {"action": "pictures"}:
                self._show_pictures()
            case {"action": "set", "name": "arm" | "choice" | "unit" as name, "value": value}:
                setattr(self.canvas, name, value)
