"""Frozen linear probes at every budget of ordered codes: multinomial logistic regression, all of them solved together.

Features are standardised per column on the training split; columns that do not vary there become 0. A probe minimises
the mean cross-entropy over its labelled training images plus strength / 2 |W|^2; its bias is free. scikit-learn calls
that `LogisticRegression(C=1 / (strength * n))`, with n the number of labelled training images; for two labels, where it
has one row of weights instead of two, C = 2 / (strength * n).
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from prior_lab.errors import InputError
from prior_lab.probes.samples import Samples, accuracy_table, check_splits, correct, nested_widths, object_means
from prior_lab.probes.solver import Fit, Targets, minimise
from prior_lab.probes.spaces import Space, nested_spaces

PATH = (1e-2, 1e-3, 1e-4, 1e-5)  # strengths per column: what suits a budget grows with its width
FEW = 1024  # samples: up to so many are solved in float64
CURVATURE = 0.5  # of the softmax, on average, as a share of what it is before anything is learnt


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe at its optimum.

    Attributes
    ----------
    weights, bias : for standardised features.
    labels : index of the label that each row stands for.
    strength : of the penalty.
    objective : mean cross-entropy and penalty on the training split [nat].
    """

    weights: Float32[Tensor, "label column"]
    bias: Float32[Tensor, "label"]
    labels: Int64[Tensor, "label"]
    strength: float
    objective: float

    def predict(self, features: Float32[Tensor, "feature sample"]) -> Int64[Tensor, "sample"]:
        """Index of the likeliest label, from the leading features."""
        logits = self.weights @ features[: self.weights.shape[1]] + self.bias[:, None]
        return self.labels[logits.argmax(dim=0)]


def linear_probes(
    train: Samples,
    validation: Samples,
    test: Samples,
    *,
    widths: Mapping[int, int],
    taxonomies: Sequence[str],
    strengths: Sequence[float] | None = None,
) -> xr.Dataset:
    """Probes of every budget and taxonomy: fitted on one split, chosen on another, scored on a third.

    Parameters
    ----------
    train, validation, test : with the same columns and taxonomies; images without a label are left out.
    widths : how many leading columns each budget [token] reads.
    taxonomies : names of the columns of labels.
    strengths : of the penalty, the same at every budget; by default those of `PATH` times the number of columns that
        the budget reads. The probe with the best accuracy on validation is taken, of equally good ones that with the
        strongest penalty.

    Returns
    -------
    Dataset with

    - `accuracy` (budget, taxonomy): on test, mean over objects of the share of their images that is correct;
      `interval` (budget, taxonomy, bound): its 95 % percentile bootstrap over objects;
    - `correct_by_object` (budget, taxonomy, object): that share; NaN for objects without a label;
    - `predicted` (budget, taxonomy, image): label index of every test image; -1 where it has no label;
    - `strength`, `validation_accuracy`, `objective` [nat] (budget, taxonomy): of the probe that was taken;
    - `majority` (taxonomy): accuracy on test of always saying the label that is most frequent in training.

    Raises
    ------
    InputError : if splits, widths or strengths cannot be used, or do not go together.

    Warns
    -----
    RuntimeWarning : if a probe's objective may be more than `prior_lab.probes.solver.ROUNDING` above its minimum.
    """
    splits = {"training": train, "validation": validation, "test": test}
    check_splits(splits, taxonomies)
    budgets = nested_widths(widths, train)
    columns = list(budgets.values())
    paths = [_path(strengths, width) for width in columns]
    targets = [_targets(name, labels) for name, labels in zip(taxonomies, train.labels.T, strict=True)]
    seen, unseen, held_back = standardise([split.features[:, : columns[-1]] for split in splits.values()])
    chosen = [_choose(probes, unseen, validation) for probes in fit_probes(seen, targets, columns, paths)]
    predicted = torch.stack([torch.stack([probe.predict(held_back) for probe, _ in row]) for row in chosen])
    rows = {
        "strength": ([[probe.strength for probe, _ in row] for row in chosen], "1"),
        "objective": ([[probe.objective for probe, _ in row] for row in chosen], "nat"),
        "validation_accuracy": ([[accuracy for _, accuracy in row] for row in chosen], "1"),
    }
    table = accuracy_table(predicted, test, list(budgets), taxonomies)
    table = table.assign({name: (("budget", "taxonomy"), row, {"units": unit}) for name, (row, unit) in rows.items()})
    return table.assign(majority=("taxonomy", _majority(targets, test), {"units": "1"}))


