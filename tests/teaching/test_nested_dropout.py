"""Lesson 2: what linear autoencoders find under masks, against the analytic answer; masks; wrong answers."""

import math
from types import SimpleNamespace

import pytest
import torch

import prior_lab
from prior_lab.levels import Levels
from prior_lab.orderings.flat import IndependentTailDrop, TailDrop
from prior_lab.teaching import NotYet
from prior_lab.teaching import nested_dropout as nested


@pytest.fixture(scope="module")
def x():
    images = prior_lab.load_dataset("emoji", split="train", size=8).images.flatten(1) / 255
    return images - images.mean(0)


@pytest.fixture(scope="module")
def known(x):
    return nested.principal(x)


@pytest.fixture(scope="module")
def plain(x):
    return nested.fit(x, nested.keep_all, steps=600)


@pytest.fixture(scope="module")
def ordered(x):
    return nested.fit(x, nested.keep_prefix)


# ---------------------------------------------------------------- the analytic claims


def test_under_tail_dropping_every_token_is_the_principal_direction_of_its_place(ordered, known):
    cosines = nested.cosines(ordered.directions(), known[1][:5])
    assert cosines.diag().min() > 0.99
    assert (cosines - torch.diag(cosines.diag())).max() < 0.15


def test_under_tail_dropping_every_prefix_is_the_best_there_is(ordered, known, x):
    for k, least in enumerate(nested.least_errors(known[0], 5).tolist(), start=1):
        assert least * 0.9999 < ordered.prefix_error(x, k) < least * 1.01


def test_without_masks_only_the_subspace_is_found(plain, known, x):
    assert nested.shared_space(plain.directions(), known[1][:5]) > 0.99
    cosines = nested.cosines(plain.directions(), known[1][:5])
    assert (cosines.diag() < 0.99).all()
    assert (cosines.max(dim=1).values < 0.99).all()
    least = nested.least_errors(known[0], 5).tolist()
    assert plain.prefix_error(x, 5) < least[4] * 1.01
    assert plain.prefix_error(x, 2) > least[1] * 1.1


def test_under_independent_dropping_only_the_first_token_is_a_principal_direction(x, known):
    independent = nested.fit(x, nested.keep_each)
    cosines = nested.cosines(independent.directions(), known[1][:5]).diag()
    assert cosines[0] > 0.99
    assert (cosines[1:] < 0.99).all()
    assert independent.prefix_error(x, 5) > 1.02 * nested.least_errors(known[0], 5)[4]


def test_mixing_the_tokens_changes_no_whole_picture_and_every_prefix(ordered, x):
    mix = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1))).Q
    mixed = nested.LinearAutoencoder(mix @ ordered.encoder, ordered.decoder @ mix.T)
    assert mixed.prefix_error(x, 5) == pytest.approx(ordered.prefix_error(x, 5), rel=1e-4)
    for k in range(1, 5):
        assert mixed.prefix_error(x, k) > 1.01 * ordered.prefix_error(x, k)


def test_least_errors_are_the_variances_that_are_left(known, x):
    variances, directions = known
    least = nested.least_errors(variances, 5)
    kept = x @ directions[:3].T @ directions[:3]
    assert least[2].item() == pytest.approx((x - kept).square().sum(1).mean().item(), rel=1e-4)


def test_spaces_are_compared_whatever_their_basis(known):
    first = known[1][:3]
    turned = torch.tensor([[1.0, 1, 0], [1, -1, 0], [1, 2, 3]]) @ first
    assert nested.shared_space(first, turned) == pytest.approx(1.0, abs=1e-5)
    assert nested.shared_space(first, known[1][1:4]) == pytest.approx(0.0, abs=1e-5)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize(("rule", "ordering"), [("keep_prefix", TailDrop), ("keep_each", IndependentTailDrop)])
def test_the_masks_are_those_that_models_are_trained_with(rule, ordering):
    kept = getattr(nested, rule)(500, 31, torch.Generator().manual_seed(3))
    masked = ordering.mask(SimpleNamespace(levels=Levels(5)), 500, torch.Generator().manual_seed(3))
    assert torch.equal(kept, ~masked)


