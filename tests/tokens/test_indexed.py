"""The posterior of index tokens: entropies of known distributions."""

import math

import pytest
import torch
from torch import Generator, Tensor

from prior_lab.tokens import IndexedPosterior


def indexed(index: Tensor, outcomes: int) -> IndexedPosterior:
    states = torch.nn.functional.one_hot(index, outcomes).float()
    states[..., 0] = 0.0
    return IndexedPosterior(states, index, torch.ones_like(states[..., 0]), torch.full_like(index, outcomes))


def by_counts(*tokens: list[int]) -> Tensor:
    """An index for every image: state 0 as often as a token's first count says, and so on."""
    return torch.stack(
        [torch.cat([torch.full((n,), state) for state, n in enumerate(counts)]) for counts in tokens], dim=1
    )


def test_information_is_the_entropy_of_the_choices() -> None:
    """Halves, quarters and eighths; two even states; 1,000 even states; one state; and one image of ten elsewhere."""
    index = by_counts([4, 2, 1, 1], [4, 4], [0, 0, 8])
    expected = [1.75 * math.log(2), math.log(2), 0.0]
    assert indexed(index, 256).usage().tolist() == pytest.approx(expected, abs=1e-6)
    assert indexed(torch.arange(1000)[:, None], 1000).usage().item() == pytest.approx(math.log(1000), abs=1e-6)
    lone = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert indexed(by_counts([0, 9, 0, 1]), 256).usage().item() == pytest.approx(lone, abs=1e-6)


def test_the_null_state_is_an_outcome() -> None:
    """A token that is masked in half of the images tells one bit by that alone."""
    index = torch.full((8, 1), 3)
    mask = torch.arange(8)[:, None] < 4
    assert indexed(index, 256).usage().item() == pytest.approx(0.0, abs=1e-6)
    assert indexed(index, 256).masked(mask).usage().item() == pytest.approx(math.log(2), abs=1e-6)
    assert indexed(index, 256).masked(mask).used().item() == 2 / 8


def test_tokens_of_codebooks_of_different_sizes_do_not_mix() -> None:
    small = indexed(torch.randint(0, 16, (300, 2), generator=Generator().manual_seed(0)), 16)
    large = indexed(torch.randint(0, 64, (300, 3), generator=Generator().manual_seed(1)), 64)
    wide = torch.nn.functional.pad(small.states, (0, 48))
    joined = IndexedPosterior.join([IndexedPosterior(wide, small.index, small.cost, small.outcomes), large])
    for name in ("usage", "bias", "used"):
        expected = torch.cat([getattr(small, name)(), getattr(large, name)()])
        torch.testing.assert_close(getattr(joined, name)(), expected)


def test_information_is_too_small_by_the_bias_in_small_samples() -> None:
    """Averages over 3,000 samples of 50 images from 8 states; five standard errors are 0.007 nats, the bias 0.07."""
    p = torch.tensor([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    index = torch.multinomial(p, 50 * 3000, replacement=True, generator=Generator().manual_seed(0)).view(50, 3000)
    posterior, truth = indexed(index, 8), -(p * p.log()).sum().item()
    five_errors = 5 * posterior.usage().std().item() / math.sqrt(3000)
    shortfall = truth - posterior.usage().mean().item()
    assert shortfall > 5 * five_errors
    assert posterior.bias().mean().item() == pytest.approx(shortfall, abs=five_errors + 0.1 * shortfall)


def test_the_bias_is_that_of_miller_and_madow() -> None:
    assert indexed(by_counts([4, 2, 1, 1], [4, 4], [0, 0, 8]), 256).bias().tolist() == [3 / 16, 1 / 16, 0.0]


def test_states_in_use_are_counted_against_what_can_be_in_use() -> None:
    index = by_counts([4, 2, 1, 1], [4, 4], [0, 0, 8])
    assert indexed(index, 256).used().tolist() == [4 / 8, 2 / 8, 1 / 8]
    assert indexed(index, 4).used().tolist() == [1.0, 0.5, 0.25]
