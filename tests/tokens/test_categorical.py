"""Categorical tokens against analytic truth."""

import math

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import Categorical

from prior_lab.tokens import CategoricalPosterior, CategoricalTokens

NEVER = 1e-6  # false-alarm rate of every chi-square test here


def certain(categories: Tensor, count: int) -> CategoricalPosterior:
    """Sure choices, [batch, token], among a number of categories."""
    return CategoricalPosterior(torch.eye(count)[categories], torch.zeros_like(categories, dtype=torch.bool))


def drawn(batch: int, tokens: int, count: int, sharpness: float = 2.0, seed: int = 0) -> CategoricalPosterior:
    """Random probabilities, none of them masked."""
    logits = sharpness * torch.randn(batch, tokens, count, generator=Generator().manual_seed(seed))
    return CategoricalPosterior(torch.softmax(logits, dim=-1), torch.zeros(batch, tokens, dtype=torch.bool))


def chi_square_p_value(observed: Tensor, expected: Tensor) -> float:
    statistic = ((observed - expected).square() / expected).sum().double()
    return torch.special.gammaincc(torch.tensor((len(expected) - 1) / 2).double(), statistic / 2).item()


def test_categories_are_drawn_as_often_as_their_probabilities_say() -> None:
    """Also tells the probabilities from the same at a temperature of 1 / 1.15, so the test could have failed."""
    count = 20_000
    q = torch.softmax(1.5 * torch.randn(3, 8, generator=Generator().manual_seed(0)), dim=-1)
    posterior = CategoricalPosterior(q.expand(count, 3, 8), torch.zeros(count, 3, dtype=torch.bool))
    noise = CategoricalTokens.noise((count, 3, 8), Generator().manual_seed(1))
    observed = posterior.values(noise).sum(dim=0)
    sharper = q**1.15 / (q**1.15).sum(dim=-1, keepdim=True)
    for token in range(3):
        assert chi_square_p_value(observed[token], count * q[token]) > NEVER
        assert chi_square_p_value(observed[token], count * sharper[token]) < NEVER


def test_a_draw_is_one_hot_to_the_bit() -> None:
    posterior = drawn(50, 7, 32)
    for noise in (None, CategoricalTokens.noise((50, 7, 32), Generator().manual_seed(0))):
        values = posterior.values(noise)
        assert values.unique().tolist() == [0.0, 1.0]
        assert torch.equal(values.sum(dim=-1), torch.ones(50, 7))


def test_without_noise_the_value_is_the_likeliest_category() -> None:
    posterior = drawn(50, 7, 32)
    assert torch.equal(posterior.values().argmax(dim=-1), posterior.probabilities.argmax(dim=-1))


@pytest.mark.parametrize("seed", [None, 0])
def test_the_gradient_of_a_draw_is_that_of_the_probabilities(seed: int | None) -> None:
    tokens = CategoricalTokens(32, heads=3)
    features = torch.randn(8, 3, 32, generator=Generator().manual_seed(0)).requires_grad_()
    direction = torch.randn(8, 3, 32, generator=Generator().manual_seed(1))
    mask = torch.zeros(8, 3, dtype=torch.bool)
    mask[:4, 1] = True
    posterior = tokens(features).masked(mask)
    noise = None if seed is None else tokens.noise((8, 3, 32), Generator().manual_seed(seed))
    values = posterior.values(noise)
    (straight_through,) = torch.autograd.grad((values * direction).sum(), features, retain_graph=True)
    (expected,) = torch.autograd.grad((posterior.probabilities * direction).sum(), features)
    torch.testing.assert_close(straight_through, expected)
    assert straight_through[:4, 1].abs().max() == 0.0
    assert straight_through[4:, 1].abs().max() > 0.0


def test_probabilities_are_the_softmax_of_a_sharpened_linear_map() -> None:
    tokens = CategoricalTokens(32, heads=1)
    features = torch.randn(3, 5, 32, generator=Generator().manual_seed(0))
    odds = (tokens.sharpness * (features @ tokens.linear.weight[0] + tokens.linear.bias[0])).exp()
    torch.testing.assert_close(tokens(features).probabilities, odds / odds.sum(dim=-1, keepdim=True))


