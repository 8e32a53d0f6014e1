"""The stream explorer without a browser: its traits are what the browser would draw."""

import base64
import dataclasses
import json
import re
import zlib

import numpy as np
import pytest
import specimen
import torch

import prior_lab
from prior_lab import zoo
from prior_lab.codec import Codec, Quality, compress, decompress
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.quality import quality
from prior_lab.widgets import explore_stream
from prior_lab.widgets.stream import streams
from prior_lab.widgets.stream.gallery import rounded_up
from prior_lab.widgets.stream.sources import first_arms
from prior_lab.widgets.stream.state import StreamState
from prior_lab.widgets.stream.summary import own_ends, same_cut

SIZE = 32


def tiny(ordering, tokens="fsq", levels=4):
    torch.manual_seed(0)
    sizes = {"width": 32, "channels": 32, "decoder_width": 32, "encoder_depth": 1, "decoder_depth": 1}
    config = AutoencoderConfig(ordering, tokens, levels, image_size=SIZE, patch=8, predictor_depth=1, **sizes)
    return Autoencoder(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def small():
    """The specimen in 32 x 32."""
    whole = specimen.dataset()
    return dataclasses.replace(whole, images=whole.images[:, :, ::2, ::2].clone())


@pytest.fixture(scope="module")
def models():
    return {"PRIOR": tiny("prior"), "MBOP-ITD": tiny("itd", "gaussian"), "MBOP-TD": tiny("td", levels=3)}


@pytest.fixture(scope="module")
def shared(models, small):
    """An explorer that tests look at; what they set, they set back."""
    return explore_stream(models, small, train=small, count=3)


@pytest.fixture
def streamed(models, small):
    """An explorer that tests may leave anywhere; codecs are made once."""
    return explore_stream({name: given(models[name], small) for name in models}, small, count=3)


CODECS = {}


def given(model, small):
    if model not in CODECS:
        CODECS[model] = Codec.fitted(model, small.images, foresight=False)
    return CODECS[model]


def asked(explorer, **request):
    """As the browser asks."""
    explorer._asked(None, request, [])


def layers(explorer):
    """The pictures as the browser reads them."""
    raw = np.frombuffer(zlib.decompress(explorer.canvas.pixels), np.uint8)
    return raw.reshape(-1, *explorer.canvas.size, 3)


def still(explorer, label):
    return next(method for method in explorer.page.methods if method.label == label)


# ---------------------------------------------------------------- pictures and bytes


def test_the_arms_are_prior_and_an_ordering_by_masking(shared):
    assert shared.shown == ("PRIOR", "MBOP-TD")
    assert [row["label"] for row in shared.canvas.page["rows"]][:3] == ["PRIOR", "MBOP-TD", "WebP"]
    assert [row["kind"] for row in shared.canvas.page["rows"]][:3] == ["arm", "arm", "file"]


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        (("PRIOR, gaussian", "PRIOR, ema-vq", "MBOP-ITD, ema-vq", "MBOP-TD, ema-vq"), (1, 3)),
        (("PRIOR, gaussian", "PRIOR, ema-vq", "MBOP-TD, gaussian", "MBOP-ITD, ema-vq"), (1, 3)),
        (("PRIOR, gaussian", "MBOP-TD, gaussian"), (0, 1)),
        (("PRIOR", "MBOP-ITD"), (0, 1)),
        (("one", "two", "three"), (0, 1)),
        (("one",), (0,)),
    ],
)
def test_arms_of_one_kind_of_token_are_compared(labels, chosen):
    assert first_arms(dict.fromkeys(labels)) == tuple(labels[place] for place in chosen)


def test_pictures_are_those_of_the_cut_files(streamed, small):
    pictures = layers(streamed)
    truth = streamed.gallery.pictures.images[list(streamed.images)]
    assert np.array_equal(pictures[:3].transpose(0, 3, 1, 2), truth)
    for arm, row in enumerate(streamed.canvas.page["rows"][:2]):
        codec = streamed.gallery.arms[row["label"]].codec
        for image, told in enumerate(row["images"]):
            file = bytes.fromhex(told["file"])
            assert file == compress(codec, truth[image : image + 1])[0]
            for place, need in enumerate(told["needs"]):
                found = decompress(file[:need], codec)
                assert found.levels == (place + 1,)
                seen = pictures[told["layer"] + place].transpose(2, 0, 1)
                expected = (found.images[0] * 255).round().numpy()
                assert np.abs(seen - expected).max() <= 1  # of another batch: a pixel may be rounded the other way
                worth = quality(truth[image : image + 1], found.images).sel(metric="SSIM")
                assert told["ssim"][place] == pytest.approx(float(worth[0]), abs=1e-4)
            assert told["bytes"] == told["needs"][-1] == len(file)
            assert streamed.page.arms[arm].streams[image].at(told["needs"][0] - 1) == -1


