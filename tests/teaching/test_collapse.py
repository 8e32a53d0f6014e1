"""Lesson 5: what it says of gradients, entropies and codebooks is so, and its checks tell right from wrong."""

import math

import pytest
import torch
import xarray as xr
from torch.nn.functional import one_hot

from prior_lab.effective_information import Information, warnings
from prior_lab.models import Autoencoder
from prior_lab.teaching import NotYet
from prior_lab.teaching import collapse as lesson
from prior_lab.tokens import CategoricalPosterior, CategoricalTokens, EMAVQTokens

EYE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
TOSS = [[0.25] * 4] * 4
SAME = [[0, 0, 1, 0]] * 4
BIT = [[1, 0, 0, 0]] * 2 + [[0, 1, 0, 0]] * 2


# ------------------------------------------------------------ straight through


def test_straight_through_is_exact_for_linear_losses_only():
    theta = torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)
    value = torch.tensor([1.0, -1.0, 3.0], dtype=torch.float64)
    q = torch.softmax(theta, dim=-1)
    true, through = lesson.gradients(theta, lambda z: z @ value)
    assert torch.allclose(true, q * (value - q @ value))
    assert torch.allclose(true, through)
    true, through = lesson.gradients(theta, lambda z: (z @ value - 1) ** 2)
    heights = (value - 1) ** 2
    slopes = q @ (2 * (value - 1))  # at the category drawn, on average
    assert torch.allclose(true, q * (heights - q @ heights))
    assert torch.allclose(through, q * slopes * (value - q @ value))
    assert (true * through < 0).any()


def test_the_package_s_categorical_tokens_have_this_gradient_on_average(generator):
    theta = torch.tensor([0.5, 0.0, -1.0], requires_grad=True)
    value = torch.tensor([1.0, -1.0, 3.0])
    q = torch.softmax(theta, dim=-1).expand(40_000, 1, 3)
    posterior = CategoricalPosterior(q, torch.zeros(40_000, 1, dtype=torch.bool))
    sent = posterior.values(CategoricalTokens.noise((40_000, 1, 3), generator))
    ((sent[:, 0] @ value - 1) ** 2).mean().backward()
    _, through = lesson.gradients(theta.detach().double(), lambda z: (z @ value.double() - 1) ** 2)
    assert torch.allclose(theta.grad.double(), through, atol=0.03)


# ------------------------------------------------------------ two entropies


def test_the_three_corners():
    assert lesson.entropies(lesson.choices(100.0, 1.0)) == pytest.approx((3, 0, 3), abs=1e-9)
    assert lesson.entropies(lesson.choices(0.0, 1.0)) == pytest.approx((3, 3, 0), abs=1e-9)
    assert lesson.entropies(lesson.choices(100.0, 0.0)) == pytest.approx((0, 0, 0), abs=1e-9)


def test_the_difference_is_what_the_package_measures():
    q = lesson.choices(4.0, 0.5)
    measured = Information(CategoricalPosterior(q[:, None], torch.zeros(8, 1, dtype=torch.bool))).total().value
    assert lesson.entropies(q)[2] == pytest.approx(measured, abs=1e-5)


def test_without_batch_entropy_the_package_s_regulariser_does_not_tell_two_sure_corners_apart():
    corners = [lesson.choices(100.0, different).float()[:, None] for different in (0.0, 1.0)]
    blank = torch.zeros(8, 1, dtype=torch.bool)
    for weight, costs in ((0.0, (0.0, 0.0)), (1.0, (0.0, -math.log(8)))):
        tokens = CategoricalTokens(8, heads=1, batch_entropy=weight)
        found = [tokens.regulariser(CategoricalPosterior(q, blank)).item() for q in corners]
        assert found == pytest.approx(costs, abs=1e-5)


def test_the_entropies_slide():
    book = lesson.entropy_book()
    assert len(book.canvas.pictures) == len(lesson.SURE) * len(lesson.DIFFERENT)
    book.canvas.places = [4, 4]  # as the browser sets it
    assert book.places == (4, 4)
    assert "told 3.00 bit" in book.summary()
    assert book.picture()["image/svg+xml"].count("<rect") >= 8 + 2


