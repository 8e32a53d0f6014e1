"""The numbers behind the figures: which arms stand together, and their curves side by side."""

from typing import Literal

import numpy as np
import xarray as xr

from prior_lab.errors import InputError
from prior_lab.figures.style import COLOURS, PAPER_ORDERINGS, require
from prior_lab.tokens import TOKEN_LABELS

Curve = Literal["quality", "accuracy"]


def study_arms(study: xr.DataTree, variable: Curve = "quality") -> dict[str, xr.DataTree]:
    """The arms of a study by label, in display order; the token kind joins the label where a study has several.

    Parameters
    ----------
    variable : what the arms are looked at for: "accuracy" in contrastive studies.

    Raises
    ------
    InputError : if the study has no arm with such a curve.
    """
    nodes = [node for node in study.children.values() if variable in node]
    if not nodes:
        name, curve = study.attrs.get("name", study.name), f"{'an' if variable == 'accuracy' else 'a'} {variable} curve"
        raise InputError(f"The study {name!r} has no arm with {curve}; load one with prior_lab.load_study.")
    rank = {ordering: position for position, ordering in enumerate(COLOURS)}
    nodes.sort(key=lambda node: rank.get(node.attrs["ordering"], len(rank)))
    several_kinds = len({node.attrs.get("token_kind") for node in nodes}) > 1
    return {
        f"{node.attrs['ordering']}, {node.attrs['token_kind']}" if several_kinds else node.attrs["ordering"]: node
        for node in nodes
    }


def study_groups(study: xr.DataTree, variable: Curve = "quality") -> dict[str, dict[str, xr.DataTree]]:
    """The arms that are looked at together, by the group's name and the arm's ordering.

    A group is a token kind with the orderings of the paper; where a kind has others too, a second group holds PRIOR and
    these, which take it apart.
    """
    kinds: dict[str, dict[str, xr.DataTree]] = {}
    for node in study_arms(study, variable).values():
        kind = str(node.attrs.get("token_kind"))
        kinds.setdefault(TOKEN_LABELS.get(kind, kind), {})[node.attrs["ordering"]] = node
    groups = {}
    for kind in sorted(kinds, key=[*TOKEN_LABELS.values(), *kinds].index):
        arms = kinds[kind]
        of_paper = {label: node for label, node in arms.items() if label in PAPER_ORDERINGS}
        others = {label: node for label, node in arms.items() if label not in of_paper}
        groups[kind] = of_paper or others
        if of_paper and others:
            groups[f"{kind}, PRIOR taken apart"] = {k: arms[k] for k in ("PRIOR", *others) if k in arms}
    return groups


def curve_table(study: xr.DataTree | xr.Dataset, group: str | None = None) -> xr.Dataset:
    """Every arm's curves side by side: what curve figures and summaries read.

    Seeds are averaged, and so are their intervals: a band says how much the choice of test objects matters, not how
    much the seed does.

    Parameters
    ----------
    study : a study as `prior_lab.load_study` gives it; a table made here passes through.
    group : one of `study_groups`, such as "Gaussian"; all arms, if not given.

    Returns
    -------
    Dataset with `quality(ordering, metric, budget)` and `interval(ordering, metric, budget, bound)`, in display order;
    where the study has them, also what its yardsticks reach, `worth(yardstick, metric, budget)`.

    Raises
    ------
    InputError : if the study has no such group.
    """
    if isinstance(study, xr.Dataset):
        return study
    table = _side_by_side(study, group, "quality")
    if "yardstick_quality" not in study:
        return table
    worth = study["yardstick_quality"].rename(prefix="budget").reindex(budget=table.budget)
    return table.assign(worth=worth.reset_coords(drop=True))


def accuracy_table(study: xr.DataTree, group: str | None = None) -> xr.Dataset:
    """The accuracy of every arm's probes side by side, and the baselines: `curve_table` of a contrastive study.

    Returns
    -------
    Dataset with `accuracy(ordering, taxonomy, budget)`, `interval(ordering, taxonomy, budget, bound)`,
    `baseline_accuracy(baseline, taxonomy)` and `baseline_interval(baseline, taxonomy, bound)`.

    Raises
    ------
    InputError : if the study has no accuracies, or no such group.
    """
    table = _side_by_side(study, group, "accuracy")
    baselines = study.to_dataset()[["baseline_accuracy", "baseline_interval"]]
    return table.merge(baselines, join="exact", combine_attrs="drop")


def sound_budgets(node: xr.DataTree, variable: str) -> xr.DataArray:
    """The mean over seeds at the budgets that the arm was trained for; NaN at shorter prefixes of an unordered code."""
    values = node.to_dataset()[variable].mean("seed")
    return values.where(values.budget == values.budget.max()) if node.attrs["ordering"] == "Unordered" else values


def _side_by_side(study: xr.DataTree, group: str | None, variable: Curve) -> xr.Dataset:
    arms = study_arms(study, variable)
    if group is not None:
        groups = study_groups(study, variable)
        require(group, groups, "group of arms")
        arms = groups[group]
    columns = [
        xr.Dataset({variable: sound_budgets(node, variable), "interval": sound_budgets(node, f"{variable}_interval")})
        for node in arms.values()
    ]
    index = xr.DataArray(list(arms), dims="ordering", name="ordering")
    return xr.concat([column.reset_coords(drop=True) for column in columns], dim=index, join="exact")


def accuracy_by_kind(study: xr.DataTree) -> xr.DataArray:
    """The study's accuracies [%] in the form of the paper's table 4, the mean over seeds.

    Returns
    -------
    DataArray (token_kind, ordering, taxonomy, budget) with the labels of `prior_lab.paper.table4`; NaN where a token
    kind has no arm with an ordering.
    """
    tables = {kind: _side_by_side(study, kind, "accuracy").accuracy for kind in TOKEN_LABELS.values()
              if kind in study_groups(study, "accuracy")}  # fmt: skip
    index = xr.DataArray(list(tables), dims="token_kind", name="token_kind")
    joined = xr.concat(list(tables.values()), dim=index, join="outer", coords="minimal", compat="equals")
    return 100 * joined.astype(np.float64)
