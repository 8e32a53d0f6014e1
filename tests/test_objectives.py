import math

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from prior_lab.objectives import absolute_errors, nt_xent, total_loss
from prior_lab.orderings import TrainingCode

HEADS, PAIRS, CHANNELS, TEMPERATURE = 3, 6, 5, 0.3


def projections() -> Tensor:
    """[head, pair, first view or second, channel]"""
    return torch.randn(HEADS, PAIRS, 2, CHANNELS, generator=Generator().manual_seed(1))


def by_the_book(views: Tensor, temperature: float) -> float:
    """Equation 9, term by term."""
    count = len(views)
    losses = []
    for i in range(count):
        partner = i + 1 if i % 2 == 0 else i - 1
        similar = [functional.cosine_similarity(views[i], views[j], dim=0).item() / temperature for j in range(count)]
        others = math.log(sum(math.exp(similar[j]) for j in range(count) if j != i))
        losses.append(others - similar[partner])
    return sum(losses) / count


def test_nt_xent_is_equation_9_for_every_head() -> None:
    views = projections().flatten(1, 2)
    expected = [by_the_book(head, TEMPERATURE) for head in views]
    torch.testing.assert_close(nt_xent(views, TEMPERATURE), torch.tensor(expected))


def test_nt_xent_of_views_that_are_all_alike_is_the_logarithm_of_their_number() -> None:
    views = torch.ones(2 * PAIRS, CHANNELS)
    assert nt_xent(views, TEMPERATURE).item() == pytest.approx(math.log(2 * PAIRS - 1))


def test_nt_xent_of_pairs_at_right_angles_falls_with_the_temperature() -> None:
    views = torch.eye(CHANNELS).repeat_interleave(2, dim=0)
    exact = math.log(1 + (2 * CHANNELS - 2) * math.exp(-1 / 0.5))
    assert nt_xent(views, 0.5).item() == pytest.approx(exact, rel=1e-5)
    assert nt_xent(views, 1.0) > nt_xent(views, 0.1)


def test_the_total_weighs_heads_and_adds_the_two_regularisers() -> None:
    one = torch.tensor(1.0)
    code = TrainingCode([], [], torch.tensor([0.25, 0.75]), 2 * one, 3 * one)
    loss = total_loss(torch.tensor([4.0, 8.0]), code, rate_weight=0.1, prediction_weight=0.01)
    assert loss.objective.item() == pytest.approx(7.0)
    assert loss.total.item() == pytest.approx(7.0 + 0.2 + 0.03)


def test_absolute_errors_average_the_states_that_a_head_read() -> None:
    images = torch.zeros(2, 3, 4, 4)
    stacked = torch.cat([torch.full((2, 3, 4, 4), value) for value in (0.1, 0.3)])
    errors = absolute_errors(images, [images + 0.5, stacked])
    torch.testing.assert_close(errors, torch.tensor([0.5, 0.2]))
