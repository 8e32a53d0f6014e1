"""Grouped layers against the plain way of writing the same thing."""

from collections.abc import Iterator

import torch
from timing import Row, compare
from torch import nn

from prior_lab.encoders import DecoderBank, Shape
from prior_lab.levels import Levels
from prior_lab.tokens import GaussianTokens

BATCH = 32
COARSEST_SIDE = 4  # as in the bundled models of household


def layers(device: torch.device) -> Iterator[Row]:
    """The decoders of all levels, and the token heads of a masking ordering, forward and backward."""
    levels, shape = Levels(7), Shape(size=64, patch=8, width=64, channels=32, depth=2)
    centres = [levels.centres(level) for level in range(7)]
    bank = DecoderBank(centres, shape, COARSEST_SIDE).to(device)
    alone = [DecoderBank([points], shape, COARSEST_SIDE).to(device) for points in centres]
    states = [torch.randn(BATCH, size, 32, device=device) for size in levels.sizes]

    def one_by_one() -> None:
        torch.stack([decoder([state])[0] for decoder, state in zip(alone, states, strict=True)]).mean().backward()

    times = compare(lambda: torch.stack(bank(states)).mean().backward(), one_by_one, device)
    yield Row(name="decoders of seven levels, batched", against="one after another", **vars(times))

    tokens = GaussianTokens(32, heads=127).to(device)
    modules = nn.ModuleList(nn.Linear(32, 64) for _ in range(127)).to(device)
    features = torch.randn(BATCH, 127, 32, device=device)

    def looped() -> None:
        torch.stack([module(features[:, index]) for index, module in enumerate(modules)], 1).mean().backward()

    times = compare(lambda: tokens(features).mean.mean().backward(), looped, device)
    yield Row(name="127 token heads, batched", against="127 nn.Linear", **vars(times))
