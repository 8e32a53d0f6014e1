"""Figures of a study with known numbers."""

import numpy as np
import pytest
import xarray as xr

from prior_lab import figures
from prior_lab.errors import InputError

BUDGETS = [1, 3, 7]
METRICS = ["L1", "SSIM"]


def arm(level: float, ordering: str, token_kind: str = "gaussian") -> xr.DataTree:
    """Two seeds, `level` and `level + 0.2` at the first budget, 0.1 more at each further one."""
    steps = 0.1 * np.arange(3)
    quality = level + np.array([0.0, 0.2])[:, None, None] + np.stack([-steps, steps])
    coords = {"seed": [0, 1], "metric": METRICS, "budget": BUDGETS}
    dims = ("seed", "metric", "budget")
    dataset = xr.Dataset(
        {
            "quality": (dims, quality),
            "quality_interval": ((*dims, "bound"), np.stack([quality - 0.02, quality + 0.04], -1)),
            "information": (("seed", "token"), np.log(2) * np.array([[4.0, 2, 2, 1, 1, 1, 1], [2, 0, 0, 1, 1, 1, 1]])),
        },
        {**coords, "bound": ["low", "high"], "token": np.arange(7), "unit": ("metric", ["1", "1"])},
        {"ordering": ordering, "token_kind": token_kind},
    )
    return xr.DataTree(dataset)


@pytest.fixture
def study():
    arms = {"td": arm(0.3, "MBOP-TD"), "prior": arm(0.5, "PRIOR"), "itd": arm(0.4, "MBOP-ITD")}
    return xr.DataTree(children=arms, name="known")


def trace(figure, role):
    return next(trace for trace in figure.data if trace.meta == role)


def test_table_averages_seeds_in_display_order(study):
    table = figures.curve_table(study)
    assert table.ordering.values.tolist() == ["PRIOR", "MBOP-ITD", "MBOP-TD"]
    assert np.allclose(table.quality.sel(ordering="PRIOR", metric="SSIM"), [0.6, 0.7, 0.8])
    assert np.allclose(table.interval.sel(ordering="MBOP-TD", metric="L1", bound="low"), [0.38, 0.28, 0.18])


def test_token_kinds_join_the_label_only_where_there_are_several(study):
    study["prior-categorical"] = arm(0.2, "PRIOR", "categorical")
    labels = list(figures.study_arms(study))
    assert labels == ["PRIOR, gaussian", "PRIOR, categorical", "MBOP-ITD, gaussian", "MBOP-TD, gaussian"]
    assert figures.colour_of(labels[1]) == figures.COLOURS["PRIOR"]


def test_curves_show_mean_interval_and_a_base_two_axis(study):
    figure = figures.quality_curves(study, "SSIM")
    assert np.allclose(trace(figure, "line PRIOR").y, [0.6, 0.7, 0.8])
    assert np.allclose(trace(figure, "band PRIOR").y, [0.58, 0.68, 0.78, 0.84, 0.74, 0.64])
    assert trace(figure, "line MBOP-TD").line.color == figures.COLOURS["MBOP-TD"]
    assert (figure.layout.xaxis.type, list(figure.layout.xaxis.tickvals)) == ("log", BUDGETS)
    assert figure.layout.yaxis.title.text == "SSIM, higher is better"
    assert not figure.layout.shapes


def test_cursor_marks_the_budget_and_the_legend_tells_the_values(study):
    figure = figures.quality_curves(study, "SSIM", budget=3)
    assert (figure.layout.shapes[0].x0, figure.layout.annotations[0].text) == (3, "3 tokens")
    assert np.allclose(trace(figure, "cursor").y, [0.7, 0.6, 0.5])
    assert trace(figure, "line MBOP-ITD").name == "MBOP-ITD  <b>0.600</b>"
    assert figures.quality_curves(study, budget=1).layout.annotations[0].text == "1 token"


