"""The probe explorer without a browser: its traits are what the browser would draw."""

import dataclasses
import io
import json

import numpy as np
import probe_specimen
import pytest
import specimen
import torch
import xarray as xr
from PIL import Image

import prior_lab
from prior_lab import figures, zoo
from prior_lab.effective_information import encode_images
from prior_lab.errors import InputError
from prior_lab.probes import Samples, matching
from prior_lab.widgets import explore_probes
from prior_lab.widgets.probes.canvas import label_palette
from prior_lab.widgets.probes.embedding import Embedding
from prior_lab.widgets.probes.images import ProbedImages
from prior_lab.widgets.probes.state import ProbeState

BUDGETS = (1, 3, 7)
ARMS = [probe_specimen.Invented(ordering, "gaussian", f"a/{ordering}") for ordering in ("td", "prior", "itd")]
ARMS += [probe_specimen.Invented("matryoshka", "gaussian"), probe_specimen.Invented("prior", "categorical", "a/broken")]


@pytest.fixture(scope="module")
def dataset():
    """The specimen's 20 objects with two frames each; the last has no class."""
    return specimen.dataset()


@pytest.fixture(scope="module")
def study(dataset):
    return probe_specimen.study(dataset, ARMS, BUDGETS)


@pytest.fixture(scope="module")
def models():
    return {f"a/{ordering}": probe_specimen.tiny(ordering) for ordering in ("prior", "itd", "td")}


@pytest.fixture
def loaded():
    """Names of the models that were loaded, in order."""
    return []


@pytest.fixture
def explorer(study, dataset, models, loaded, monkeypatch):
    """An explorer of the study, made as a user makes it."""

    def load(name):
        loaded.append(name)
        if name not in models:
            raise InputError(f"There is no bundled model {name!r}.")
        return models[name]

    monkeypatch.setattr(zoo, "load_contrastive", load)
    monkeypatch.setattr(prior_lab, "load_dataset", lambda name, split: dataset, raising=False)
    return explore_probes(study)


def drawn(explorer):
    """As the browser says that it has drawn the frame."""
    explorer.canvas._handle_custom_msg({"action": "ready"}, [])
    return explorer.canvas


def places(canvas):
    """By budget: objects, and then images."""
    return np.frombuffer(canvas.places, "<f4").reshape(len(BUDGETS), -1, 2)


def neighbours(canvas):
    return np.frombuffer(canvas.neighbours, "<i4").reshape(len(BUDGETS), 20, -1)


# ---------------------------------------------------------------- when things happen


def test_models_are_loaded_when_their_map_is_first_looked_at(explorer, loaded):
    assert (loaded, explorer.canvas.map, explorer.canvas.places, explorer.canvas.sheet) == ([], {}, b"", b"")
    notices = []
    explorer.canvas.observe(lambda change: notices.append(change["new"]), "notice")
    drawn(explorer)
    assert loaded == ["a/prior"]
    assert notices == ["Encoding 40 images with PRIOR: this takes some seconds, once.", ""]
    assert explorer.canvas.map == {"of": ["Gaussian", "PRIOR"], "missing": ""}
    first = explorer.canvas.places
    explorer.arm = "MBOP-ITD"
    assert explorer.canvas.places != first
    explorer.budget, explorer.taxonomy, explorer.arm = 7, "class", "PRIOR"
    assert explorer.canvas.places == first
    assert loaded == ["a/prior", "a/itd"]


def test_before_anything_is_shown_an_arm_costs_its_answers_only(explorer, study, loaded):
    explorer.arm = "MBOP-TD"
    assert loaded == []
    assert explorer.canvas.answers["of"] == ["Gaussian", "MBOP-TD"]
    predicted = np.frombuffer(explorer.canvas.predicted, "<i2").reshape(2, 3, 40)
    assert np.array_equal(predicted, study["td-gaussian"]["predicted"])


