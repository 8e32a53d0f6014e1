"""Ordered codes with structure, for tests and benchmarks of probes."""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from prior_lab.probes import Samples

TAXONOMIES = ("coarse", "fine")
WIDTHS = {1: 24, 3: 72, 7: 168, 15: 360}  # up to half the 240 training images in the primal, above in the dual


def ordered_samples(
    objects: int, frames: int, *, levels: int, channels: int, counts: Sequence[int], noise: float = 0.05, seed: int = 0
) -> Samples:
    """Ordered codes with structure: 2^l tokens of a level l read ever more of a latent space, in which labels of every
    taxonomy, objects and frames lie apart. Columns are correlated, off centre, and vary less from level to level.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    classes = torch.randint(counts[-1], (objects,), generator=generator)
    labels = torch.stack([classes * count // counts[-1] for count in counts], dim=1)
    rank = 16 * 2 ** (levels - 1)
    latent = normal(objects, rank)
    for taxonomy, count in enumerate(counts):
        latent = latent + 0.22 * normal(count, rank)[labels[:, taxonomy]]
    image = torch.arange(objects).repeat_interleave(frames)
    latent = latent[image] + normal(len(image), rank)
    tokens = []
    for level in range(levels):
        read, columns = 16 * 2**level, channels * 2**level
        mixed = latent[:, :read] @ (normal(read, columns) * torch.arange(1, read + 1)[:, None] ** -0.8)
        mixed = mixed + noise * mixed.std(dim=0) * normal(len(image), columns)
        tokens.append(0.7**level * mixed + 0.1 * normal(columns))
    return Samples(torch.cat(tokens, dim=1), labels[image], image)


def select(samples: Samples, rows: Tensor | slice) -> Samples:
    return Samples(samples.features[rows], samples.labels[rows], samples.objects[rows])


def three_splits() -> tuple[Samples, Samples, Samples]:
    """Training, validation and test: 240, 120 and 160 images, two taxonomies, codes of 15 tokens of 24 channels.

    A fifth of the objects has no label in the second taxonomy.
    """
    samples = ordered_samples(130, 4, levels=4, channels=24, counts=(3, 8))
    samples.labels[samples.objects % 5 == 0, 1] = -1
    train, validation, test = (select(samples, slice(*ends)) for ends in ((0, 240), (240, 360), (360, 520)))
    return train, validation, test


def shares(table: xr.Dataset, split: Samples) -> np.ndarray:
    """Accuracy, object by object: the share of right images, then the mean over objects with a label."""
    told = []
    for budget in table.budget:
        for column, taxonomy in enumerate(table.taxonomy):
            predicted = table.predicted.sel(budget=budget, taxonomy=taxonomy).values
            rows = []
            for number in split.objects.unique().tolist():
                images = [i for i in range(len(split)) if split.objects[i] == number and split.labels[i, column] >= 0]
                if images:
                    rows.append(np.mean([predicted[i] == split.labels[i, column].item() for i in images]))
            told.append(np.mean(rows))
    return np.reshape(told, (table.sizes["budget"], table.sizes["taxonomy"]))