def test_another_metric_has_its_own_values_and_direction(study):
    figure = figures.quality_curves(study, "L1")
    assert np.allclose(trace(figure, "line PRIOR").y, [0.6, 0.5, 0.4])
    assert figure.layout.yaxis.title.text == "L1, lower is better"


@pytest.mark.parametrize("with_metric", [True, False])
def test_reference_is_dotted_and_keeps_the_colours(study, with_metric):
    values = xr.DataArray([[0.5, np.nan, 0.9]], {"ordering": ["PRIOR"], "budget": BUDGETS}, ("ordering", "budget"))
    reference = xr.concat([values], xr.Variable("metric", ["SSIM"])) if with_metric else values
    line = trace(figures.quality_curves(study, "SSIM", reference=reference), "reference PRIOR")
    assert (line.x.tolist(), line.y.tolist()) == ([1, 7], [0.5, 0.9])
    assert (line.line.dash, line.line.color) == ("dot", figures.COLOURS["PRIOR"])


def test_information_is_the_mean_over_seeds_by_token_in_bits(study):
    figure = figures.information_per_token(study)
    line = trace(figure, "information PRIOR")
    assert line.y.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert line.x.tolist() == list(range(1, 8))
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 4]


def test_quality_stands_over_the_information_of_the_prefix(study):
    line = trace(figures.rate_distortion(study, "SSIM"), "line PRIOR")
    np.testing.assert_allclose(line.x, [3, 5, 9])
    np.testing.assert_allclose(line.y, study["prior"]["quality"].sel(metric="SSIM").mean("seed"))


def test_arms_are_grouped_by_token_kind_and_other_orderings_stand_beside_prior():
    arms = {
        "e": arm(0.2, "PRIOR", "ema-vq"),
        "m": arm(0.3, "Matryoshka"),
        "p": arm(0.5, "PRIOR"),
        "t": arm(0.4, "MBOP-TD"),
    }
    study = xr.DataTree(children=arms, name="known")
    groups = {name: list(nodes) for name, nodes in figures.study_groups(study).items()}
    assert groups == {
        "Gaussian": ["PRIOR", "MBOP-TD"],
        "Gaussian, PRIOR taken apart": ["PRIOR", "Matryoshka"],
        "EMA-VQ": ["PRIOR"],
    }
    assert figures.curve_table(study, "EMA-VQ").ordering.values.tolist() == ["PRIOR"]
    with pytest.raises(InputError, match="FSQ is not a group of arms of this study"):
        figures.curve_table(study, "FSQ")


def test_wrong_names_are_told_in_one_sentence(study):
    with pytest.raises(InputError, match=r"FID is not a metric of this study; choose one of L1, SSIM\."):
        figures.quality_curves(study, "FID")
    with pytest.raises(InputError, match=r"20 is not a budget of this study; choose one of 1, 3, 7\."):
        figures.quality_curves(study, budget=20)
    with pytest.raises(InputError, match="The study 'empty' has no arm with a quality curve"):
        figures.quality_curves(xr.DataTree(name="empty"))


def test_strip_puts_every_picture_in_its_place():
    truth = np.full((2, 3, 8, 8), 10, np.uint8)
    shades = np.arange(1, 13, dtype=np.uint8).reshape(2, 3, 2)  # arm, budget, image
    pictures = np.broadcast_to((20 * shades)[..., None, None, None], (2, 3, 2, 3, 8, 8))
    sheet = figures.reconstruction_strip(truth, {"PRIOR": pictures[0], "MBOP-TD": pictures[1]}, BUDGETS, tile=8)
    pixels = np.asarray(sheet)
    found = pixels[..., :3]
    assert (pixels[..., 3] == 0).any(), "the ground is transparent"
    flat = {int(value) for value in np.unique(found[(found == found[..., :1]).all(-1)])}
    assert {10, *(20 * shades.ravel()).tolist()} <= flat
    rows = [np.flatnonzero((found == shade).all(-1).any(1))[0] for shade in 20 * shades[:, 0].T.ravel()]
    assert rows == sorted(rows)  # first image: both arms, then the second