def test_an_arm_without_a_model_has_curves_and_confusions_and_says_why_not_more(explorer, loaded):
    drawn(explorer)
    explorer.group = "Gaussian, PRIOR taken apart"
    explorer.arm = "Matryoshka"
    assert explorer.canvas.map["missing"].startswith("The study names no model for Matryoshka, so there is no map")
    assert explorer.canvas.answers["confusions"]["coarse"][0]["total"] == 40
    assert "The study names no model for Matryoshka" in explorer.summary()
    assert "Matryoshka: " in explorer.summary()
    assert loaded == ["a/prior"]  # once, though it is in two groups


# ---------------------------------------------------------------- the map and neighbours


def test_what_the_browser_gets_is_the_embedding_of_the_models_features(explorer, models, dataset):
    canvas = drawn(explorer)
    model = models["a/prior"]
    features = model.features(encode_images(model, dataset)).numpy()
    expected = Embedding.of(features, explorer.images.owners, [32, 96, 224])
    assert np.array_equal(places(canvas), np.concatenate([expected.objects, expected.images], 1))
    assert np.array_equal(neighbours(canvas), expected.neighbours)
    shorter = model.features(encode_images(model, dataset)[:3]).numpy()
    alone = Embedding.of(shorter, explorer.images.owners, [32, 96])
    np.testing.assert_allclose(alone.images, expected.images[:2], atol=1e-4)


# ---------------------------------------------------------------- answers and confusions


def test_confusions_of_the_study_agree_with_its_accuracy(explorer, study, dataset):
    told = explorer.canvas.answers["confusions"]
    node = study["prior-gaussian"]
    for column, level in enumerate(("coarse", "class")):
        labels = dataset.labels[:, column].numpy()
        for place, budget in enumerate(BUDGETS):
            said = node["predicted"].sel(taxonomy=level, budget=budget).values
            assert told[level][place]["correct"] == (said[labels >= 0] == labels[labels >= 0]).sum()
            accuracy = float(node["accuracy"].sel(taxonomy=level, budget=budget).mean())
            assert told[level][place]["correct"] / told[level][place]["total"] == pytest.approx(accuracy, abs=1e-6)
    assert told["class"][0]["total"] == 38  # the last object has no class
    json.dumps([told, explorer.canvas.curves, explorer.canvas.scene], allow_nan=False)


def test_answers_about_an_object_are_counted_over_its_frames(explorer, study):
    said = study["prior-gaussian"]["predicted"].sel(taxonomy="class", budget=7).values[6:8]
    labels, counts = np.unique(said, return_counts=True)
    expected = {specimen.KINDS[label]: count for label, count in zip(labels, counts, strict=True)}
    assert dict(explorer._arm.predictions(3, "class", 7)) == expected


# ---------------------------------------------------------------- curves


def test_curves_have_every_group_with_baselines_and_the_papers_numbers(explorer, study):
    curves = explorer.canvas.curves
    assert list(curves) == ["Gaussian", "Gaussian, PRIOR taken apart", "Categorical"]
    prior = curves["Gaussian"]["arms"][0]
    assert (prior["label"], prior["colour"], prior["symbol"]) == ("PRIOR", figures.COLOURS["PRIOR"], "circle")
    node = study["prior-gaussian"]
    np.testing.assert_allclose(prior["accuracy"], 100 * node["accuracy"][0], atol=0.01)
    np.testing.assert_allclose(prior["high"], 100 * node["accuracy_interval"].sel(bound="high")[0], atol=0.01)
    printed = prior_lab.paper.table4().sel(token_kind="Gaussian", ordering="PRIOR", budget=list(BUDGETS))
    np.testing.assert_allclose(prior["paper"], printed.sel(taxonomy=["coarse", "class"]))
    assert [arm["label"] for arm in curves["Gaussian, PRIOR taken apart"]["arms"]] == ["PRIOR", "Matryoshka"]
    assert "paper" not in curves["Gaussian, PRIOR taken apart"]["arms"][1]
    assert curves["Gaussian"]["baselines"][0] == {"label": "majority", "accuracy": [30.0, 15.0]}


