"""What ships with the package: the trained arms are good, and the documentation says what the studies hold."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

import prior_lab as pl
from prior_lab import figures
from prior_lab.effective_information import encode_images
from prior_lab.probes import Samples, matching, nearest_neighbours
from prior_lab.probes.matching import MEASURES
from prior_lab.quality import quality_by_budget
from prior_lab.results import lead, leads_over
from prior_lab.tasks import ContrastiveExperiment, experiment_from_json, nt_xent_by_budget
from prior_lab.zoo import load_contrastive, model_record

STUDY = "household-reconstruction"
KINDS = ("gaussian", "categorical", "ema-vq")
CODES = "household-contrastive"
CLOTHES = "fashion-contrastive"
DRAWINGS = "emoji-contrastive"
ARMS = [name for name, arm in pl.load_study(STUDY).children.items() if arm.attrs["model"]]


def test_every_model_that_a_bundled_study_names_is_bundled() -> None:
    named = [arm.attrs["model"] for study in pl.list_studies() for arm in pl.load_study(study).children.values()]
    assert sorted(filter(None, named)) == pl.list_models()


@pytest.mark.parametrize("study", [STUDY, CODES])
def test_a_study_has_two_runs_of_every_arm_of_the_paper_and_of_two_more_orderings(study: str) -> None:
    tree = pl.load_study(study)
    paper = {f"{ordering}-{kind}" for ordering in ("prior", "itd", "td") for kind in KINDS}
    assert set(tree.children) == paper | {"matryoshka-gaussian", "prior-without-prediction-gaussian"}
    assert {arm.sizes["seed"] for arm in tree.children.values()} == {2}


def test_a_bundled_model_tells_how_it_was_made() -> None:
    for name in pl.list_models():
        record = model_record(name)
        assert record.command.startswith("python -m prior_lab train --")
        assert json.loads(record.config)["model"] == json.loads(record.model)


@pytest.mark.parametrize("arm", ARMS)
def test_a_bundled_model_codes_images_at_every_budget(arm: str) -> None:
    model = pl.load_model(f"household/reconstruction/{arm}")
    data = pl.load_dataset("household", split="test")
    code = model.encode(data.images[:8])
    assert len(code) == 127
    assert [model.decode(code[:budget]).shape for budget in model.budgets] == [(8, 3, 64, 64)] * 7
    errors = (model.decode_budgets(code) - data.images[:8].float() / 255).abs().mean(dim=(1, 2, 3, 4))
    assert torch.all(errors[0] > errors[-1])


def test_a_bundled_model_measures_as_its_study_says() -> None:
    """Three test objects measured anew: the weights are those behind the numbers."""
    data = pl.load_dataset("household", split="test").select(slice(0, 48))
    arm = pl.load_study(STUDY)["prior-gaussian"]
    model = pl.load_model(arm.attrs["model"])
    measured = pl.quality.quality_by_budget(model, data.images)
    for position, index in enumerate(data.objects.unique().tolist()):
        mine = measured[..., data.objects == index].mean("image")
        stored = arm.quality_by_object.sel(object=data.object_names[index]).isel(seed=0)
        assert mine.sel(metric="SSIM").values == pytest.approx(stored.sel(metric="SSIM").values, abs=2e-3), position


def test_prior_reaches_the_quality_that_teaching_needs() -> None:
    arm = pl.load_study(STUDY)["prior-gaussian"]
    validation = arm.validation_ssim.isel(seed=0).dropna("step")
    assert float(validation[-1]) > 0.85
    ssim = arm.quality.isel(seed=0).sel(metric="SSIM")
    assert float(ssim.sel(budget=127)) > 0.85
    assert (ssim.diff("budget") > 0).all()


def test_the_page_shows_the_numbers_of_the_study(root: Path) -> None:
    table = figures.curve_table(pl.load_study(STUDY)).quality.sel(metric="SSIM")
    page = (root / "docs" / "explain" / "results.md").read_text()
    for label in table.ordering.values:
        row = re.search(rf"^\| {label} \|(.*)\|$", page, re.MULTILINE)
        assert row is not None, label
        assert [cell.strip() for cell in row[1].split("|")] == [f"{v:.3f}" for v in table.sel(ordering=label).values]


def test_where_variances_may_move_prior_needs_a_third_of_the_bits() -> None:
    arm = pl.load_study("household-rates")["prior-gaussian"]
    assert float(arm.quality.mean("seed").sel(metric="SSIM", budget=127)) > 0.88
    assert float(arm.information.mean("seed").sum()) / math.log(2) < 4000
    drawn = arm["quality_by_object"].sel(metric="SSIM", drop=True)
    assert lead(drawn.sel(budget=127, drop=True), drawn.sel(budget=31, drop=True)).verdict == "holds here"


# Codes of objects


@pytest.mark.parametrize("kind", KINDS)
def test_probes_of_prior_know_more_classes_with_every_token_than_with_one(kind: str) -> None:
    told = pl.load_study(CODES)[f"prior-{kind}"]["accuracy_by_object"].sel(taxonomy="class")
    assert lead(told.sel(budget=127), told.sel(budget=1)).verdict == "holds here"


@pytest.mark.parametrize(
    ("arm", "taxonomy"),
    [*((f"prior-{kind}", "coarse") for kind in KINDS), ("prior-gaussian", "class"), ("prior-ema-vq", "class")],
)
def test_prior_knows_more_than_pixels(arm: str, taxonomy: str) -> None:
    """Nominally; of classes Categorical tokens do not, as the notebook says."""
    study = pl.load_study(CODES)
    accuracy = float(study[arm]["accuracy"].mean("seed").sel(budget=127, taxonomy=taxonomy))
    assert accuracy > float(study["baseline_accuracy"].sel(baseline="pixels", taxonomy=taxonomy))


def test_a_bundled_contrastive_model_has_the_loss_that_its_study_tells() -> None:
    arm = pl.load_study(CODES)["prior-gaussian"]
    experiment = experiment_from_json(arm.attrs["config"])
    assert isinstance(experiment, ContrastiveExperiment)
    model = load_contrastive(arm.attrs["model"])
    measured = nt_xent_by_budget(model, pl.load_dataset("household", split="validation"), experiment.temperature)
    assert measured == pytest.approx(arm["ntxent"].isel(seed=0).values.tolist(), rel=0.01)


@pytest.mark.parametrize(
    ("name", "head"), [(CODES, "| class accuracy at budget |"), (CLOTHES, "| accuracy on `fashion` at budget |")]
)
def test_the_page_shows_the_accuracies_of_the_study(root: Path, name: str, head: str) -> None:
    study = pl.load_study(name)
    page = (root / "docs" / "explain" / "results.md").read_text().split(head)[1].split("\n\n")[0]
    rows = {label: node["accuracy"].mean("seed") for label, node in figures.study_arms(study, "accuracy").items()}
    for label, accuracy in rows.items():
        row = re.search(rf"^\| {label} \|(.*)\|$", page, re.MULTILINE)
        assert row is not None, label
        values = 100 * accuracy.sel(taxonomy="class").values
        assert [cell.strip() for cell in row[1].split("|")] == [f"{value:.1f}" for value in values]


# Clothing, of which there are enough test images to decide


def test_fashion_can_decide_and_gaussian_codes_of_prior_are_ahead() -> None:
    """The ceiling is clear of the pixels; PRIOR's Gaussian code is ahead of them and of a code that learnt nothing."""
    study = pl.load_study(CLOTHES)
    told = study.to_dataset()["baseline_accuracy_by_object"].sel(taxonomy="class", drop=True)
    labels, pixels, untrained = (told.sel(baseline=name, drop=True) for name in ("labels", "pixels", "untrained"))
    assert lead(labels, pixels).verdict == "holds here"
    code = study["prior-gaussian"].to_dataset()["accuracy_by_object"].sel(taxonomy="class", budget=127, drop=True)
    assert code.sizes["seed"] == 2
    assert lead(code, pixels).verdict == "holds here"
    assert lead(code, untrained).verdict == "holds here"