def fit_probes(
    features: Float32[Tensor, "column sample"],
    targets: Sequence[Targets],
    widths: Sequence[int],
    paths: Sequence[Sequence[float]],
) -> Iterator[list[list[Probe]]]:
    """The probes of each width: for every strength of its path, one for each of the targets.

    Those of few samples are solved in float64, which costs little there: features of small rank, whose kernel has
    directions that change nothing, leave float32 no way to tell the others' slope.

    Parameters
    ----------
    features : standardised.
    widths : numbers of leading columns, growing.
    paths : strengths at each width, from strong to weak.
    """
    curvature = CURVATURE * sum(1 / len(target.labels) for target in targets) / len(targets)
    precise = features.double() if features.shape[1] <= FEW else features
    spaces = nested_spaces(precise, widths, [path[0] for path in paths], curvature)
    for space, width, path in zip(spaces, widths, paths, strict=True):
        yield _follow(space, features[:width], path, [Fit(target, space) for target in targets])


def standardise(splits: Sequence[Float32[Tensor, "_ column"]]) -> list[Float32[Tensor, "column _"]]:
    """Columns as rows, with mean 0 and variance 1 on the first split; 0 where they do not vary there."""
    mean = splits[0].mean(dim=0)
    centred = [(split - mean).T.contiguous() for split in splits]
    rest = centred[0].mean(dim=1, keepdim=True)  # rounding leaves some of a large mean
    spread = (centred[0] - rest).square().mean(dim=1, keepdim=True).sqrt()
    varies = spread > 4 * torch.finfo(spread.dtype).eps * mean[:, None].abs()
    scale = torch.where(varies, 1 / spread, 0.0)
    return [(rows - rest) * scale for rows in centred]


def _path(strengths: Sequence[float] | None, width: int) -> list[float]:
    """Strengths at a width, the strongest first."""
    if strengths is None:
        return [strength * width for strength in PATH]
    if not strengths or not all(0 < strength < math.inf for strength in strengths):
        raise InputError(f"The strengths are {list(strengths)}; expected one or more positive numbers.")
    return sorted(set(strengths), reverse=True)


def _targets(name: str, labels: Int64[Tensor, "sample"]) -> Targets:
    known = labels >= 0
    there = labels[known].unique()
    if len(there) < 2:
        raise InputError(f"All training images have the same label in the taxonomy {name}; a probe needs two or more.")
    places = torch.searchsorted(there, labels.contiguous()).clamp_max(len(there) - 1)
    return Targets(name, there, places, known / known.sum())


def _follow(
    space: Space, features: Float32[Tensor, "column sample"], path: Sequence[float], fits: Sequence[Fit]
) -> list[list[Probe]]:
    """Solve for one strength after the other."""
    probes = []
    for strength in path:
        change, space = strength - space.strength, space.with_strength(strength)
        for fit in fits:
            fit.retune(space, change)
        for fit in minimise(space, fits):
            warnings.warn(
                f"The probe of {fit.targets.name} with a penalty of strength {strength:.3g} is not at its "
                f"optimum; its objective may be {fit.excess(space):.2%} too high.",
                RuntimeWarning,
                stacklevel=2,
            )
        probes.append([_solved(fit, space, features) for fit in fits])
    return probes


def _solved(fit: Fit, space: Space, features: Float32[Tensor, "column sample"]) -> Probe:
    """The probe with its objective taken anew: what the fit has kept account of carries the rounding of all steps."""
    weights, bias = (part.to(features.dtype) for part in space.coefficients(fit.vector))
    loss, _ = fit.targets.loss(torch.addmm(bias[:, None], weights, features))
    objective = loss.item() + space.strength / 2 * weights.double().square().sum().item()
    return Probe(weights, bias, fit.targets.labels, space.strength, objective)


def _choose(
    probes: Sequence[Sequence[Probe]], features: Float32[Tensor, "feature sample"], validation: Samples
) -> list[tuple[Probe, float]]:
    """For every taxonomy, the probe with the best accuracy, of equally good ones the first, and that accuracy."""
    predicted = torch.stack([torch.stack([probe.predict(features) for probe in row]) for row in probes])
    accuracy = np.nanmean(object_means(correct(predicted, validation.labels), validation.objects), axis=-1)
    best = accuracy.argmax(axis=0)
    return [(probes[row][taxonomy], float(accuracy[row, taxonomy])) for taxonomy, row in enumerate(best)]


def _majority(targets: Sequence[Targets], test: Samples) -> Float64[np.ndarray, "taxonomy"]:
    frequent = [target.labels[target.places[target.weights > 0].bincount().argmax()] for target in targets]
    said = torch.stack(frequent)[:, None].expand(len(frequent), len(test))
    return np.nanmean(object_means(correct(said, test.labels), test.objects), axis=-1)
