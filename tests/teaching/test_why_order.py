"""Lesson 1: four ways of cutting a picture short, their analytic claims, the slider, and answers to wrong answers."""

import io
import math
import re
import zlib

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image

import prior_lab
from prior_lab import InputError
from prior_lab.teaching import NotYet, cut_slider, why_order
from prior_lab.teaching.why_order import NUMBERS, STOPS, Cosines, Pixels, Principal, Random, Rounded

EVERY_WAY = ["pixels", "cosines", "random"]


@pytest.fixture(scope="module")
def emoji():
    return prior_lab.load_dataset("emoji", split="test")


@pytest.fixture(scope="module")
def images(emoji):
    return emoji.images[::240]


@pytest.fixture(scope="module")
def pca(emoji):
    return Principal.fitted(emoji.images[5::16], count=60)


@pytest.fixture(scope="module")
def ways(pca):
    return {"pixels": Pixels(), "cosines": Cosines(), "PCA": pca, "random": Random(pca.mean)}


@pytest.mark.parametrize("name", EVERY_WAY)
def test_all_numbers_give_the_picture_back(ways, images, name):
    way = ways[name]
    numbers = way.encode(images)
    assert numbers.shape == (len(images), NUMBERS)
    torch.testing.assert_close(way.decode(numbers), images / 255, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [*EVERY_WAY, "PCA"])
def test_more_numbers_are_never_further_off_on_average(ways, images, name):
    way = ways[name]
    numbers = way.encode(images)
    off = [cut_slider.levels_off(way.decode(numbers[:, :k]), images).mean().item() for k in STOPS[::3]]
    assert off == sorted(off, reverse=True)


