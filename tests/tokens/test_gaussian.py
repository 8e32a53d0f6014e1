"""Gaussian tokens against analytic truth."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from prior_lab.tokens import GaussianPosterior, GaussianTokens


@pytest.fixture
def posterior() -> GaussianPosterior:
    generator = torch.Generator().manual_seed(0)
    return GaussianPosterior(
        torch.randn(5, 7, 32, generator=generator), torch.randn(5, 7, 32, generator=generator).clamp(-3, 1)
    )


def test_divergence_is_the_analytic_kl_in_nats(posterior: GaussianPosterior) -> None:
    scale = (0.5 * posterior.log_variance).exp()
    expected = kl_divergence(Normal(posterior.mean, scale), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(posterior.divergence(), expected)
    torch.testing.assert_close(posterior.usage(), expected.mean(0))


def test_samples_have_the_posteriors_mean_and_variance() -> None:
    mean, log_variance = torch.full((4000, 1, 32), 0.7), torch.full((4000, 1, 32), -1.2)
    noise = GaussianTokens.noise((4000, 1, 32), torch.Generator().manual_seed(1))
    values = GaussianPosterior(mean, log_variance).values(noise)
    count = values.numel()
    standard_error = math.exp(-0.6) / math.sqrt(count)
    assert values.mean().item() == pytest.approx(0.7, abs=5 * standard_error)
    assert values.var().item() == pytest.approx(math.exp(-1.2), rel=5 * math.sqrt(2 / count))


def test_without_a_generator_the_value_is_the_mean(posterior: GaussianPosterior) -> None:
    assert torch.equal(posterior.values(), posterior.mean)


def test_free_nats_cost_nothing_below_kappa(posterior: GaussianPosterior) -> None:
    divergence = posterior.divergence()
    kappa = divergence.median().item()
    expected = torch.clamp(divergence - kappa, min=0).mean()
    cost = GaussianTokens(32, heads=7, free_nats=kappa).regulariser(posterior)
    torch.testing.assert_close(cost, expected)
    assert GaussianTokens(32, heads=7, free_nats=1e6).regulariser(posterior).item() == 0.0


def test_posteriors_start_narrow() -> None:
    features = torch.randn(8, 7, 32, generator=torch.Generator().manual_seed(0))
    log_variance = GaussianTokens(32, heads=1)(features).log_variance
    assert log_variance.mean().item() == pytest.approx(-4.0, abs=0.1)


def test_the_mean_over_images_has_no_bias(posterior: GaussianPosterior) -> None:
    assert torch.equal(posterior.bias(), torch.zeros(7))


def test_channels_with_more_than_a_hundredth_of_a_nat_are_in_use() -> None:
    """KL(N(m, 1) || N(0, 1)) = m^2 / 2, so m = 0.2 is 0.02 nats and m = 0.1 is 0.005."""
    mean = torch.zeros(6, 2, 32)
    mean[:, 0, :8], mean[:, 0, 8:], mean[:3, 1, :16] = 0.2, 0.1, 0.2
    assert GaussianPosterior(mean, torch.zeros_like(mean)).used().tolist() == [0.25, 0.0]
    mean[:4, 1, :16] = 0.2
    assert GaussianPosterior(mean, torch.zeros_like(mean)).used().tolist() == [0.25, 0.5]
