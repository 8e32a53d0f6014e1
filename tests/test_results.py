"""The written schema: built, checked, saved whole and read again."""

import json
from dataclasses import replace

import numpy as np
import probe_specimen
import pytest
import xarray as xr

import prior_lab
from prior_lab import results
from prior_lab.data import load_dataset
from prior_lab.errors import InputError
from prior_lab.results import (
    ArmRecord,
    Provenance,
    ReconstructionRun,
    bootstrap_interval,
    build_reconstruction_arm,
    build_study,
    lead,
    lead_of_peaks,
    leads_over,
    schema,
    verdict_of_all,
)

OBJECTS = [f"chair-{number // 4}" for number in range(48)]
HERE = Provenance(commit="0" * 40, versions=json.dumps({"prior-lab": prior_lab.__version__}), hardware="2 x a core")


def _run(seed: int, **history: list[tuple[int, float]]) -> ReconstructionRun:
    values = np.random.default_rng(seed).random((4, 7, len(OBJECTS)))
    coords = {
        "metric": ["L1", "L2", "PSNR", "SSIM"],
        "unit": ("metric", ["1", "1", "dB", "1"]),
        "budget": [1, 3, 7, 15, 31, 63, 127],
    }
    quality = xr.DataArray(values, dims=("metric", "budget", "image"), coords=coords)
    names = ("information", "corrected", "standard_error")
    told = xr.Dataset({name: ("token", np.ones(127)) for name in names}, coords={"token": np.arange(127)})
    return ReconstructionRun(seed, told, **history, quality=quality)


RECORD = ArmRecord(ordering="PRIOR", token_kind="gaussian", config="{}", command="prior-lab train")


def _arm(*runs: ReconstructionRun) -> xr.Dataset:
    return build_reconstruction_arm(runs, OBJECTS, RECORD)


@pytest.fixture
def study():
    arm = _arm(_run(0, loss=[(10, 0.5), (20, 0.25)], validation=[(20, 0.75)]), _run(1, loss=[(10, 0.5)]))
    return build_study(
        "household-reconstruction", {"prior-gaussian": arm}, dataset="household", wall_time_s=12.5, made_by=HERE
    )


def test_a_study_comes_back_as_it_was_saved(study, tmp_path):
    path = tmp_path / "folder" / "study.nc"
    results.save(study, path)
    xr.testing.assert_identical(results.load(path), study)
    assert [file.name for file in path.parent.iterdir()] == ["study.nc"]


def test_every_variable_and_coordinate_tells_its_unit(study):
    arm = study["prior-gaussian"]
    assert all("units" in variable.attrs for variable in (*arm.data_vars.values(), *arm.coords.values()))
    assert arm["information"].attrs["units"] == "nat"
    assert arm["unit"].sel(metric="PSNR") == "dB"


def test_quality_is_a_mean_over_objects_of_means_over_frames(study):
    arm, run = study["prior-gaussian"], _run(1).quality
    first = run.isel(image=slice(0, 4)).mean("image")
    np.testing.assert_allclose(arm["quality_by_object"].sel(seed=1, object="chair-0"), first, rtol=1e-6)
    np.testing.assert_allclose(arm["quality"], arm["quality_by_object"].mean("object"), rtol=1e-6)
    assert (arm["quality_interval"].sel(bound="low") < arm["quality"]).all()
    assert (arm["quality_interval"].sel(bound="high") > arm["quality"]).all()


def test_objects_of_unequal_length_count_alike():
    run = _run(0)
    objects = ["one", *["many"] * 47]
    arm = build_reconstruction_arm([run], objects, RECORD)
    expected = (run.quality.isel(image=0) + run.quality.isel(image=slice(1, None)).mean("image")) / 2
    np.testing.assert_allclose(arm["quality"].sel(seed=0), expected, rtol=1e-6)


def test_histories_share_their_steps_and_say_where_nothing_was_recorded(study):
    arm = study["prior-gaussian"]
    assert arm.step.values.tolist() == [10, 20]
    np.testing.assert_array_equal(arm["loss"], [[0.5, 0.25], [0.5, np.nan]])
    np.testing.assert_array_equal(arm["validation_ssim"], [[np.nan, 0.75], [np.nan, np.nan]])
    assert "step" not in _arm(_run(0)).coords