def test_the_first_pixels_of_each_round_are_a_regular_grid():
    order = why_order.pixel_order()
    assert sorted(order.tolist()) == list(range(64 * 64))
    for step in (32, 16, 4):
        sent = order[: (64 // step) ** 2]
        rows, columns = sent // 64 % step, sent % 64 % step
        assert not rows.any()
        assert not columns.any()


def test_before_the_first_pixel_all_is_grey(images):
    pixels = Pixels()
    assert (pixels.decode(pixels.encode(images)[:, :2]) == 0.5).all()


def test_cosines_are_the_discrete_cosine_transform(images):
    numbers = Cosines().encode(images).view(len(images), -1, 3)
    expected = scipy.fft.dctn(images[0, 1].numpy() / 255, norm="ortho").flatten()[why_order.zigzag().numpy()]
    np.testing.assert_allclose(numbers[0, :, 1], expected, atol=2e-4)


def test_the_zigzag_is_that_of_jpeg():
    assert why_order.zigzag(8)[:15].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4]
    assert why_order.zigzag(8)[-3:].tolist() == [55, 62, 63]


def test_what_pca_leaves_out_is_the_variance_of_the_directions_that_are_missing(emoji, pca):
    """Of the pictures it was fitted to; and no other directions leave out less."""
    fitted = emoji.images[5::16].flatten(1) / 255 - pca.mean
    torch.testing.assert_close(pca.directions @ pca.directions.T, torch.eye(60), atol=1e-4, rtol=0)
    for k in (1, 8, 60):
        kept = fitted @ pca.directions[:k].T @ pca.directions[:k]
        left = (fitted - kept).square().sum(1).mean()
        whole = fitted.square().sum(1).mean()
        torch.testing.assert_close(left, whole - pca.variances[:k].sum(), rtol=1e-4, atol=0)
        others = torch.linalg.qr(torch.randn(NUMBERS, k, generator=torch.Generator().manual_seed(k))).Q
        assert left < (fitted - fitted @ others @ others.T).square().sum(1).mean()


def test_random_directions_keep_all_lengths_and_favour_no_number(ways, images):
    numbers = ways["random"].encode(images)
    away = images.flatten(1) / 255 - ways["random"].mean
    torch.testing.assert_close(numbers.square().sum(1), away.square().sum(1), rtol=1e-3, atol=0)
    halves = numbers.square().mean(0).view(2, -1).mean(1)
    assert halves[0] / halves[1] == pytest.approx(1.0, abs=0.1)


def test_probabilities_of_rounded_numbers_sum_to_one():
    steps = torch.arange(-400.0, 401.0)[:, None].expand(-1, 3)
    bits = why_order.laplace_bits(steps.contiguous(), torch.tensor([0.05, 1.0, 30.0]))
    torch.testing.assert_close((-bits * math.log(2)).exp().sum(0), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["PCA", "cosines"])
def test_rounding_spends_what_it_may_and_is_nearer_for_more_bits(ways, emoji, images, name):
    rounded = Rounded.fitted(ways[name], emoji.images[5::16], count=60)
    off = []
    for bits in (8, 64, 300):
        pictures, spent = rounded.send(images, bits)
        assert 0.93 * bits < spent <= bits
        off.append(cut_slider.levels_off(pictures, images).mean().item())
    assert off == sorted(off, reverse=True)


def test_a_drawing_is_found_by_its_name_and_a_wrong_name_is_answered_with_near_ones(emoji):
    octopus, sushi = why_order.drawings(emoji, ["octopus", "sushi"])
    assert not torch.equal(octopus, sushi)
    with pytest.raises(InputError, match=r"no 'octopuss' among these emoji; the nearest are octopus"):
        why_order.drawings(emoji, ["octopuss"])


def test_two_errors_differ_in_what_large_ones_count():
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    spread, single = torch.full((1, 3, 64, 64), 0.01), torch.zeros(1, 3, 64, 64)
    single[0, :, :8, :8] = 0.5
    told = why_order.two_errors(images, {"spread": [spread], "single": [single]})
    assert told["mean distance", "spread"][0] == pytest.approx(2.55, rel=1e-4)
    assert told["levels off", "spread"][0] == pytest.approx(2.55, rel=1e-4)
    assert told["levels off", "single"][0] == pytest.approx(255 * 0.5 / 8, rel=1e-4)
    assert told["mean distance", "single"][0] == pytest.approx(255 * 0.5 / 64, rel=1e-4)


# ---------------------------------------------------------------- the slider


@pytest.fixture(scope="module")
def slider(ways, images):
    return why_order.slide(ways, images[:3], ["one", "two", "three"])


def test_the_slider_has_every_cut_beforehand(slider, ways, images):
    bytes_ = np.frombuffer(zlib.decompress(slider.canvas.pixels), np.uint8).reshape(-1, 3, 64, 64, 3)
    assert len(bytes_) == 1 + 4 * len(STOPS)
    np.testing.assert_array_equal(bytes_[0], images[:3].permute(0, 2, 3, 1))
    for way, name in enumerate(slider.cuts.ways):
        shown = bytes_[1 + way * len(STOPS) + STOPS.index(192), 1]
        drawn = ways[name].decode(ways[name].encode(images[1:2])[:, :192])[0]
        np.testing.assert_allclose(shown, 255 * drawn.permute(1, 2, 0), atol=0.51)
    assert slider.canvas.off[1][0][-1] == 0.0  # all pixels: nothing is missing


def test_what_is_set_is_shown_and_what_does_not_exist_is_refused(slider):
    slider.stop, slider.image = 768, "two"
    assert (slider.canvas.stop, slider.canvas.image) == (768, "two")
    off = slider.cuts.off[0, STOPS.index(768), 1].item()
    assert f"two, 768 of 12,288 numbers: levels off\n  pixels   {off:5.1f}" in slider.summary()
    with pytest.raises(InputError, match="100 is not a stop of this slider"):
        slider.stop = 100
    slider.canvas.stop = 12  # as the browser does
    assert slider.stop == 12
    with pytest.raises(InputError):
        slider.canvas.image = "four"
    assert (slider.image, slider.canvas.image) == ("two", "two")
    assert "four is not a picture" in slider.canvas.problem


def test_a_stored_notebook_and_a_page_show_it_too(slider, tmp_path):
    bundle = slider._repr_mimebundle_()
    assert bundle["text/plain"].startswith("CutSlider(")
    assert len(slider.picture()["image/png"]) > 1000
    page = slider.to_html(tmp_path / "cuts.html").read_text()
    assert "What the first numbers show" in page


def test_its_script_defines_every_name_once():
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", cut_slider.CutCanvas._esm, re.MULTILINE)
    assert len(names) == len(set(names))
    rules = set(re.findall(r"\.(pl-[\w-]+)", (cut_slider.HERE / "cut_slider.css").read_text()))
    assert not {rule for rule in rules if rule not in cut_slider.CutCanvas._esm}


def test_a_table_of_pictures_has_a_place_for_each(images):
    table = cut_slider.picture_table(
        {"pixels": [images[0], images[1] / 255], "PCA": [images[2]]}, ["12", "48"], tile=64
    )
    sheet = np.asarray(table)
    np.testing.assert_array_equal(sheet[24:88, -132:-68, :3], images[0].permute(1, 2, 0))
    np.testing.assert_array_equal(sheet[24:88, -64:, :3], images[1].permute(1, 2, 0))
    file = io.BytesIO()
    table.save(file, "PNG")
    assert Image.open(file).size == table.size


def test_patterns_are_grey_where_they_weigh_nothing():
    weights = torch.zeros(2, 64, 64)
    weights[0, 0, 0], weights[1, 3, 4] = 2.0, -0.1
    shown = why_order.patterns(weights)
    assert shown.shape == (2, 3, 64, 64)
    assert (shown[0, :, 0, 0] == 1.0).all()
    assert (shown[1, :, 3, 4] == 0.0).all()
    assert shown[0, 0, 5, 5] == 0.5
    assert why_order.patterns(torch.randn(2, NUMBERS)).shape == (2, 3, 64, 64)


def test_curves_have_a_point_for_every_stop():
    figure = cut_slider.error_curves({"PCA": [3.0, 2.0], "pixels": [4.0, 1.0]}, (3, 6))
    assert [trace.name for trace in figure.data] == ["PCA", "pixels"]
    assert list(figure.data[0].y) == [3.0, 2.0]


# ---------------------------------------------------------------- the exercises


def said(capsys):
    return " ".join(capsys.readouterr().out.split())  # whatever the lines it is wrapped to


def cut_right(numbers, k):
    kept = torch.zeros_like(numbers)
    kept[:, :k] = numbers[:, :k]
    return kept


def cut_in_place(numbers, k):
    numbers[:, k:] = 0
    return numbers


def cut_last(numbers, k):
    kept = numbers.clone()
    kept[:, :k] = 0
    return kept


def cut_largest(numbers, k):
    places = numbers.abs().topk(k).indices
    return torch.zeros_like(numbers).scatter(1, places, numbers.gather(1, places))


def cut_one_more(numbers, k):
    return cut_right(numbers, k + 1)


def cut_one_less(numbers, k):
    return cut_right(numbers, k - 1)


def cut_pictures(numbers, k):
    kept = torch.zeros_like(numbers)
    kept[:k] = numbers[:k]
    return kept


def test_a_cut_that_is_right_is_said_to_be(capsys):
    why_order.check_keep(cut_right)
    assert said(capsys).startswith("Right. A prefix needs no labels")


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (lambda numbers, k: ..., "in place of the dots"),
        (lambda numbers, k: numbers.tolist(), "should return a tensor, and returns list"),
        (lambda numbers, k: numbers, "Nothing is cut"),
        (lambda numbers, k: numbers[:, :k], "put zeros where nothing came"),
        (lambda numbers, k: numbers[:k], "These are the first k pictures"),
        (lambda numbers, k: numbers[:, ::2], r"makes \(3, 3\); the shape should stay"),
        (lambda numbers, k: -cut_right(numbers, k), "is meant"),
        (cut_pictures, "This keeps the first k pictures"),
        (cut_last, "throws the first k away"),
        (cut_largest, "the k largest"),
        (cut_one_more, "One number too many"),
        (cut_one_less, "One number too few"),
        (cut_in_place, "Nothing is cut|have changed too"),
    ],
)
def test_a_wrong_cut_is_told_what_is_wrong_with_it(keep, sentence):
    with pytest.raises(NotYet, match=sentence):
        why_order.check_keep(keep)


