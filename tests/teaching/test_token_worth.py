"""Lesson 3: what it says of Gaussian sources and tokens is so, and its checks tell right from wrong."""

import math

import pytest
import torch

from prior_lab import InputError
from prior_lab.effective_information import Information
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.teaching import NotYet
from prior_lab.teaching import token_worth as lesson
from prior_lab.tokens import GaussianPosterior

VARIANCES = (10, 3, 1)


def posterior(mean, log_variance):
    mean = mean.double()
    return GaussianPosterior(mean, torch.full_like(mean, log_variance))


def evenly(count):
    """Numbers that are spread like N(0, 1), without chance."""
    return torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(count, dtype=torch.float64) + 0.5) / count)


# ------------------------------------------------------------ quantisers


@pytest.mark.parametrize(("cells", "error"), [(2, 1 - 2 / math.pi), (4, 0.11748), (8, 0.034548), (16, 0.009497)])
def test_the_best_quantisers_are_those_of_max(cells, error):
    assert lesson.one_shot_quantiser(cells).error == pytest.approx(error, rel=5e-4)


def test_every_stage_is_above_the_limit_and_below_the_stage_before():
    for rounds in (0, 30):
        errors = [quantiser.error for quantiser in lesson.staged_quantisers(6, rounds)]
        assert errors == sorted(errors, reverse=True)
        assert all(error > lesson.limit(stage) for stage, error in enumerate(errors) if stage)


def test_good_cuts_make_order_nearly_free():
    staged = lesson.staged_quantisers(3, rounds=30)
    assert staged[2].error == pytest.approx(lesson.one_shot_quantiser(4).error, rel=1e-6)
    assert 1 < staged[3].error / lesson.one_shot_quantiser(8).error < 1.01


def test_stages_refine_the_cells_of_the_stage_before():
    for short, long in zip(*(lesson.staged_quantisers(4, 30)[at:] for at in (0, 1)), strict=False):
        assert set(short.edges) < set(long.edges)


def test_the_exact_error_is_that_of_the_quantised_line():
    x = evenly(100_000)
    quantiser = lesson.staged_quantisers(3)[3]
    cell = torch.bucketize(x, torch.tensor(quantiser.edges[1:-1], dtype=torch.float64))
    means = torch.tensor(quantiser.means, dtype=torch.float64)
    assert (x - means[cell]).square().mean().item() == pytest.approx(quantiser.error, rel=1e-3)
    share = torch.bincount(cell).double() / len(x)
    assert -(share * share.log2()).sum().item() == pytest.approx(quantiser.entropy, abs=1e-3)


def test_the_limit_is_the_same_in_one_piece_and_in_stages():
    assert lesson.limit(1.5 + 2.25) == pytest.approx(lesson.limit(1.5) * lesson.limit(2.25), rel=1e-12)


def test_longer_blocks_come_nearer_to_the_limit_and_do_not_cross_it(generator):
    errors = [lesson.staged_blocks(size, 2, generator, samples=4096) for size in (1, 4, 6)]
    for stage in (0, 1):
        found = [error[stage] for error in errors]
        assert found == sorted(found, reverse=True)
        assert found[-1] > lesson.limit(stage + 1)


# ------------------------------------------------------------ a Gaussian token


@pytest.mark.parametrize(
    ("gain", "noise", "source"), [(0.9, 0.1, 1.0), (0.0, 0.02, 1.0), (1.5, 1.0, 1.0), (0.3, 0.2, 4.0)]
)
def test_what_is_paid_is_told_or_wasted_and_told_lies_on_the_limit(gain, noise, source):
    token = lesson.LinearChannel(gain, noise, source)
    assert token.paid == pytest.approx(token.told + token.wasted, abs=1e-12)
    assert token.wasted >= 0
    assert token.error == pytest.approx(lesson.limit(token.told), rel=1e-12)


def test_a_token_whose_tokens_together_are_the_prior_wastes_nothing():
    token = lesson.LinearChannel(math.sqrt(1 - 1 / 16), 1 / 16)
    assert token.wasted == pytest.approx(0, abs=1e-12)
    assert (token.paid, token.error) == pytest.approx((2, 1 / 16))


def test_the_package_measures_the_price_that_is_computed_by_hand():
    measured = Information(posterior(0.9 * evenly(20_000).view(-1, 1, 1), math.log(0.1))).total().value
    assert measured == pytest.approx(lesson.LinearChannel(0.9, 0.1).paid, rel=1e-3)


def test_the_receiver_s_error_is_that_of_draws(generator):
    token = lesson.LinearChannel(0.8, 0.2)
    x, noise = torch.randn(2, 200_000, generator=generator, dtype=torch.float64)
    z = token.gain * x + math.sqrt(token.noise) * noise
    left = x - token.gain / token.spread * z
    assert left.square().mean().item() == pytest.approx(token.error, rel=0.01)


def test_causes_add_up_to_what_is_paid_and_tell_who_pays(generator):
    still, moving = torch.full((64, 3, 8), 0.5), torch.randn(64, 3, 8, generator=generator)
    for mean, cause in ((still, "means that never change"), (moving, "means that change")):
        tokens = posterior(mean, -1.0)
        parts = lesson.bits_by_cause(tokens)
        assert sum(parts.values()) == pytest.approx(Information(tokens).total().value, rel=1e-6)
        assert parts[cause] > 3 * (sum(parts.values()) - parts[cause] - parts["narrow posteriors"])
    assert lesson.bits_by_cause(posterior(torch.zeros(4, 1, 32), -4.0))["narrow posteriors"] == pytest.approx(
        69.67, abs=0.01
    )


