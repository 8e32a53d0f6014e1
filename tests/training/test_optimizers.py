"""Muon and AdamW in one optimiser."""

import pytest
import torch
from torch import Tensor, nn

from prior_lab.training.optimizers import MuonAdamW, orthogonalise


@pytest.mark.parametrize("shape", [(3, 32, 96), (3, 96, 32), (1, 48, 48)])
def test_matrices_keep_their_directions_and_lose_their_scales(
    shape: tuple[int, int, int], generator: torch.Generator
) -> None:
    matrices = torch.randn(shape, generator=generator)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalise(matrices)
    left, values, right = torch.linalg.svd(result, full_matrices=False)
    assert values.min() > 0.5
    assert values.max() < 1.3
    overlap = ((u @ vh) * result).sum(dim=(-2, -1)) / (u @ vh).norm(dim=(-2, -1)) / result.norm(dim=(-2, -1))
    assert overlap.min() > 0.95
    assert left.shape[-1] == right.shape[-2]


def test_stacked_matrices_move_as_each_would_alone(generator: torch.Generator) -> None:
    start, gradient = torch.randn(4, 16, 32, generator=generator), torch.randn(4, 16, 32, generator=generator)
    together = nn.Parameter(start.clone())
    alone = [nn.Parameter(matrix[None].clone()) for matrix in start]
    joint, several = MuonAdamW([together], [], lr=0.1), MuonAdamW(alone, [], lr=0.1)
    for _ in range(3):
        together.grad = gradient.clone()
        for parameter, part in zip(alone, gradient, strict=True):
            parameter.grad = part[None].clone()
        joint.step()
        several.step()
    torch.testing.assert_close(together.detach(), torch.cat([p.detach() for p in alone]), atol=1e-5, rtol=1e-5)


def test_other_parameters_move_as_with_adamw(generator: torch.Generator) -> None:
    start = torch.randn(40, generator=generator)
    mine, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = MuonAdamW([], [mine], lr=0.01)
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(5):
        mine.grad = torch.randn(40, generator=generator)
        theirs.grad = mine.grad.clone()
        optimizer.step()
        reference.step()
    torch.testing.assert_close(mine.detach(), theirs.detach())


def test_it_finds_a_linear_map(generator: torch.Generator) -> None:
    target, weight = torch.randn(1, 8, 8, generator=generator), nn.Parameter(torch.zeros(1, 8, 8))
    bias = nn.Parameter(torch.zeros(1, 1, 8))
    optimizer = MuonAdamW([weight], [bias], lr=0.2, weight_decay=0.0)

    def error() -> Tensor:
        x = torch.randn(1, 64, 8, generator=generator)
        return (x @ weight + bias - (x @ target + 0.5)).square().mean()

    first = error().item()
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 0.2 * (1 - step / 300)
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error().item() < 1e-3 * first


def test_long_gradients_of_all_parameters_are_clipped_together(generator: torch.Generator) -> None:
    shapes = [(2, 8, 16), (1, 16, 8), (3, 8, 16), (40,), (1, 1, 5)]
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    gradients = [torch.randn(shape, generator=generator) for shape in shapes]
    clipped, given = ([nn.Parameter(value.clone()) for value in start] for _ in range(2))
    inside = MuonAdamW(clipped[:3], clipped[3:], lr=0.1, clip_norm=0.5)
    outside = MuonAdamW(given[:3], given[3:], lr=0.1)
    for strength in (1.0, 0.01, 3.0):
        for parameter, gradient in zip(clipped + given, gradients + gradients, strict=True):
            parameter.grad = strength * gradient
        nn.utils.clip_grad_norm_(given, 0.5)
        inside.step()
        outside.step()
    for mine, theirs in zip(clipped, given, strict=True):
        torch.testing.assert_close(mine.detach(), theirs.detach(), atol=1e-5, rtol=1e-5)
