"""Lesson 7: plans, runs, verdicts and readings are recognised, and wrong ones are told what is wrong with them."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import prior_lab as pl
from prior_lab import results
from prior_lab.teaching import NotYet
from prior_lab.teaching import own_question as lesson

FIRST = pl.AutoencoderConfig(ordering="prior", levels=3, image_size=16, patch=4, width=32, decoder_width=32)
SECOND = replace(FIRST, ordering="prior-without-prediction")
ARMS = [FIRST, SECOND]
RECIPE = pl.ReconstructionExperiment(FIRST, steps=10)
RUNS = [replace(RECIPE, model=arm, seed=seed) for arm in ARMS for seed in (0, 1)]


@pytest.fixture
def study() -> xr.DataTree:
    """Two arms, two runs, thirty objects, two budgets; the first arm has less error and the higher SSIM."""
    generator = np.random.default_rng(0)
    children = {}
    for place, name in enumerate(("prior-gaussian", "prior-without-prediction-gaussian")):
        values = generator.uniform(0.1, 0.2, size=(2, 30, 2, 2)) + 0.05 * place * np.array([1, -2])[:, None]
        by_object = xr.DataArray(
            values, dims=("seed", "object", "metric", "budget"),
            coords={"seed": [0, 1], "object": np.arange(30), "metric": ["L1", "SSIM"], "budget": [1, 7]},
        )  # fmt: skip
        known = {"quality_by_object": by_object, "quality": by_object.mean("object")}
        arm = xr.Dataset(
            known, coords={"step": [5, 10]}, attrs={"ordering": ("PRIOR", "PRIOR without prediction")[place]}
        )
        children[name] = xr.DataTree(arm)
    yardsticks = xr.DataArray(
        np.full((1, 2, 2), 0.3), dims=("yardstick", "metric", "prefix"),
        coords={"yardstick": ["mean colour"], "metric": ["L1", "SSIM"], "prefix": [1, 7]},
    )  # fmt: skip
    return xr.DataTree(xr.Dataset({"yardstick_quality": yardsticks}, attrs={"dataset": "folder"}), children=children)


def lead_of(study, *, sign=-1, metric="L1", budget=7, seed=None):
    pair = [arm["quality_by_object"].sel(metric=metric, budget=budget, drop=True) for arm in study.children.values()]
    if seed is not None:
        pair = [values.sel(seed=seed, drop=True) for values in pair]
    return results.lead(sign * pair[0], sign * pair[1])


# ------------------------------------------------------------ exercise 1


def test_two_arms_that_differ_in_prediction_are_recognised(capsys):
    lesson.check_arms(ARMS)
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (..., "Fill in"),
        ([FIRST, ...], "Fill in"),
        ([FIRST], "list of two"),
        (["prior", "td"], "list of two"),
        ([FIRST, FIRST], "Both arms are the same"),
        ([FIRST, replace(SECOND, width=64)], "differ in ordering and width"),
        ([FIRST, replace(FIRST, tokens="ema-vq")], "differ in tokens; the hypothesis is about prediction"),
        ([FIRST, replace(FIRST, ordering="matryoshka")], "has no levels"),
        ([SECOND, replace(FIRST, ordering="td")], "Neither arm is PRIOR"),
        ([SECOND, FIRST], "should come first"),
    ],
)
def test_other_arms_are_told_what_is_wrong_with_them(arms, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_arms(arms)


# ------------------------------------------------------------ exercise 2


def test_two_arms_with_two_seeds_are_recognised(capsys):
    lesson.check_experiments(RUNS, ARMS, RECIPE)
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (..., "Fill in"),
        ([], "should be a list"),
        (ARMS, "should be a list"),
        (RUNS[:2], "no run of prior-without-prediction"),
        (RUNS[::2], "has one run"),
        ([RUNS[0], RUNS[0], *RUNS[2:]], "the same seed"),
        ([*RUNS[:3], replace(RUNS[3], seed=2)], "different seeds"),
        ([*RUNS[:3], replace(RUNS[3], steps=20)], "differs from the recipe in steps"),
        ([*RUNS, replace(RUNS[0], model=replace(FIRST, ordering="td"))], "none of the two arms"),
        ([replace(RECIPE, model=arm, seed=seed) for arm in ARMS for seed in range(3)], "6 runs"),
    ],
)
def test_other_runs_are_told_what_is_wrong_with_them(runs, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_experiments(runs, ARMS, RECIPE)


# ------------------------------------------------------------ exercise 3


def test_the_lead_of_the_hypothesis_is_recognised(study, capsys):
    lesson.check_verdict(lead_of(study), study, metric="L1", budget=7)
    assert capsys.readouterr().out.startswith("Right. With 7 tokens the hypothesis")
    lesson.check_verdict(lead_of(study, sign=1, metric="SSIM"), study, metric="SSIM", budget=7)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sign": 1}, "of L1 less is better"),
        ({"seed": 1}, "run 1 alone"),
        ({"budget": 1}, "made for 7"),
        ({"metric": "SSIM", "sign": 1}, "names L1"),
    ],
)
def test_another_lead_is_told_which_it_is(study, options, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_verdict(lead_of(study, **options), study, metric="L1", budget=7)


def test_of_a_measure_of_which_more_is_better_the_sign_is_told_otherwise(study):
    with pytest.raises(NotYet, match="PRIOR comes first"):
        lesson.check_verdict(lead_of(study, metric="SSIM"), study, metric="SSIM", budget=7)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [(..., "Fill in"), (0.01, "should be a `Lead`"), (results.Lead(9.0, 8.0, 10.0), "neither arm's lead")],
)
def test_what_is_no_lead_of_the_study_is_told(study, ahead, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_verdict(ahead, study, metric="L1", budget=7)


# ------------------------------------------------------------ exercise 4


def test_the_reading_is_recognised(capsys):
    lesson.check_reading(" B ")
    assert capsys.readouterr().out.startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (..., "Fill in"),
        (2, "one of the letters"),
        ("a", "it \\*is\\* the same method"),
        ("c", "narrower still"),
        ("d", "Object by object is right"),
    ],
)
def test_another_reading_is_answered(answer, words):
    with pytest.raises(NotYet, match=words):
        lesson.check_reading(answer)


def test_a_run_can_be_clearly_ahead_of_its_twin_when_only_objects_are_drawn():
    difficulty = np.random.default_rng(1).uniform(size=60)
    runs = xr.DataArray(
        np.stack([difficulty + 0.02, difficulty]), dims=("seed", "object"), coords={"seed": [0, 1], "object": range(60)}
    )
    assert results.lead(runs.sel(seed=0, drop=True), runs.sel(seed=1, drop=True)).verdict == "holds here"
    assert results.lead(runs, runs).verdict == "cannot be told here", "an arm over itself, runs drawn as well"


# ------------------------------------------------------------ what is shown


def test_pictures_are_a_folder_that_the_reader_splits(tmp_path):
    folder = lesson.write_pictures(tmp_path / "pictures", count=20, size=16)
    splits = {
        split: pl.load_dataset("folder", split, path=folder, size=16) for split in ("train", "validation", "test")
    }
    assert sum(map(len, splits.values())) == 20
    assert splits["train"].images.shape[1:] == (3, 16, 16)
    with pytest.raises(pl.InputError, match="no artist 'nobody'"):
        lesson.write_pictures(tmp_path, count=2, size=16, artist="nobody")


def test_curves_have_arms_and_yardsticks_side_by_side(study):
    table = lesson.curves(study, "L1")
    assert table.index.tolist() == ["PRIOR", "PRIOR without prediction", "mean colour"]
    assert table.columns.tolist() == [1, 7]
    assert table.loc["mean colour", 7] == pytest.approx(0.3)
    assert "<table" in lesson.shown(table).data


def test_the_report_says_what_a_reader_needs_to_doubt_it(study):
    text = lesson.report("One is nearer.", lead_of(study), lead_of(study, budget=1), study).data
    for words in ("<b>One is nearer.</b>", "30 test objects and 2 runs of 10 steps", "PRIOR against PRIOR without"):
        assert words in text


def test_a_live_plot_can_be_kept(study):
    plot = pl.LossPlot()
    plot([{"step": 1, "objective": 2.0}, {"step": 2, "objective": 1.0, "ssim_1": 0.3, "ssim_3": 0.4}])
    assert list(lesson.still(plot).data[0].y) == [2.0, 1.0]
    assert pl.figures.to_svg(lesson.still(plot)).startswith("<svg")