# ------------------------------------------------------------ codebooks


@pytest.fixture(scope="module")
def scenes():
    return lesson.follow(lesson.NEVER), lesson.follow(0.1)


def test_a_codebook_away_from_its_features_collapses_and_starting_dead_codes_anew_cures_it(scenes):
    ill, well = scenes
    assert ill.used[-1] * 13 <= 4
    assert ill.bits[-1] < math.log2(6) - 0.5
    assert well.used[-1] > 0.7
    assert well.bits[-1] > math.log2(6)  # at least the six heaps are told apart


def test_codes_that_nobody_chooses_never_move(scenes):
    ill, _ = scenes
    still = (ill.codes[0] - ill.codes[-1]).abs().amax(dim=1) < 0.1  # smoothed counts move them by a hair
    assert 8 <= still.sum() < 12


def test_the_codebook_slides(monkeypatch):
    book = lesson.codebook_book((0, 3))
    assert len(book.canvas.pictures) == 4
    book.places = (1, 1)
    assert "of 13 states in use" in book.summary()
    assert book.canvas.captions[0] == book.canvas.captions[2]  # both start alike


def test_a_step_by_hand_is_the_package_s():
    codes, counts, vectors, index = lesson._ema_case()
    sums = torch.zeros_like(codes).index_add_(0, index, vectors)
    moved, after = ema_step(codes, counts, sums, torch.bincount(index, minlength=3), 0.9)
    assert torch.allclose(moved, lesson.package_step(codes, counts, vectors, index, 0.9), atol=1e-4)
    assert after.tolist() == pytest.approx([0.9 * 2 + 0.3, 0.9 + 0.1, 0.9])


def test_the_small_model_starts_with_codes_near_0_and_hands_on_its_threshold():
    model = lesson.small_experiment(0.25).build()
    assert isinstance(model, Autoencoder)
    books = [module for module in model.modules() if isinstance(module, EMAVQTokens)]
    assert len(books) == lesson.LEVELS
    for tokens in books:
        assert tokens.dead_below == 0.25
        assert 0 < tokens.codes.abs().max() < 1
        assert (tokens.counts == lesson.FIRST_COUNT).all()


def health_report(information, used):
    return xr.Dataset(
        {
            "information": ("token", information, {"units": "nat"}),
            "states": ("token", [math.exp(one) for one in information], {"units": "1"}),
            "used": ("token", used, {"units": "1"}),
        },
        coords={"token": [0, 1, 2], "level": ("token", [0, 1, 1])},
    )


ILL = health_report([0.0, 1.0, 1.0], [0.1, 0.5, 0.5])
WELL = health_report([1.0, 2.0, 2.0], [0.5, 0.5, 0.5])


def test_the_report_is_by_level():
    table = lesson.report(WELL)
    assert table["tokens"] == {0: "1", 1: "2"}
    assert table["states in use [%]"][1] == "50"
    assert table["bits a token"][0] == f"{1 / math.log(2):.2f}"


def test_usage_is_drawn_for_every_level_and_run():
    history = [{"step": 10, **{f"used_{level}": 0.1 * level for level in range(3)}}, {"step": 15}]
    figure = lesson.usage_figure({"ill": history, "well": history})
    assert len(figure.data) == 6
    assert [list(trace.y) for trace in figure.data[::2]] == [[0.0], [0.1], [0.2]]


# ------------------------------------------------------------ exercises


def hard(q):
    return one_hot(q.argmax(dim=-1), q.shape[-1]).to(q.dtype)


def ema_step(codes, counts, sums, chosen, decay):
    new_counts = decay * counts + (1 - decay) * chosen
    return (decay * counts[:, None] * codes + (1 - decay) * sums) / new_counts[:, None], new_counts


def without_counts(codes, counts, sums, chosen, decay):
    means = sums / chosen.clamp_min(1)[:, None]
    return decay * codes + (1 - decay) * means, decay * counts + (1 - decay) * chosen