OFF = {"forwards": 28.0, "backwards": 55.5}


def test_the_order_matters_to_prefixes_alone(capsys):
    why_order.check_reversed("the same", "worse", OFF)
    assert "28.0 levels off with the first 96 numbers, 55.5 with the last" in said(capsys)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ((..., ...), "in place of the dots"),
        (("equal", "worse"), "'equal' is none of them"),
        (("worse", "worse"), "a sum does not depend on the order"),
        (("the same", "the same"), "belong to other directions"),
        (("the same", "better"), "What can they tell"),
    ],
)
def test_a_wrong_prediction_of_the_reverse_order_is_answered(answers, sentence):
    with pytest.raises(NotYet, match=sentence):
        why_order.check_reversed(*answers, OFF)


NEEDED = {"pixels": 768, "cosines": 96, "PCA": 48, "random": 12288}


def test_the_ratio_of_pixels_to_pca_is_accepted(capsys):
    why_order.check_times(768 / 48, NEEDED, 33)
    assert "768 against 48" in said(capsys)


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (..., "in place of the dots"),
        ("many", "should be a number, and is str"),
        (48 / 768, "the other way round"),
        (768 - 48, "This is a difference"),
        (768, "the pixels' own count"),
        (48, "PCA's own count"),
        (2, "the ratio for the cosines"),
        (8, "compares pixels with cosines|Half of it"),
        (32, "Double of it"),
        (5, "PCA falls below 33 levels at 48 numbers"),
    ],
)
def test_a_wrong_ratio_is_told_what_it_is(times, sentence):
    with pytest.raises(NotYet, match=sentence):
        why_order.check_times(times, NEEDED, 33)


def test_the_bits_of_a_set_of_places_are_accepted(capsys):
    why_order.check_places(math.log2(math.comb(12288, 96)))
    assert re.search(r"Right\. \d+ bits, \d\.\d for each number", said(capsys))


@pytest.mark.parametrize(
    ("bits", "sentence"),
    [
        (..., "in place of the dots"),
        (0, "must be told"),
        (96 * 14, "named after the other"),
        (96 * math.log2(12288), "named after the other"),
        (math.log(math.comb(12288, 96)), "nats"),
        (12288, "A yes or no for every number"),
        (math.comb(12288, 96), "This is how many sets there are"),
        (100, "How many sets of 96 places"),
    ],
)
def test_wrong_bits_of_the_places_are_told_what_they_are(bits, sentence):
    with pytest.raises(NotYet, match=sentence):
        why_order.check_places(bits)