def test_an_untrained_model_is_that_of_its_seed():
    like = Autoencoder(AutoencoderConfig(levels=2, image_size=16, patch=4, width=32, channels=32, encoder_depth=1))
    one, same, other = (lesson.untrained_like(like, seed) for seed in (0, 0, 1))
    weights = [next(model.parameters()) for model in (one, same, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


# ------------------------------------------------------------ what slides


def test_the_rate_slides_through_the_stages():
    book = lesson.rate_book()
    assert book.places == (1,)
    assert "2 cells, error 0.3634" in book.summary()
    book.canvas.places = [3]  # as the browser sets it
    assert book.places == (3,)
    assert "rate 3 bits: 8 cells" in book.summary()
    assert book.picture()["image/svg+xml"].endswith(book.canvas.pictures[3].removeprefix("<svg "))
    with pytest.raises(InputError, match="7"):
        book.places = (7,)
    assert book.places == (3,)


def test_the_channel_s_captions_are_its_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(lesson, "NOISES", (0, 3))
    book = lesson.channel_book(1, 4)
    token = lesson.LinearChannel(1.0, 1 / 8)
    assert f"paid {token.paid:.2f} bit = told {token.told:.2f} bit + wasted {token.wasted:.2f} bit" in book.summary()
    assert len(book.canvas.pictures) == 2 * len(lesson.GAINS)
    book.places = (1, 0)
    assert "told 0.00 bit" in book.summary()
    assert "noise s" in book.to_html(tmp_path / "channel.html").read_text()
    bundle = book._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")


def test_figures_show_what_they_are_given():
    blocks = lesson.block_figure({1: [0.5, 0.25], 4: [0.25, 0.0625]})
    assert list(blocks.data[0].y) == [0.5, 1.0]
    assert list(blocks.data[1].y) == [0.0, 0.0]
    both = lesson.bits_and_errors({"a": [(20.0, 1.0), (10.0, 2.0)], "b": [(5.0, 3.0)]})
    assert [list(trace.x) for trace in both.data] == [[20.0, 10.0], [5.0]]


# ------------------------------------------------------------ exercises


ONE = math.log2(100) / 2


def test_right_answers_are_told_so(capsys):
    lesson.check_least_bits(ONE, 127 * 32 * ONE)
    lesson.check_spending([0, 1, 0, 2, 1, 0], VARIANCES)
    lesson.check_channel(math.sqrt(15 / 64), 1 / 16)
    lesson.check_channel(-math.sqrt(15 / 64), 1 / 16)  # the sign is free
    lesson.check_paid_and_told(69.66, 0)
    assert capsys.readouterr().out.count("Right. ") == 5


@pytest.mark.parametrize(
    ("one", "whole", "says"),
    [
        (..., ..., "Fill in"),
        ("three", 1, "should be a number"),
        (2 * ONE, 1, "look at the exponent"),
        (ONE * math.log(2), 1, "in nats"),
        (lesson.limit(0.01), 1, "put 0.01 in as a rate"),
        (2.0, 1, "At 2 bit the least error is 0.0625"),
        (ONE, 127 * ONE, "a token has 32"),
        (ONE, 32 * ONE, "that of one token"),
        (ONE, ONE, "a single number"),
        (ONE, 1000, "each of which needs"),
    ],
)
def test_wrong_rates_are_told_what_is_wrong(one, whole, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_least_bits(one, whole)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (..., "Fill in"),
        ([...] * 6, "Give a list"),
        ("001120", "Give a list"),
        ([0, 1, 2], "Give 6 entries"),
        ([0, 1, 2, 3, 0, 1], "Give 6 entries"),
        ([0, 0, 0, 0, 0, 0], "soon no longer the worst"),
        ([0, 0, 0, 1, 1, 2], "Do not finish with one source"),
        ([0, 1, 2, 0, 1, 2], "Before bit 3 the errors are 2.5, 0.75, 1"),
    ],
)
def test_wrong_orders_are_told_at_which_bit(order, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_spending(order, VARIANCES)


@pytest.mark.parametrize(
    ("gain", "noise", "says"),
    [
        (..., 1 / 16, "Fill in"),
        (0.5, 0, "above 0"),
        (0, 1 / 16, "tells nothing of x"),
        (math.sqrt(15 / 16), 1 / 16, "holds for a source of variance 1"),
        (1, 1 / 16, "wider than the prior"),
        (0.1, 1 / 16, "narrower than the prior"),
        (math.sqrt(3 / 16), 1 / 4, "mind the half"),
        (math.sqrt((1 - math.exp(-4)) / 4), math.exp(-4), "2 nats"),
        (math.sqrt(7 / 32), 1 / 8, "1.50 bit are told"),
    ],
)
def test_wrong_tokens_are_told_what_they_do(gain, noise, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_channel(gain, noise)


@pytest.mark.parametrize(
    ("paid", "told", "says"),
    [
        (..., 0, "Fill in"),
        (2.177, 0, "one channel"),
        (48.29, 0, "in nats"),
        (139.3, 0, "Twice"),
        (92.33, 0, "s - 1 belong"),
        (0, 0, "not for nothing"),
        (50, 0, "is not 32 times"),
        (69.66, 69.66, "What can a receiver learn"),
    ],
)
def test_wrong_prices_are_told_what_is_wrong(paid, told, says):
    with pytest.raises(NotYet, match=says):
        lesson.check_paid_and_told(paid, told)
