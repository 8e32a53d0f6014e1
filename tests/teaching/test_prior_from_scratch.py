"""Lesson 4: the notebook's code is the package's PRIOR, what is said of eq. 5 and 6 is so, checks tell mistakes."""

from collections import namedtuple
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prior_lab import orderings
from prior_lab.levels import Levels
from prior_lab.teaching import NotYet
from prior_lab.teaching import prior_from_scratch as lesson
from prior_lab.teaching.student import tags
from prior_lab.tokens import GaussianTokens

NOTEBOOK = Path(__file__).parents[2] / "notebooks/course/04_prior_from_scratch.ipynb"
SIZES, CHANNELS = (1, 2, 4, 8, 16), 32


def _scratch_source() -> str:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return "\n".join(cell.source for cell in cells if "scratch" in tags(cell))


@pytest.fixture(scope="module")
def scratch() -> SimpleNamespace:
    """What the notebook defines from scratch."""
    names = {"namedtuple": namedtuple, "torch": torch, "nn": nn, "F": F}
    exec(_scratch_source(), names)
    return SimpleNamespace(**names)


@pytest.fixture
def model(scratch) -> lesson.SmallAutoencoder:
    torch.manual_seed(0)
    return lesson.SmallAutoencoder(scratch.Prior(SIZES, 8), SIZES, 8)


@pytest.fixture
def images(generator) -> torch.Tensor:
    return torch.rand(40, 3, 16, 16, generator=generator)


def _bottlenecks() -> list[GaussianTokens]:
    return [GaussianTokens(CHANNELS, heads=1) for _ in SIZES]


# ------------------------------------------------------------ the same as the package


def test_equations_3_to_6_take_about_sixty_lines():
    lines = [line for line in _scratch_source().splitlines() if line.strip()]
    assert 50 <= len(lines) <= 75


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_notebook_s_prior_is_the_package_s(scratch, seed, depth):
    torch.manual_seed(seed)
    theirs = orderings.Prior(Levels(5), CHANNELS, _bottlenecks(), depth=depth).double()
    mine = scratch.Prior(SIZES, CHANNELS, depth=depth).double()
    mine.load_state_dict(lesson.weights_of(theirs))
    assert _largest_difference(scratch, mine, theirs, scratch.prediction_error) <= 1e-6


def test_the_notebook_s_prior_without_prediction_is_the_package_s(scratch):
    torch.manual_seed(0)
    theirs = orderings.PriorWithoutPrediction(Levels(5), CHANNELS, _bottlenecks()).double()
    mine = scratch.NoPrediction(SIZES, CHANNELS).double()
    missing, unexpected = mine.load_state_dict(lesson.weights_of(theirs), strict=False)
    assert not unexpected
    assert all(name.startswith("predictors") for name in missing)
    assert _largest_difference(scratch, mine, theirs, lambda ys, levels: torch.zeros(())) <= 1e-6


def _largest_difference(scratch, mine, theirs, prediction_error):
    """Of outputs, prediction error, level weights and gradients; of the rate, which is large, as a share."""
    y, noise = torch.randn(2, 4, sum(SIZES), CHANNELS).double()
    y.requires_grad_()
    code = theirs.train_code(y, orderings.Draws(noise))
    ys = y.split(SIZES, dim=1)
    levels = mine(ys, noise.split(SIZES, dim=1))
    nats = torch.cat([level.nats for level in levels], dim=1).mean()
    found, wanted = prediction_error(ys, levels), code.prediction_error
    differences = [level.output - state for state, level in zip(code.states, levels, strict=True)]
    differences += [found - wanted, scratch.level_weights(5) - code.weights, nats / code.regulariser.double() - 1]
    sums = [sum(state.square().sum() for state in states) for states in (code.states, [one.output for one in levels])]
    one, other = (torch.autograd.grad(total, y, retain_graph=True)[0] for total in sums)
    differences.append((one - other) / (1 + other.abs()))
    if wanted.requires_grad:
        one, other = (torch.autograd.grad(error, y, retain_graph=True)[0] for error in (found, wanted))
        differences.append(one - other)
    return max(float(difference.detach().abs().max()) for difference in differences)


# ------------------------------------------------------------ what the lesson says of the equations


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_a_level_weighs_as_much_as_its_share_of_the_tokens(scratch, count):
    shares = [Fraction(2**level, 2**count - 1) for level in range(count)]
    assert scratch.level_weights(count).tolist() == pytest.approx([float(share) for share in shares])
    assert Levels(count).weights().tolist() == pytest.approx([float(share) for share in shares])


