"""Training steps and grouped layers against the plain way of writing the same thing, timed in turn in one process.

`make bench` prints a ratio per line; 1.5x means that the second way takes 1.5 times as long as the first.
"""

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from prior_lab.encoders import DecoderBank, Shape
from prior_lab.levels import Levels
from prior_lab.models import Autoencoder, AutoencoderConfig
from prior_lab.objectives import absolute_errors, total_loss
from prior_lab.orderings import OrderingName
from prior_lab.tokens import GaussianTokens

BATCH = 32


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object], rounds: int = 7) -> float:
    """Median of the peer's time over ours, pair by pair, after one round of warming up."""
    ratios = []
    for _ in range(rounds + 1):
        seconds = []
        for run in (ours, peer):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[1] / seconds[0])
    ratio = statistics.median(ratios[1:])
    print(f"\n{name}: {ratio:.2f}x")
    return ratio


def step(ordering: OrderingName, precision: torch.dtype) -> Callable[[], object]:
    """A forward and backward pass of the laptop preset."""
    torch.manual_seed(0)
    model, images = Autoencoder(AutoencoderConfig.preset("laptop", ordering=ordering)), torch.rand(BATCH, 3, 64, 64)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            reconstructions, code = model(images, generator)
        total_loss(
            absolute_errors(images, reconstructions), code, rate_weight=1e-5, prediction_weight=0.02
        ).total.backward()

    return run


@pytest.mark.parametrize("ordering", ["prior", "td"])
def test_step_in_bfloat16_against_float32(ordering: OrderingName) -> None:
    ratio = compare(
        f"{ordering} step, float32 over bfloat16", step(ordering, torch.bfloat16), step(ordering, torch.float32)
    )
    assert ratio > 0


def test_prior_step_against_masking_step() -> None:
    """The decoders of all levels should cost no more than a second masking step."""
    ratio = compare("PRIOR step over MBOP-TD step", step("td", torch.float32), step("prior", torch.float32))
    assert ratio > 0


def test_batched_decoders_against_one_after_another() -> None:
    levels, shape = Levels(7), Shape(size=64, patch=8, width=64, channels=32, depth=2)
    centres = [levels.centres(level) for level in range(7)]
    bank, alone = DecoderBank(centres, shape), [DecoderBank([points], shape) for points in centres]
    states = [torch.randn(BATCH, size, 32) for size in levels.sizes]

    def looped() -> None:
        torch.stack([decoder([state])[0] for decoder, state in zip(alone, states, strict=True)]).mean().backward()

    ratio = compare("decoders looped over batched", lambda: torch.stack(bank(states)).mean().backward(), looped)
    assert ratio > 0


def test_batched_token_heads_against_127_linear_modules() -> None:
    tokens, modules = GaussianTokens(32, heads=127), nn.ModuleList(nn.Linear(32, 64) for _ in range(127))
    features = torch.randn(BATCH, 127, 32)

    def looped() -> None:
        torch.stack([module(features[:, index]) for index, module in enumerate(modules)], 1).mean().backward()

    ratio = compare("127 heads looped over batched", lambda: tokens(features).mean.mean().backward(), looped)
    assert ratio > 0