def test_seeds_are_averaged_and_a_study_of_other_labels_has_no_numbers_of_the_paper(dataset, monkeypatch):
    other = dataclasses.replace(dataset, taxonomies=("rough", "exact"))
    study = probe_specimen.study(other, ARMS[:1], BUDGETS, seeds=2)
    explorer = explore_probes(study, other, taxonomy="exact", budget=7)
    arm = explorer.canvas.curves["Gaussian"]["arms"][0]
    np.testing.assert_allclose(arm["accuracy"], 100 * study["td-gaussian"]["accuracy"].mean("seed"), atol=0.01)
    assert arm["paper"] == [[None] * 3] * 2
    assert explorer.canvas.answers["whose"] == "MBOP-TD, first seed"
    assert float(explorer.table.accuracy.sel(taxonomy="exact", budget=7)[0]) == pytest.approx(
        arm["accuracy"][1][2] / 100, abs=1e-4
    )


def test_the_figure_shows_accuracies_in_percent_baselines_and_the_paper_apart(study):
    printed = prior_lab.paper.table4().sel(token_kind="Gaussian")
    figure = figures.accuracy_curves(study, "coarse", "Gaussian", paper=printed)
    traces = {trace.meta: trace for trace in figure.data}
    node = study["prior-gaussian"]
    np.testing.assert_allclose(traces["line PRIOR"].y, 100 * node["accuracy"].sel(taxonomy="coarse")[0])
    assert len(traces["band PRIOR"].y) == 6
    assert traces["reference PRIOR"].marker.symbol == "circle-open"
    assert traces["reference PRIOR"].name == "PRIOR, paper"
    texts = [note.text for note in figure.layout.annotations]
    assert texts == ["here", "the paper, other data", "majority", "pixels"]
    assert (traces["line PRIOR"].yaxis, traces["reference PRIOR"].yaxis) == (None, "y2")  # each has a scale of its own
    assert figure.layout.shapes[0].y0 == pytest.approx(30)
    assert {trace.meta.split()[0] for trace in figures.accuracy_curves(study, "class").data} == {"band", "line"}


def test_accuracies_by_kind_have_the_form_of_table_4(study):
    table = figures.accuracy_by_kind(study)
    assert set(table.dims) == set(prior_lab.paper.table4().dims)
    assert table.token_kind.values.tolist() == ["Gaussian", "Categorical"]
    cell = table.sel(token_kind="Gaussian", ordering="MBOP-TD", taxonomy="class", budget=3)
    expected = study["td-gaussian"]["accuracy"].sel(taxonomy="class", budget=3).mean("seed")
    assert float(cell) == pytest.approx(100 * float(expected))
    assert table.sel(token_kind="Categorical", ordering="MBOP-TD").isnull().all()


def test_bars_add_up_to_the_accuracy_of_the_best_prefix():
    values = xr.DataArray(
        [[[[20.0, 50.0, 45.0, 60.0]], [[30.0, 30.0, 10.0, 20.0]]]],
        dims=("token_kind", "ordering", "taxonomy", "budget"),
        coords={
            "token_kind": ["Gaussian"],
            "ordering": ["PRIOR", "MBOP-TD"],
            "taxonomy": ["fine"],
            "budget": [1, 3, 7, 15],
        },
    )
    best = [[20.0, 30.0], [50.0, 30.0], [50.0, 30.0], [60.0, 30.0]]
    figure = figures.accuracy_by_prefix({"here": values}, ["fine"])
    added = {trace.meta: list(trace.x) for trace in figure.data if trace.meta.startswith("fine")}
    assert added == {"fine 1": [20.0, 30.0], "fine 3": [30.0, 0.0], "fine 7": [0.0, 0.0], "fine 15": [10.0, 0.0]}
    assert [list(trace.base + np.array(trace.x)) for trace in figure.data[:4]] == [list(row) for row in best]
    assert [trace.name for trace in figure.data[4:]] == ["1 token", "3 tokens", "7 tokens", "15 tokens"]
    with pytest.raises(InputError, match="coarse is not a label level of this table; choose one of fine"):
        figures.accuracy_by_prefix({"here": values})


