"""Linear probes against scikit-learn; what they read, how they are chosen, and what is told of them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from probe_samples import TAXONOMIES, WIDTHS, ordered_samples, select, shares
from torch import Tensor

from prior_lab.probes import Samples, linear, linear_probes
from prior_lab.probes.linear import PATH, Probe, fit_probes, standardise
from prior_lab.probes.solver import FLATNESS, LIMIT, TOLERANCE, Fit, Targets, flat_point
from prior_lab.probes.spaces import Dual, Primal, nested_spaces
from prior_lab.results import bootstrap_interval


def targets_of(samples: Samples) -> list[Targets]:
    return [linear._targets(name, column) for name, column in zip(TAXONOMIES, samples.labels.T, strict=True)]


def solve(samples: Samples, width: int, strengths: Sequence[float]) -> tuple[Tensor, list[list[Probe]]]:
    """Standardised features, and for every strength the probes of all taxonomies."""
    features = standardise([samples.features[:, :width]])[0]
    return features, next(fit_probes(features, targets_of(samples), [width], [strengths]))


def objective(probe: Probe, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a probe minimises, in float64, with its weights and bias; written a second time."""
    known = labels >= 0
    weights, bias = probe.weights.double().requires_grad_(), probe.bias.double().requires_grad_()
    logits = features[:, known].double().T @ weights.T + bias
    places = (labels[known, None] == probe.labels).long().argmax(dim=1)
    loss = torch.nn.functional.cross_entropy(logits, places)
    return loss + probe.strength / 2 * weights.square().sum(), weights, bias


def oracle(features: Tensor, labels: Tensor, strength: float) -> Probe:
    """scikit-learn's solution, found in float64; for two labels it has one row, the difference of the two here."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    known = (labels >= 0).numpy()
    rows = 2 if len(labels[labels >= 0].unique()) == 2 else 1
    solver = linear_model.LogisticRegression(C=rows / (strength * known.sum()), tol=1e-9, max_iter=100_000)
    solver.fit(features.double().numpy().T[known], labels.numpy()[known])
    weights, bias = torch.from_numpy(solver.coef_).float(), torch.from_numpy(solver.intercept_).float()
    if rows == 2:
        weights, bias = torch.cat([-weights, weights]) / 2, torch.cat([-bias, bias]) / 2
    return Probe(weights, bias, torch.from_numpy(solver.classes_), strength, math.nan)


# What is solved


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("strengths", [[1.0], [1e-2], [1e-3], [10.0, 1.0, 0.1, 0.01]], ids=str)
def test_the_objective_is_the_optimum_of_scikit_learn(splits, width, strengths):
    features, path = solve(splits[0], width, strengths)
    for strength, probes in zip(strengths, path, strict=True):
        for probe, labels in zip(probes, splits[0].labels.T, strict=True):
            best = oracle(features, labels, strength)
            optimum, reached = (objective(found, features, labels)[0].item() for found in (best, probe))
            assert -1e-6 < reached / optimum - 1 < TOLERANCE
            assert probe.objective == pytest.approx(reached, rel=1e-5)


@pytest.mark.parametrize("strength", [0.1, 0.01])
def test_accuracies_are_those_of_scikit_learn_within_three_per_mille(strength):
    samples = ordered_samples(600, 4, levels=3, channels=24, counts=(3, 8), seed=1)
    train, test = select(samples, slice(0, 400)), select(samples, slice(400, 2400))
    table = linear_probes(train, train, test, widths={3: 72, 7: 168}, taxonomies=TAXONOMIES, strengths=[strength])
    for budget, width in ((3, 72), (7, 168)):
        seen, unseen = standardise([split.features[:, :width] for split in (train, test)])
        for taxonomy, truth, labels in zip(TAXONOMIES, test.labels.T, train.labels.T, strict=True):
            expected = (oracle(seen, labels, strength).predict(unseen) == truth).double().mean().item()
            assert float(table.accuracy.sel(budget=budget, taxonomy=taxonomy)) == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("width", WIDTHS.values())
def test_the_gradient_at_the_solution_is_small(splits, width):
    features, [probes] = solve(splits[0], width, [0.01])
    for probe, labels in zip(probes, splits[0].labels.T, strict=True):
        value, weights, bias = objective(probe, features, labels)
        value.backward()
        assert weights.grad.square().sum() / (2 * probe.strength) < 1.01 * TOLERANCE * probe.objective
        assert bias.grad.abs().max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_features_of_small_rank_are_solved_as_well(generator, seed):
    """Many wide features that only three numbers tell apart: most of the dual's gradient changes nothing."""
    generator.manual_seed(seed)
    features = torch.randn(3072, 3, generator=generator) @ torch.randn(3, 42, generator=generator)
    features = standardise([features.T.contiguous()])[0]
    labels = torch.randint(2, (42,), generator=generator)
    [[[probe]]] = fit_probes(features, [linear._targets("random", labels)], [3072], [[0.01]])
    best = objective(oracle(features, labels, 0.01), features, labels)[0].item()
    assert -1e-6 < objective(probe, features, labels)[0].item() / best - 1 < TOLERANCE


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_nested_budgets_are_separate_fits(splits, strength):
    features = standardise([splits[0].features])[0]
    widths = list(WIDTHS.values())
    together = fit_probes(features, targets_of(splits[0]), widths, [[strength]] * len(widths))
    for width, [probes] in zip(widths, together, strict=True):
        _, [alone] = solve(splits[0], width, [strength])
        for one, other in zip(probes, alone, strict=True):
            assert one.objective == pytest.approx(other.objective, rel=TOLERANCE)
            assert one.weights.shape == (len(one.labels), width)
            torch.testing.assert_close(one.weights, other.weights, atol=0.01, rtol=0.05)


