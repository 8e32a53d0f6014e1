"""Spaces, and where strategies look next."""

import math

import pytest
import torch
from torch import Tensor

from prior_lab.errors import InputError
from prior_lab.search import Grid, Random, Setting, Space, TwoStage, make_strategy, minimise
from prior_lab.search.surrogate import Surrogate

SPACE = Space.of({"a": (1e-4, 1.0), "b": (1.0, 100.0)})


def bowl(settings: list[dict[str, float]]) -> list[float]:
    """Lowest, at 0, where a is 1e-3 and b is 50."""
    return [math.log10(one["a"] / 1e-3) ** 2 + math.log10(one["b"] / 50) ** 2 for one in settings]


@pytest.mark.parametrize("log", [True, False])
def test_places_and_values_are_inverses_and_end_at_the_bounds(log: bool) -> None:
    setting = Setting("rate_weight", 1e-3, 10.0, log=log)
    assert (setting.value(0.0), setting.value(1.0)) == (1e-3, 10.0)
    assert setting.value(0.5) == pytest.approx(0.1 if log else 5.0005)
    for place in (0.0, 0.3, 1.0):
        assert setting.place(setting.value(place)) == pytest.approx(place)


def test_points_of_settings_are_where_the_settings_came_from() -> None:
    points = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(SPACE.points([SPACE.values(point) for point in points]), points)


def test_a_strategy_depends_on_what_was_told_alone() -> None:
    """So a search that was killed proposes what it would have proposed."""
    for name in ("two-stage", "random", "grid"):
        points, found = minimise(bowl, SPACE, make_strategy(name, 9, 5, 0), 9)
        again = make_strategy(name, 9, 5, 0).propose(points[:7], found[:7], 1)
        torch.testing.assert_close(again, points[7:8])


def test_the_first_stage_is_spread_evenly() -> None:
    points, _ = minimise(bowl, SPACE, TwoStage(16, seed=1), 16, batch=5)
    for axis in points.T:  # a scrambled Sobol sequence: one point in each sixteenth
        assert sorted((axis * 16).long().tolist()) == list(range(16))


def test_a_grid_visits_every_place_once_and_then_ends() -> None:
    points, _ = minimise(bowl, SPACE, Grid(9), 9)
    assert len({tuple(point) for point in points.tolist()}) == 9
    assert set(points.flatten().tolist()) == {1 / 6, 0.5, 5 / 6}
    with pytest.raises(InputError, match="has 9 points; ask for as many evaluations"):
        Grid(9).propose(points, torch.zeros(9, dtype=torch.float64), 1)


def test_two_stages_come_nearer_than_random_points() -> None:
    _, two = minimise(bowl, SPACE, TwoStage(6), 15)
    _, random = minimise(bowl, SPACE, Random(), 15)
    assert two.min() < 0.02 < random.min()


def test_a_batch_is_of_different_points() -> None:
    points, _ = minimise(bowl, SPACE, TwoStage(4), 12, batch=4)
    assert torch.cdist(points, points).fill_diagonal_(1.0).min() > 1e-3


def test_diverged_runs_are_bad_places_and_not_missing_ones() -> None:
    def half_diverges(settings: list[dict[str, float]]) -> list[float]:
        return [math.nan if one["a"] > 1e-2 else value for one, value in zip(settings, bowl(settings), strict=True)]

    points, found = minimise(half_diverges, SPACE, TwoStage(8), 20)
    assert found[:8].isnan().sum() >= 3  # half of the cube
    assert found[8:].isnan().sum() <= 2
    surrogate = Surrogate(points, found)
    mean, spread = surrogate.expected(torch.tensor([[0.9, 0.5], [0.25, 0.85]], dtype=torch.float64))
    assert mean[0] > found[found.isfinite()].max() > mean[1]
    assert (spread > 0).all()


def test_the_surrogate_knows_a_smooth_function_between_its_points() -> None:
    points = torch.rand(25, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def value(at: Tensor) -> Tensor:
        return torch.sin(3 * at[:, 0]) + at[:, 1] ** 2

    surrogate = Surrogate(points, value(points))
    between = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mean, _ = surrogate.expected(between)
    assert (mean - value(between)).abs().mean() < 0.05
    at_best = surrogate.promise(surrogate.most_promising()[None])
    assert at_best >= surrogate.promise(between).max() - 1e-3


def test_bounds_and_names_that_make_no_space_are_refused() -> None:
    for bounds, sentence in (
        ({"a": (1.0, 1.0)}, "its bounds must be ascending"),
        ({"a": (0.0, 1.0)}, "which has no logarithm"),
        ({}, "at least one setting"),
    ):
        with pytest.raises(InputError, match=sentence):
            Space.of(bounds)
    with pytest.raises(InputError, match="each may be named once"):
        Space.of([Setting("a", 1.0, 2.0), Setting("a", 2.0, 3.0)])
    with pytest.raises(InputError, match="choose two-stage, random or grid"):
        make_strategy("annealing", 3, 2, 0)