def test_accuracy_stands_over_the_information_of_the_prefix(study):
    figure = figures.accuracy_against_information(study, "class")
    line = next(trace for trace in figure.data if trace.meta == "line MBOP-TD, gaussian")
    node = study["td-gaussian"]
    told = node["information"].mean("seed").values.cumsum() / np.log(2)
    np.testing.assert_allclose(line.x, told[[0, 2, 6]], rtol=1e-5)
    np.testing.assert_allclose(line.y, 100 * node["accuracy"].mean("seed").sel(taxonomy="class"), rtol=1e-5)
    with pytest.raises(InputError, match="order is not a label level of this study"):
        figures.accuracy_against_information(study, "order")


def test_the_figure_refuses_what_a_study_does_not_have(study):
    with pytest.raises(InputError, match=r"order is not a label level of this study; choose one of coarse, class\."):
        figures.accuracy_curves(study, "order")
    with pytest.raises(InputError, match="FSQ is not a group of arms of this study"):
        figures.accuracy_table(study, "FSQ")
    with pytest.raises(InputError, match="The study 'empty' has no arm with an accuracy curve"):
        figures.accuracy_table(xr.DataTree(name="empty"))


# ---------------------------------------------------------------- state


def test_python_and_browser_are_in_step(explorer):
    explorer.budget, explorer.taxonomy, explorer.view, explorer.paper = 7, "class", "frames", True
    explorer.select("armchair 2")
    canvas = explorer.canvas
    assert (canvas.budget, canvas.taxonomy, canvas.view, canvas.paper, canvas.selected) == (
        7,
        "class",
        "frames",
        True,
        6,
    )
    canvas.set_state({"budget": 1, "taxonomy": "coarse", "view": "objects", "paper": False, "selected": 3})
    assert (explorer.budget, explorer.taxonomy, explorer.view, explorer.paper) == (1, "coarse", "objects", False)
    assert explorer.selected == "double bed 1"
    canvas.set_state({"group": "Categorical", "arm": "PRIOR"})
    assert (explorer.group, explorer.arm) == ("Categorical", "PRIOR")
    assert canvas.answers["of"] == ["Categorical", "PRIOR"]


def test_another_group_keeps_the_ordering_that_it_has(explorer):
    explorer.arm = "MBOP-ITD"
    explorer.group = "Categorical"
    assert (explorer.arm, explorer.canvas.arm) == ("PRIOR", "PRIOR")
    explorer.group = "Gaussian, PRIOR taken apart"
    assert explorer.arm == "PRIOR"


def test_what_is_shown_first_can_be_chosen(study, dataset):
    explorer = explore_probes(study, dataset, taxonomy="class", budget=7, arm="MBOP-TD", group="Gaussian")
    words = "ProbeExplorer(specimen-contrastive; Gaussian; MBOP-TD, level class, 7 of 7 tokens, armchair 1)"
    assert repr(explorer) == words
    bundle = explorer._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.widget.model_id
    assert bundle["text/plain"] == words
    assert "MBOP-TD" in bundle["image/svg+xml"]
    assert explorer.canvas.map["of"] == ["Gaussian", "MBOP-TD"]  # whether or not its model can be loaded


def test_summary_tells_what_is_on_screen(explorer, study):
    explorer.paper = True
    explorer.select("Maker/Bookshelf1")
    text = explorer.summary()
    assert text == explorer.summary()
    assert text.startswith("specimen-contrastive: Gaussian, budget 3 of 7 tokens (step 2 of 3)\n\naccuracy of linear")
    node = study["itd-gaussian"]
    value, interval = (
        100 * node[name].sel(taxonomy="coarse", budget=3)[0] for name in ("accuracy", "accuracy_interval")
    )
    row = next(line for line in text.splitlines() if "MBOP-ITD" in line)
    assert f"{float(value):.1f} [{float(interval[0]):.1f}, {float(interval[1]):.1f}]" in row
    assert row.endswith(" in the paper, on other data")
    assert max(map(len, text.splitlines())) <= 100
    text = " ".join(text.split())
    assert "majority 30.0 [25.0, 35.0]" in text
    found = explorer.canvas.answers["confusions"]["coarse"][1]
    assert f"PRIOR: {found['correct']} of 40 images correct; most often confused: " in text
    near = explorer._arm.embedding.neighbours[1, 1]
    listed = [f"{explorer.images.names[other]} ({explorer.images.label(int(other), 'coarse')})" for other in near]
    assert f"nearest: {', '.join(listed)}; " in text
    shared = sum(explorer.images.label(int(other), "coarse") == "other" for other in near)
    assert text.endswith(f"; {shared} of 8 share its label")


