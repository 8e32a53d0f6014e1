"""The numbers of the probe explorer: for the browser, and as text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from prior_lab import paper
from prior_lab.figures import accuracy_table, colour_of, symbol_of
from prior_lab.widgets.probes.arms import ProbedArm
from prior_lab.widgets.probes.canvas import label_palette
from prior_lab.widgets.probes.images import ProbedImages
from prior_lab.widgets.words import wrapped

LISTED = 3  # confusions in the summary


def scene_for_browser(
    images: ProbedImages, groups: Mapping[str, tuple[str, ...]], budgets: tuple[int, ...]
) -> dict[str, Any]:
    """What never changes while the explorer is open."""
    levels = zip(images.taxonomies, images.label_names, strict=True)
    labels = images.labels[images.firsts].tolist()
    return {
        "groups": {group: list(arms) for group, arms in groups.items()},
        "budgets": list(budgets),
        "taxonomies": [{"name": name, "labels": list(names)} for name, names in levels],
        "objects": [{"name": name, "labels": row} for name, row in zip(images.names, labels, strict=True)],
        "probed": images.probed,
        "firsts": images.firsts.tolist(),
        "sources": list(images.sources),
        "sourceOf": images.source_of.tolist(),
        "palette": label_palette(len(images.label_names[0])),
        "sheet": {"side": images.side, "columns": images.columns},
    }


def curves_for_browser(study: xr.DataTree, group: str) -> dict[str, Any]:
    """Accuracies of a group with their intervals, by (taxonomy, budget), baselines and the paper's numbers [%]."""
    table = accuracy_table(study, group)
    printed = paper_numbers(table, group)
    arms = []
    for position, label in enumerate(str(label) for label in table.ordering.values):
        arm = table.sel(ordering=label)
        row = {
            "label": label,
            "colour": colour_of(label, position),
            "symbol": symbol_of(label),
            "accuracy": _percent(arm.accuracy),
            "low": _percent(arm.interval.sel(bound="low")),
            "high": _percent(arm.interval.sel(bound="high")),
        }
        if printed is not None and label in printed.ordering:
            row["paper"] = _known(printed.sel(ordering=label).transpose("taxonomy", "budget"))
        arms.append(row)
    baselines = [
        {"label": str(name), "accuracy": _percent(table.baseline_accuracy.sel(baseline=name))}
        for name in table.baseline.values
    ]
    return {"arms": arms, "baselines": baselines}


def paper_numbers(table: xr.Dataset, group: str) -> xr.DataArray | None:
    """Table 4 for the token kind of a group [%], on the label levels and budgets of a table; None if it has none."""
    printed, kind = paper.table4(), group.partition(",")[0]
    if kind not in printed.token_kind:
        return None
    return printed.sel(token_kind=kind).reindex(taxonomy=table.taxonomy.values, budget=table.budget.values)


def accuracy_text(study: xr.DataTree, group: str, taxonomy: str, budget: int, *, with_paper: bool) -> list[str]:
    """A table of every arm's accuracy with its interval, and of the baselines [%]."""
    whole = accuracy_table(study, group)
    table, printed = 100 * whole.sel(taxonomy=taxonomy), paper_numbers(whole, group) if with_paper else None
    rows = []
    for label in table.ordering.values:
        here = table.sel(ordering=label, budget=budget)
        row = [str(label), _with_interval(here.accuracy, here.interval)]
        if printed is not None and label in printed.ordering:
            value = float(printed.sel(ordering=label, taxonomy=taxonomy, budget=budget))
            row += [f"{value:.1f} in the paper, on other data"] if np.isfinite(value) else []
        rows.append(row)
    for name in table.baseline.values:
        here = table.sel(baseline=name)
        rows.append([str(name), _with_interval(here.baseline_accuracy, here.baseline_interval)])
    width = max(len(row[0]) for row in rows)
    return ["  " + "   ".join([row[0].ljust(width), *row[1:]]).rstrip() for row in rows]


def object_text(images: ProbedImages, arm: ProbedArm, thing: int, taxonomy: str, budget: int) -> list[str]:
    """An object, what the probe predicts for it, and its neighbours."""
    label, name = images.label(thing, taxonomy), images.names[thing]
    predicted = [f"{other} {count}" for other, count in arm.predictions(thing, taxonomy, budget)]
    frames = len(images.frames(thing))
    known = label or f"no label of level {taxonomy}"
    lines = wrapped(f"{name} ({known}): the probe predicts {', '.join(predicted)} for {frames} frames")
    if not arm.has_model:
        return [*lines, *wrapped(no_model(arm))]
    near = arm.embedding.neighbours[arm.budgets.index(budget), thing]
    labels = [images.label(int(other), taxonomy) for other in near]
    listed = [f"{images.names[other]} ({other_label or '–'})" for other, other_label in zip(near, labels, strict=True)]
    shared = f"; {sum(other == label for other in labels)} of {len(near)} share its label" if label else ""
    shown = len(images.names)
    among = "" if shown == images.probed else f" among {shown:,} of {images.probed:,} objects"
    return [*lines, *wrapped(f"nearest{among}: {', '.join(listed)}{shared}")]


def found_text(images: ProbedImages, arm: ProbedArm, thing: int, source: str, budget: int) -> list[str]:
    """What an object's first image finds among those of a source, and at which place its own object is."""
    number = images.sources.index(source)
    found = arm.embedding.found[arm.budgets.index(budget), number, thing]
    owners = [int(images.owners[image]) for image in found if image >= 0]
    own = images.sources[images.source_of[images.firsts[thing]]]
    place = f"its own is at place {owners.index(thing) + 1}" if thing in owners else "its own is further down"
    listed = ", ".join(images.names[owner] for owner in owners)
    return wrapped(f"{own}'s among {source}'s: {listed}; {place}")


def confusion_text(images: ProbedImages, arm: ProbedArm, taxonomy: str, budget: int) -> str:
    """Images that are classified correctly, and the most frequent confusions."""
    found, names = arm.confusion(taxonomy, budget), images.label_names[images.taxonomies.index(taxonomy)]
    rows = [f"{names[truth]} → {names[other]} {count}" for truth, other, count in found.rows(LISTED)]
    text = f"{found.correct:,} of {found.total:,} images correct"
    return f"{text}; most often confused: {', '.join(rows)}" if rows else text


def no_model(arm: ProbedArm) -> str:
    """Why an arm has no map."""
    return f"The study names no model for {arm.label}, so there is no map of its features and no neighbours."


def _percent(values: xr.DataArray) -> list[Any]:
    return np.round(100 * values.values.astype(float), 2).tolist()


def _known(values: xr.DataArray) -> list[list[float | None]]:
    """Numbers, and None where there is none, for JSON has no other word for that."""
    return [[value if np.isfinite(value) else None for value in row] for row in values.values.tolist()]


def _with_interval(value: xr.DataArray, interval: xr.DataArray) -> str:
    low, high = (float(interval.sel(bound=bound)) for bound in ("low", "high"))
    return f"{float(value):5.1f} [{low:.1f}, {high:.1f}]"
