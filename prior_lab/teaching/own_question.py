"""Lesson 7, a research question of one's own: pictures to ask it of, and the checks of plan, verdict and control."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import plotly.graph_objects as go
import torch
import xarray as xr
from IPython.display import HTML
from PIL import Image

from prior_lab.data import load_dataset
from prior_lab.errors import InputError
from prior_lab.figures import METRICS, metric_style
from prior_lab.files import as_path
from prior_lab.models import AutoencoderConfig
from prior_lab.results import Lead
from prior_lab.tasks import ReconstructionExperiment
from prior_lab.teaching.exercises import not_yet, require_answer, right
from prior_lab.widgets import LossPlot

CLOSE = 1e-6  # how near a lead has to come

# ------------------------------------------------------------ pictures, and what is shown of them


def write_pictures(folder: str | Path, *, count: int, size: int, artist: str = "twemoji") -> Path:
    """Write drawings of emoji concepts as PNG files, as if they were anyone's own pictures.

    Parameters
    ----------
    folder : where to; made where it is missing.
    count : at most so many concepts, evenly spread over those of the training split; one drawing of each.
    size : side of a picture [px].

    Returns
    -------
    The folder.

    Raises
    ------
    InputError : if there is no such artist.
    """
    home, data = as_path(folder, "the pictures' folder"), load_dataset("emoji", split="train", size=size)
    column = data.taxonomies.index("artist")
    if artist not in data.label_names[column]:
        raise InputError(f"There is no artist {artist!r}; choose one of {', '.join(data.label_names[column])}.")
    mine = (data.labels[:, column] == data.label_names[column].index(artist)).nonzero()[:, 0]
    chosen = mine[torch.linspace(0, len(mine) - 1, min(count, len(mine))).long()]
    home.mkdir(parents=True, exist_ok=True)
    for place in chosen.tolist():
        Image.fromarray(data.images[place].permute(1, 2, 0).numpy()).save(home / f"{place:05d}.png")
    return home


def still(plot: LossPlot) -> go.Figure:
    """What a live plot shows now, as a figure that a stored notebook keeps."""
    return go.Figure(plot.figure.to_dict())


def shown(table: pd.DataFrame) -> HTML:
    """A table to be looked at, not compared: the last digits of a training differ between processors."""
    return HTML(table.to_html())


def curves(study: xr.DataTree, metric: str) -> pd.DataFrame:
    """A metric by budget: a row for every arm, the mean over its runs, and one for every yardstick."""
    rows = {str(arm.attrs["ordering"]): arm["quality"].sel(metric=metric).mean("seed").to_series()
            for arm in study.children.values()}  # fmt: skip
    yardsticks = study.to_dataset()["yardstick_quality"].sel(metric=metric)
    for name in yardsticks["yardstick"].values.tolist():
        rows[name] = yardsticks.sel(yardstick=name).to_series().rename_axis("budget")
    return pd.DataFrame(rows).T.round(metric_style(metric).decimals).rename_axis(columns=f"{metric}, tokens")


# ------------------------------------------------------------ exercise 1: arms that differ in one thing


def check_arms(arms: Any) -> None:
    """Exercise 1: two shapes that differ in one setting.

    Raises
    ------
    NotYet : if there are not two, they differ in nothing or in more, or the second is not PRIOR without prediction.
    """
    require_answer(arms)
    shapes = list(arms) if isinstance(arms, Iterable) else [arms]
    require_answer(*shapes)
    if len(shapes) != 2 or not all(isinstance(shape, AutoencoderConfig) for shape in shapes):
        not_yet("`arms` should be a list of two `pl.AutoencoderConfig`.")
    differing = _differences(*shapes)
    if not differing:
        not_yet("Both arms are the same; whichever is ahead, nothing is learnt of prediction.")
    if len(differing) > 1:
        not_yet(
            f"The arms differ in {' and '.join(differing)}. If one is ahead, you cannot tell which of these it was: "
            "change one thing. `dataclasses.replace(first, ordering=...)` leaves all else as it is."
        )
    if differing != ["ordering"]:
        not_yet(f"The arms differ in {differing[0]}; the hypothesis is about prediction, which is part of `ordering`.")
    orderings = [shape.ordering for shape in shapes]
    if "prior" not in orderings:
        not_yet("Neither arm is PRIOR, about which the hypothesis is.")
    if "prior-without-prediction" not in orderings:
        other = next(name for name in orderings if name != "prior")
        not_yet(
            f"{other!r} differs from PRIOR in much more than prediction, though in one setting: it has no levels. The "
            "ordering that lacks prediction alone is called 'prior-without-prediction'."
        )
    if orderings[0] != "prior":
        not_yet("PRIOR should come first: the hypothesis says that it is ahead of the other.")
    right("One thing differs; what the arms then differ in is its doing, or chance.")


def _differences(first: AutoencoderConfig, second: AutoencoderConfig) -> list[str]:
    ours, theirs = asdict(first), asdict(second)
    return [name for name in ours if ours[name] != theirs[name]]


# ------------------------------------------------------------ exercise 2: runs


def check_experiments(experiments: Any, arms: Sequence[AutoencoderConfig], recipe: ReconstructionExperiment) -> None:
    """Exercise 2: every arm with two seeds, all else alike.

    Parameters
    ----------
    recipe : what all runs have in common but arm and seed.

    Raises
    ------
    NotYet : if a run is missing or there twice, seeds are not crossed with arms, or a recipe is another.
    """
    require_answer(experiments)
    runs = list(experiments) if isinstance(experiments, Iterable) else [experiments]
    require_answer(*runs)
    if not runs or not all(isinstance(run, ReconstructionExperiment) for run in runs):
        not_yet("`experiments` should be a list of `pl.ReconstructionExperiment`.")
    for run in runs:
        if run.model not in arms:
            not_yet(f"A run has a model that is none of the two arms: {run.model.ordering}. Give it `model=arm`.")
        other = replace(run, model=recipe.model, seed=recipe.seed)
        if other != recipe:
            names = [name for name, value in asdict(other).items() if value != asdict(recipe)[name]]
            not_yet(f"A run differs from the recipe in {' and '.join(names)}: all train alike.")
    seeds = {arm.ordering: [run.seed for run in runs if run.model == arm] for arm in arms}
    for ordering, of_arm in seeds.items():
        if not of_arm:
            not_yet(f"There is no run of {ordering}.")
        if len(set(of_arm)) < len(of_arm):
            not_yet(f"Two runs of {ordering} have the same seed. They would be the same run to the last bit.")
        if len(of_arm) == 1:
            not_yet(f"{ordering} has one run. Then nobody can tell the arm from its luck: give each arm two seeds.")
    if len({tuple(sorted(of_arm)) for of_arm in seeds.values()}) > 1:
        not_yet("The arms have different seeds. The same ones for both see the same batches, which takes chance out.")
    if len(runs) != 4:
        not_yet(f"These are {len(runs)} runs; two arms with two seeds each are four.")
    right("Two arms, two seeds each, one recipe.")


# ------------------------------------------------------------ exercise 3: the verdict


def check_verdict(ahead: Any, study: xr.DataTree, *, metric: str, budget: int) -> None:
    """Exercise 3: by how much the study's first arm is ahead of its second, over objects and runs.

    Parameters
    ----------
    budget : whole number of tokens at which the hypothesis was made.

    Raises
    ------
    NotYet : if it is another lead.
    """
    require_answer(ahead)
    if not isinstance(ahead, Lead):
        not_yet("`ahead` should be a `Lead`: what `results.lead(one, other)` returns, with an interval.")
    better, worse = list(study.children)[:2]
    known = [_by_object(study, name, metric) for name in (better, worse)]
    sign = -1.0 if METRICS[metric].better == "lower" else 1.0

    def value(budget: int, seed: int | None = None, metric_of: str = metric) -> float:
        arrays = known if metric_of == metric else [_by_object(study, name, metric_of) for name in (better, worse)]
        one, other = (values.sel(budget=budget) for values in arrays)
        if seed is not None:
            one, other = one.sel(seed=seed), other.sel(seed=seed)
        return float(one.mean()) - float(other.mean())

    if _near(ahead, sign * value(budget)):
        right(f"With {budget} tokens the hypothesis {ahead.verdict}.")
        return
    if _near(ahead, -sign * value(budget)):
        not_yet(
            f"The sign is turned round. `lead` takes larger for better, and of {metric} less is better: hand over "
            "both with a minus, PRIOR first."
            if sign < 0
            else "The sign is turned round: PRIOR comes first."
        )
    arm = study[better].to_dataset()
    for seed in arm["seed"].values.tolist():
        if _near(ahead, sign * value(budget, seed)):
            not_yet(f"That is run {seed} alone. Leave `seed` in: the interval then is over runs as well as objects.")
    for other_budget in arm["budget"].values.tolist():
        if _near(ahead, sign * value(other_budget)):
            not_yet(
                f"That is at {other_budget} tokens; the hypothesis was made for {budget}. To look for the budget where "
                "it holds best is to choose on the test split."
            )
    for name in arm["metric"].values.tolist():
        if any(_near(ahead, part * value(budget, metric_of=name)) for part in (1.0, -1.0)):
            not_yet(f"That is of {name}; the hypothesis names {metric}. It was written down before so that it stays.")
    not_yet(f"`ahead` is {ahead}, which is neither arm's lead at {budget} tokens.")


def _near(lead: Lead, value: float) -> bool:
    return abs(lead.value - value) < CLOSE


def _by_object(study: xr.DataTree, arm: str, metric: str) -> xr.DataArray:
    return study[arm]["quality_by_object"].sel(metric=metric, drop=True).astype(np.float64)


# ------------------------------------------------------------ exercise 4: an arm against itself


READINGS = {
    "a": "Seed 0 of an arm is no better method than seed 1: it *is* the same method. The interval is right about these "
    "objects and these two runs, but a run that is clearly better than another tells nothing of the arm.",
    "c": "More test objects make the interval narrower still; they never tell how other trainings would end.",
    "d": "Object by object is right: what is hard for one run is hard for the other. What is missing is the second "
    "source of chance.",
}


def check_reading(answer: Any) -> None:
    """Exercise 4: what it means that one run of an arm can be clearly ahead of another.

    Raises
    ------
    NotYet : if another letter was chosen.
    """
    require_answer(answer)
    if not isinstance(answer, str) or answer.strip().lower() not in {*READINGS, "b"}:
        not_yet("Choose one of the letters a, b, c, d, as text.")
    letter = answer.strip().lower()
    if letter != "b":
        not_yet(READINGS[letter])
    right("Two sources of chance, objects and runs; a verdict on an arm needs both in its interval.")


# ------------------------------------------------------------ what one writes in the end


def report(claim: str, ahead: Lead, control: Lead, study: xr.DataTree) -> HTML:
    """A question's answer in one paragraph, with everything in it that a reader needs to doubt it.

    Parameters
    ----------
    claim : the hypothesis, as a sentence.
    control : the lead where there should be none.
    """
    first = next(iter(study.children.values()))
    arms = " against ".join(str(arm.attrs["ordering"]) for arm in study.children.values())
    runs = min(arm.sizes["seed"] for arm in study.children.values())
    quiet = control.low <= 0 <= control.high
    return HTML(
        f"<p><b>{claim}</b> This <em>{ahead.verdict}</em>: the lead is {ahead}, a 95 % interval over "
        f"{first.sizes['object']} test objects and {runs} runs of {int(first['step'].max())} steps each; {arms}, with "
        f"equal numbers of tokens. The control shows {'no' if quiet else 'a'} difference: "
        f"{control}.</p>"
    )