def test_only_the_last_level_s_features_get_no_gradient_from_equation_5(scratch, model, images):
    ys = [y.detach().requires_grad_() for y in model.features(images)]
    levels = model.prior(ys, [torch.zeros_like(y) for y in ys])
    scratch.prediction_error(ys, levels).backward()
    assert {level for level, y in enumerate(ys) if y.grad is None or not y.grad.any()} == {4}


def test_without_the_stop_gradient_the_last_level_s_features_get_one_too(scratch, model, images):
    ys = [y.detach().requires_grad_() for y in model.features(images)]
    levels = model.prior(ys, [torch.zeros_like(y) for y in ys])
    scratch.prediction_error(ys, levels, stop=lambda y: y).backward()
    assert ys[4].grad.any()


# ------------------------------------------------------------ the model around it


def test_training_is_the_same_every_time_and_lowers_the_loss(scratch, images):
    def loss(model, batch, noise):
        return sum((picture - batch).abs().mean() for picture in model(batch, noise)[2])

    ends, seen = [], []
    for _ in range(2):
        torch.manual_seed(0)
        model = lesson.SmallAutoencoder(scratch.Prior(SIZES, 8), SIZES, 8)
        history = lesson.train(
            model, loss, images, images[:8], steps=10, monitor=lambda records: seen.append(len(records))
        )
        ends.append([record["objective"] for record in history])
    assert ends[0] == ends[1]
    assert ends[0][-1] < ends[0][0]
    assert seen == 2 * list(range(1, 11))
    assert {"step", "objective", "ssim_1", "ssim_31"} <= history[-1].keys()


@torch.no_grad()
def test_a_measured_model_has_a_row_for_each_budget(model, images):
    table = lesson.measure(model, images)
    assert table.index.tolist() == [1, 3, 7, 15, 31]
    ys, levels, pictures = model(images)
    assert table.error[31] == pytest.approx(float((pictures[4].clamp(0, 1) - images).abs().mean()), rel=1e-5)
    assert table.prediction_error[1] == pytest.approx(float(ys[0].square().mean()), rel=1e-5)
    assert table.prediction_error[3] == pytest.approx(float((levels[1].prediction - ys[1]).square().mean()), rel=1e-5)


def test_the_curves_hold_every_variant_and_the_mean_image():
    table = pd.DataFrame(
        {"error": [0.2, 0.1], "prediction_error": [1.0, 0.5], "spread": [1.0, 1.0], "bits": [9.0, 9.0]}, index=[1, 3]
    )
    figure = lesson.variant_curves({"PRIOR": table, "untrained": table}, blank=0.14)
    assert [trace.name for trace in figure.data] == ["PRIOR", "PRIOR", "untrained", "untrained", "mean image"]
    assert list(figure.data[1].y) == [0.5]  # nothing is predicted at the first level


def test_small_images_are_emoji_of_sixteen_pixels():
    images = lesson.small_images("validation")
    assert images.shape[1:] == (3, 16, 16)
    assert 0 <= images.min() < images.max() <= 1


# ------------------------------------------------------------ pictures


def test_the_diagram_has_a_column_for_each_level():
    drawing = lesson.diagram(4)
    words = [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.text]
    assert [f"decoder {level}" in words for level in range(5)] == [True] * 4 + [False]
    assert [f"{count} sent" in words for count in (1, 2, 4, 8)] == [True] * 4
    assert "picture at 15 tokens" in words
    assert "1, 2, 4, 8 tokens" in repr(drawing)
    assert drawing._repr_svg_() == drawing.svg


def test_what_a_budget_does_not_pay_for_is_pale():
    assert lesson.diagram(4, sent=3).svg.count('opacity="0.28"') == 1
    with pytest.raises(ValueError, match="2 to 4"):
        lesson.diagram(9)


@torch.no_grad()
def test_the_slider_shows_prediction_residual_and_sum_of_every_level(model, images):
    book = lesson.LevelBook(model, images[:2], ["cat", "dog"])
    assert len(book.canvas.pictures) == 2 * len(SIZES)
    book.places = (1, 3)
    assert book.canvas.places == [1, 3]
    _, levels, pictures = model(images[1:2])
    guessed = model.decode(3, levels[3].prediction).clamp(0, 1)
    errors = [float((one - images[1:2]).abs().mean()) for one in (guessed, pictures[3].clamp(0, 1))]
    assert f"error is {errors[0]:.3f} with the prediction alone and {errors[1]:.3f}" in book.summary()
    assert "Level 3 adds 8 tokens (15 so far)" in book.summary()
    drawn = ElementTree.fromstring(book.picture()["image/svg+xml"])
    assert sum(element.tag.endswith("image") for element in drawn.iter()) == 8


# ------------------------------------------------------------ the exercises