def test_the_interval_is_that_of_a_normal_mean():
    """Of 400 values with standard deviation 1 the mean has standard error 0.05, so the interval is about 0.196 wide."""
    values = xr.DataArray(np.random.default_rng(0).normal(size=(20, 400)), dims=("metric", "object"))
    interval = bootstrap_interval(values)
    assert interval.dims == ("metric", "bound")
    width = interval.sel(bound="high") - interval.sel(bound="low")
    assert width.mean() == pytest.approx(2 * 1.96 / np.sqrt(400), rel=0.05)
    xr.testing.assert_identical(interval, bootstrap_interval(values))
    assert not interval.equals(bootstrap_interval(values, seed=1))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    values = xr.DataArray(np.random.default_rng(1).exponential(size=(400, 100)), dims=("trial", "object"))
    interval = bootstrap_interval(values)
    covered = ((interval.sel(bound="low") < 1) & (interval.sel(bound="high") > 1)).mean()
    assert 0.90 < covered < 0.98  # a percentile interval of 100 skewed values falls a little short of 0.95


def test_runs_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="seed 1 has quality"):
        _arm(_run(0), replace(_run(1), quality=_run(1).quality.isel(budget=slice(3))))
    with pytest.raises(InputError, match="at least one run"):
        _arm()


def test_what_a_study_lacks_is_named(study):
    for name in (*schema.VARIABLES["reconstruction"], *schema.INFORMATION):
        broken = study.copy()
        broken["prior-gaussian"] = xr.DataTree(study["prior-gaussian"].to_dataset().drop_vars(name))
        with pytest.raises(InputError, match=f"'prior-gaussian' lacks the variable {name}"):
            results.validate(broken)
    for owner, name in ((study, "commit"), (study["prior-gaussian"], "command")):
        value = owner.attrs.pop(name)
        with pytest.raises(InputError, match=f"lacks the attributes {name}"):
            results.validate(study)
        owner.attrs[name] = value
    study["prior-gaussian"]["information"].attrs.clear()
    with pytest.raises(InputError, match="information of the arm 'prior-gaussian' lacks the attribute units"):
        results.validate(study)


def test_a_number_that_is_not_finite_is_refused(study):
    study["prior-gaussian"]["quality"].values[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="quality of the arm 'prior-gaussian' holds numbers that are not finite"):
        results.validate(study)


def test_another_schema_version_is_refused(study, tmp_path):
    study.attrs["schema_version"] = 3
    study.to_netcdf(tmp_path / "future.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="schema version 3; this prior_lab reads version 2"):
        results.load(tmp_path / "future.nc")


def test_files_that_are_no_results_are_told_in_a_sentence(study, tmp_path):
    with pytest.raises(InputError, match="no results file"):
        results.load(tmp_path / "nothing.nc")
    (tmp_path / "text.nc").write_text("not a study")
    with pytest.raises(InputError, match="not a whole NetCDF file"):
        results.load(tmp_path / "text.nc")
    results.save(study, tmp_path / "study.nc")
    whole = (tmp_path / "study.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a whole NetCDF file"):
        results.load(tmp_path / "half.nc")
    xr.DataTree(xr.Dataset({"x": 1})).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="not results of prior_lab"):
        results.load(tmp_path / "other.nc")


def test_provenance_tells_code_and_machine(tmp_path):
    origin = results.provenance()
    assert json.loads(origin.versions).keys() >= {"python", "torch", "prior-lab"}
    assert " x " in origin.hardware
    assert schema._commit(tmp_path) == "unknown"


def _by_object(values: np.ndarray, names: list[str] | None = None) -> xr.DataArray:
    objects = names or [f"object-{number}" for number in range(values.shape[-1])]
    return xr.DataArray(np.atleast_2d(values), dims=("seed", "object"), coords={"object": objects})