def test_an_object_without_a_label_is_told_so(explorer):
    explorer.taxonomy = "class"
    explorer.select("bookshelf 4")
    assert "bookshelf 4 (no label of level class): the probe predicts " in explorer.summary()
    assert "share its label" not in explorer.summary()


# ---------------------------------------------------------------- images


def test_thumbnails_lie_on_one_sheet_line_by_line(dataset, study):
    images = ProbedImages.of(dataset, study["prior-gaussian"])
    sheet = np.asarray(Image.open(io.BytesIO(images.sheet())))
    assert sheet.shape == (6 * 64, 7 * 64, 3)
    tile = sheet[64:128, 2 * 64 : 3 * 64]
    truth = dataset.images[9].permute(1, 2, 0).numpy()
    assert np.abs(tile.astype(int) - truth).mean() < 6


def test_images_of_any_size_and_grey_ones_have_thumbnails(dataset, study):
    small = dataclasses.replace(dataset, images=dataset.images[:, :1, ::2, ::4])
    sheet = Image.open(io.BytesIO(ProbedImages.of(small, study["prior-gaussian"]).sheet()))
    assert sheet.size == (7 * 32, 6 * 32)
    high = dataclasses.replace(dataset, images=dataset.images[:, :1, :, ::4])
    sheet = Image.open(io.BytesIO(ProbedImages.of(high, study["prior-gaussian"]).sheet()))
    assert sheet.size == (7 * 64, 6 * 64)