def undivided(codes, counts, sums, chosen, decay):
    moved, after = ema_step(codes, counts, sums, chosen, decay)
    return moved * after[:, None], after


def old_counts(codes, counts, sums, chosen, decay):
    moved, after = ema_step(codes, counts, sums, chosen, decay)
    return moved * after[:, None] / counts[:, None], after


def test_right_answers_are_told_so(capsys):
    lesson.check_straight_through(lambda q: hard(q) + q - q.detach())
    lesson.check_probabilities(TOSS, SAME, BIT)
    lesson.check_probabilities(torch.tensor(TOSS), torch.tensor(SAME), torch.tensor(BIT))
    lesson.check_ema_step(ema_step)
    lesson.check_threshold(0.1)
    lesson.check_revived(ILL, WELL)
    assert capsys.readouterr().out.count("Right. ") == 6


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (..., "Fill in"),
        (3, "function itself"),
        (lambda q: ..., "Fill in"),
        (lambda q: q.sum(), "same shape"),
        (lambda q: q, "nothing was chosen"),
        (lambda q: q + hard(q) - hard(q).detach(), "nothing was chosen"),
        (lambda q: 1 - hard(q), "likeliest category"),
        (hard, "argmax has none"),
        (lambda q: one_hot(q.argmax(dim=-1), 3), "argmax has none"),
        (lambda q: (hard(q) + q - q).detach(), "argmax has none"),
        (lambda q: hard(q) - q + q.detach(), "wrong sign"),
        (lambda q: hard(q) + 2 * q - 2 * q.detach(), "yours is another"),
    ],
)
def test_wrong_gradients_are_told_what_is_wrong(answer, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_straight_through(answer)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((..., SAME, BIT), "Fill in"),
        (("no", SAME, BIT), "four rows of four numbers"),
        (([[1, 0], [0, 1]], SAME, BIT), r"its shape is \(2, 2\)"),
        (([[1, 1, 0, 0]] * 4, SAME, BIT), "is a distribution"),
        ((EYE, SAME, BIT), "unsure tells 2.00 bit"),
        ((SAME, SAME, BIT), "its batch entropy is 0.00 bit"),
        ((TOSS, EYE, BIT), "all_the_same tells 2.00 bit"),
        ((TOSS, TOSS, BIT), "sample entropy of 2.00 bit"),
        ((TOSS, SAME, EYE), "Four different categories are two bits"),
        ((TOSS, SAME, SAME), "one_bit tells 0.00 bit"),
    ],
)
def test_wrong_tables_are_told_what_they_tell(answers, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_probabilities(*answers)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (..., "Fill in"),
        (1, "function itself"),
        (lambda *case: case[0], "two things"),
        (lambda *case: (..., ...), "Fill in"),
        (lambda *case: ema_step(*case[:4], 0.1), "decay is the share of the old"),
        (lambda *case: (case[0], case[1]), "how often each code was chosen"),
        (without_counts, "average the sums"),
        (undivided, "divide by the new counts"),
        (old_counts, "divided by the old counts"),
        (lambda *case: (case[0], ema_step(*case)[1]), "The codes should be"),
    ],
)
def test_wrong_steps_are_told_what_is_wrong(answer, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_ema_step(answer)


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (..., "Fill in"),
        (-1, "how the codebook collapsed"),
        (0, "never reaches 0"),
        (1, "Half of all"),
        (0.8, "smaller"),
    ],
)
def test_wrong_thresholds_are_told_what_they_do(share, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_threshold(share)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (WELL, WELL, "has not collapsed"),
        (ILL, ILL, "still ill: level 0"),
        (ILL, health_report([0.2, 0.5, 0.5], [0.5] * 3), "no more"),
    ],
)
def test_a_model_that_is_not_revived_is_told_of(before, after, says):
    assert warnings(ILL)
    with pytest.raises(NotYet, match=says):
        lesson.check_revived(before, after)
