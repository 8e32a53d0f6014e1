"""The information explorer without a browser: its traits are what the browser would draw."""

import dataclasses
import json
import zlib

import numpy as np
import pytest
import specimen
import torch

import prior_lab
from prior_lab import zoo
from prior_lab.effective_information import Information, encode_images
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.widgets import explore_information
from prior_lab.widgets.information import arms
from prior_lab.widgets.information.groups import Groups
from prior_lab.widgets.information.state import InformationState, Subset
from prior_lab.widgets.information.summary import colour_range

BUDGETS = (1, 3, 7, 15)
ALL = tuple(range(1, 16))


def tiny(ordering, tokens="gaussian", levels=4):
    torch.manual_seed(0)
    sizes = {"width": 32, "channels": 32, "decoder_width": 32, "encoder_depth": 1, "decoder_depth": 1}
    config = AutoencoderConfig(ordering, tokens, levels, image_size=16, patch=4, predictor_depth=1, **sizes)
    return Autoencoder(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def small():
    """The specimen in 16 x 16; its last object has a class of its own."""
    whole = specimen.dataset()
    labels = whole.labels.clone()
    labels[-2:, 1] = len(specimen.KINDS)
    names = (whole.label_names[0], (*specimen.KINDS, "Samovar"))
    return dataclasses.replace(whole, images=whole.images[:, :, ::4, ::4].clone(), labels=labels, label_names=names)


@pytest.fixture(scope="module")
def models():
    return {"PRIOR": tiny("prior"), "MBOP-ITD": tiny("itd", "categorical"), "MBOP-TD": tiny("td", levels=3)}


@pytest.fixture
def loaded():
    """Names of the models that were loaded, in order."""
    return []


@pytest.fixture
def informed(study, small, models, loaded, monkeypatch):
    """An explorer of the study, made as a user makes it."""

    def load(name):
        loaded.append(name.split("/")[-1])
        return models[specimen.ZOO[loaded[-1]]]

    monkeypatch.setattr(zoo, "load_autoencoder", load)
    monkeypatch.setattr(prior_lab, "load_dataset", lambda name, split: small, raising=False)
    return explore_information(study)


@pytest.fixture
def measured(models, small):
    return Information(encode_images(models["PRIOR"], small).posterior, small.objects)


def asked_in_browser(explorer, **state):
    """As the browser says that it has drawn the frame, and then sets something."""
    explorer.canvas._handle_custom_msg({"action": "ready"}, [])
    explorer.canvas.set_state(state)


def pictures(explorer):
    """What the pictures are of that the browser gets when it asks for some, as it does where they are others."""
    if explorer.canvas.estimate["pictures"] != explorer.canvas.page.get("of"):
        explorer.canvas._handle_custom_msg({"action": "pictures"}, [])
    return explorer.canvas.page


def layers(explorer):
    """The pictures as the browser reads them: [layer, image, height, width, 3]."""
    raw = np.frombuffer(zlib.decompress(explorer.canvas.pixels), np.uint8)
    return raw.reshape(-1, len(explorer.canvas.page["captions"]), *explorer.canvas.size, 3)


# ---------------------------------------------------------------- when things happen


def test_models_are_loaded_and_images_encoded_when_they_are_first_looked_at(informed, loaded):
    assert (loaded, informed.canvas.cells, informed.canvas.estimate) == (["prior-gaussian"], {}, {})
    assert informed.canvas.outline == {"count": 15, "budgets": list(BUDGETS), "pyramid": True}
    notices = []
    informed.canvas.observe(lambda change: notices.append(change["new"]), "notice")
    asked_in_browser(informed)
    assert notices == ["Encoding 40 images with PRIOR: this takes some seconds, once.", ""]
    assert len(informed.canvas.cells["information"]) == 15
    informed.arm = "MBOP-ITD"
    informed.arm = "PRIOR"
    informed.choose("coarse: other")
    assert loaded == ["prior-gaussian", "itd-gaussian"]
    assert len(notices) == 4


def test_a_number_can_be_had_without_a_browser(informed, measured):
    assert informed.estimate == measured.total(range(7))
    assert informed.canvas.estimate["count"] == 7


def test_a_choice_made_before_anything_is_shown_costs_nothing(informed):
    informed.tokens = [2]
    informed.arm = "MBOP-TD"
    assert informed.canvas.cells == {}
    assert informed.canvas.outline["pyramid"] is False
    asked_in_browser(informed)
    assert len(informed.canvas.cells["information"]) == 7


# ---------------------------------------------------------------- numbers


def test_the_browser_is_told_of_every_token_and_of_the_sum(informed, measured):
    asked_in_browser(informed, tokens=[3, 4, 5, 6])
    estimate, table = measured.total(range(3, 7)), measured.tokens()
    told, cells = informed.canvas.estimate, informed.canvas.cells
    assert informed.estimate == estimate
    assert told["value"] == pytest.approx(estimate.value, rel=1e-6)
    assert told["corrected"] == pytest.approx(estimate.corrected, rel=1e-6)
    assert told["high"] - told["low"] == pytest.approx(2 * 1.96 * estimate.standard_error, rel=1e-4)
    assert told["share"] == pytest.approx(estimate.value / measured.total().value, rel=1e-5)
    assert (told["count"], told["words"], told["caution"]) == (4, "tokens 4 to 7", "")
    for name in ("information", "corrected", "standard_error"):
        assert np.allclose(cells[name], table[name], rtol=1e-6)
        assert np.allclose(informed.table[name], table[name])


def test_a_class_is_measured_over_its_own_images(informed, measured, small):
    everything = informed.estimate
    asked_in_browser(informed, choice="class: Armchair")
    chairs = (small.labels[:, 1] == 0).nonzero()[:, 0]
    assert informed.estimate == measured.select(chairs).total(range(7)) != everything
    assert informed.canvas.cells["images"] == "8 images of 4 objects"
    assert informed.canvas.estimate["pictures"] == ["PRIOR", "class: Armchair", 7]
    assert all(caption.startswith("armchair") for caption in pictures(informed)["captions"])
    informed.choose("all")
    assert informed.estimate == everything


def test_of_a_single_object_the_standard_error_is_not_known_and_that_is_said(informed):
    informed.choose("class: Samovar")
    assert np.isnan(informed.estimate.standard_error)
    sentence = "All of these images show one object, so the standard error is not known."
    told = informed.canvas.estimate
    assert (told["standard_error"], told["low"], told["high"], told["caution"]) == (None, None, None, sentence)
    assert informed.canvas.cells["standard_error"] == [None] * 15
    json.dumps([told, informed.canvas.cells], allow_nan=False)
    assert sentence in informed.summary()
    assert "nan" not in informed.summary()
    assert len(pictures(informed)["captions"]) == 2  # both frames


def test_nats_are_bits_in_another_unit(informed):
    bits = informed.estimate.value
    asked_in_browser(informed, unit="nat")
    assert informed.estimate.value == pytest.approx(bits * np.log(2))
    assert informed.canvas.estimate["unit"] == informed.canvas.cells["unit"] == "nat"
    informed.unit = "bit"
    assert informed.estimate.value == bits


def test_no_token_tells_nothing(informed):
    asked_in_browser(informed, tokens=[])
    assert informed.estimate.value == informed.canvas.estimate["value"] == 0.0
    assert informed.canvas.estimate["words"] == "no token"


def test_categorical_tokens_are_corrected_for_their_bias(informed):
    asked_in_browser(informed, arm="MBOP-ITD")
    assert informed.canvas.estimate["corrected"] > informed.canvas.estimate["value"] > 0


# ---------------------------------------------------------------- selection and pictures


def test_python_and_browser_select_the_same_tokens(informed):
    informed.tokens = [6, 3, 5, 4]
    assert informed.canvas.tokens == [3, 4, 5, 6]
    asked_in_browser(informed, tokens=[0, 1, 2])
    assert (informed.tokens, informed.budget) == ((0, 1, 2), 3)
    informed.budget = 15
    assert informed.canvas.tokens == list(range(15))


@pytest.mark.parametrize(("label", "budget"), [("PRIOR", 3), ("MBOP-ITD", 5)])
def test_the_pictures_are_decoded_from_exactly_the_prefix(informed, models, small, label, budget):
    informed.arm, informed.budget = label, budget
    informed.summary()
    assert informed.canvas.page == {}  # a notebook that nobody looks at decodes nothing
    assert pictures(informed)["of"] == [label, "all", budget]
    shown = list(informed._examples("all"))
    truth = small.images[shown]
    decoded = (models[label].decode(models[label].encode(truth)[:budget]) * 255).round()
    found = torch.from_numpy(layers(informed).astype(np.float32)).permute(0, 1, 4, 2, 3)
    assert torch.equal(found[0], truth.float())
    assert (found[1] - decoded).abs().max() <= 1  # the batch differs, so a pixel may be rounded the other way
    assert informed.canvas.estimate["decoding"] == f"Decoded from the first {budget} tokens."


def test_what_is_no_prefix_is_told_and_the_longest_inside_is_decoded(informed):
    asked_in_browser(informed, tokens=[0, 1, 2, 3, 9])
    assert informed.budget is None
    words = "Decoding cannot stop at this selection; the longest prefix inside it is the first 3 tokens."
    assert informed.canvas.estimate["decoding"] == words
    assert (pictures(informed)["prefix"], len(layers(informed))) == (3, 2)
    before = informed.canvas.pixels
    informed.tokens = [0, 1, 2, 12]
    pictures(informed)
    assert informed.canvas.pixels is before
    informed.tokens = [4]
    assert informed.canvas.estimate["decoding"].startswith("Decoding starts at token 1, which is not selected")
    pictures(informed)
    assert len(layers(informed)) == 1


def test_another_arm_keeps_the_tokens_that_it_has(informed):
    informed.tokens = [0, 1, 2, 3, 9]
    informed.summary()
    informed.arm = "MBOP-TD"
    assert informed.tokens == (0, 1, 2, 3)
    assert (informed.canvas.tokens, informed.canvas.outline["count"]) == ([0, 1, 2, 3], 7)
    assert informed.budget == 4  # a flat code stops anywhere
    assert pictures(informed)["prefix"] == 4


def test_plain_images_are_each_their_own_object(models, small):
    explorer = explore_information(models["PRIOR"], small.images[:5].numpy())
    assert explorer.estimate == Information(encode_images(models["PRIOR"], small.images[:5]).posterior).total(range(7))
    assert explorer.canvas.cells["images"] == "5 images"
    assert repr(explorer) == "InformationExplorer(own images; PRIOR; PRIOR, all, tokens 1 to 7 of 15)"


# ---------------------------------------------------------------- words


def test_summary_tells_the_numbers_on_screen_and_is_the_same_every_time(informed, measured):
    informed.budget = 7
    text = informed.summary()
    assert text == informed.summary()
    assert text.startswith("specimen: PRIOR, all (40 images of 20 objects)\nTokens 1 to 7 (7 of 15): I = ")
    prefix, level = measured.total(range(7)), measured.total(range(3, 7))
    assert f"I = {prefix}, 95 % interval {prefix.value - 1.96 * prefix.standard_error:.2f} to " in text
    row = next(line for line in text.splitlines() if "4 to 7" in line).split()
    assert row == ["2", "4", "to", "7", *str(level).split()[:3], *str(prefix).split()[:3]]


def test_collapsed_levels_are_told(small, models, monkeypatch):
    monkeypatch.setattr(arms, "warnings", lambda state: [f"level 0 (token 1): {state.sizes['token']} tokens."])
    explorer = explore_information(models["PRIOR"], small)
    assert explorer.summary().endswith("\nLevel 0 (token 1): 15 tokens.")
    assert explorer.canvas.cells["warnings"] == ["Level 0 (token 1): 15 tokens."]


def test_it_shows_itself_and_leaves_words_for_a_stored_notebook(informed):
    bundle = informed._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == informed.widget.model_id
    words = "InformationExplorer(specimen; PRIOR, MBOP-ITD, MBOP-TD; PRIOR, all, tokens 1 to 7 of 15)"
    assert bundle["text/plain"] == words
    assert bundle["image/svg+xml"].count("<rect") == 15  # a bar for every token
    assert informed.canvas.page["of"] == informed.canvas.estimate["pictures"]  # the browser need not ask


def test_the_public_name_is_the_function_whatever_was_imported(models, small):
    import prior_lab.effective_information

    table = prior_lab.information(models["PRIOR"], small, tokens=[3, 4], budgets=[7])
    assert table.sizes == {"token": 2, "budget": 1}
    assert prior_lab.information is prior_lab.effective_information.information


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda x: setattr(x, "budget", 5),
            "A budget of 5 tokens is no prefix of this code of 15; choose one of 1, 3",
        ),
        (lambda x: setattr(x, "tokens", [3, 15]), "There is no token 15; this code has the tokens 0 to 14."),
        (lambda x: setattr(x, "tokens", [3, 3]), "A token is named twice; each counts once."),
        (
            lambda x: setattr(x, "arm", "VQ"),
            "VQ is not a model of this explorer; choose one of PRIOR, MBOP-ITD, ",
        ),
        (lambda x: setattr(x, "unit", "byte"), "byte is not a unit of this explorer; choose one of bit, nat."),
        (lambda x: x.choose("class: Spoon"), "class: Spoon is not a label of this data set; choose one of all, coarse"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_settings_are_refused_in_one_sentence_and_nothing_moves(informed, change, sentence):
    before = informed.summary()
    with pytest.raises(InputError) as raised:
        change(informed)
    assert str(raised.value).startswith(sentence)
    assert informed.summary() == before


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (("PRIOR",), {}, "A model alone has no images; give them too: explore_information(model, images)."),
        (({}, "images"), {}, "There is no model to explore; give at least one."),
        ((7, "images"), {}, "A int cannot be explored; give a study, a model, or a dictionary of models by name."),
        ((["PRIOR"], "images"), {}, "A list cannot be explored"),
        (("PRIOR", "one"), {}, "Information needs at least two images; there are 1."),
        (("PRIOR", "wide"), {}, "This model reads images as a tensor [batch, 3, 16, 16]; got (1, 3, 8, 8)."),
        (("PRIOR", "images"), {"arm": "VQ"}, "VQ is not a model of this explorer; choose one of PRIOR."),
        (("PRIOR", "images"), {"unit": "byte"}, "byte is not a unit of this explorer; choose one of bit, nat."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_cannot_be_explored_is_told_in_one_sentence(models, small, arguments, options, sentence):
    given = {"PRIOR": models["PRIOR"], "images": small.images[:4], "one": small.images[:1]}
    given["wide"] = small.images[:2, :, ::2, ::2]
    arguments = [given.get(value, value) if isinstance(value, str) else value for value in arguments]
    with pytest.raises(InputError) as raised:
        explore_information(*arguments, **options).summary()
    assert str(raised.value).startswith(sentence)


def test_a_study_without_models_says_what_to_do(study, small):
    bare = study.copy()
    for arm in bare.children.values():
        arm.attrs["model"] = ""
    with pytest.raises(InputError, match=r"The study names no model for PRIOR.*; give models and images instead"):
        explore_information(bare, small)


def test_a_model_that_cannot_be_loaded_leaves_the_one_that_is_shown(informed, monkeypatch):
    before = informed.summary()

    def broken(self):
        raise InputError("The file is damaged.")

    monkeypatch.setattr(arms.Arm, "outline", property(broken))
    with pytest.raises(InputError):
        informed._switch("MBOP-ITD")
    with pytest.raises(InputError):
        informed.canvas.arm = "MBOP-ITD"
    assert informed.canvas.problem == "The file is damaged."
    monkeypatch.undo()
    assert informed.arm == informed.canvas.arm == "PRIOR"
    assert informed.summary() == before


def test_what_goes_wrong_in_a_callback_is_shown_and_raised(informed, monkeypatch):
    informed.summary()

    def broken(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(informed), "_show_sum", broken)
    with pytest.raises(RuntimeError):
        informed.canvas.set_state({"tokens": [1]})
    assert informed.canvas.problem == "RuntimeError: out of memory"
    monkeypatch.undo()
    informed.canvas.set_state({"tokens": [2]})
    assert informed.canvas.problem == ""


# ---------------------------------------------------------------- plain objects


@pytest.mark.parametrize(
    ("tokens", "prefixes", "budget", "prefix", "words"),
    [
        ((0,), BUDGETS, 1, 1, "token 1"),
        ((2, 0, 1), BUDGETS, 3, 3, "tokens 1 to 3"),
        ((0, 1, 2, 3), BUDGETS, None, 3, "tokens 1 to 4"),
        ((0, 1, 2, 3), ALL, 4, 4, "tokens 1 to 4"),
        ((0, 2), BUDGETS, None, 1, "tokens 1 and 3"),
        ((1, 3, 4, 8), ALL, None, 0, "tokens 2, 4 to 5 and 9"),
        ((), ALL, None, 0, "no token"),
        ((14, 40), ALL, None, 0, "token 15"),
    ],
)
def test_a_subset_knows_whether_it_is_a_prefix(tokens, prefixes, budget, prefix, words):
    subset = Subset.of(tokens, 15, prefixes)
    assert (subset.budget, subset.prefix, subset.describe()) == (budget, prefix, words)


@pytest.mark.usefixtures("no_shape_checks")
def test_every_setting_of_the_state_is_checked_and_the_old_one_stays():
    state = InformationState(("PRIOR",), ("all",), "PRIOR", Subset.of((), 15, BUDGETS))
    for name, value in (("arm", "VQ"), ("choice", "class: Spoon"), ("unit", "byte")):
        with pytest.raises(InputError, match=f"{value} is not a"):
            setattr(state, name, value)
    assert (state.arm, state.choice, state.unit) == ("PRIOR", "all", "bit")


def test_examples_are_first_frames_of_different_objects_and_more_frames_where_objects_are_few(small):
    groups = Groups.of(small)
    shown = groups.examples("all", 6)
    assert len(set(small.objects[list(shown)].tolist())) == 6
    assert all(image % 2 == 0 for image in shown)
    armchairs = groups.examples("class: Armchair", 6)
    assert [image % 2 for image in armchairs] == [0, 0, 0, 0, 1, 1]


def test_the_drop_down_offers_every_label_with_its_number_of_images(small):
    choices = {row["value"]: row for row in Groups.of(small).choices()}
    assert choices["all"] == {"value": "all", "group": "", "label": "all images", "count": 40}
    assert choices["class: Samovar"] == {"value": "class: Samovar", "group": "class", "label": "Samovar", "count": 2}


@pytest.mark.parametrize(
    ("values", "ends"),
    [([114.5, 205.7], (114, 206)), ([4.0, 7.3], (4.0, 7.4)), ([0.0, 7.3], (0.0, 7.4)), ([0.0, 0.0], (0.0, 1.0)),
     ([2.0, 2.0], (2.0, 2.2))],
)  # fmt: skip
def test_colours_start_at_zero_unless_all_values_are_far_from_it(values, ends):
    assert colour_range(np.array(values)) == pytest.approx(ends)