def test_marks_tell_header_lengths_payloads_and_checksums(shared):
    for method in shared.page.arms:
        for stream in method.streams:
            assert [mark[0] for mark in stream.marks] == [7, *stream.needs[:-1]]
            assert [mark[3] for mark in stream.marks] == list(stream.needs)
            for start, payload, check, end in stream.marks:
                assert start < payload <= check == end - 2
                assert stream.file[start] // 2 == check - payload  # all of these are shorter than 64 bytes


def test_the_browser_has_a_picture_for_every_state(shared):
    rows = shared.canvas.page["rows"]
    count = sum(len(told["needs"]) for row in rows for told in row["images"])
    assert len(layers(shared)) == 3 + count
    assert all(len(told["needs"]) == len(told["ssim"]) for row in rows for told in row["images"])


def test_still_images_are_whole_files_that_get_better_and_end_with_the_slider(shared):
    for label in ("WebP", "JPEG"):
        for stream in still(shared, label).streams:
            assert list(stream.needs) == sorted(set(stream.needs))
            assert list(stream.ssim) == sorted(set(stream.ssim))
            assert 0 < stream.needs[0] <= stream.needs[-1] <= shared.page.longest
            assert stream.at(stream.needs[0] - 1) == -1  # absent below its smallest file


def test_a_progressive_jpeg_is_cut_where_its_scans_end(shared):
    for stream in still(shared, streams.PROGRESSIVE).streams:
        ends = streams.scan_ends(stream.file)
        assert len(ends) == stream.steps > 5
        assert stream.file[ends[-1] :] == streams.END_OF_IMAGE
        assert list(stream.needs) == [end for end in ends if end <= shared.page.longest]
        assert stream.ssim[-1] > stream.ssim[0]


def test_a_codec_that_pillow_lacks_is_left_out(models, small, monkeypatch):
    monkeypatch.setattr(streams.yardsticks, "is_there", lambda codec: codec.name == "WebP")
    explorer = explore_stream(given(models["PRIOR"], small), small, count=2)
    assert [method.label for method in explorer.page.methods] == ["PRIOR", "WebP"]


def test_the_slider_reaches_every_still_image(shared):
    assert all(stream.needs for method in shared.page.methods for stream in method.streams)
    assert [rounded_up(number) for number in (692, 700, 701, 9, 1400)] == [700, 700, 800, 9, 2000]


# ---------------------------------------------------------------- state