def test_the_regulariser_is_zero_to_minus_log_c_between_collapse_and_even_use() -> None:
    """E[H(q)] - H(E[q]): sure and all alike 0; sure and evenly spread -log C; undecided everywhere (1 - 1) log C."""
    count = 32
    tokens = CategoricalTokens(count, heads=1)
    alike, spread = torch.full((64, 2), 5), torch.arange(64)[:, None].expand(64, 2) % count
    undecided = CategoricalPosterior(torch.full((64, 2, count), 1 / count), torch.zeros(64, 2, dtype=torch.bool))
    assert tokens.regulariser(certain(alike, count)).item() == pytest.approx(0.0, abs=1e-6)
    assert tokens.regulariser(certain(spread, count)).item() == pytest.approx(-math.log(count), abs=1e-5)
    assert tokens.regulariser(undecided).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_regulariser_equals_a_loop_over_the_images_that_are_not_masked(weight: float) -> None:
    mask = torch.rand(20, 7, generator=Generator().manual_seed(1)) < 0.4
    mask[:, 5], mask[:, 0] = True, False
    posterior = drawn(20, 7, 32).masked(mask)
    expected = 0.0
    for token in range(7):
        present = [posterior.probabilities[image, token] for image in range(20) if not mask[image, token]]
        if present:
            batch_entropy = Categorical(torch.stack(present).mean(dim=0)).entropy()
            expected += sum((Categorical(q).entropy() - weight * batch_entropy).item() for q in present)
    cost = CategoricalTokens(32, heads=7, batch_entropy=weight).regulariser(posterior)
    assert cost.item() == pytest.approx(expected / (20 * 7), rel=1e-5)


@pytest.mark.parametrize("error", [0.0, 0.01, 0.2, 0.9])
def test_information_of_a_symmetric_channel(error: float) -> None:
    """Inputs even over C, wrong with probability e to each other category alike: I = log C - H(e) - e log(C - 1)."""
    count = 32
    q = torch.full((count, count), error / (count - 1)).fill_diagonal_(1 - error)
    posterior = CategoricalPosterior(q[:, None], torch.zeros(count, 1, dtype=torch.bool))
    noise = -error * math.log(error / (count - 1)) if error else 0.0
    expected = math.log(count) + (1 - error) * math.log(1 - error) - noise
    assert posterior.usage().item() == pytest.approx(expected, abs=1e-6)


def test_information_is_the_batch_entropy_less_the_sample_entropy() -> None:
    posterior = drawn(200, 7, 32).masked(torch.rand(200, 7, generator=Generator().manual_seed(1)) < 0.3)
    q = posterior.probabilities.double()
    expected = Categorical(q.mean(dim=0)).entropy() - Categorical(q).entropy().mean(dim=0)
    torch.testing.assert_close(posterior.usage().double(), expected, atol=1e-6, rtol=0)


def test_information_is_too_small_by_the_bias_in_small_samples() -> None:
    """Averages over 3,000 samples of 40 images; five standard errors are 0.01 nats and the bias is 0.05."""
    population, count, samples = drawn(500, 1, 8, sharpness=1.5).probabilities[:, 0], 40, 3000
    truth = CategoricalPosterior(population[:, None], torch.zeros(500, 1, dtype=torch.bool)).usage().item()
    images = torch.randint(0, 500, (count, samples), generator=Generator().manual_seed(2))
    small = CategoricalPosterior(population[images], torch.zeros(count, samples, dtype=torch.bool))
    usage, bias = small.usage(), small.bias()
    five_errors = 5 * usage.std().item() / math.sqrt(samples)
    assert truth - usage.mean().item() > 2 * five_errors
    assert usage.mean().item() + bias.mean().item() == pytest.approx(truth, abs=five_errors)


def test_the_bias_of_sure_choices_is_that_of_miller_and_madow() -> None:
    categories = torch.randint(0, 9, (100, 3), generator=Generator().manual_seed(0))
    categories[:, 1] = 4
    torch.testing.assert_close(certain(categories, 32).bias(), torch.tensor([8.0, 0.0, 8.0]) / 200)


def test_categories_in_use_are_counted_against_what_can_be_in_use() -> None:
    categories = torch.tensor([[0, 3], [1, 3], [2, 3], [2, 3]])
    assert certain(categories, 32).used().tolist() == [0.75, 0.25]
    assert certain(categories.repeat(16, 1), 32).used().tolist() == [3 / 32, 1 / 32]