@pytest.mark.parametrize("rule", [nested.keep_prefix, nested.keep_each])
def test_both_rules_keep_a_token_as_often_as_computed(rule):
    kept = rule(40_000, 15, torch.Generator().manual_seed(0)).float().mean(0)
    torch.testing.assert_close(kept, nested.keep_probabilities(15), atol=0.01, rtol=0)


def test_cutoffs_have_the_probabilities_of_eq_1():
    chances = nested.cutoff_probabilities(7)
    assert chances.sum().item() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(chances.flip(0).cumsum(0).flip(0), nested.keep_probabilities(7))
    kept = nested.keep_prefix(40_000, 7, torch.Generator().manual_seed(0)).sum(1)
    torch.testing.assert_close(torch.bincount(kept)[1:] / 40_000, chances, atol=0.01, rtol=0)


def test_a_prefix_has_no_token_after_a_gap():
    kept = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0]]).bool()
    assert nested.is_prefix(kept).tolist() == [True, False, True, False]
    assert nested.is_prefix(nested.keep_prefix(200, 7, torch.Generator().manual_seed(0))).all()
    some = nested.keep_at_least(3)(200, 5, torch.Generator().manual_seed(0))
    assert sorted(set(some.sum(1).tolist())) == [3, 4, 5]
    assert nested.is_prefix(some).all()


# ---------------------------------------------------------------- what is shown


def test_the_mask_book_has_a_page_for_every_length_and_draw():
    book = nested.mask_book()
    assert len(book.canvas.pictures) == len(nested.SIZES) * nested.DRAWS
    book.places = (0, 2)
    assert book.summary().startswith("tokens N 7 tokens, draw 3: Above, 16 pictures")
    assert "16 of 16 by eq. 1" in book.summary()


def test_marked_fields_are_the_kept_tokens():
    kept = nested.keep_prefix(100, 7, torch.Generator().manual_seed(0))
    figure = nested.mask_figure({"eq. 1": kept, "eq. 2": kept})
    marked = set(zip(figure.data[0].y, figure.data[0].x, strict=True))
    assert marked == {(row, i) for row in range(16) for i in range(7) if kept[row, i]}
    assert figure.data[1].y[0] == 1.0


def test_the_loss_plot_shows_the_training_loss_alone(x):
    plot = nested.loss_plot()
    nested.fit(x[:64], nested.keep_all, steps=101, batch=8, plot=plot)
    assert plot.figure.data[0].x[-1] == 101
    assert plot.figure.data[0].y[-1] < plot.figure.data[0].y[0]
    assert not plot.figure.layout.yaxis2.visible


def test_the_error_figure_has_the_least_errors_beside_the_found():
    figure = nested.error_figure({"no mask": [3.0, 2.0], "eq. 1": [2.5, 2.0]}, [2.4, 1.9])
    assert [trace.name for trace in figure.data] == ["no mask", "eq. 1", "least possible"]


def test_directions_are_shown_as_pictures_whatever_their_sign(known):
    tiles, turned = nested.as_tiles(known[1][:2]), nested.as_tiles(-known[1][:2])
    assert tiles[0].shape == (3, 8, 8)
    assert all(torch.equal(one, other) for one, other in zip(tiles, turned, strict=True))
    assert nested.cosine_board(torch.eye(3)).size == (66 + 3 * 65 - 3, 24 + 3 * 65 - 3)


# ---------------------------------------------------------------- the exercises


def said(capsys):
    return " ".join(capsys.readouterr().out.split())  # whatever the lines it is wrapped to


def keep_right(r, tokens):
    return torch.arange(tokens) < torch.exp(r * math.log(tokens + 1)).floor()[:, None]


def cut(count):
    return lambda r, tokens: torch.arange(tokens) < count(r, tokens)[:, None]


