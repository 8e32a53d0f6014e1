"""The search explorer without a browser: its planes, its state, its words."""

import numpy as np
import pytest
import xarray as xr

import prior_lab
from prior_lab import figures
from prior_lab.search import best, objective
from prior_lab.widgets.search.landscape import SIDE, planes

NAME = "household-reconstruction-prior-gaussian"


@pytest.fixture
def found() -> xr.Dataset:
    return prior_lab.load_search(NAME)


def test_planes_pass_through_the_best_trial(found: xr.Dataset) -> None:
    """There the surrogate expects about what was found, and the plane of every pair has the same value."""
    price = float(found.attrs["price"])
    told = planes(found, price)
    names = found.setting.values.tolist()
    assert sorted(told) == sorted(f"{a} {b}" for i, a in enumerate(names) for b in names[i + 1 :])
    worth = objective(found)
    row = int(worth.argmin("trial"))
    spread = float(worth.max() - worth.min())
    for key, plane in told.items():
        across, up = (names.index(name) for name in key.split())
        column, line = (round(float(found.point[row, at]) * (SIDE - 1)) for at in (across, up))
        expected = np.array(plane["expected"]).reshape(SIDE, SIDE)[line, column]
        assert expected == pytest.approx(float(worth[row]), abs=0.35 * spread)
        assert min(plane["uncertainty"]) > 0


def test_settings_change_places_and_wrong_ones_are_refused(found: xr.Dataset) -> None:
    explorer = prior_lab.explore_search(found)
    first, second = explorer.across, explorer.up
    explorer.across = second
    assert (explorer.across, explorer.up) == (second, first)
    assert (explorer.canvas.across, explorer.canvas.up) == (second, first)
    with pytest.raises(prior_lab.InputError, match="is not a setting of this search"):
        explorer.across = "momentum"
    assert explorer.across == second


def test_the_summary_tells_the_chosen_trial_at_the_chosen_price(found: xr.Dataset) -> None:
    explorer = prior_lab.explore_search(found)
    assert explorer.trial == int(objective(found).argmin("trial"))
    assert f"rate_weight {best(found)['rate_weight']:.3g}" in explorer.summary()
    explorer.trial, explorer.price = 0, explorer.state.prices[2]
    worth = objective(found, explorer.price)
    assert f"trial 0 (broad, {int(found.horizon[0])} steps): objective {float(worth[0]):.4f}" in explorer.summary()
    assert repr(explorer).startswith("SearchExplorer(Search on household: PRIOR, Gaussian;")
    assert explorer.picture()["image/svg+xml"].startswith("<svg")


def test_progress_falls_to_the_lowest_trial(found: xr.Dataset) -> None:
    figure = figures.search_progress(found)
    line = next(trace for trace in figure.data if trace.meta == "best")
    assert (np.diff(line.y) <= 0).all()
    assert line.y[-1] == pytest.approx(float(objective(found).min()))


def test_every_bundled_search_can_be_looked_at() -> None:
    for name in prior_lab.list_searches():
        found = prior_lab.load_search(name)
        assert name == f"{found.attrs['data']}-{found.attrs['task']}-{'+'.join(str(arm) for arm in found.arm.values)}"
        assert set(best(found)) == set(found.setting.values.tolist())
        assert objective(found).notnull().any()