def test_short_prefixes_are_solved_in_the_primal_and_long_ones_in_the_dual(splits):
    features = standardise([splits[0].features])[0]
    spaces = list(nested_spaces(features, list(WIDTHS.values()), [0.1] * 4, 0.2))
    assert [type(space) for space in spaces] == [Primal, Primal, Dual, Dual]


@pytest.mark.parametrize("width", [72, 360])
def test_every_space_does_the_same_algebra(generator, splits, width):
    """Of any vector: the logits, the inner product, the bound and the coefficients belong together."""
    features = standardise([splits[0].features])[0]
    space = next(nested_spaces(features, [width], [0.1], 0.2)).with_strength(0.05)
    residual = torch.randn(3, 240, generator=generator)
    gradient = space.gradient(residual, space.zeros(3)[0])
    vector = space.precondition(gradient)
    weights, bias = space.coefficients(vector)
    torch.testing.assert_close(weights @ features[:width] + bias[:, None], space.logits(vector), atol=2e-2, rtol=1e-3)
    torch.testing.assert_close(space.inner(vector, vector), weights.square().sum(), rtol=1e-3, atol=0.0)
    by_weights, by_bias = residual @ features[:width].T, residual.sum(dim=1)
    slope = (by_weights * weights).sum() + (by_bias * bias).sum()
    torch.testing.assert_close((gradient * vector[-1]).sum(), slope, rtol=1e-3, atol=0.0)
    bound = by_weights.square().sum() / (2 * 0.05) + by_bias.square().sum() / (2 * 0.2)
    torch.testing.assert_close(space.gap(gradient), bound, rtol=1e-3, atol=0.0)
    inverse = 0.2 / 240 * features[:width] @ features[:width].T + 0.1 * torch.eye(width)
    torch.testing.assert_close(weights @ inverse, by_weights, rtol=1e-2, atol=0.1)