@pytest.mark.parametrize("arm", ["prior-gaussian", "prior-ema-vq"])
def test_codes_of_clothing_know_more_with_every_token_and_more_than_pixels_of_neighbours(arm: str) -> None:
    study = pl.load_study(CLOTHES)
    told = study[arm].to_dataset()
    by_object = told["accuracy_by_object"].sel(taxonomy="class", drop=True)
    assert lead(by_object.sel(budget=127), by_object.sel(budget=1)).verdict == "holds here"
    neighbours = told["neighbour_accuracy"].mean("seed").sel(taxonomy="class", budget=127)
    assert neighbours > study["baseline_accuracy"].sel(taxonomy="class", baseline="pixel neighbours") + 0.02


def test_a_bundled_model_of_clothing_tells_what_its_study_tells() -> None:
    """Probes learn from fewer images here and are asked of fewer, so the accuracy is near, not equal."""
    study = pl.load_study(CLOTHES)
    train, test = (pl.load_dataset("fashion", split=split) for split in ("train", "test"))
    model = load_contrastive(study["prior-ema-vq"].attrs["model"])
    some = [train.select(slice(0, 10_000, 4)), test.select(slice(0, 10_000, 10))]
    samples = [
        Samples(model.features(encode_images(model, data), "levels").detach(), data.labels, data.objects)
        for data in some
    ]
    found = nearest_neighbours(*samples, widths={127: samples[0].features.shape[1]}, taxonomies=list(test.taxonomies))
    told = study["prior-ema-vq"]["neighbour_accuracy"].sel(seed=0, budget=127)
    assert found["accuracy"].isel(budget=0).values == pytest.approx(told.values, abs=0.04)