def _right(prior, tokens):
    output = tokens[0]
    for level, token in enumerate(tokens[1:]):
        output = prior.predict(level, output) + token
    return output


def _only_tokens(prior, tokens):
    return tokens[-1]


def _from_tokens(prior, tokens):
    guess = prior.predict(len(tokens) - 2, tokens[-2]) if len(tokens) > 1 else 0
    return guess + tokens[-1]


def _no_last_token(prior, tokens):
    return tokens[0] if len(tokens) == 1 else prior.predict(len(tokens) - 2, _right(prior, tokens[:-1]))


@pytest.mark.parametrize(
    ("receive", "sentence"),
    [
        (..., "Fill in"),
        (3, "should be a function"),
        (lambda prior, tokens: ..., "Fill in"),
        (lambda prior, tokens: tokens[0], "shape"),
        (lambda prior, tokens: 2 * tokens[-1], "first level has no prediction"),
        (_only_tokens, "residual alone"),
        (_from_tokens, "predict from the last level's token"),
        (_no_last_token, "prediction alone"),
        (lambda prior, tokens: _right(prior, tokens) * (1 if len(tokens) == 1 else 2), "differs from eq. 4"),
    ],
)
def test_a_wrong_receiver_is_told_what_is_wrong(model, images, receive, sentence):
    with pytest.raises(NotYet, match=sentence):
        lesson.check_receiver(receive, model.prior, model.features(images[:2]))


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (..., "Fill in"), ("much", "should be a number"), (2**-4, "divide by Z"), (16 / 127, "falls from level"),
        (1 / 7, "the same for every level"), (2 / 127, "counted from 0"), (8 / 127, "weight of level 3"),
        (4, "what share"), (0.5, "Write out Z"),
    ],
)  # fmt: skip
def test_a_wrong_weight_is_told_what_is_wrong(weight, sentence):
    with pytest.raises(NotYet, match=sentence):
        lesson.check_weight(weight)


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        (..., "Fill in"), (4, "a set of levels"), ({7}, "whole numbers from 0 to 4"), ({0, 1, 2, 3, 4}, "cut off as a"),
        ({1, 2, 3, 4}, "These are the targets"), (set(), "at least one"), ({0}, "never a target"), ({2}, "later"),
    ],
)  # fmt: skip
def test_wrong_levels_are_told_what_is_wrong(levels, sentence):
    with pytest.raises(NotYet, match=sentence):
        lesson.check_shielded(levels, 5)


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (..., "Fill in"), (64, "against level 0"), (1 / 32, "other way round"), (1, "For the mean"), (5, "doubles"),
        (32**0.5, "no root"), (7, "How many tokens"),
    ],
)  # fmt: skip
def test_a_wrong_factor_is_told_what_is_wrong(times, sentence):
    with pytest.raises(NotYet, match=sentence):
        lesson.check_norm(times)


@pytest.fixture
def lonely(model, images) -> lesson.SmallAutoencoder:
    """A model whose last picture alone is good."""
    median = images.median(dim=0).values  # nearer than the mean image, as absolute errors go
    for level, decoder in enumerate(model.decoders):
        nn.init.zeros_(decoder[2].weight)
        decoder[2].bias.data = (median - 0.5).flatten() if level == 4 else torch.full((768,), 0.5)
    return model


@pytest.mark.parametrize(
    ("budgets", "sentence"),
    [
        (..., "Fill in"), (3, "a set of budgets"), ({2}, "a set of budgets"), ({1, 3, 7, 15, 31}, "it was trained"),
        (set(), "who trained the decoders"), ({1, 3, 7}, "the decoder at 15 tokens"),
    ],
)  # fmt: skip
def test_wrong_budgets_are_told_what_is_wrong(lonely, images, budgets, sentence):
    with pytest.raises(NotYet, match=sentence):
        lesson.check_last_only(budgets, lonely, images)


def test_a_model_that_was_trained_for_all_levels_is_recognised(lonely, images):
    lonely.decoders[0].load_state_dict(lonely.decoders[0].state_dict() | {"2.bias": lonely.decoders[4][2].bias})
    with pytest.raises(NotYet, match="all the weight on the last level"):
        lesson.check_last_only({1, 3, 7, 15}, lonely, images)


def test_right_answers_are_told_why(model, lonely, images, capsys):
    lesson.check_receiver(_right, model.prior, model.features(images[:2]))
    lesson.check_weight(Fraction(4, 127))
    lesson.check_shielded({4}, 5)
    lesson.check_norm(32)
    lesson.check_last_only({1, 3, 7, 15}, lonely, images)
    assert capsys.readouterr().out.count("Right.") == 5