@pytest.mark.parametrize("first", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("slope_at", [lambda x: math.tanh(x - 3), lambda x: x - 1e-2, lambda x: math.expm1(x - 1)])
def test_a_line_search_ends_where_the_slope_is_small(slope_at, first):
    start = slope_at(0.0)
    length, slope = flat_point(slope_at, start, first)
    assert slope == slope_at(length)
    assert abs(slope) <= FLATNESS * abs(start)


def test_a_probe_that_takes_too_long_is_warned_of(monkeypatch, splits):
    monkeypatch.setattr("prior_lab.probes.solver.LIMIT", 1)
    with pytest.warns(
        RuntimeWarning, match=r"The probe of (coarse|fine) with a penalty of strength 0.01 is not at its"
    ):
        solve(splits[0], 72, [0.01])


@pytest.mark.filterwarnings("ignore:The probe of colour:RuntimeWarning")
@pytest.mark.parametrize("seed", [36, 66, 121])
def test_columns_so_alike_that_rounding_ends_the_way_do_not_use_up_all_iterations(monkeypatch, seed):
    walked, walk = [], Fit.walk
    monkeypatch.setattr(Fit, "walk", lambda *arguments: (walked.append(1), walk(*arguments)))
    draw, count = torch.Generator().manual_seed(seed), 63
    labels = torch.randint(2, (count,), generator=draw)
    columns = torch.randn(count, 4, generator=draw) @ torch.randn(4, 96, generator=draw)
    columns = columns + 0.001 * torch.randn(count, 96, generator=draw) + 0.3 * labels[:, None]
    features, strengths = standardise([columns])[0], [1.0, 0.1, 0.01, 0.00096]
    targets = Targets("colour", labels.unique(), labels, torch.full((count,), 1 / count))
    for (probe,) in next(fit_probes(features, [targets], [96], [strengths])):
        best = oracle(features, labels, probe.strength)
        mine, theirs = (objective(one, features, labels)[0] for one in (probe, best))
        assert mine <= theirs * 1.001
    assert len(walked) < LIMIT


def test_two_labels_are_what_scikit_learn_solves_with_twice_the_c(splits):
    pair = replace(splits[0], labels=splits[0].labels.clamp_max(1))
    features, [probes] = solve(pair, 168, [0.1])
    for probe, labels in zip(probes, pair.labels.T, strict=True):
        optimum, reached = (
            objective(found, features, labels)[0].item() for found in (oracle(features, labels, 0.1), probe)
        )
        assert reached == pytest.approx(optimum, rel=TOLERANCE)


# What is read


def probed(splits: Sequence[Samples], **options: object) -> xr.Dataset:
    return linear_probes(*splits, **{"widths": WIDTHS, "taxonomies": TAXONOMIES, "strengths": [0.1]} | options)


def test_columns_are_standardised_on_the_training_split(splits):
    scale, offset = torch.logspace(-3, 3, 360), torch.linspace(-50, 50, 360)
    moved = [replace(samples, features=samples.features * scale + scale * offset) for samples in splits]
    one, other = probed(splits), probed(moved)
    xr.testing.assert_allclose(one.objective, other.objective, rtol=1e-4)
    assert (one.predicted == other.predicted).mean() > 0.995


def test_columns_that_do_not_vary_tell_nothing(splits):
    constant = torch.tensor([0.1, 0.0, -1e4])

    def widened(samples: Samples) -> Samples:
        junk = constant.expand(len(samples), 3) + (0.0 if samples is splits[0] else 1.0)
        return replace(samples, features=torch.cat([junk, samples.features], dim=1))

    wider = probed([widened(samples) for samples in splits], widths={1: 27, 3: 75})
    plain = probed(splits, widths={1: 24, 3: 72})
    xr.testing.assert_allclose(wider.objective, plain.objective, rtol=1e-4)
    assert (wider.predicted == plain.predicted).mean() > 0.995


def test_features_that_tell_nothing_leave_the_majority(splits):
    flat = [replace(samples, features=torch.ones_like(samples.features)) for samples in splits]
    table = probed(flat, widths={1: 24, 15: 360})
    np.testing.assert_allclose(table.accuracy, table.majority.expand_dims(budget=2))


def test_budgets_come_in_order_whatever_the_order_of_the_widths(splits):
    table = probed(splits, widths={7: 168, 1: 24})
    assert table.budget.values.tolist() == [1, 7]
    xr.testing.assert_identical(table, probed(splits, widths={1: 24, 7: 168}))


def test_labels_are_names_not_places(splits):
    """Nor need training have all of them: what it has not seen, it cannot say."""
    train, *others = (
        replace(split, labels=torch.where(split.labels < 0, -1, 10 * split.labels + 5)) for split in splits
    )
    train.labels[train.labels[:, 0] == 25, 0] = -1
    told = probed([train, *others]).sel(taxonomy="coarse", budget=15)
    assert set(np.unique(told.predicted)) == {5, 15}
    unseen = others[1].objects[others[1].labels[:, 0] == 25].unique()
    assert (told.correct_by_object.sel(object=unseen.numpy()) == 0.0).all()
    assert told.accuracy > 0.3


def test_a_label_of_a_single_object_is_learnt_like_any_other():
    samples = ordered_samples(40, 4, levels=2, channels=8, counts=(2, 3))
    samples.labels[:, 1] = (samples.objects == 0).long()
    table = probed([samples] * 3, widths={3: 24}, strengths=[1e-5])
    assert table.correct_by_object.sel(taxonomy="fine", budget=3, object=0) == 1.0


# What is chosen and told


def test_separable_classes_are_told_without_error():
    labels = torch.arange(60) % 3
    samples = Samples(torch.eye(3)[labels].repeat(1, 2), labels[:, None], torch.arange(60))
    table = linear_probes(samples, samples, samples, widths={1: 3, 2: 6}, taxonomies=["label"])
    assert (table.accuracy == 1.0).all()
    assert (table.interval == 1.0).all()
    np.testing.assert_allclose(table.majority, 1 / 3)


def test_of_equally_good_strengths_the_strongest_is_taken():
    labels = torch.arange(60) % 3
    samples = Samples(torch.eye(3)[labels], labels[:, None], torch.arange(60))
    options = {"widths": {1: 3}, "taxonomies": ["label"]}
    assert linear_probes(samples, samples, samples, **options, strengths=[1e-3, 0.1, 1e-2]).strength.item() == 0.1
    assert linear_probes(samples, samples, samples, **options).strength.item() == 3 * max(PATH)


def test_strengths_are_chosen_on_validation_and_not_on_test(splits):
    """Some of the four probes would be chosen otherwise on the test split."""
    train, validation, test = splits
    path, widths = [10.0, 1.0, 0.1, 0.01], {1: 24, 7: 168}
    chosen = probed(splits, strengths=path, widths=widths)
    tried = [probed(splits, strengths=[strength], widths=widths) for strength in path]
    on_validation, on_test = (
        np.stack([table[name] for table in tried]) for name in ("validation_accuracy", "accuracy")
    )
    best, tempting = on_validation.argmax(axis=0), on_test.argmax(axis=0)
    assert (best != tempting).any()
    np.testing.assert_array_equal(chosen.strength, np.array(path)[best])
    np.testing.assert_allclose(chosen.validation_accuracy, on_validation.max(axis=0))
    np.testing.assert_allclose(chosen.accuracy, np.take_along_axis(on_test, best[None], axis=0)[0], atol=0.02)
    swapped = probed((train, test, validation), strengths=path, widths=widths)
    np.testing.assert_array_equal(swapped.strength, np.array(path)[tempting])


def test_the_usual_strengths_grow_with_the_number_of_columns(splits):
    table = probed(splits, strengths=None, widths={1: 24, 3: 72})
    per_column = table.strength / xr.DataArray([24, 72], dims="budget")
    assert np.isclose(per_column.values[..., None], PATH).any(axis=-1).all()


def test_accuracy_is_a_mean_over_objects_that_have_a_label(splits):
    uneven = select(splits[2], torch.arange(160)[torch.arange(160) % 16 != 3])
    table = probed((*splits[:2], uneven))
    np.testing.assert_allclose(table.accuracy, shares(table, uneven))
    np.testing.assert_allclose(table.accuracy, table.correct_by_object.mean("object"))
    masked = (uneven.labels < 0).T.numpy()
    assert (table.predicted.values[:, masked] == -1).all()
    assert (table.predicted.values[:, ~masked] >= 0).all()
    without = uneven.objects[uneven.labels[:, 1] < 0].unique().numpy()
    assert table.correct_by_object.sel(taxonomy="fine").isnull().sum("object").values.tolist() == [len(without)] * 4
    assert table.correct_by_object.sel(taxonomy="fine", object=without).isnull().all()


def test_intervals_are_those_of_the_objects_with_a_label(splits):
    table = probed(splits)
    assert (table.interval.sel(bound="low") < table.accuracy).all()
    assert (table.accuracy < table.interval.sel(bound="high")).all()
    coarse = table.correct_by_object.sel(taxonomy="coarse")
    np.testing.assert_allclose(table.interval.sel(taxonomy="coarse"), bootstrap_interval(coarse))
    fine = bootstrap_interval(table.correct_by_object.sel(taxonomy="fine").dropna("object"))
    np.testing.assert_allclose(table.interval.sel(taxonomy="fine"), fine, atol=0.03)


def test_the_majority_is_the_most_frequent_label_of_training(splits):
    train, _, test = splits
    table = probed(splits)
    for column, taxonomy in enumerate(TAXONOMIES):
        known = train.labels[:, column] >= 0
        frequent = train.labels[known, column].mode().values
        there = test.labels[:, column] >= 0
        expected = (test.labels[there, column] == frequent).double().mean().item()
        assert table.majority.sel(taxonomy=taxonomy) == pytest.approx(expected)


@pytest.mark.gpu
def test_an_accelerator_tells_the_same(splits):
    there = [Samples(split.features.cuda(), split.labels.cuda(), split.objects.cuda()) for split in splits]
    xr.testing.assert_allclose(probed(there).objective, probed(splits).objective, rtol=1e-3)