# Drawings of one concept by many artists


@pytest.mark.parametrize("kind", ["gaussian", "ema-vq"])
def test_prior_draws_emoji_better_than_masking_and_than_their_mean_colour(kind: str) -> None:
    study, pixels = pl.load_study("emoji-reconstruction"), pl.load_dataset("emoji", split="test").images[::8] / 255
    drawn = {name: study[f"{name}-{kind}"]["quality_by_object"].sel(metric="SSIM") for name in ("prior", "td")}
    for budget in (31, 63, 127):
        assert lead(*(drawn[name].sel(budget=budget) for name in ("prior", "td"))).verdict == "holds here"
    plain = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    of_mean_colour = float(structural_similarity_index_measure(plain, pixels, data_range=1.0))
    assert float(drawn["prior"].sel(budget=127).mean()) > of_mean_colour + 0.05


def test_a_bundled_model_draws_emoji_as_its_study_tells() -> None:
    arm = pl.load_study("emoji-reconstruction")["prior-gaussian"]
    data = pl.load_dataset("emoji", split="test")
    chosen = data.select(data.objects < data.objects.unique()[6])
    quality = quality_by_budget(pl.load_model(arm.attrs["model"]), chosen.images).sel(metric="SSIM")
    told = arm["quality_by_object"].sel(metric="SSIM").isel(seed=0)
    for number in chosen.objects.unique().tolist():
        measured = quality.isel(image=(chosen.objects == number).numpy()).mean("image")
        assert measured.values == pytest.approx(told.sel(object=data.object_names[number]).values, abs=0.005)


@pytest.mark.parametrize("arm", ["prior-gaussian", "prior-ema-vq"])
def test_prior_finds_a_concept_among_another_artist_s_first_five_more_often_than_pixels(arm: str) -> None:
    """At the first place what tells from the mean drawing, pixel by pixel, is as good."""
    study = pl.load_study(DRAWINGS)
    pixels = study.dataset["baseline_matched_by_object"].sel(yardstick="centred pixels", asking="seen", drop=True)
    found = study[arm].dataset["matched_by_object"].sel(asking="seen", budget=127, drop=True)
    ahead = {name: lead(found.sel(measure=name, drop=True), pixels.sel(measure=name, drop=True)) for name in MEASURES}
    assert ahead["recall at 5"].verdict == "holds here"
    assert ahead["recall at 1"].verdict != "holds here"
    assert all(ahead.verdict == "holds here" for ahead in leads_over(study, arm, taxonomy="group").values())


def test_a_bundled_model_of_drawings_matches_as_its_study_tells() -> None:
    """A third of the artists measured anew, by the model that is bundled."""
    study = pl.load_study(DRAWINGS)
    data = pl.load_dataset("emoji", split="test")
    artists = data.labels[:, data.taxonomies.index("artist")]
    model = load_contrastive(study["prior-gaussian"].attrs["model"])
    features = model.features(encode_images(model, data)[:1]).detach().contiguous()
    unseen = torch.tensor([data.label_names[2].index(name) for name in ("openmoji", "fxemoji")])
    asking = torch.isin(artists, unseen)
    measured = matching(
        Samples(features, data.labels[:, :1], data.objects), artists, widths={1: features.shape[1]}, asking=asking,
        answering=~asking,
    )  # fmt: skip
    stored = study["prior-gaussian"].dataset["matched"].sel(asking="unseen", budget=1).isel(seed=0)
    assert measured.matched.sel(budget=1).values == pytest.approx(stored.values, abs=0.01)


def test_the_page_shows_the_recall_of_the_study(root: Path) -> None:
    study = pl.load_study(DRAWINGS)
    page = (root / "docs" / "explain" / "results.md").read_text().split("| recall at 1 at budget |")[1]
    for label, node in figures.study_arms(study, "accuracy").items():
        row = re.search(rf"^\| {label} \|(.*)\|$", page, re.MULTILINE)
        assert row is not None, label
        values = 100 * node["matched"].mean("seed").sel(asking="seen", measure="recall at 1").values
        assert [cell.strip() for cell in row[1].split("|")] == [f"{value:.1f}" for value in values]