def test_bytes_set_in_python_and_in_the_browser_are_the_same(streamed):
    streamed.cut = 15
    assert streamed.canvas.cut == streamed.state.cut == len(streamed.file) == 15
    streamed.canvas.set_state({"cut": 9, "rate": 100, "adaptive": True, "target": 0.5, "chosen": [1, 2]})
    assert (streamed.cut, streamed.rate, streamed.adaptive, streamed.target) == (9, 100, True, 0.5)
    assert streamed.chosen == (1, 2)
    assert streamed.file == streamed.page.arms[1].streams[2].file[:9]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("cut", -1, "cut is -1; the slider goes from 0 to "),
        ("cut", 10**6, "cut is 1000000; the slider goes from 0 to "),
        ("cut", 1.5, "cut is 1.5; a whole number was expected"),
        ("cut", True, "cut is True; a whole number was expected"),
        ("rate", 50, "50 is not a bit rate of this explorer; choose one of 100, 1000, 10000."),
        ("adaptive", 1, "adaptive is 1; True or False was expected."),
        ("target", 2, "target is 2; an SSIM from 0 to 1 was expected."),
        ("target", float("nan"), "target is nan; an SSIM from 0 to 1 was expected."),
        ("target", "high", "target is 'high'; an SSIM from 0 to 1 was expected."),
        ("target", True, "target is True; an SSIM from 0 to 1 was expected."),
        ("chosen", 1, "chosen is 1; the numbers of an arm and of an image were expected."),
        ("chosen", "01", "chosen is '01'; the numbers of an arm and of an image were expected."),
        ("chosen", (0, 3), "There is no image 3 on screen; there are 0 to 2."),
        ("chosen", (2, 0), "There is no arm 2 on screen; there are 0 to 1."),
        ("chosen", (0, 0.5), "the number of the image is 0.5; a whole number was expected"),
        ("shown", "PRIOR", "shown is 'PRIOR'; labels of one or two models were expected."),
        ("shown", 3, "shown is 3; labels of one or two models were expected."),
        ("shown", (), "shown has the labels of none; give one, or two that differ."),
        ("shown", ("PRIOR", "PRIOR"), "shown has the labels PRIOR, PRIOR; give one, or two that differ."),
        ("shown", ("PRIOR", "VQ"), "VQ is not a model of this explorer; choose one of PRIOR, MBOP-ITD, MBOP-TD."),
        ("images", (20,), "There are no images [20]; give numbers from 0 to 19."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_does_not_fit_is_refused_and_nothing_moves(shared, name, value, sentence):
    before = (shared.summary(), shared.canvas.get_state([*shared.settings]))
    with pytest.raises(InputError) as raised:
        setattr(shared, name, value)
    assert str(raised.value).startswith(sentence)
    assert (shared.summary(), shared.canvas.get_state([*shared.settings])) == before


def test_what_a_browser_sets_wrongly_is_taken_back(shared):
    with pytest.raises(InputError):
        shared.canvas.set_state({"cut": 10**6})
    assert shared.canvas.cut == shared.cut
    assert shared.canvas.problem.startswith("cut is 1000000; ")
    shared.canvas.set_state({"rate": 100})
    assert shared.canvas.problem == ""
    shared.rate = 1000


def test_a_page_of_fewer_images_brings_back_what_points_beyond_it():
    state = StreamState(("a",), 100, 4, ("a",), cut=90, chosen=(0, 3))
    state.fit(60, 2)
    assert (state.cut, state.chosen) == (60, (0, 1))


# ---------------------------------------------------------------- other images, other arms


def test_other_images_and_arms_are_asked_for(streamed):
    first, before = streamed.images, streamed.canvas.pixels
    asked(streamed, action="next")
    assert streamed.images != first
    assert streamed.canvas.pixels != before
    asked(streamed, action="arm", place=1, label="MBOP-ITD")
    assert streamed.shown == ("PRIOR", "MBOP-ITD")
    asked(streamed, action="arm", place=1, label="PRIOR")  # the two change places
    assert streamed.shown == tuple(streamed.canvas.shown) == ("MBOP-ITD", "PRIOR")
    streamed.shown = ["MBOP-TD"]
    assert [row["kind"] for row in streamed.canvas.page["rows"]].count("arm") == 1
    streamed.choose("class: Armchair")
    assert all(caption.startswith("armchair") for caption in streamed.canvas.page["captions"])
    streamed.images = (3, 5)
    assert streamed.canvas.page["position"] == "2 chosen"


def test_a_codec_is_made_when_its_model_is_first_looked_at_with_a_notice(models, small):
    explorer = explore_stream(models, small, train=small, count=2)
    arm = explorer.gallery.arms["MBOP-ITD"]
    assert not arm.is_open
    notices = []
    explorer.canvas.observe(lambda change: notices.append(change["new"]), "notice")
    asked(explorer, action="arm", place=0, label="MBOP-ITD")
    words = "Opening MBOP-ITD: if no codec is bundled, one is made of training images, some seconds, once."
    assert notices == [words, ""]
    assert explorer.page.arms[0].origin == "was made of 40 training images, with static tables"
    asked(explorer, action="arm", place=0, label="PRIOR")
    asked(explorer, action="arm", place=0, label="MBOP-ITD")
    assert len(notices) == 2


def test_the_next_page_is_made_ahead(streamed, monkeypatch):
    asked(streamed, action="prepare")
    monkeypatch.setattr(streams.Arm, "streams", lambda *_: pytest.fail("it is made again"))
    asked(streamed, action="next")
    assert streamed.canvas.page["position"] == "4 to 6 of 20"


def test_a_model_without_any_codec_says_what_to_do(models, small):
    with pytest.raises(InputError, match=r"no bundled codec for PRIOR.*; give them as train, or give a Codec instead"):
        explore_stream(models["PRIOR"], small.images, count=2)


def test_a_study_brings_models_images_and_training_images(study, small, models, monkeypatch):
    asked_for = []
    monkeypatch.setattr(zoo, "load_autoencoder", lambda name: models[specimen.ZOO[name.split("/")[-1]]])
    monkeypatch.setattr(
        prior_lab,
        "load_dataset",
        lambda name, split, size=None: asked_for.append((name, split, size)) or small,
        raising=False,
    )
    explorer = explore_stream(study, count=2, cut=30)
    assert repr(explorer).startswith("StreamExplorer(specimen; PRIOR; MBOP-TD; 30 of ")
    assert asked_for == [("specimen", "test", None), *[("specimen", "train", SIZE)] * 2]


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (("PRIOR",), {}, "A model alone has no images; give them too: explore_stream(model, images)."),
        (({}, "images"), {}, "There is no model to explore; give at least one."),
        ((7, "images"), {}, "A int cannot be explored; give a study, a model, or a dictionary of models by name."),
        (("PRIOR", "images"), {"count": 0}, "count is 0; show at least one image."),
        (("PRIOR", "images"), {"shown": ["VQ"]}, "VQ is not a model of this explorer; choose one of PRIOR."),
        (("PRIOR", "images"), {"cut": -3}, "cut is -3; the slider goes from 0 to "),
        (("PRIOR", "images"), {"target": 7}, "target is 7; an SSIM from 0 to 1 was expected."),
        (("PRIOR", "wide"), {}, "This model reads images"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_cannot_be_explored_is_told_in_one_sentence(models, small, arguments, options, sentence):
    known = {"PRIOR": given(models["PRIOR"], small), "images": small.images[:3], "wide": small.images[:2, :, ::2, ::2]}
    arguments = [known.get(value, value) if isinstance(value, str) else value for value in arguments]
    with pytest.raises(InputError) as raised:
        explore_stream(*arguments, **options)
    assert str(raised.value).startswith(sentence)


# ---------------------------------------------------------------- numbers and words


def test_own_ends_are_those_of_the_codec(shared, small):
    method = shared.page.arms[0]
    codec, target = shared.gallery.arms["PRIOR"].codec, 0.02
    truth = shared.gallery.pictures.images[list(shared.images)]
    budgets = Quality("SSIM", target).budgets(codec.model, codec.encode(truth), truth)
    ends = [
        stream.needs[codec.model.budgets.index(budget)] for stream, budget in zip(method.streams, budgets, strict=True)
    ]
    own = own_ends(method, target)
    assert own.bytes == pytest.approx(np.mean(ends))
    assert [len(file) for file in compress(codec, truth, target=Quality("SSIM", target))] == ends


def test_the_same_cut_wastes_what_it_cuts(shared):
    method = shared.page.arms[0]
    least = min(stream.needs[0] for stream in method.streams)
    assert np.isnan(same_cut(method, 0.5, least - 1).ssim)
    whole = same_cut(method, -1.0, 10**6)
    assert whole.bytes == np.mean([len(stream.file) for stream in method.streams])
    assert whole.reached == 3


def test_summary_tells_the_numbers_on_screen(streamed):
    streamed.cut = 12
    text = streamed.summary()
    assert text == streamed.summary()
    assert text.startswith("specimen: 12 bytes of each file (0.39 % of 3,072 raw)\n\n3 images shown: ")
    stream = streamed.page.arms[0].streams[0]
    whole = stream.at(12)
    start, end = stream.needs[whole], stream.needs[whole + 1]
    words = f"{whole + 1} of 4 levels are whole, {12 - start} of {end - start} bytes of level {whole + 1} are there."
    assert words in " ".join(text.split())
    assert re.search(r"JPEG +needs \d+ bytes or more", text)
    assert "The codec of PRIOR is given; that of MBOP-TD is given." in text
    streamed.cut = 0
    assert "0 of 4 levels are whole, 0 of" in " ".join(streamed.summary().split())
    streamed.cut, streamed.adaptive = streamed.page.longest, True
    text = streamed.summary()
    assert "bytes are there." in text
    assert text.count("own ends") == 2
    streamed.target = 0.0  # which the first level reaches, unless it is worse than nothing
    assert "3 of 3" in streamed.summary()


def test_it_shows_itself_and_leaves_a_picture_for_a_stored_notebook(shared):
    bundle = shared._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == shared.widget.model_id
    assert bundle["text/plain"].startswith("StreamExplorer(specimen; PRIOR; MBOP-TD; ")
    assert bundle["image/svg+xml"].startswith("<svg")
    names = [trace.name for trace in shared.figure.data]
    assert names == [method.label for method in shared.page.methods]
    assert shared.figure.layout.shapes[0].x0 == shared.cut


def test_export_holds_everything_and_asks_for_nothing(shared, tmp_path):
    text = shared.to_html(tmp_path / "stream.html").read_text("utf-8")
    assert not re.search(r"""(src|href)=["']|https?://""", text.replace("http://www.w3.org/2000/svg", ""))
    state = json.loads(re.search(r'<script type="application/json" id="state">(.*?)</script>', text, re.DOTALL)[1])
    assert state["title"] == "Streams of bytes: specimen"
    assert base64.b64decode(state["pixels"]["base64"]) == shared.canvas.pixels
    assert state["page"]["rows"] == shared.canvas.page["rows"]


def test_the_module_is_put_together_of_the_shelf_and_defines_nothing_twice():
    from prior_lab.widgets.stream.canvas import StreamCanvas

    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", StreamCanvas._esm, re.MULTILINE)
    assert len(names) == len(set(names))
    assert StreamCanvas._esm.rstrip().endswith("export default { render };")