def test_a_lead_is_paired_by_object() -> None:
    """What is hard for both arms does not blur their difference."""
    generator = np.random.default_rng(0)
    hardness = generator.random(100)
    better = _by_object(np.stack([hardness + 0.041, hardness + 0.039]))
    worse = _by_object(hardness + 0.01 * generator.standard_normal(100))
    found = lead(better, worse)
    assert found.value == pytest.approx(0.04, abs=0.003)
    assert 0.03 < found.low < found.value < found.high < 0.05
    assert found.verdict == "holds here"
    assert lead(worse, better).verdict == "does not hold here"
    one = _by_object(hardness)
    assert str(lead(one, one)) == "+0.000 (+0.000 to +0.000)"
    assert lead(one, one).verdict == "cannot be told here"


def test_the_interval_of_a_lead_holds_what_runs_differ_by() -> None:
    """Of runs that differ by much more than objects do, nearly as often as it says."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        runs = generator.standard_normal((8, 1)) + np.zeros((8, 20))
        found = lead(_by_object(runs), _by_object(np.zeros(20)))
        covered += found.low <= 0 <= found.high
    assert 0.85 < covered / 200 < 0.97  # a little less than 95 % among eight


def test_peaks_of_noise_cannot_be_told_apart() -> None:
    generator, unclear = np.random.default_rng(0), 0
    for _ in range(40):
        noise = generator.standard_normal((2, 2, 60, 7))
        names = {"object": [f"{number}" for number in range(60)]}
        one, other = (xr.DataArray(values, dims=("seed", "object", "budget"), coords=names) for values in noise)
        found = lead_of_peaks(one, other)
        peaks = [values.mean(axis=(0, 1)).max() for values in noise]
        assert found.value == pytest.approx(peaks[0] - peaks[1])
        unclear += found.verdict == "cannot be told here"
    assert unclear >= 35
    assert lead_of_peaks(one + np.linspace(0, 2, 7), other).verdict == "holds here"


def test_objects_without_a_value_are_left_out_of_a_lead() -> None:
    values = np.array([0.5, np.nan, 0.7, 0.9])
    assert lead(_by_object(values + 0.1), _by_object(values)).value == pytest.approx(0.1)


def test_a_lead_between_different_objects_is_refused() -> None:
    values = _by_object(np.ones(3))
    with pytest.raises(InputError, match="A lead is taken between values of the same objects"):
        lead(values, _by_object(np.ones(3), ["a", "b", "c"]))
    with pytest.raises(InputError, match="no other dimension than seed"):
        lead(values.expand_dims("budget"), values.expand_dims("budget"))


def test_a_claim_of_several_parts_holds_if_all_do() -> None:
    yes, no, unclear = (results.Lead(0.0, *bounds) for bounds in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1)))
    assert verdict_of_all([yes, yes]) == "holds here"
    assert verdict_of_all([yes, unclear]) == "cannot be told here"
    assert verdict_of_all([yes, unclear, no]) == "does not hold here"
    assert verdict_of_all([yes, "does not hold here"]) == "does not hold here"


def test_leads_over_a_baseline_are_told_seed_by_seed() -> None:
    data = load_dataset("household", "test").select(slice(0, 640))
    study = probe_specimen.study(data, [probe_specimen.Invented("prior", "gaussian")], [1, 3, 7], seeds=2)
    arm, taxonomy = study["prior-gaussian"], data.taxonomies[-1]
    leads = leads_over(study, "prior-gaussian", baseline="majority")
    assert list(leads) == [0, 1]
    for seed, found in leads.items():
        code = arm["accuracy_by_object"].sel(seed=seed, taxonomy=taxonomy, budget=7)
        beside = study["baseline_accuracy_by_object"].sel(baseline="majority", taxonomy=taxonomy)
        assert found.value == pytest.approx(float((code - beside).mean()), abs=1e-6)
        assert found.low < found.value < found.high
    early = leads_over(study, "prior-gaussian", baseline="majority", budget=1, taxonomy=data.taxonomies[0])
    assert early[0] != leads[0]
    for wrong, says in (
        ({"arm": "td"}, "no arm 'td' with probes; it has prior-gaussian"),
        ({"baseline": "luck"}, "no baseline 'luck'; it has majority, pixels"),
        ({"budget": 5}, "no budget 5; it has 1, 3, 7"),
        ({"taxonomy": "shape"}, "no taxonomy 'shape'; it has"),
    ):
        with pytest.raises(InputError, match=says):
            leads_over(study, **({"arm": "prior-gaussian"} | wrong))
