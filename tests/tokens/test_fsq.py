"""Finite scalar quantisation: the grid of its states, and its gradient."""

import itertools
import math

import pytest
import torch
from torch import Generator, Tensor

from prior_lab.tokens import FSQTokens

LEVELS = (8, 6, 5)


def reading_channels(levels: tuple[int, ...] = LEVELS) -> FSQTokens:
    """FSQ of as many channels as numbers, each number read off its own channel."""
    torch.manual_seed(0)
    tokens = FSQTokens(len(levels), heads=1, levels=levels)
    with torch.no_grad():
        tokens.inner.weight.copy_(torch.eye(len(levels))[None])
    return tokens


@pytest.fixture
def bare() -> FSQTokens:
    """Each number written to its own channel as well."""
    tokens = reading_channels()
    with torch.no_grad():
        tokens.outer.weight.copy_(torch.eye(3)[None])
    return tokens


def everywhere(channels: int = 3, steps: int = 41, reach: float = 4.0) -> Tensor:
    """Features that cover a cube densely."""
    line = torch.linspace(-reach, reach, steps)
    return torch.cartesian_prod(*[line] * channels)[:, None]


def test_every_state_is_reached_and_has_an_index_and_a_vector_of_its_own() -> None:
    posterior = reading_channels()(everywhere())
    assert posterior.index.unique().tolist() == list(range(1, math.prod(LEVELS) + 1))
    assert posterior.outcomes.unique().tolist() == [math.prod(LEVELS) + 1]
    states, which = torch.unique(posterior.states[:, 0], dim=0, return_inverse=True)
    assert len(states) == math.prod(LEVELS)
    assert len(torch.unique(torch.stack([which, posterior.index[:, 0]], dim=1), dim=0)) == math.prod(LEVELS)


def test_values_are_evenly_spaced_and_bounded(bare: FSQTokens) -> None:
    states = bare(everywhere()).states[:, 0]
    for number, levels in enumerate(LEVELS):
        expected = (torch.arange(levels) - levels // 2) / (levels // 2)
        torch.testing.assert_close(states[:, number].unique(), expected)
    assert torch.equal(bare(everywhere(steps=2, reach=1e6)).states.unique(), torch.tensor([-1.0, 2 / 3, 0.75, 1.0]))


def test_each_feature_takes_the_value_next_to_its_bounded_self(bare: FSQTokens) -> None:
    """Rounding moves a number by at most half a step, with a thousandth of the range to spare at its ends."""
    features = 2.0 * torch.randn(500, 1, 3, generator=Generator().manual_seed(0))
    states = bare(features).states
    for number, levels in enumerate(LEVELS):
        half, offset = (levels - 1) * 1.001 / 2, 0.5 * (levels % 2 == 0)
        bounded = half * torch.tanh(features[..., number] + math.atanh(offset / half)) - offset
        steps = states[..., number] * (levels // 2)
        assert (steps - bounded).abs().max() <= 0.5 + 0.001 * levels


def test_the_gradient_is_that_of_the_map_without_rounding() -> None:
    torch.manual_seed(0)
    tokens = FSQTokens(32, heads=4, levels=LEVELS)
    features = torch.randn(16, 4, 32, generator=Generator().manual_seed(0)).requires_grad_()
    direction = torch.randn(16, 4, 32, generator=Generator().manual_seed(1))
    numbers = torch.einsum("btc,tcn->btn", features, tokens.inner.weight) + tokens.inner.bias[:, 0]
    scaled = []
    for number, levels in enumerate(LEVELS):
        half, offset = (levels - 1) * 1.001 / 2, 0.5 * (levels % 2 == 0)
        scaled.append((half * torch.tanh(numbers[..., number] + math.atanh(offset / half)) - offset) / (levels // 2))
    smooth = torch.einsum("btn,tnc->btc", torch.stack(scaled, dim=-1), tokens.outer.weight)
    (expected,) = torch.autograd.grad((smooth * direction).sum(), features)
    (gradient,) = torch.autograd.grad((tokens(features).values() * direction).sum(), features)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_zero_features_are_in_a_middle_state_not_in_the_null_state(bare: FSQTokens) -> None:
    posterior = bare(torch.zeros(1, 1, 3))
    middle = [levels // 2 for levels in LEVELS]
    place = [math.prod(LEVELS[:number]) for number in range(3)]
    assert posterior.index.item() == 1 + sum(a * b for a, b in zip(middle, place, strict=True))
    assert bare.regulariser(posterior).item() == 0.0


def test_any_number_of_values_can_be_chosen() -> None:
    for levels in itertools.product((2, 3, 7), repeat=2):
        assert len(reading_channels(levels)(everywhere(2)).index.unique()) == math.prod(levels)