def test_eq_1_is_accepted_as_a_line_of_code(capsys):
    nested.check_keep(keep_right)
    nested.check_keep(lambda r, n: keep_right(r, n).float())
    assert said(capsys).count("Right.") == 2


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (lambda r, n: ..., "in place of the dots"),
        (lambda r, n: 3, "should return a tensor, and returns int"),
        (lambda r, n: keep_right(r, n).T, "Rows and columns are exchanged"),
        (lambda r, n: r > 0.5, r"the shape is \(1000,\)"),
        (lambda r, n: ~keep_right(r, n), "true where a token is dropped"),
        (cut(lambda r, n: (r * n).floor() + 1), "Here every cutoff is as frequent"),
        (cut(lambda r, n: (r * n).floor()), "may be left without any token"),
        (cut(lambda r, n: torch.exp(r * math.log(n + 1))), "One token too many"),
        (cut(lambda r, n: torch.exp(r * math.log(n + 1)).floor() - 1), "One token too few"),
        (cut(lambda r, n: torch.exp(r * math.log(n)).floor()), "the last token would never be kept"),
        (cut(lambda r, n: torch.full_like(r, 3)), "On average 3.0 tokens are kept"),
    ],
)
def test_a_wrong_line_is_told_what_it_does(keep, sentence):
    with pytest.raises(NotYet, match=sentence):
        nested.check_keep(keep)


def test_the_shares_are_the_same_for_both_rules(capsys):
    nested.check_share(1 / 3, 0.333)
    assert "Right. 0.333 for both" in said(capsys)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ((..., ...), "in place of the dots"),
        ((2 / 3, 1 / 3), "eq. 1: 0.667 is how often it is dropped"),
        ((1 - math.log(3) / math.log(8), 1 / 3), "the token before it"),
        ((1 - math.log(4) / math.log(7), 1 / 3), r"log\(N\) in it"),
        ((math.log(4 / 3) / math.log(8), 1 / 3), "how often exactly 3 tokens are kept"),
        ((math.log(5 / 4) / math.log(8), 1 / 3), "how often exactly 4 tokens are kept"),
        ((4 / 7, 1 / 3), "as frequent as any other"),
        ((0.9, 1 / 3), "How often is u that large"),
        ((1 / 3, 2 / 3), "eq. 2: 0.667 is how often it is dropped"),
        ((1 / 3, 0.9), "eq. 2: 0.9 is not 1 minus"),
    ],
)
def test_a_wrong_share_is_told_what_it_is(answers, sentence):
    with pytest.raises(NotYet, match=sentence):
        nested.check_share(*answers)


VARIANCES = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.25, 0.25])
TAILS = nested.least_errors(VARIANCES, 5)
CHANCES = nested.cutoff_probabilities(5)


def test_the_least_loss_is_accepted(capsys):
    nested.check_least((CHANCES * TAILS).sum(), VARIANCES, 5, 2.5)
    assert "training reached 2.50" in said(capsys)


@pytest.mark.parametrize(
    ("least", "sentence"),
    [
        (..., "in place of the dots"),
        (TAILS[-1], "the error of all 5 tokens"),
        (TAILS.mean(), "the plain mean over the prefixes"),
        (TAILS.sum(), "without their probabilities"),
        (CHANCES @ (VARIANCES.sum() - TAILS), "the variance that is kept"),
        (CHANCES @ torch.tensor([8.0, *TAILS[:-1].tolist()]), "One variance too many"),
        (8.0, "the variance of the data"),
        (123.0, "Sum over k"),
    ],
)
def test_a_wrong_least_loss_is_told_what_it_is(least, sentence):
    with pytest.raises(NotYet, match=sentence):
        nested.check_least(least, VARIANCES, 5, 2.5)


def test_the_tokens_with_a_direction_of_their_own_are_accepted(capsys):
    nested.check_which([4, 3], [0.96, 0.2, 0.5, 0.999, 0.998])
    assert "a cosine above 0.99 for the tokens 3, 4." in said(capsys)


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        (..., "in place of the dots"),
        (3, "Give a list of tokens"),
        ([0, 1, 2, 3, 4], "never seen without each other"),
        ([0, 1, 2], "the other way round"),
        ([], "Some do"),
        ([4, 5], "Tokens count from 0"),
        ([2, 3, 4], "the prefix before it and the prefix with it"),
    ],
)
def test_wrong_tokens_are_answered(which, sentence):
    with pytest.raises(NotYet, match=sentence):
        nested.check_which(which, [0.96, 0.2, 0.5, 0.999, 0.998])