def test_of_many_objects_spread_ones_are_shown_and_all_are_counted(explorer, study, dataset, monkeypatch):
    whole = explorer
    monkeypatch.setattr("prior_lab.widgets.probes.images.MOST", 4)
    part = explore_probes(study, dataset)
    count = len(whole.images.names)
    assert part.images.names == whole.images.names[:: -(-count // 4)]
    assert part.canvas.answers["confusions"] == whole.canvas.answers["confusions"]
    predicted = np.frombuffer(part.canvas.predicted, "<i2").reshape(*whole._arm.predicted.shape[:2], -1)
    assert (predicted == whole._arm.predicted[..., part.images.shown]).all()
    part.select(part.images.names[-1])
    assert f"nearest among {len(part.images.names)} of {count} objects" in part.summary()


def test_objects_that_would_read_the_same_go_by_their_full_names(dataset):
    names = ("Other/armchair1", *dataset.object_names[1:])
    names = (*names[:6], "Maker/Armchair1", *names[7:])
    twins = dataclasses.replace(dataset, object_names=names)
    images = ProbedImages.of(twins, probe_specimen.study(twins, ARMS[:1], BUDGETS)["td-gaussian"])
    assert (images.names[0], images.names[1], images.names[6]) == ("Other/armchair1", "bookshelf 1", "Maker/Armchair1")
    assert images.find("Maker/Armchair1") == 6


@pytest.mark.parametrize("count", [7, 10, 24])
def test_every_label_has_a_colour_of_its_own(count):
    assert len(set(label_palette(count))) == count


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x: setattr(x, "budget", 5), "5 is not a budget of this study; choose one of 1, 3, 7."),
        (
            lambda x: setattr(x, "taxonomy", "fine"),
            "fine is not a label level of this study; choose one of coarse, class.",
        ),
        (lambda x: setattr(x, "arm", "VQ"), "VQ is not a model of this group; choose one of PRIOR, MBOP-ITD, MBOP-TD."),
        (lambda x: setattr(x, "group", "FSQ"), "FSQ is not a group of arms of this study; choose one of Gaussian, "),
        (lambda x: setattr(x, "view", "list"), "list is not a view of this explorer; choose one of objects, pictures"),
        (lambda x: x.select("samovar"), "There is no object 'samovar' in these images; spelt most alike are "),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_settings_are_refused_in_one_sentence_and_nothing_moves(explorer, change, sentence):
    before = (explorer.summary(), explorer.canvas.get_state())
    with pytest.raises(InputError) as raised:
        change(explorer)
    assert str(raised.value).startswith(sentence)
    assert (explorer.summary(), explorer.canvas.get_state()) == before


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("selected", -1, "There is no object -1; these images show the objects 0 to 19."),
        ("selected", 10**6, "There is no object 1000000; these images show the objects 0 to 19."),
        ("budget", 5, "5 is not a budget of this study; choose one of 1, 3, 7."),
        ("taxonomy", "fine", "fine is not a label level of this study; choose one of coarse, class."),
        ("view", "list", "list is not a view of this explorer; choose one of objects, pictures, frames."),
        ("arm", "VQ", "VQ is not a model of this group; choose one of PRIOR, MBOP-ITD, MBOP-TD."),
        ("group", "FSQ", "FSQ is not a group of arms of this study; choose one of Gaussian, "),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_a_browser_sets_wrong_is_told_and_taken_back(explorer, name, value, sentence):
    before = {setting: getattr(explorer.canvas, setting) for setting in explorer.settings}
    with pytest.raises(InputError):
        explorer.canvas.set_state({name: value})
    assert explorer.canvas.problem.startswith(sentence)
    assert {setting: getattr(explorer.canvas, setting) for setting in explorer.settings} == before
    assert explorer.selected == explorer.images.names[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"taxonomy": "fine"}, "fine is not a label level of this study"),
        ({"budget": 5}, "5 is not a budget of this study"),
        ({"arm": "Matryoshka"}, "Matryoshka is not a model of this group; choose one of PRIOR, MBOP-ITD, MBOP-TD."),
        ({"group": "FSQ"}, "FSQ is not a group of arms of this study"),
        (
            {"images": [1, 2]},
            "Probes are compared with labels, so give a data set of prior_lab.load_dataset; got list.",
        ),
        ({"images": "fewer"}, "The study was measured on 40 images, and these are 30."),
        ({"images": "others"}, "These images show other objects than those that the study was measured on."),
        ({"images": "unlabelled"}, "The study tells the labels of level class apart, which these images do not have."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_does_not_fit_is_told_in_one_sentence(study, dataset, options, sentence):
    given = {
        "fewer": dataset.select(slice(30)),
        "others": dataclasses.replace(dataset, object_names=tuple(f"x{name}" for name in dataset.object_names)),
        "unlabelled": dataclasses.replace(dataset, taxonomies=("coarse", "kind")),
    }
    images = options.get("images", dataset)
    images = given[images] if isinstance(images, str) else images
    with pytest.raises(InputError) as raised:
        explore_probes(study, **{**options, "images": images})
    assert str(raised.value).startswith(sentence)


def test_a_study_of_another_task_is_refused(dataset):
    tree = xr.DataTree(name="specimen")
    tree.attrs = {"name": "specimen", "task": "reconstruction"}
    with pytest.raises(
        InputError, match=r"The study 'specimen' is of the task reconstruction; explore_probes shows con"
    ):
        explore_probes(tree, dataset)


def test_a_model_that_cannot_be_loaded_is_told_and_the_curves_stay(explorer):
    drawn(explorer)
    with pytest.raises(InputError):
        explorer.group = "Categorical"
    assert explorer.canvas.problem == "There is no bundled model 'a/broken'."
    assert explorer.canvas.notice == ""
    assert explorer.canvas.map["missing"] == "There is no map of PRIOR: its model could not be read."
    assert explorer.canvas.answers["of"] == ["Categorical", "PRIOR"]
    explorer.group = "Gaussian"
    assert explorer.canvas.problem == ""
    assert explorer.canvas.map == {"of": ["Gaussian", "PRIOR"], "missing": ""}


def test_a_model_with_fewer_tokens_than_the_study_is_refused(dataset, models, monkeypatch):
    study = probe_specimen.study(dataset, ARMS[1:2], (1, 3, 7, 15))
    monkeypatch.setattr(zoo, "load_contrastive", models.__getitem__)
    with pytest.raises(InputError, match=r"The model of PRIOR has 7 tokens, and the study 15\."):
        explore_probes(study, dataset).summary()


def test_what_goes_wrong_in_a_callback_is_shown_and_raised(explorer, monkeypatch):
    drawn(explorer)

    def broken(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(explorer), "_show_answers", broken)
    with pytest.raises(RuntimeError):
        explorer.canvas.set_state({"arm": "MBOP-TD"})
    assert explorer.canvas.problem == "RuntimeError: out of memory"
    monkeypatch.undo()
    explorer.canvas.set_state({"budget": 1})
    assert explorer.canvas.problem == ""


@pytest.mark.usefixtures("no_shape_checks")
def test_every_setting_of_the_state_is_checked_and_the_old_one_stays():
    state = ProbeState({"Gaussian": ("PRIOR",)}, ("coarse",), BUDGETS, 20, "Gaussian", "PRIOR", "coarse", 3)
    for name, value in (("group", "FSQ"), ("arm", "VQ"), ("taxonomy", "fine"), ("budget", 5), ("view", "list")):
        with pytest.raises(InputError, match=f"{value} is not a"):
            setattr(state, name, value)
    assert (state.group, state.arm, state.taxonomy, state.budget, state.view) == (
        "Gaussian",
        "PRIOR",
        "coarse",
        3,
        "objects",
    )


def test_a_model_file_of_ones_own_is_read(dataset, tmp_path):
    torch.manual_seed(0)
    path = probe_specimen.saved(probe_specimen.tiny("itd"), tmp_path)
    study = probe_specimen.study(dataset, [probe_specimen.Invented("itd", "gaussian", path)], BUDGETS)
    assert "nearest: " in explore_probes(study, dataset).summary()


@pytest.fixture
def by_hand(study, dataset, models, monkeypatch):
    """An explorer of images that are drawn by two hands, an object's frames in turn."""
    hands = (torch.arange(len(dataset)) % 2)[:, None]
    images = dataclasses.replace(
        dataset,
        taxonomies=(*dataset.taxonomies, "hand"),
        labels=torch.cat([dataset.labels, hands], dim=1),
        label_names=(*dataset.label_names, ("left", "right")),
    )
    monkeypatch.setattr(zoo, "load_contrastive", lambda name: models[name])
    return explore_probes(study, images, arm="PRIOR")


def test_an_object_is_sought_among_another_source_s_images_as_probes_match_them(by_hand, models):
    """With one query of each object, the share whose own is first is recall at 1."""
    images, canvas = by_hand.images, drawn(by_hand)
    assert (by_hand.source, canvas.scene["sources"]) == ("right", ["left", "right"])
    found = np.frombuffer(canvas.found, "<i4").reshape(len(BUDGETS), 2, len(images.names), -1)
    assert (images.source_of[found[:, 1]] == 1).all()
    features = models["a/prior"].features(encode_images(models["a/prior"], images.dataset)).detach()
    samples = Samples(features.contiguous(), images.dataset.labels[:, :1], images.dataset.objects)
    asking = torch.from_numpy(np.isin(np.arange(len(images.owners)), images.firsts))
    measured = matching(
        samples, torch.from_numpy(images.source_of), widths={1: 32, 3: 96, 7: 224}, asking=asking
    ).matched
    own = images.owners[found[:, 1, :, 0]] == np.arange(len(images.names))
    assert own.mean(axis=1) == pytest.approx(measured.sel(measure="recall at 1").values)


def test_the_source_is_chosen_and_told_and_an_unknown_one_refused(by_hand):
    by_hand.source = "left"
    assert by_hand.canvas.source == "left"
    assert "left's among left's: " in by_hand.summary()
    with pytest.raises(InputError, match="source"):
        by_hand.source = "third"
    assert by_hand.source == by_hand.canvas.source == "left"


def test_where_all_images_come_from_one_place_nothing_is_sought(explorer):
    assert (explorer.source, explorer.canvas.scene["sources"]) == ("", [])
    assert not drawn(explorer).found
    assert "among" not in explorer.summary()
